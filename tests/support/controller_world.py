"""A host as the controller sees it, built of rows in a few words, and the flows that its rules make of them.

The words are methods of `World`; a case file (tests/cases/controller/*.txt) calls them a line each:

    datapath sw0 1                                  a logical switch with its tunnel key
    port a sw0 1                                    a logical port with its key, bound nowhere
    port b sw0 2 chassis=hv2                        … bound on another chassis
    port net sw0 9 type=localnet tag=100 options:network_name=phys
    interface a 10                                  an interface of br-int with iface-id and OpenFlow port
    chassis hv2 geneve 10.9.0.2 ofport=5            another host, its encapsulation, and the tunnel port to it
    group flood sw0 32768 a b                       a multicast group
    link sw0 1 lr0 2                                a pair of patch ports, sw0-lr0 and lr0-sw0, with their keys
    ha_group gw hv1=10 hv2=20                       an HA chassis group with priorities
    bfd hv2 up                                      what BFD says of the tunnel to a host
    port cr lr0 3 type=chassisredirect ha_chassis_group=gw options:distributed-port=lr0-sw0
    flow sw0 ingress 3 100 'ip4' 'next;'            a logical flow
    addresses as1 10.0.0.1 10.0.0.2                 an address set
    balancer lb 10.0.0.100:80 10.0.0.5:80,10.0.0.6:80 sw0     a load balancer of a datapath
    members pg1 a b                                 a port group
    setting ovn-bridge-mappings phys:br-ex          external_ids of the Open_vSwitch row

    flows table=0                                   the flows whose text has all these words are exactly …
      table=0,priority=0 actions=drop
"""

from __future__ import annotations

import re
import shlex
import uuid as uuids
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ovine.controller.config import Startup
from ovine.controller.flows import FLOWS, as_flow
from ovine.controller.rules import new_engine
from ovine.engine import Engine
from ovine.model import sb, vs
from ovine.model.base import Row, StrMap, Uuid
from ovine.openflow.text import flow_text


def uuid_of(*name: str) -> Uuid:
    """The uuid that a thing of this name has in every test."""
    return Uuid(str(uuids.uuid5(uuids.NAMESPACE_OID, " ".join(name))))


