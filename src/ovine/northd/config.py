"""The two global rows: options down, sequence numbers down and up.

`nb_cfg` goes down in the transaction that has the flows. When that is acknowledged, the daemon writes it to `sb_cfg`.
When hosts say in Chassis_Private how far they have come, the least of them becomes `hv_cfg`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import NamedTuple

from ovine import __version__
from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import nb, sb
from ovine.model.base import Map, StrMap, Uuid
from ovine.northd.datapaths import keys_up_to
from ovine.projection import Names, Target


class Reached(NamedTuple):
    """What all hosts have caught up with."""

    nb_cfg: int
    timestamp: int
    """When the last of them did; in milliseconds since the epoch."""


PROBE_SENSIBLE: Relation[Uuid, bool] = Relation("probe interval makes sense")
THE_ROW = ""
"""The key of what there is one of."""
NESTED = Index(nb.LogicalSwitchPort, lambda row: (THE_ROW,) if row.parent_name else (), "nested ports")
ANY_NESTED: Relation[str, bool] = Relation("there are nested ports")
SB_GLOBAL: Relation[str, sb.SBGlobal] = Relation("SB_Global")
REACHED: Relation[str, Reached] = Relation("hosts have reached")


@rule(over=NESTED, writes=(ANY_NESTED,))
def any_nested(q: Reader, _: str) -> Iterator[Emit]:
    """Whether a port is inside another one. Hosts have to look for such ports, at a cost to the database."""
    del q
    yield ANY_NESTED(THE_ROW, True)


@rule(writes=(SB_GLOBAL,))
def global_row(q: Reader, _: tuple[()]) -> Iterator[Emit]:
    """Options are passed on to the hosts as they are, with three that northd is the one to know.

    The row is there even if the northbound's is not: it holds other things too, such as the database's connections.
    """
    rows = [q.row(nb.NBGlobal, key) for key in q.keys(nb.NBGlobal)] or [nb.NBGlobal()]
    for row in rows[:1]:
        options = dict(row.options)
        options["max_tunid"] = str(keys_up_to(q))
        options["nested_ports"] = "true" if q.get(ANY_NESTED, THE_ROW) else "false"
        options["northd_internal_version"] = f"ovine-{__version__}"
        yield SB_GLOBAL(THE_ROW, sb.SBGlobal(nb_cfg=row.nb_cfg, options=StrMap(options), ipsec=row.ipsec))


@rule(writes=(REACHED,))
def hosts_reached(q: Reader, _: tuple[()]) -> Iterator[Emit]:
    """The least nb_cfg over all hosts of this cloud, and when it was reached; nothing if there are no hosts."""
    hosts = [q.row(sb.ChassisPrivate, private) for private in q.keys(sb.ChassisPrivate)]
    own = [(host.nb_cfg, host.nb_cfg_timestamp) for host in hosts if not _is_remote(q, host.chassis)]
    if not own:
        return
    least = min(number for number, _ in own)
    yield REACHED(THE_ROW, Reached(least, max(when for number, when in own if number == least)))


def _is_remote(q: Reader, chassis: Uuid | None) -> bool:
    """Whether it belongs to another cloud, with which this one is interconnected."""
    row = q.get(sb.Chassis, chassis) if chassis is not None else None
    return row is not None and row.other_config.get("is-remote", "").lower() == "true"


def progress(row: nb.NBGlobal, committed: int, reached: Reached | None, seen: int, now: int) -> dict[str, int]:
    """The columns of NB_Global that are to change.

    `committed` is the nb_cfg that the southbound has, `reached` what its hosts have (None: there are none, and so they
    have what the southbound has), `seen` when work on the last nb_cfg began, `now` the time; both in milliseconds since
    the epoch.
    """
    changes: dict[str, int] = {}
    if committed != row.sb_cfg:
        changes |= {"sb_cfg": committed, "sb_cfg_timestamp": now, "nb_cfg_timestamp": seen}
    hosts = reached or Reached(committed, 0)
    if hosts.nb_cfg != row.hv_cfg:
        changes |= {"hv_cfg": hosts.nb_cfg, "hv_cfg_timestamp": hosts.timestamp}
    return changes


DEFAULT_PROBE = 5.0
LEAST_PROBE = 1.0


def probe_interval(options: Map[str, str]) -> float:
    """NB_Global options:northd_probe_interval (milliseconds) in seconds; 0 for no probes, else at least one second.

    What is no number counts as absent; `probe_setting` reports it.
    """
    text = options.get("northd_probe_interval", "")
    if not (text.isascii() and text.isdigit()):
        return DEFAULT_PROBE
    return max(LEAST_PROBE, int(text) / 1000) if int(text) else 0.0


@rule(over=nb.NBGlobal, writes=(PROBE_SENSIBLE,))
def probe_setting(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Makes a failure of a probe interval that is no number."""
    text = q.row(nb.NBGlobal, key).options.get("northd_probe_interval", "0")
    if not (text.isascii() and text.isdigit()):
        raise ValueError(
            f"northd_probe_interval {text!r} is no number of milliseconds; it is {DEFAULT_PROBE:g} seconds"
        )
    yield PROBE_SENSIBLE(key, True)


def _key(row: sb.SBGlobal, names: Names) -> Hashable:
    return THE_ROW


TARGET = Target(SB_GLOBAL, sb.SBGlobal, _key, ("nb_cfg", "options", "ipsec"))
