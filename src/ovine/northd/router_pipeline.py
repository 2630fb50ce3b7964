"""The logical router pipeline as data: stages and registers (terms: `ovine.northd.stages`).

It is that of ovn-northd(8) in what it does, with fewer stages: looking at ARP and ND, answering router solicitations
and choosing a route table share stages with what else happens at that point.

Invariants: as in `ovine.northd.pipeline`. A packet that a router sends back into its own ingress pipeline (an error
about a packet that is too big, a translated packet that returns) has LOOPED set.
Tests: tests/unit/northd/test_pipeline.py.
"""

from __future__ import annotations

from ovine.northd.stages import Register, declare

INGRESS = declare(
    "ingress",
    (
        "lr_in_admit",
        "Takes frames that are for the router: to the Ethernet address of the port, or multicast. Drops VLAN tags and "
        "multicast sources. Notes the port's address, and whether the packet is larger than the port's gateway_mtu.",
    ),
    (
        "lr_in_lookup",
        "For ARP and neighbour discovery: whether the sender is to be learned, and whether it is known already.",
    ),
    ("lr_in_learn", "Has the senders that are to be learned written to MAC_Binding."),
    (
        "lr_in_input",
        "What is for the router itself: answers ARP, neighbour solicitations and echo requests, refuses the rest. "
        "Drops impossible sources; sends errors for expired and for too large packets. Has DHCP requests checked that "
        "are to be relayed.",
    ),
    (
        "lr_in_unsnat",
        "Gives replies to translated sources their destination back. Addresses relayed DHCP requests to their server.",
    ),
    (
        "lr_in_track",
        "Sends packets through connection tracking where symmetric replies or load balancers need that. Asks which "
        "backend a client had.",
    ),
    ("lr_in_dnat", "Translates destinations: to backends of load balancers, and for NAT."),
    (
        "lr_in_remember",
        "Remembers with a connection where its first packet came from, for symmetric replies, and which backend a "
        "client got.",
    ),
    (
        "lr_in_prepare",
        "Turns router solicitations into advertisements. Says which route table is to be used.",
    ),
    (
        "lr_in_route",
        "Chooses the route by longest prefix: next hop, own address, output port. Where there are several next hops, "
        "it draws one.",
    ),
    ("lr_in_ecmp", "Carries the draw out."),
    (
        "lr_in_policy",
        "The routing policies: drop, or another next hop. Where that has several, one is drawn. Those of the default "
        "chain; a jump says which other chain is to go on.",
    ),
    ("lr_in_chain", "The routing policies of the other chains, for packets that have jumped there."),
    (
        "lr_in_outport",
        "Carries that draw out, and notes on which switch the next hop is. Has relayed DHCP replies checked.",
    ),
    (
        "lr_in_resolve",
        "Finds the Ethernet address of the next hop: a known one, or what MAC_Binding says. Known receivers are left "
        "to their switch to find. Sends relayed DHCP replies to their clients.",
    ),
    ("lr_in_mtu", "Looks whether the packet is larger than the gateway_mtu of the output port."),
    ("lr_in_too_big", "Tells the sender of such a packet."),
    (
        "lr_in_redirect",
        "Sends what leaves by a distributed gateway port to the host where the gateway is.",
    ),
    ("lr_in_request", "Asks for an Ethernet address that is not known; sends everything else on its way."),
)

EGRESS = declare(
    "egress",
    ("lr_out_undnat", "Gives replies to translated destinations their source back."),
    ("lr_out_commit", "Commits new connections on gateway routers."),
    ("lr_out_snat", "Translates sources."),
    ("lr_out_loop", "Sends what is for a translated address of the router itself through the router once more."),
    ("lr_out_deliver", "Delivers, but not to disabled ports."),
)

STAGES = INGRESS + EGRESS
ADMIT, LOOKUP, LEARN, INPUT, UNSNAT, TRACK, DNAT, REMEMBER, PREPARE = INGRESS[:9]
ROUTE, ECMP, POLICY, CHAINED, OUTPORT, RESOLVE, MTU, TOO_BIG, REDIRECT, REQUEST = INGRESS[9:]
OUT_UNDNAT, OUT_COMMIT, OUT_SNAT, OUT_LOOP, OUT_DELIVER = EGRESS