class World:
    """One host, hv1, with an empty br-int."""

    def __init__(self, name: str = "hv1") -> None:
        self.engine: Engine = new_engine(Startup(None, "host-of-hv1"))
        self.rows: dict[tuple[type[Row], Uuid], Row] = {}
        self.settings = {"system-id": name, "ovn-encap-type": "geneve,vxlan", "ovn-encap-ip": "10.9.0.1"}
        self.put(vs.OpenVSwitch(uuid=uuid_of("root"), external_ids=StrMap(self.settings)))
        self.put(vs.Bridge(uuid=uuid_of("bridge", "br-int"), name="br-int"))
        self.put(sb.Chassis(uuid=uuid_of("chassis", name), name=name))

    # --- rows

    def put(self, row: Row) -> None:
        self.rows[type(row), row.uuid] = row
        self.engine.feed(type(row), row.uuid, row)

    def remove(self, table: type[Row], uuid: Uuid) -> None:
        self.rows.pop((table, uuid), None)
        self.engine.feed(table, uuid, None)

    def row(self, table: type[Any], uuid: Uuid) -> Any:
        return self.rows[table, uuid]

    def change(self, table: type[Any], uuid: Uuid, **columns: Any) -> None:
        import msgspec

        self.put(msgspec.structs.replace(self.row(table, uuid), **columns))

    # --- words

    def setting(self, key: str, value: str) -> None:
        self.settings[key] = value
        self.change(vs.OpenVSwitch, uuid_of("root"), external_ids=StrMap(self.settings))

    def datapath(self, name: str, key: str | int, kind: str = "switch") -> Uuid:
        ids = StrMap({f"logical-{kind}": uuid_of(name), "name": name})
        uuid = uuid_of("datapath", name)
        self.put(sb.DatapathBinding(uuid=uuid, tunnel_key=int(key), external_ids=ids))
        return uuid

    def port(self, name: str, datapath: str, key: str | int, **columns: Any) -> Uuid:
        uuid = uuid_of("port", name)
        options = StrMap({k.removeprefix("options:"): v for k, v in columns.items() if k.startswith("options:")})
        others = {k: v for k, v in columns.items() if not k.startswith("options:")}
        for column in ("chassis", "requested_chassis"):
            if column in others:
                others[column] = uuid_of("chassis", others[column])
        for column in ("additional_chassis", "requested_additional_chassis"):
            if column in others:
                others[column] = tuple(uuid_of("chassis", one) for one in others[column].split(","))
        if "ha_chassis_group" in others:
            others["ha_chassis_group"] = uuid_of("ha group", others["ha_chassis_group"])
        if isinstance(others.get("mac"), str):
            others["mac"] = (others["mac"],)
        if "tag" in others:
            others["tag"] = int(others["tag"])
        self.put(
            sb.PortBinding(
                uuid=uuid,
                logical_port=name,
                datapath=uuid_of("datapath", datapath),
                tunnel_key=int(key),
                options=options,
                **others,
            )
        )
        return uuid

    def link(self, near: str, near_key: str | int, far: str, far_key: str | int, **columns: Any) -> None:
        kind, mac = (
            columns.pop("type", "patch"),
            columns.pop("mac", f"00:00:00:00:{int(near_key):02x}:{int(far_key):02x}"),
        )
        self.port(f"{near}-{far}", near, near_key, type=kind, **{"options:peer": f"{far}-{near}", **columns})
        self.port(f"{far}-{near}", far, far_key, type=kind, mac=mac, **{"options:peer": f"{near}-{far}", **columns})

    def ha_group(self, name: str, *, refs: tuple[str, ...] = (), **priorities: str | int) -> Uuid:
        uuid = uuid_of("ha group", name)
        for chassis, priority in priorities.items():
            member = uuid_of("ha member", name, chassis)
            self.put(sb.HAChassis(uuid=member, chassis=uuid_of("chassis", chassis), priority=int(priority)))
        members = tuple(sorted(uuid_of("ha member", name, chassis) for chassis in priorities))
        references = tuple(sorted(uuid_of("chassis", chassis) for chassis in refs))
        self.put(sb.HAChassisGroup(uuid=uuid, name=name, ha_chassis=members, ref_chassis=references))
        return uuid

    def bfd(self, chassis: str, state: str) -> None:
        self.change(vs.Interface, uuid_of("interface", f"ovn-{chassis}-0"), bfd_status=StrMap({"state": state}))

    def macs(self, chassis: str, mappings: str) -> None:
        """The Ethernet addresses that another host shows."""
        ids = StrMap({"ovn-chassis-mac-mappings": mappings})
        self.change(sb.Chassis, uuid_of("chassis", chassis), other_config=ids)

    def interface(self, iface_id: str, ofport: str | int, **ids: str) -> Uuid:
        external_ids = StrMap({"iface-id": iface_id, **ids})
        return self._port(f"if-{iface_id}", int(ofport), external_ids=external_ids)

    def bridge(self, name: str) -> None:
        self.put(vs.Bridge(uuid=uuid_of("bridge", name), name=name))

    def patch(self, name: str, ofport: str | int) -> None:
        self._port(name, int(ofport), type="patch")

    def chassis(self, name: str, kind: str, ip: str, ofport: str | int = 0) -> Uuid:
        encap = uuid_of("encap", name)
        self.put(sb.Encap(uuid=encap, type=kind, ip=ip, chassis_name=name, options=StrMap({"csum": "true"})))
        self.put(sb.Chassis(uuid=uuid_of("chassis", name), name=name, encaps=(encap,)))
        if int(ofport):
            marks = StrMap({"ovn-chassis-id": f"{name}@{ip}%10.9.0.1"})
            self._port(f"ovn-{name}-0", int(ofport), type=kind, port_ids=marks)
        return uuid_of("chassis", name)

    def group(self, name: str, datapath: str, key: str | int, *ports: str) -> Uuid:
        uuid = uuid_of("group", datapath, name)
        members = tuple(sorted(uuid_of("port", port) for port in ports))
        self.put(
            sb.MulticastGroup(
                uuid=uuid, name=name, datapath=uuid_of("datapath", datapath), tunnel_key=int(key), ports=members
            )
        )
        return uuid

    def flow(
        self,
        datapath: str,
        pipeline: str,
        table: str | int,
        priority: str | int,
        match: str,
        actions: str,
        group: bool = False,
        port: str = "",
    ) -> Uuid:
        uuid = uuid_of("flow", datapath, pipeline, str(table), str(priority), match, actions)
        where = {"logical_dp_group" if group else "logical_datapath": uuid_of("datapath", datapath)}
        self.put(
            sb.LogicalFlow(
                uuid=uuid,
                pipeline=pipeline,
                table_id=int(table),
                priority=int(priority),
                match=match,
                actions=actions,
                tags=StrMap({"in_out_port": port} if port else {}),
                **where,  # type: ignore[arg-type]
            )
        )
        return uuid

    def datapath_group(self, name: str, *datapaths: str) -> Uuid:
        uuid = uuid_of("datapath", name)
        self.put(sb.LogicalDPGroup(uuid=uuid, datapaths=tuple(sorted(uuid_of("datapath", each) for each in datapaths))))
        return uuid

    def balancer(self, name: str, vip: str, backends: str, *datapaths: str, **options: str) -> Uuid:
        uuid = uuid_of("balancer", name)
        where = tuple(sorted(uuid_of("datapath", each) for each in datapaths))
        protocol = options.pop("protocol", "tcp")
        self.put(
            sb.LoadBalancer(
                uuid=uuid,
                name=name,
                vips=StrMap({vip: backends}),
                protocol=protocol,  # type: ignore[arg-type]
                datapaths=where,
                options=StrMap(options),
            )
        )
        return uuid

    def addresses(self, name: str, *addresses: str) -> Uuid:
        uuid = uuid_of("addresses", name)
        self.put(sb.AddressSet(uuid=uuid, name=name, addresses=tuple(sorted(addresses))))
        return uuid

    def members(self, name: str, *ports: str) -> Uuid:
        uuid = uuid_of("members", name)
        self.put(sb.PortGroup(uuid=uuid, name=name, ports=tuple(sorted(ports))))
        return uuid

    def _port(
        self,
        name: str,
        ofport: int,
        *,
        type: str = "",
        external_ids: StrMap = StrMap(),  # noqa: B008 (immutable)
        port_ids: StrMap = StrMap(),  # noqa: B008
    ) -> Uuid:
        interface, port = uuid_of("interface", name), uuid_of("port of the bridge", name)
        self.put(vs.Interface(uuid=interface, name=name, ofport=ofport or None, type=type, external_ids=external_ids))
        self.put(vs.Port(uuid=port, name=name, interfaces=(interface,), external_ids=port_ids))
        bridge = self.row(vs.Bridge, uuid_of("bridge", "br-int"))
        self.change(vs.Bridge, bridge.uuid, ports=tuple(sorted({*bridge.ports, port})))
        return interface

    # --- what came out

    def run(self) -> World:
        self.engine.run()
        return self

    def flows(self, *words: str) -> list[str]:
        """The flows whose text has all these words, without cookies, in order of table and priority."""
        self.run()
        found = sorted(self.engine.rows(FLOWS).items(), key=lambda item: (item[0][0], -item[0][1], repr(item[0][2])))
        texts = [flow_text(as_flow(key, body._replace(cookie=0))) for key, body in found]
        return [text for text in texts if all(word in _words(text) for word in words)]

    def failures(self) -> list[str]:
        from ovine.controller.rules import failures

        self.run()
        return [failure.error for failure in failures(self.engine)]

    def wanted(self, relation: Any) -> dict[Any, Any]:
        self.run()
        return dict(self.engine.rows(relation))


def _words(text: str) -> list[str]:
    return text.replace(" ", ",").split(",")


def replay(path: Path) -> Iterator[tuple[int, list[str], list[str]]]:
    """Runs a case file; yields (line, expected, found) for each of its expectations."""
    world = World()
    lines = [line.split(" # ")[0].rstrip() for line in path.read_text().splitlines()]
    at = 0
    while at < len(lines):
        line, at = lines[at], at + 1
        if not line.strip() or line.startswith("#"):
            continue
        words = shlex.split(line)
        if words[0] in ("flows", "failures"):
            start = at
            expected = []
            while at < len(lines) and lines[at].startswith(" "):
                expected.append(lines[at].strip())
                at += 1
            found = world.flows(*words[1:]) if words[0] == "flows" else world.failures()
            yield start, expected, [line.replace("\n", " | ") for line in found]
            continue
        plain = [word for word in words[1:] if not re.fullmatch(r"[\w:-]+=[^;]*", word) or " " in word]
        keyed = dict(word.split("=", 1) for word in words[1:] if word not in plain)
        getattr(world, words[0])(*plain, **keyed)
