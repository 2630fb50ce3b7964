"""Tunnels to other chassis: which ports there should be, which one leads to a chassis, how a packet is wrapped.

One port for each remote address of the best type that both sides have. OVN's keys (ovn-architecture(7), "Tunnel
Encapsulations"): Geneve and STT carry the datapath in 24 bits; Geneve adds an option of class 0x102, type 0x80 with
15 bits of ingress port and 16 bits of egress port. VXLAN's 24 bits hold 12 bits of egress port above 12 bits of
datapath, and no ingress port; the upper half of the 12-bit egress ports stands for multicast groups.

Tests: tests/unit/controller/test_controller_local.py, tests/cases/controller/tunnels.txt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from ovine.controller.config import ENCAPS, Config, config
from ovine.controller.flows import FLOWS, bit, flow
from ovine.controller.local import bridge, ofport
from ovine.controller.tables import (
    DATAPATH,
    FLAGS,
    INPORT,
    LOCAL_OUTPUT,
    OUTPORT,
    PHYSICAL_TO_LOGICAL,
    TUNNEL_RX,
)
from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import sb, vs
from ovine.model.base import StrMap, Uuid
from ovine.openflow import Action, Bundle, Move, Output, Resubmit, SetField

CHASSIS_ID: Final = "ovn-chassis-id"
PREFERRED: Final = "default-encap-ip"
"""The key of Encap.options for a chassis's `ovn-encap-ip-default`."""
FIRST_GROUP: Final = 0x8000
"""Egress keys from here on are multicast groups."""


class TunnelKey(NamedTuple):
    """What identifies a tunnel port: CHASSIS@REMOTE_IP%LOCAL_IP, and the type.

    `local_ip` is "" and not written if we have one address only. OVN 23.03 writes the same, and replaces ports that are
    marked otherwise, which would lose packets when its controller takes our place.
    """

    chassis: str
    remote_ip: str
    local_ip: str
    type: str

    @property
    def text(self) -> str:
        """The value of `external_ids:ovn-chassis-id`."""
        return f"{self.chassis}@{self.remote_ip}" + (f"%{self.local_ip}" if self.local_ip else "")


TUNNELS: Relation[TunnelKey, StrMap] = Relation("tunnel port")
"""The options of the tunnel ports that should exist."""


class Exit(NamedTuple):
    """A way to another chassis."""

    type: str
    ofport: int


def parse_chassis_id(text: str) -> tuple[str, str, str]:
    """(chassis, remote address, local address or "") of an `ovn-chassis-id`."""
    name, _, addresses = text.rpartition("@")
    remote, _, local = addresses.partition("%")
    return name, remote, local


def _by_chassis(port: vs.Port) -> Iterable[str]:
    text = port.external_ids.get(CHASSIS_ID)
    return (parse_chassis_id(text)[0],) if text else ()


PORTS_TO_CHASSIS = Index(vs.Port, _by_chassis, "tunnel Port by chassis")


# --- what should exist ------------------------------------------------------------------------------------------------


@query
def peer_encaps(q: Reader, uuid: Uuid) -> tuple[Uuid, ...]:
    """The encapsulations by which a chassis is to be reached: all of the best type that we have too."""
    settings, row = config(q), q.get(sb.Chassis, uuid)
    if settings is None or row is None:
        return ()
    kinds = {encap: q.row(sb.Encap, encap).type for encap in row.encaps if q.get(sb.Encap, encap) is not None}
    common = [kind for kind in ENCAPS if kind in kinds.values() and kind in settings.encap_types]
    best = common[:1] or [kind for kind in ENCAPS if kind in kinds.values()][:1]
    return tuple(encap for encap, kind in kinds.items() if kind in best)


def _in_reach(settings: Config, row: sb.Chassis) -> bool:
    """Whether the chassis is another one, and shares a transport zone with us."""
    if row.name == settings.chassis:
        return False
    theirs, ours = set(row.transport_zones), set(settings.transport_zones)
    return bool(theirs & ours) or not (theirs or ours)


