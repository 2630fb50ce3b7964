"""The logical switch pipeline as data: stages, registers, and who may use what where (terms: `ovine.northd.stages`).

The features (one module each) name stages and registers by the objects here, never by number; docs/pipeline.md is
generated from this module and `ovine.northd.router_pipeline`.

The pipeline is kept short, because every stage costs each packet a table look-up on each host. Stages exist only where
a decision needs the result of an earlier one.

Invariants: tables count from 0 without gaps and stay below `TABLES`; no two registers share bits while both are live.
Tests: tests/unit/northd/test_pipeline.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from ovine.northd.stages import Register, Stage, declare

INGRESS = declare(
    "ingress",
    (
        "ls_in_admit",
        "Drops what may never enter: multicast sources, VLAN tags (unless the switch passes them), disabled ports. "
        "Has the port security of the input port checked, and for ports that learn, their address looked up. Finds the "
        "Ethernet address of the receiver for routers that leave that to the switch.",
    ),
    (
        "ls_in_guard",
        "Drops what port security refused. Has new addresses of learning ports written to the forwarding database.",
    ),
    (
        "ls_in_track",
        "On switches with stateful ACLs or load balancers, sends IP packets through connection tracking, and what is "
        "of a balanced connection to its backend; not those that allow-stateless ACLs, multicast, neighbour discovery "
        "and localnet ports exempt. Asks which backend a client had.",
    ),
    (
        "ls_in_acl",
        "The from-lport ACLs: each is one flow that notes its verdict. Replies, and errors about allowed connections, "
        "pass.",
    ),
    ("ls_in_balance", "Chooses a backend for what is new and for a virtual address of a load balancer."),
    (
        "ls_in_hairpin",
        "Remembers which backend a client got. Looks whether the packet is a hairpin: for its own sender, or a reply "
        "to such a packet.",
    ),
    ("ls_in_hairpin_nat", "Translates the sources of hairpins, and the destinations of replies to them."),
    (
        "ls_in_acl_after",
        "Sends hairpins back. For others, the from-lport ACLs with apply-after-lb, whose priorities are their own.",
    ),
    (
        "ls_in_verdict",
        "Carries the verdict out: drops, rejects, has connections remembered as allowed or as blocked.",
    ),
    ("ls_in_mark", "Gives packets the DSCP that from-lport QoS rules say."),
    ("ls_in_limit", "Drops what exceeds the bandwidth of from-lport QoS rules."),
    (
        "ls_in_neighbour",
        "For ARP requests and neighbour solicitations, looks up who has the address that is asked for.",
    ),
    (
        "ls_in_answer",
        "Answers ARP requests and neighbour solicitations for known addresses on the spot, and turns DHCP requests "
        "into replies.",
    ),
    (
        "ls_in_forward",
        "Chooses the output port: back to the client for what was answered, the flood group for broadcast and "
        "multicast, and for the rest the owner that the forwarding database names.",
    ),
    (
        "ls_in_unknown",
        "Sends what nobody is known to own to all ports with unknown addresses, or drops it if there are none.",
    ),
    (
        "ls_in_acl_tiers",
        "The from-lport ACLs of tiers 1 to 3. A packet comes here, and goes back, only if no ACL of ls_in_acl decides "
        "and the switch has ACLs in tiers.",
    ),
    ("ls_in_acl_after_tiers", "The same for ls_in_acl_after."),
)

EGRESS = declare(
    "egress",
    (
        "ls_out_check",
        "Drops what goes to disabled ports. Has the port security of the output port checked for unicast.",
    ),
    ("ls_out_track", "Drops what port security refused. For the rest, as ls_in_track."),
    ("ls_out_acl", "The to-lport ACLs, as in ls_in_acl; DHCP replies of the switch itself pass."),
    ("ls_out_mark", "As ls_in_mark, for to-lport QoS rules."),
    ("ls_out_limit", "As ls_in_limit, for to-lport QoS rules."),
    ("ls_out_deliver", "Carries the verdict out, as ls_in_verdict, and delivers."),
    ("ls_out_acl_tiers", "The to-lport ACLs of tiers 1 to 3, as in ls_in_acl_tiers."),
)

STAGES = INGRESS + EGRESS
ADMIT, GUARD, IN_TRACK, IN_ACL, BALANCE, HAIRPIN, HAIRPIN_NAT, IN_ACL_AFTER, IN_VERDICT = INGRESS[:9]
IN_MARK, IN_LIMIT, NEIGHBOUR, ANSWER, FORWARD, UNKNOWN = INGRESS[9:15]
IN_TIERS, IN_AFTER_TIERS = INGRESS[15:]
CHECK, OUT_TRACK, OUT_ACL, OUT_MARK, OUT_LIMIT, DELIVER, OUT_TIERS = EGRESS

REFUSED = Register("refused", "reg0[0]", ADMIT, GUARD, "port security refuses the packet's sender")
LEARNS = Register("learns", "reg0[1]", ADMIT, GUARD, "the input port learns addresses")
KNOWN = Register("known", "reg0[2]", ADMIT, GUARD, "the forwarding database has the sender at this port already")
AFFINE = Register("affine", "reg9[6]", IN_TRACK, HAIRPIN, "the client had a backend that it is to keep")
SESSION = Register(
    "session",
    "xxreg1",
    IN_TRACK,
    HAIRPIN,
    "that backend's address, in reg4 if it is of IPv4; from ls_in_balance on the virtual address, in reg5 if of IPv4",
)
SESSION_PORTS = Register(
    "session_ports",
    "reg8",
    IN_TRACK,
    HAIRPIN,
    "bits 0..15: that backend's port; bits 16..31: that of the virtual address",
)
HAIRPINS = Register("hairpins", "reg0[9]", HAIRPIN, IN_ACL_AFTER, "the packet's backend is its own sender")
RETURNS = Register("returns", "reg0[10]", HAIRPIN, IN_ACL_AFTER, "the packet is a reply to such a packet")
ASKED = Register("asked", "reg0[7]", NEIGHBOUR, ANSWER, "the packet asks for a neighbour")
OWN = Register("own", "reg0[8]", NEIGHBOUR, ANSWER, "who asks has the address itself")
OWNER = Register("owner", "xreg4[0..47]", NEIGHBOUR, ANSWER, "Ethernet address of the neighbour; 0 if it is not known")
ASIDE = Register("aside", "xreg3[0..47]", NEIGHBOUR, NEIGHBOUR, "eth.dst, while the look-up uses that field")
ANSWERED = Register("answered", "reg0[3]", ANSWER, FORWARD, "the packet has become a DHCP reply")
SERVER_IP4 = Register("server_ip4", "reg1", ANSWER, FORWARD, "source address of the DHCPv4 reply")
SERVER_MAC = Register("server_mac", "xreg1[0..47]", ANSWER, FORWARD, "source Ethernet address of the DHCP reply")
SERVER_IP6 = Register("server_ip6", "xxreg1", ANSWER, FORWARD, "source address of the DHCPv6 reply")
UNWANTED = Register("unwanted", "reg0[0]", CHECK, OUT_TRACK, "port security refuses the packet's destination")


@dataclass(frozen=True)
class Ruling:
    """What the ACLs of one direction decided: the registers between the stage with the ACLs and the one that acts.

    So they are in the stages of tiers, too: these come last, but packets are there on the way from one to the other.
    They have the same bits in both directions, so that the flow of an ACL reads alike in both.
    """

    denied: Register
    rejected: Register
    labelled: Register
    label: Register
    tier: Register


def _ruling(born: Stage, dies: Stage) -> Ruling:
    return Ruling(
        Register("denied", "reg0[4]", born, dies, "an ACL drops or rejects the packet"),
        Register("rejected", "reg0[5]", born, dies, "its sender is to be told"),
        Register("labelled", "reg0[6]", born, dies, "the ACL that allows it has a label"),
        Register("label", "reg3", born, dies, "that label"),
        Register("tier", "reg0[11..12]", born, dies, "the tier of ACLs that is asked; 0 when all of them have been"),
    )


IN_RULING = _ruling(IN_ACL, IN_VERDICT)
OUT_RULING = _ruling(OUT_ACL, DELIVER)

REGISTERS = (
    *(REFUSED, LEARNS, KNOWN),
    *(IN_RULING.denied, IN_RULING.rejected, IN_RULING.labelled, IN_RULING.label, IN_RULING.tier),
    *(AFFINE, SESSION, SESSION_PORTS, HAIRPINS, RETURNS),
    *(ASKED, OWN, OWNER, ASIDE),
    *(ANSWERED, SERVER_IP4, SERVER_MAC, SERVER_IP6),
    UNWANTED,
    *(OUT_RULING.denied, OUT_RULING.rejected, OUT_RULING.labelled, OUT_RULING.label, OUT_RULING.tier),
)
