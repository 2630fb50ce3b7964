"""What state a lab is in: read from its databases and asked from its daemons, as data for `ovine status`.

`nb_cfg` is the number of the last change that somebody waits for; `sb_cfg` how far northd has come with it, `hv_cfg`
how far the slowest host has (ovn-nb(5), NB_Global). Tests: tests/lab/.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ovine.lab import control
from ovine.lab.errors import LabError
from ovine.lab.lab import Lab
from ovine.lab.spec import Host
from ovine.model import nb, sb
from ovine.model.base import Database, Row, Uuid
from ovine.ovsdb import Client, NotConnected, Replica

READ_TIMEOUT = 5.0


@dataclass(frozen=True)
class HostFacts:
    """A host: its daemons' versions, the ports bound to it, and the last change that it has applied."""

    name: str
    controller: str
    switch: str
    registered: bool
    bound: int
    up: int
    nb_cfg: int


@dataclass(frozen=True)
class Failure:
    """A rule that failed in a daemon: its output is withdrawn until it succeeds."""

    daemon: str
    rule: str
    key: str
    error: str


@dataclass(frozen=True)
class Facts:
    daemons: Mapping[str, str]
    """The version of each central daemon, by name."""
    hosts: tuple[HostFacts, ...]
    nb_cfg: int
    sb_cfg: int
    hv_cfg: int
    ports: int
    ports_up: int
    failures: tuple[Failure, ...]
    ended: tuple[str, ...]
    """Processes that the lab started and that no longer run."""


def read(lab: Lab) -> Facts:
    """Everything at once. LabError if a database does not answer."""
    north, south = asyncio.run(_replicas(lab))
    glob = next(iter(north.rows(nb.NBGlobal).values()), nb.NBGlobal())
    ports = north.rows(nb.LogicalSwitchPort).values()
    ended = {process.name for process in lab.processes.recorded()} - _living(lab) - _deleted(lab)
    return Facts(
        daemons={name: _version(lab, name) for name in ("northd", *(("plugin", "api") if lab.spec.api else ()))},
        hosts=tuple(_host(lab, host, south) for host in lab.spec.hosts),
        nb_cfg=glob.nb_cfg,
        sb_cfg=glob.sb_cfg,
        hv_cfg=glob.hv_cfg,
        ports=len(ports),
        ports_up=sum(1 for port in ports if port.up),
        failures=tuple(failure for failure in _failures(lab) if failure.rule or failure.daemon not in ended),
        ended=tuple(sorted(ended)),
    )


def _living(lab: Lab) -> set[str]:
    return {process.name for process in lab.processes.recorded() if process.alive}


def _deleted(lab: Lab) -> set[str]:
    """Clients and commands of instances come and go with them; only the lab's own daemons must stay."""
    daemons = {"northd", "plugin", "api"}
    return {p.name for p in lab.processes.recorded() if p.name not in daemons and not _is_daemon(lab, p.name)}


def _is_daemon(lab: Lab, name: str) -> bool:
    parts = [f"{host.name}-{part}" for host in lab.spec.hosts for part in ("ovsdb", "vswitchd", "controller")]
    return name in (*parts, "cloud-db", "nb-db", "sb-db")


async def _replicas(lab: Lab) -> tuple[Replica, Replica]:
    north: list[type[Row]] = [nb.NBGlobal, nb.LogicalSwitchPort]
    south: list[type[Row]] = [sb.Chassis, sb.ChassisPrivate, sb.PortBinding]
    return await asyncio.gather(
        _replica(nb.DATABASE, lab.spec.nb_db, north), _replica(sb.DATABASE, lab.spec.sb_db, south)
    )


async def _replica(database: Database, remote: str, tables: Iterable[type[Row]]) -> Replica:
    client = Client(database, remote, monitors=tables)
    await client.start()
    try:
        await client.ready(READ_TIMEOUT)
    except NotConnected as error:
        raise LabError(str(error)) from None
    finally:
        await client.close()
    return client.replica


def _host(lab: Lab, host: Host, south: Replica) -> HostFacts:
    chassis = {row.name: row for row in south.rows(sb.Chassis).values()}.get(host.name)
    private = {row.name: row for row in south.rows(sb.ChassisPrivate).values()}.get(host.name)
    count = _ports_of(chassis.uuid, south) if chassis else Counter()
    return HostFacts(
        name=host.name,
        controller=_version(lab, f"{host.name}-controller"),
        switch=_switch_version(lab, host),
        registered=chassis is not None,
        bound=count["bound"],
        up=count["up"],
        nb_cfg=private.nb_cfg if private else 0,
    )


def _ports_of(chassis: Uuid, south: Replica) -> Counter[str]:
    count: Counter[str] = Counter()
    for binding in south.rows(sb.PortBinding).values():
        if binding.chassis == chassis:
            count["bound"] += 1
            count["up"] += bool(binding.up)
    return count


def _version(lab: Lab, name: str) -> str:
    """What a daemon says of itself in its first line; ours go on to say what they stand in for."""
    try:
        lines = lab.ask(name, "version", timeout=5.0).splitlines()
    except LabError:
        return "down"
    return lines[0].partition(" in place of ")[0] if lines else "unknown"


def _switch_version(lab: Lab, host: Host) -> str:
    try:
        said = control.call(lab.spec.host_directory(host) / "ovs-vswitchd.ctl", "version")
    except LabError:
        return "down"
    return said.strip().rpartition(" ")[2]


def _failures(lab: Lab) -> list[Failure]:
    """What our own daemons report on `ovine/failures`: one JSON object a line. The C daemons have no such command."""
    found = []
    for name in lab.compilers:
        try:
            answer = lab.ask(name, "ovine/failures", timeout=5.0)
        except LabError as error:
            found.append(Failure(name, "", "", str(error)))
            continue
        found += [_failure(name, json.loads(line)) for line in answer.splitlines() if line.strip()]
    return found


def _failure(daemon: str, said: dict[str, Any]) -> Failure:
    return Failure(daemon, str(said.get("rule", "")), str(said.get("key", "")), str(said.get("error", "")))