@rule(over=sb.Chassis, writes=(TUNNELS,))
def tunnels(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The tunnel ports to one chassis: one from each of our addresses to each of its own."""
    settings, row = config(q), q.row(sb.Chassis, uuid)
    if settings is None or not settings.encap_ips or not _in_reach(settings, row):
        return
    for encap_uuid in peer_encaps(q, uuid):
        encap = q.row(sb.Encap, encap_uuid)
        for local_ip in settings.encap_ips:
            key = TunnelKey(row.name, encap.ip, local_ip if len(settings.encap_ips) > 1 else "", encap.type)
            more = {"remote_name": row.name, "local_ip": local_ip} if encrypted(q) else {}
            yield TUNNELS(key, StrMap(_options(settings, encap.ip, encap.options.get("csum"), local_ip) | more))


@query
def encrypted(q: Reader) -> bool:
    """Whether `ovs-monitor-ipsec` is to encrypt tunnels: those that name the other end (ovn-architecture(7))."""
    return any(q.row(sb.SBGlobal, key).ipsec for key in q.keys(sb.SBGlobal))


def _options(settings: Config, remote_ip: str, csum: str | None, local_ip: str) -> dict[str, str]:
    options = {"key": "flow", "remote_ip": remote_ip}
    if csum in ("true", "false"):
        options["csum"] = csum
    if settings.set_local_ip or len(settings.encap_ips) > 1:
        options["local_ip"] = local_ip
    if settings.tos is not None:
        options["tos"] = settings.tos
    if settings.df_default is not None:
        options["df_default"] = settings.df_default
    return options


# --- what is there ----------------------------------------------------------------------------------------------------


@query
def exits(q: Reader, name: str) -> tuple[tuple[str, str, Exit], ...]:
    """The tunnel ports of the integration bridge that lead to a chassis: (remote address, local address, exit)."""
    integration = bridge(q)
    members = q.row(vs.Bridge, integration).ports if integration is not None else ()
    found = []
    for port in q.find(PORTS_TO_CHASSIS, name):
        row = q.row(vs.Port, port)
        _, remote, local = parse_chassis_id(row.external_ids.get(CHASSIS_ID, ""))
        for interface in row.interfaces:
            number = ofport(q, interface) if port in members else None
            if number is not None:
                found.append((remote, local, Exit(q.row(vs.Interface, interface).type, number)))
    return tuple(sorted(found))


@query
def exit_to(q: Reader, uuid: Uuid, encap: Uuid | None) -> Exit | None:
    """The tunnel to a chassis: to a particular encapsulation, else to the one it prefers; None if there is none."""
    settings, row = config(q), q.get(sb.Chassis, uuid)
    if settings is None or row is None or row.name == settings.chassis:
        return None
    wanted = q.get(sb.Encap, encap) if encap is not None else None
    address = wanted.ip if wanted is not None else _preferred(q, row)
    found = exits(q, row.name)
    fitting = [entry for entry in found if address in (None, entry[0])] or list(found)
    ours = [entry for entry in fitting if entry[1] in ("", settings.default_ip)] or fitting
    return ours[0][2] if ours else None


def _preferred(q: Reader, row: sb.Chassis) -> str | None:
    """The address where a chassis with several wants what is for no particular one; None if it does not say."""
    encaps = (q.get(sb.Encap, encap) for encap in row.encaps)
    return next((ip for encap in encaps if encap is not None and (ip := encap.options.get(PREFERRED))), None)


def wrap(kind: str, number: int, datapath: int, outport: int) -> tuple[Action, ...]:
    """Sends a packet of a datapath, for a port or group, into a tunnel."""
    return wrap_for(kind, datapath, outport, Output(number))


def wrap_for(kind: str, datapath: int, outport: int, out: Output | Bundle) -> tuple[Action, ...]:
    """As `wrap`, with any way to choose the tunnel among those of one type."""
    if kind == "vxlan":
        return SetField("tun_id", vxlan_key(datapath, outport), 0xFFFFFF), out
    if kind == "stt":
        full = 0xFFFFFFFFFFFFFFFF
        ports = (Move(INPORT, 0, "tun_id", 40, 15),)
        return SetField("tun_id", datapath | outport << 24, full), *ports, out
    return (
        SetField("tun_id", datapath, 0xFFFFFF),
        SetField("tun_metadata0", outport),
        Move(INPORT, 0, "tun_metadata0", 16, 15),
        out,
    )


def vxlan_key(datapath: int, outport: int) -> int:
    """The VNI for a datapath and a port or group; ValueError if they don't fit 12 bits each."""
    egress = outport - FIRST_GROUP + 0x800 if outport >= FIRST_GROUP else outport
    low, high = (0x800, 0x1000) if outport >= FIRST_GROUP else (0, 0x800)
    if datapath >= 0x1000 or not low <= egress < high:
        raise ValueError(f"datapath key {datapath} and port key {outport} do not fit VXLAN's 12 bits each")
    return egress << 12 | datapath


@rule(over=PORTS_TO_CHASSIS, writes=(FLOWS,))
def arrivals(q: Reader, name: str) -> Iterator[Emit]:
    """What comes out of a chassis's tunnels goes to local output: the sender has done the ingress pipeline."""
    for _, _, (kind, number) in exits(q, name):
        here = (("in_port", number, None),)
        after = (SetField(FLAGS, 1 << TUNNEL_RX, 1 << TUNNEL_RX), Resubmit(table=LOCAL_OUTPUT))
        if kind == "vxlan":
            port, group = _unwrap_vxlan()
            yield flow(PHYSICAL_TO_LOGICAL, 100, here, (*port, *after))
            yield flow(PHYSICAL_TO_LOGICAL, 105, (*here, bit("tun_id", 23)), (*group, *after))
        else:
            yield flow(PHYSICAL_TO_LOGICAL, 100, here, (*_unwrap(kind), *after))


def _unwrap(kind: str) -> tuple[Action, ...]:
    if kind == "stt":
        ports = (Move("tun_id", 40, INPORT, 0, 15), Move("tun_id", 24, OUTPORT, 0, 16))
    else:
        ports = (Move("tun_metadata0", 16, INPORT, 0, 15), Move("tun_metadata0", 0, OUTPORT, 0, 16))
    return (Move("tun_id", 0, DATAPATH, 0, 24), *ports)


def _unwrap_vxlan() -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    datapath = Move("tun_id", 0, DATAPATH, 0, 12)
    port = (datapath, Move("tun_id", 12, OUTPORT, 0, 12))
    group = (datapath, Move("tun_id", 12, OUTPORT, 0, 11), SetField(OUTPORT, FIRST_GROUP, FIRST_GROUP))
    return port, group


RULES = (tunnels, arrivals)