PORT_MAC = Register("port_mac", "xreg0[0..47]", ADMIT, PREPARE, "Ethernet address of the input port")
AFFINE = Register("affine", "reg9[4]", TRACK, REMEMBER, "the client had a backend that it is to keep")
SESSION = Register(
    "session", "xxreg1", TRACK, REMEMBER, "that backend's address, in reg4 if of IPv4; then an IPv6 virtual address"
)
SESSION_PORT = Register("session_port", "reg8[0..15]", TRACK, REMEMBER, "that backend's port")
VIP4 = Register("vip4", "reg2", DNAT, REMEMBER, "the IPv4 virtual address that a packet was for")
VIP_PORT = Register("vip_port", "reg8[16..31]", DNAT, REMEMBER, "its port")
LARGER = Register("larger", "reg9[0]", ADMIT, INPUT, "the packet is larger than the gateway_mtu of its input port")
LOOPED = Register("looped", "reg9[1]", ADMIT, TOO_BIG, "the router itself sent the packet into this pipeline")
LEARNS = Register("learns", "reg9[2]", LOOKUP, LEARN, "the sender is to be learned, if it is not known")
KNOWN = Register("known", "reg9[3]", LOOKUP, LEARN, "MAC_Binding has the sender already")
SYMMETRIC = Register("symmetric", "reg9[5]", TRACK, ROUTE, "the peer of the connection is remembered")
RETURNS = Register("returns", "reg9[7]", ROUTE, RESOLVE, "it goes back by where its connection came from")
ADVERTISED = Register("advertised", "reg9[6]", PREPARE, ROUTE, "the packet has become a router advertisement")
TABLE = Register("table", "reg9[8..31]", PREPARE, ROUTE, "the route table, 0 for the main one")
DIRECT = Register("direct", "reg9[4]", ROUTE, RESOLVE, "the next hop is the packet's destination")
NEXT_HOP4 = Register("next_hop4", "reg0", ROUTE, REQUEST, "IPv4 address of the next hop")
OWN4 = Register("own4", "reg1", ROUTE, REQUEST, "IPv4 address of the output port")
NEXT_HOP6 = Register("next_hop6", "xxreg0", ROUTE, REQUEST, "IPv6 address of the next hop")
OWN6 = Register("own6", "xxreg1", ROUTE, REQUEST, "IPv6 address of the output port")
ROUTE_DRAW = Register("route_draw", "reg8[0..15]", ROUTE, ECMP, "which of the route's next hops was drawn, from 1")
POLICY_DRAW = Register(
    "policy_draw", "reg8[16..31]", POLICY, OUTPORT, "which of the policy's next hops was drawn, from 1"
)
CHAIN = Register("chain", "reg8[0..15]", POLICY, OUTPORT, "the chain of policies, 0 for the default one")
SEGMENT = Register("segment", "reg9[8..31]", OUTPORT, RESOLVE, "tunnel key of the switch that the next hop is on")
TOO_LARGE = Register("too_large", "reg9[0]", MTU, TOO_BIG, "the packet is larger than the gateway_mtu of its output")
RELAYED = Register("relayed", "reg3[0]", INPUT, UNSNAT, "the packet is a DHCP request that is ready for its server")
ACCEPTED = Register("accepted", "reg3[1]", OUTPORT, RESOLVE, "the packet is a DHCP reply that is ready for its client")

NOTHING_DRAWN = f"{ROUTE_DRAW.field} = 0; {POLICY_DRAW.field} = 0;"
"""Ends the choice of routes: policies find their registers, which others have used before, empty."""

_COMMON = (
    *(PORT_MAC, LARGER, LOOPED, LEARNS, KNOWN, SYMMETRIC, RETURNS, ADVERTISED, TABLE, DIRECT),
    *(AFFINE, SESSION, SESSION_PORT, VIP4, VIP_PORT),
    *(ROUTE_DRAW, POLICY_DRAW, CHAIN, SEGMENT, TOO_LARGE),
)
FAMILIES = ((*_COMMON, NEXT_HOP4, OWN4, RELAYED, ACCEPTED), (*_COMMON, NEXT_HOP6, OWN6))
"""The registers of an IPv4 and of an IPv6 packet; those of one must not overlap."""
REGISTERS = (*_COMMON, NEXT_HOP4, OWN4, NEXT_HOP6, OWN6, RELAYED, ACCEPTED)
