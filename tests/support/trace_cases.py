"""Cases of the trace interpreter: a small southbound as text, microflows, and what becomes of them.

A file is a list of lines; what is indented under a `trace` line is the expected `--minimal` text.

    switch NAME [name2=…]         router NAME            a datapath; keys count from 1
    port DATAPATH NAME [COLUMN=VALUE …]                  type=, peer=, distributed-port=, security="…|…", name=
    group DATAPATH NAME PORT…                            a multicast group
    set NAME ADDRESS…             ports NAME PORT…       an address set, a port group
    flow DATAPATH in|out TABLE PRIORITY MATCH => ACTIONS
    learned PORT IP MAC           given PORT IP MAC [override]
    fdb DATAPATH MAC PORT         dns DATAPATH NAME…
    trace [ct=FLAGS …] MICROFLOW

Datapaths are in all flows of a group if their names are joined by commas. `clear` forgets everything.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ovine.model import sb
from ovine.model.base import Map, Row, Uuid
from ovine.trace import World, world_of


def uuid(number: int) -> Uuid:
    return Uuid(f"{number:08x}-0000-4000-8000-000000000000")


@dataclass
class Text:
    """A southbound that grows line by line."""

    rows: dict[Uuid, Row] = field(default_factory=dict)
    names: dict[str, Uuid] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)

    def read(self, text: str) -> Text:
        """Reads lines, and returns itself."""
        for line in text.splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                self.line(line.strip())
        return self

    @property
    def world(self) -> World:
        return world_of(self.rows.values())

    def line(self, line: str) -> None:
        kind, _, rest = line.partition(" ")
        if kind == "clear":
            self.rows.clear()
            self.names.clear()
            self.keys.clear()
        elif kind == "flow":
            self._flow(rest)
        else:
            words = shlex.split(rest)
            getattr(self, f"_{kind}")(*words)

    def _add(self, row: Row, name: str = "", key: int = 0) -> None:
        self.rows[row.uuid] = row
        if name:
            self.names[name], self.keys[name] = row.uuid, key

    def _next(self) -> Uuid:
        return uuid(len(self.rows) + 1)

    def _datapath(self, kind: str, name: str, *ids: str) -> None:
        key = 1 + sum(isinstance(row, sb.DatapathBinding) for row in self.rows.values())
        own = {kind: uuid(key + 0xFFFF0000), "name": name, **dict(word.split("=", 1) for word in ids)}
        self._add(sb.DatapathBinding(uuid=self._next(), tunnel_key=key, external_ids=Map(own)), name, key)

    def _switch(self, name: str, *ids: str) -> None:
        self._datapath("logical-switch", name, *ids)

    def _router(self, name: str, *ids: str) -> None:
        self._datapath("logical-router", name, *ids)

    def _port(self, datapath: str, name: str, *columns: str) -> None:
        given = dict(word.split("=", 1) for word in columns)
        key = 1 + sum(isinstance(row, sb.PortBinding) for row in self.rows.values())
        row = sb.PortBinding(
            uuid=self._next(),
            logical_port=name,
            datapath=self.names[datapath],
            tunnel_key=key,
            type=given.pop("type", ""),
            port_security=tuple(element.strip() for element in given.pop("security", "").split("|") if element),
            external_ids=Map({"neutron:port_name": given.pop("name")} if "name" in given else {}),
            options=Map(given),
        )
        self._add(row, name, key)

    def _group(self, datapath: str, name: str, *ports: str) -> None:
        key = 32768 + sum(isinstance(row, sb.MulticastGroup) for row in self.rows.values())
        members = tuple(self.names[port] for port in ports)
        self._add(
            sb.MulticastGroup(
                uuid=self._next(), datapath=self.names[datapath], name=name, tunnel_key=key, ports=members
            )
        )

    def _set(self, name: str, *addresses: str) -> None:
        self._add(sb.AddressSet(uuid=self._next(), name=name, addresses=addresses))

    def _ports(self, name: str, *ports: str) -> None:
        self._add(sb.PortGroup(uuid=self._next(), name=name, ports=ports))

    def _learned(self, port: str, ip: str, mac: str) -> None:
        self._add(sb.MACBinding(uuid=self._next(), logical_port=port, ip=ip, mac=mac))

    def _given(self, port: str, ip: str, mac: str, override: str = "") -> None:
        row = sb.StaticMACBinding(
            uuid=self._next(), logical_port=port, ip=ip, mac=mac, override_dynamic_mac=bool(override)
        )
        self._add(row)

    def _fdb(self, datapath: str, mac: str, port: str) -> None:
        self._add(sb.FDB(uuid=self._next(), mac=mac, dp_key=self.keys[datapath], port_key=self.keys[port]))

    def _dns(self, datapath: str, *names: str) -> None:
        records = Map(dict.fromkeys(names, "10.0.0.1"))
        self._add(sb.DNS(uuid=self._next(), records=records, datapaths=(self.names[datapath],)))

    def _flow(self, text: str) -> None:
        place, _, actions = text.partition(" => ")
        datapaths, side, table, priority, match = place.split(None, 4)
        members = tuple(self.names[name] for name in datapaths.split(","))
        group = None
        if len(members) > 1:
            group = self._next()
            self._add(sb.LogicalDPGroup(uuid=group, datapaths=members))
        pipeline = {"in": "ingress", "out": "egress"}[side]
        row = sb.LogicalFlow(
            uuid=self._next(),
            logical_datapath=members[0] if group is None else None,
            logical_dp_group=group,
            pipeline=pipeline,
            table_id=int(table),
            priority=int(priority),
            match=match,
            actions=actions,
            external_ids=Map({"stage-name": f"{side}_{table}"}),
        )
        self._add(row)


@dataclass(frozen=True)
class Case:
    """A microflow in a world, and what is expected to become of it."""

    line: int
    world: World
    microflow: str
    ct: tuple[str, ...]
    expected: str


def read(path: Path) -> Iterator[Case]:
    """The cases of a file."""
    text, lines = Text(), path.read_text().splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line.startswith("trace "):
            text.line(line)
            continue
        first, words, ct = number, line.removeprefix("trace ").strip(), []
        while words.startswith("ct="):
            flags, _, words = words.partition(" ")
            ct.append(flags.removeprefix("ct="))
        expected = []
        while number < len(lines) and lines[number].startswith("  "):
            expected.append(lines[number][2:])
            number += 1
        yield Case(first, text.world, words, tuple(ct), "\n".join(expected))
