"""Logical switches become datapaths: Datapath_Binding rows with tunnel keys, and the scopes that they are in."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from ovine.engine import Emit, Reader, Sticky, query, rule
from ovine.model import nb, sb
from ovine.model.base import Map, StrMap, Uuid
from ovine.northd.flows import DATAPATHS, MEMBERS, Member, Scope, scope
from ovine.northd.inputs import SWITCH_OF_PORT
from ovine.projection import Names, Target

KEYS: Sticky[Uuid] = Sticky("datapath tunnel keys", 1, 2**24 - 1)
"""24 bits of Geneve's VNI. The lowest free one is given, so that VXLAN's 12 bits suffice for the first 4095."""
VXLAN_KEYS = 2**12 - 1
LOCAL_KEYS = 2**24 - 1 - 65535
"""Keys above are kept for interconnection; told to others as options:max_tunid."""

SWITCHES = scope("switches")
UNTAGGED = scope("switches that refuse VLAN tags")


def requested_key(options: Map[str, str], high: int) -> tuple[int | None, tuple[str, ...]]:
    """options:requested-tnl-key, and what is wrong with it, if that is no number from 1 to `high`."""
    text = options.get("requested-tnl-key")
    if text is None:
        return None, ()
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= high:
        return None, (f"requested-tnl-key {text!r} is not a number from 1 to {high}; it is given another",)
    return int(text), ()


@query
def vxlan_mode(q: Reader) -> bool:
    """Whether some chassis speaks VXLAN, which has room for 12 bits of datapath key only."""
    return any(q.row(sb.Encap, key).type == "vxlan" for key in q.keys(sb.Encap))


@query
def keys_up_to(q: Reader) -> int:
    """The greatest datapath key that all tunnels can carry."""
    return VXLAN_KEYS if vxlan_mode(q) else LOCAL_KEYS


def _any_datapath_key(q: Reader, switch: Uuid) -> Iterator[Emit]:
    yield KEYS.request(switch)


@rule(over=nb.LogicalSwitch, writes=(KEYS,), on_failure=_any_datapath_key)
def ask_datapath_key(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """Asks for a tunnel key; one that cannot be had as requested is reported, and any other taken."""
    row = q.row(nb.LogicalSwitch, switch)
    wanted, complaint = requested_key(row.other_config, KEYS.high)
    if complaint:
        raise ValueError(f"switch {row.name}: {complaint[0]}")
    yield KEYS.request(switch, wanted=wanted)


@rule(over=nb.LogicalSwitch, writes=(DATAPATHS,))
def datapath(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """One Datapath_Binding for each logical switch."""
    row = q.row(nb.LogicalSwitch, switch)
    key = q.get(KEYS, switch)
    if key is None:
        return
    if key > VXLAN_KEYS and vxlan_mode(q):
        raise ValueError(f"tunnel key {key} of switch {row.name} does not fit into VXLAN's 12 bits")
    ids = {"logical-switch": str(switch), "name": row.name}
    if name := row.external_ids.get("neutron:network_name"):
        ids["name2"] = name
    if transit := row.other_config.get("interconn-ts"):
        ids["interconn-ts"] = transit
    yield DATAPATHS(switch, sb.DatapathBinding(tunnel_key=key, external_ids=StrMap(ids)))


@rule(over=nb.LogicalSwitch, writes=(MEMBERS,))
def scopes(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """The scopes that depend on the switch's own row; others are written by the features that define them."""
    yield member(SWITCHES, switch)
    if not passes_tags(q, switch):
        yield member(UNTAGGED, switch)


@query
def passes_tags(q: Reader, switch: Uuid) -> bool:
    """other_config:vlan-passthru."""
    return q.row(nb.LogicalSwitch, switch).other_config.get("vlan-passthru", "").lower() == "true"


def member(of: Scope, switch: Uuid) -> Emit:
    one = Member(of, switch)
    return MEMBERS(one, one)


def switch_of(q: Reader, port: Uuid) -> Uuid | None:
    """The switch that has this port. Raises ValueError if several have it."""
    switches: tuple[Uuid, ...] = q.find(SWITCH_OF_PORT, port)
    if len(switches) > 1:
        raise ValueError(f"the port is in {len(switches)} switches: {', '.join(switches)}")
    return switches[0] if switches else None


def _key(row: sb.DatapathBinding, names: Names) -> Hashable:
    for kind in ("logical-switch", "logical-router"):
        if kind in row.external_ids:
            return row.external_ids[kind]
    return row.uuid  # not made from any northbound row: not wanted


TARGET = Target(DATAPATHS, sb.DatapathBinding, _key, ("tunnel_key", "external_ids"))
