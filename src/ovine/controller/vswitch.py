"""What this host writes into its Open_vSwitch database: bridge, tunnel and patch ports, zones, rates, what is up.

Like the southbound plans, these are worked out anew from what should be and what is there. Ports of other programs
are never touched: ours are known by `external_ids:ovn-chassis-id`, `ovn-localnet-port`, `ovn-l2gateway-port`, and
mirrors by `ovn-owned`, as OVN's own controller has it.

Tests: tests/interop/controller/test_controller_plans.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import msgspec

from ovine.controller.config import Config
from ovine.controller.mirrors import MARK, Mirror
from ovine.controller.patches import L2GATEWAY_PORT, LOCALNET_PORT, Patch
from ovine.controller.rates import Queue
from ovine.controller.rates_plan import plan_rates
from ovine.controller.tunnels import CHASSIS_ID, TunnelKey, parse_chassis_id
from ovine.controller.zones import PREFIX
from ovine.model import vs
from ovine.model.base import Map, StrMap, Uuid
from ovine.ovsdb import Replica, Transaction

NO_BFD = StrMap({"enable": "false"})
INSTALLED = "ovn-installed"
INSTALLED_AT = "ovn-installed-ts"


@dataclass(frozen=True)
class Wanted:
    """What the database should say; `installed` has the interfaces whose ports' flows are acknowledged, `now` is in ms.

    `bfd` has the settings of the tunnels to some chassis, by name. `status` are further external_ids of the bridge.
    """

    tunnels: Mapping[TunnelKey, StrMap] = field(default_factory=dict)
    bfd: Mapping[str, StrMap] = field(default_factory=dict)
    patches: Mapping[str, Patch] = field(default_factory=dict)
    mirrors: Mapping[str, Mirror] = field(default_factory=dict)
    shaped: Mapping[Uuid, Map[int, Queue]] = field(default_factory=dict)
    zones: Mapping[str, int] = field(default_factory=dict)
    claimed: Collection[Uuid] = ()
    installed: Collection[Uuid] = ()
    status: Mapping[str, str] = field(default_factory=dict)
    now: int = 0


def plan(replica: Replica, config: Config, wanted: Wanted | None) -> Transaction:
    """Everything that has to be written; without `wanted` (nothing is known yet) only the bridge itself."""
    txn = Transaction()
    bridge = replica.index(vs.Bridge, "name").one(config.bridge)
    if bridge is None:
        _create_bridge(txn, replica, config)
        return txn
    _settle_bridge(txn, bridge, config)
    if wanted is not None:
        _tunnels(txn, replica, bridge, wanted)
        _patches(txn, replica, wanted.patches)
        _mirrors(txn, replica, bridge, wanted.mirrors)
        plan_rates(txn, replica, wanted.shaped)
        _notes(txn, bridge, wanted)
        _installed(txn, replica, wanted)
    return txn


# --- the bridge -------------------------------------------------------------------------------------------------------


def _create_bridge(txn: Transaction, replica: Replica, config: Config) -> None:
    for root in replica.rows(vs.OpenVSwitch):
        interface = txn.insert(vs.Interface(name=config.bridge, type="internal"))
        port = txn.insert(vs.Port(name=config.bridge, interfaces=(interface,)))
        bridge = txn.insert(
            vs.Bridge(
                name=config.bridge,
                ports=(port,),
                fail_mode="secure",
                datapath_type=config.datapath_type or "",
                other_config=StrMap({"disable-in-band": "true"}),
            )
        )
        txn.mutate(vs.OpenVSwitch, root, "bridges", "insert", bridge)


def _settle_bridge(txn: Transaction, bridge: vs.Bridge, config: Config) -> None:
    """Secure, so that a restart of the switch never makes it a learning switch; in-band control would add flows."""
    different: dict[str, Any] = {}
    if bridge.fail_mode != "secure":
        different["fail_mode"] = "secure"
    if config.datapath_type is not None and bridge.datapath_type != config.datapath_type:
        different["datapath_type"] = config.datapath_type
    if bridge.other_config.get("disable-in-band") != "true":
        different["other_config"] = StrMap({**bridge.other_config, "disable-in-band": "true"})
    if bridge.protocols and "OpenFlow15" not in bridge.protocols:
        different["protocols"] = tuple(sorted({*bridge.protocols, "OpenFlow15"}))
    if different:
        txn.update(vs.Bridge, bridge.uuid, **different)


# --- tunnels ----------------------------------------------------------------------------------------------------------


def _tunnels(txn: Transaction, replica: Replica, bridge: vs.Bridge, wanted: Wanted) -> None:
    missing = dict(wanted.tunnels)
    for port, interface, key in _matched(list(_marked(replica, bridge, CHASSIS_ID)), wanted.tunnels):
        if key is None:
            txn.mutate(vs.Bridge, bridge.uuid, "ports", "delete", port.uuid)
            continue
        options = missing.pop(key)
        different: dict[str, Any] = {"options": options} if interface.options != options else {}
        bfd = wanted.bfd.get(key.chassis, NO_BFD)
        if interface.bfd != bfd and (bfd != NO_BFD or interface.bfd.get("enable") == "true"):
            different["bfd"] = bfd
        if different:
            txn.update(vs.Interface, interface.uuid, **different)
        if port.external_ids.get(CHASSIS_ID) != key.text:
            txn.update(vs.Port, port.uuid, external_ids=StrMap({**port.external_ids, CHASSIS_ID: key.text}))
    if not missing:
        return
    names = _free_names(replica)
    for key, options in sorted(missing.items()):
        name = names(key.chassis)
        bfd = wanted.bfd.get(key.chassis, StrMap())
        _add_port(txn, bridge, name, key.type, options, StrMap({CHASSIS_ID: key.text}), bfd)


def _matched(
    there: list[tuple[vs.Port, vs.Interface]], wanted: Mapping[TunnelKey, StrMap]
) -> list[tuple[vs.Port, vs.Interface, TunnelKey | None]]:
    """Which wanted tunnel each port is to be.

    A port with another local address, or one more or less than we have, becomes one that nobody is yet: then no
    OpenFlow port changes, and no packet is lost.
    """
    free = dict.fromkeys(wanted)
    chosen: dict[Uuid, TunnelKey] = {}
    for exact in (True, False):
        for port, interface in there:
            name, remote, local = parse_chassis_id(port.external_ids[CHASSIS_ID])
            for key in free if port.uuid not in chosen else ():
                same = (key.chassis, key.remote_ip, key.type) == (name, remote, interface.type)
                if same and (key.local_ip == local or not exact):
                    chosen[port.uuid] = key
                    del free[key]
                    break
    return [(port, interface, chosen.get(port.uuid)) for port, interface in there]


def _marked(replica: Replica, bridge: vs.Bridge, mark: str) -> Iterator[tuple[vs.Port, vs.Interface]]:
    for uuid in bridge.ports:
        port = replica.get(vs.Port, uuid)
        if port is not None and mark in port.external_ids:
            interface = replica.get(vs.Interface, port.interfaces[0]) if port.interfaces else None
            if interface is not None:
                yield port, interface


def _free_names(replica: Replica) -> Any:
    """A function that gives each tunnel port a name of at most 15 characters that nobody has."""
    taken = {row.name for row in replica.rows(vs.Port).values()}
    taken |= {row.name for row in replica.rows(vs.Interface).values()}

    def name(chassis: str) -> str:
        found = next(text for n in count() if (text := f"ovn-{chassis[:6]}-{n:x}") not in taken)
        taken.add(found)
        return found

    return name


def _add_port(
    txn: Transaction,
    bridge: vs.Bridge,
    name: str,
    kind: str,
    options: StrMap,
    external_ids: StrMap,
    bfd: StrMap = StrMap(),  # noqa: B008 (immutable)
) -> Uuid:
    interface = txn.insert(vs.Interface(name=name, type=kind, options=options, bfd=bfd))
    port = txn.insert(vs.Port(name=name, interfaces=(interface,), external_ids=external_ids))
    txn.mutate(vs.Bridge, bridge.uuid, "ports", "insert", port)
    return port


# --- patch ports ------------------------------------------------------------------------------------------------------


def _patches(txn: Transaction, replica: Replica, wanted: Mapping[str, Patch]) -> None:
    missing = dict(wanted)
    by_name = {bridge.name: bridge for bridge in replica.rows(vs.Bridge).values()}
    for bridge in by_name.values():
        for port, interface in (*_marked(replica, bridge, LOCALNET_PORT), *_marked(replica, bridge, L2GATEWAY_PORT)):
            patch = missing.get(port.name)
            if patch is None or patch.bridge != bridge.name or patch.mark not in port.external_ids:
                txn.mutate(vs.Bridge, bridge.uuid, "ports", "delete", port.uuid)
                continue
            del missing[port.name]
            options = StrMap({"peer": patch.peer})
            if interface.options != options:
                txn.update(vs.Interface, interface.uuid, options=options)
    for name, patch in sorted(missing.items()):
        marks = StrMap({patch.mark: patch.logical_port})
        if patch.bridge in by_name:
            _add_port(txn, by_name[patch.bridge], name, "patch", StrMap({"peer": patch.peer}), marks)


# --- mirrors ----------------------------------------------------------------------------------------------------------


def _mirrors(txn: Transaction, replica: Replica, bridge: vs.Bridge, wanted: Mapping[str, Mirror]) -> None:
    """Mirrors with the ports that they send to. One whose kind of tunnel changed is made anew."""
    rows = [row for row in (replica.get(vs.Mirror, uuid) for uuid in bridge.mirrors) if row is not None]
    port_of = {uuid: port.uuid for port in replica.rows(vs.Port).values() for uuid in port.interfaces}
    missing = dict(wanted)
    for row in (row for row in rows if row.external_ids.get(MARK) == "true"):
        mirror, interface = missing.get(row.name), _output(replica, row)
        if mirror is None or interface is None or interface.type != mirror.kind:
            txn.mutate(vs.Bridge, bridge.uuid, "mirrors", "delete", row.uuid)
            if row.output_port is not None:
                txn.mutate(vs.Bridge, bridge.uuid, "ports", "delete", row.output_port)
            continue
        del missing[row.name]
        if interface.options != mirror.options:
            txn.update(vs.Interface, interface.uuid, options=mirror.options)
        different = {k: value for k, value in _selected(mirror, port_of).items() if getattr(row, k) != value}
        if different:
            txn.update(vs.Mirror, row.uuid, **different)
    gone = {row.output_port for row in rows if row.name in missing}
    taken = {port.name for port in replica.rows(vs.Port).values() if port.uuid not in gone}
    for name, mirror in sorted(missing.items()):
        called = next(text for n in count() if (text := f"ovn-{name}{f'-{n}' if n else ''}") not in taken)
        port = _add_port(txn, bridge, called, mirror.kind, mirror.options, StrMap({MARK: "true"}))
        made = vs.Mirror(name=name, output_port=port, external_ids=StrMap({MARK: "true"}))
        made = msgspec.structs.replace(made, **_selected(mirror, port_of))
        txn.mutate(vs.Bridge, bridge.uuid, "mirrors", "insert", txn.insert(made))


def _output(replica: Replica, row: vs.Mirror) -> vs.Interface | None:
    """The interface that a mirror sends to."""
    port = replica.get(vs.Port, row.output_port) if row.output_port is not None else None
    return replica.get(vs.Interface, port.interfaces[0]) if port is not None and port.interfaces else None


def _selected(mirror: Mirror, port_of: Mapping[Uuid, Uuid]) -> dict[str, Any]:
    ports = tuple(sorted(port_of[uuid] for uuid in mirror.interfaces if uuid in port_of))
    return {"select_src_port": ports if mirror.sent else (), "select_dst_port": () if mirror.sent else ports}


# --- notes ------------------------------------------------------------------------------------------------------------


def _notes(txn: Transaction, bridge: vs.Bridge, wanted: Wanted) -> None:
    """The zones, and how far the configuration has come, in external_ids of the bridge."""
    should = {f"{PREFIX}{name}": str(number) for name, number in wanted.zones.items()} | dict(wanted.status)
    now = bridge.external_ids
    stale = tuple(sorted(key for key in now if key.startswith(PREFIX) and key not in should))
    new = StrMap({key: value for key, value in should.items() if now.get(key) != value})
    _mutate_map(txn, vs.Bridge, bridge.uuid, stale, new, now)


def _mutate_map(txn: Transaction, table: Any, uuid: Uuid, stale: tuple[str, ...], new: StrMap, now: StrMap) -> None:
    # An insert into a map leaves keys that are there as they are, so changed ones are removed first.
    gone = tuple(sorted({*stale, *(key for key in new if key in now)}))
    if gone:
        txn.mutate(table, uuid, "external_ids", "delete", gone)
    if new:
        txn.mutate(table, uuid, "external_ids", "insert", new)


def _installed(txn: Transaction, replica: Replica, wanted: Wanted) -> None:
    for uuid, row in replica.rows(vs.Interface).items():
        marked = INSTALLED in row.external_ids
        if uuid in wanted.installed and not marked:
            new = StrMap({INSTALLED: "true", INSTALLED_AT: str(wanted.now)})
            _mutate_map(txn, vs.Interface, uuid, (), new, row.external_ids)
        elif marked and uuid not in wanted.claimed and "iface-id" in row.external_ids:
            txn.mutate(vs.Interface, uuid, "external_ids", "delete", (INSTALLED, INSTALLED_AT))


def leave(replica: Replica, config: Config) -> Transaction:
    """Takes back what stands for the connection to the rest of the cloud: tunnels, and the marks of installed ports."""
    txn = Transaction()
    bridge = replica.index(vs.Bridge, "name").one(config.bridge)
    if bridge is not None:
        _tunnels(txn, replica, bridge, Wanted())
        plan_rates(txn, replica, {})
        _installed(txn, replica, Wanted())
    return txn
