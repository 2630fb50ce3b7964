"""A router's Ethernet address on provider networks: each chassis shows one of its own (`ovn-chassis-mac-mappings`).

A distributed router sends with the same address from every host, which confuses switches that learn. So where a packet
leaves by a localnet port with a router's address, it gets the address that this chassis has for the network; and where
one comes in with such an address of another chassis, it gets the router's back. A distributed gateway port keeps its
address on the chassis that serves it: there it is at home.

All localnet ports share one conjunction (ovs-fields(7)): an address of another chassis, and a localnet port with its
VLAN. If several routers are attached to a network, packets are taken as from the one whose port has the lowest key; the
packet itself does not tell.

Tests: tests/cases/controller/chassis_macs.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ovine.controller.config import config
from ovine.controller.flows import FLOWS, flow
from ovine.controller.local import CLAIMS, LOCALNETS_OF_DATAPATH, PATCHES_OF_DATAPATH, port_named
from ovine.controller.physical import Place, arrival, departure, place
from ovine.controller.reach import peer_of
from ovine.controller.redirect import router_mac
from ovine.controller.sums import CLAUSES, CONJUNCTIONS, Owner, clause
from ovine.controller.tables import DATAPATH, LOGICAL_TO_PHYSICAL, OUTPORT, PHYSICAL_TO_LOGICAL
from ovine.engine import Emit, Index, Reader, query, rule
from ovine.model import sb
from ovine.model.base import NO_UUID, Uuid
from ovine.openflow import Entry, SetField, normalise

OWNER: Final[Owner] = (NO_UUID, NO_UUID, 0)
"""Whose the conjunction is: nobody's in particular."""


def _macs(row: sb.Chassis) -> tuple[int, ...]:
    text = row.other_config.get("ovn-chassis-mac-mappings", "")
    return tuple(dict.fromkeys(parse_mappings(text).values()))


CHASSIS_BY_MAC: Final = Index(sb.Chassis, _macs, "Chassis by the addresses that it shows")


def parse_mappings(text: str) -> dict[str, int]:
    """The addresses by physical network; words that are not of the form NETWORK:MAC are left out."""
    found = {}
    for word in text.split(","):
        network, _, mac = word.strip().partition(":")
        digits = mac.replace(":", "")
        if network and len(mac.split(":")) == 6 and len(digits) == 12 and set(digits) <= set("0123456789abcdefABCDEF"):
            found[network] = int(digits, 16)
    return found


@query
def router_ports(q: Reader, datapath: Uuid) -> tuple[Uuid, ...]:
    """The ports of routers that a switch is linked to, by key of the switch's ends."""
    ends = sorted(q.find(PATCHES_OF_DATAPATH, datapath), key=lambda uuid: q.row(sb.PortBinding, uuid).tunnel_key)
    return tuple(peer for end in ends if (peer := peer_of(q, end)) is not None)


@rule(over=CHASSIS_BY_MAC, writes=(CLAUSES,))
def others_addresses(q: Reader, mac: int) -> Iterator[Emit]:
    """The first dimension: the addresses of the other chassis."""
    settings = config(q)
    owners = {q.row(sb.Chassis, uuid).name for uuid in q.find(CHASSIS_BY_MAC, mac)}
    if settings is not None and owners - {settings.chassis}:
        yield clause((PHYSICAL_TO_LOGICAL, 180, normalise((("eth_src", mac, None),))), OWNER, 1, 2)


@rule(writes=(CONJUNCTIONS,))
def one_number(q: Reader, _key: tuple[()]) -> Iterator[Emit]:
    """The conjunction's number, once any chassis has addresses of its own."""
    if q.entries(CHASSIS_BY_MAC):
        yield CONJUNCTIONS.request(OWNER, wanted=1)


@rule(over=LOCALNETS_OF_DATAPATH, writes=(CLAUSES, FLOWS))
def localnet_flows(q: Reader, datapath: Uuid) -> Iterator[Emit]:
    """Both directions, for the localnet ports of one switch."""
    for uuid in q.find(LOCALNETS_OF_DATAPATH, datapath):
        here = place(q, uuid)
        routers = router_ports(q, datapath) if here is not None else ()
        if here is not None and routers:
            yield from _arrivals(q, uuid, here, routers)
            yield from _departures(q, uuid, here, routers)


def _arrivals(q: Reader, uuid: Uuid, here: Place, routers: tuple[Uuid, ...]) -> Iterator[Emit]:
    number, mac = q.get(CONJUNCTIONS, OWNER), router_mac(q.row(sb.PortBinding, routers[0]))
    if number is None or mac is None:
        return
    for _, accepted, actions in arrival(q, here):
        # The alternatives must exclude each other, since all have one priority.
        tagged = any(name == "vlan_vid" for name, _, _ in accepted)
        match: tuple[Entry, ...] = accepted if tagged else (*accepted, ("vlan_vid", 0, None))
        yield clause((PHYSICAL_TO_LOGICAL, 180, normalise(match)), OWNER, 2, 2)
        concluded = (*match, ("conj_id", number, None))
        yield flow(PHYSICAL_TO_LOGICAL, 180, concluded, (SetField("eth_src", mac), *actions), uuid)


def _departures(q: Reader, uuid: Uuid, here: Place, routers: tuple[Uuid, ...]) -> Iterator[Emit]:
    settings = config(q)
    network = q.row(sb.PortBinding, uuid).options.get("network_name", "")
    ours = parse_mappings(settings.mac_mappings).get(network) if settings is not None else None
    if ours is None:
        return
    to_port: tuple[Entry, ...] = ((OUTPORT, here.key, None), (DATAPATH, here.datapath_key, None))
    for router in routers:
        mac = router_mac(q.row(sb.PortBinding, router))
        if mac is not None and not _is_served_here(q, router):
            out = (SetField("eth_src", ours), *departure(here), SetField("eth_src", mac))
            yield flow(LOGICAL_TO_PHYSICAL, 150, (*to_port, ("eth_src", mac, None)), out, uuid)


def _is_served_here(q: Reader, router: Uuid) -> bool:
    """Whether a router's port is a distributed gateway port, and this is its chassis."""
    redirect = port_named(q, q.row(sb.PortBinding, router).options.get("chassis-redirect-port", ""))
    return redirect is not None and q.get(CLAIMS, redirect) is not None


RULES = (others_addresses, one_number, localnet_flows)
