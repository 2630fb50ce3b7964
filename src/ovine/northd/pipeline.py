"""The logical switch pipeline as data: stages, registers, and who may use what where.

A *stage* is one logical flow table with a name and a purpose. A *register* is a range of bits with a name and a *live
range*: it is written in stage `born` and means nothing after stage `dies`. The features (one module each) name stages
and registers by the objects here, never by number; `markdown()` turns this module into docs/pipeline.md.

The pipeline is kept short, because every stage costs each packet a table look-up on each host. Stages exist only where
a decision needs the result of an earlier one.

Invariants: tables count from 0 without gaps and stay below `TABLES`; no two registers share bits while both are live.
Tests: tests/unit/northd/test_pipeline.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TABLES = 24
"""ovn-controller lays out 24 OpenFlow tables for each of the two pipelines, in every release since 2.6."""


@dataclass(frozen=True)
class Stage:
    """One logical flow table."""

    name: str
    pipeline: str
    table: int
    purpose: str


@dataclass(frozen=True)
class Register:
    """A named range of bits. `field` is how matches and actions write it."""

    name: str
    field: str
    born: Stage
    dies: Stage
    purpose: str

    def bits(self) -> frozenset[tuple[int, int]]:
        """The bits it occupies, as (32-bit register number, bit) pairs."""
        return frozenset(_bits(self.field))


def _stages(pipeline: str, *declared: tuple[str, str]) -> tuple[Stage, ...]:
    return tuple(Stage(name, pipeline, table, purpose) for table, (name, purpose) in enumerate(declared))


INGRESS = _stages(
    "ingress",
    (
        "ls_in_admit",
        "Drops what may never enter: multicast sources, VLAN tags (unless the switch passes them), disabled ports. "
        "Has the port security of the input port checked, and for ports that learn, their address looked up.",
    ),
    (
        "ls_in_guard",
        "Drops what port security refused. Has new addresses of learning ports written to the forwarding database.",
    ),
    (
        "ls_in_track",
        "On switches with stateful ACLs, sends IP packets through connection tracking; not those that allow-stateless "
        "ACLs, multicast, neighbour discovery and localnet ports exempt.",
    ),
    (
        "ls_in_acl",
        "The from-lport ACLs: each is one flow that notes its verdict. Replies, and errors about allowed connections, "
        "pass.",
    ),
    ("ls_in_acl_after", "The from-lport ACLs with apply-after-lb, whose priorities are their own."),
    (
        "ls_in_verdict",
        "Carries the verdict out: drops, rejects, has connections remembered as allowed or as blocked.",
    ),
    (
        "ls_in_answer",
        "Answers ARP requests and neighbour solicitations for known addresses on the spot, and turns DHCP requests "
        "into replies.",
    ),
    (
        "ls_in_forward",
        "Chooses the output port: back to the client for what was answered, the flood group for broadcast and "
        "multicast, the owner of a known address, and what the forwarding database says for the rest.",
    ),
    (
        "ls_in_unknown",
        "Sends what nobody is known to own to all ports with unknown addresses.",
    ),
)

EGRESS = _stages(
    "egress",
    (
        "ls_out_check",
        "Drops what goes to disabled ports. Has the port security of the output port checked for unicast.",
    ),
    ("ls_out_track", "Drops what port security refused. For the rest, as ls_in_track."),
    ("ls_out_acl", "The to-lport ACLs, as in ls_in_acl; DHCP replies of the switch itself pass."),
    ("ls_out_deliver", "Carries the verdict out, as ls_in_verdict, and delivers."),
)

STAGES = INGRESS + EGRESS
ADMIT, GUARD, IN_TRACK, IN_ACL, IN_ACL_AFTER, IN_VERDICT, ANSWER, FORWARD, UNKNOWN = INGRESS
CHECK, OUT_TRACK, OUT_ACL, DELIVER = EGRESS

REFUSED = Register("refused", "reg0[0]", ADMIT, GUARD, "port security refuses the packet's sender")
LEARNS = Register("learns", "reg0[1]", ADMIT, GUARD, "the input port learns addresses")
KNOWN = Register("known", "reg0[2]", ADMIT, GUARD, "the forwarding database has the sender at this port already")
ANSWERED = Register("answered", "reg0[3]", ANSWER, FORWARD, "the packet has become a DHCP reply")
SERVER_IP4 = Register("server_ip4", "reg1", ANSWER, FORWARD, "source address of the DHCPv4 reply")
SERVER_MAC = Register("server_mac", "xreg1[0..47]", ANSWER, FORWARD, "source Ethernet address of the DHCP reply")
SERVER_IP6 = Register("server_ip6", "xxreg1", ANSWER, FORWARD, "source address of the DHCPv6 reply")
UNWANTED = Register("unwanted", "reg0[0]", CHECK, OUT_TRACK, "port security refuses the packet's destination")


@dataclass(frozen=True)
class Ruling:
    """What the ACLs of one direction decided: the registers between the stage with the ACLs and the one that acts.

    They have the same bits in both directions, so that the flow of an ACL reads alike in both.
    """

    denied: Register
    rejected: Register
    labelled: Register
    label: Register


def _ruling(born: Stage, dies: Stage) -> Ruling:
    return Ruling(
        Register("denied", "reg0[4]", born, dies, "an ACL drops or rejects the packet"),
        Register("rejected", "reg0[5]", born, dies, "its sender is to be told"),
        Register("labelled", "reg0[6]", born, dies, "the ACL that allows it has a label"),
        Register("label", "reg3", born, dies, "that label"),
    )


IN_RULING = _ruling(IN_ACL, IN_VERDICT)
OUT_RULING = _ruling(OUT_ACL, DELIVER)

REGISTERS = (
    *(REFUSED, LEARNS, KNOWN),
    *(IN_RULING.denied, IN_RULING.rejected, IN_RULING.labelled, IN_RULING.label),
    *(ANSWERED, SERVER_IP4, SERVER_MAC, SERVER_IP6),
    UNWANTED,
    *(OUT_RULING.denied, OUT_RULING.rejected, OUT_RULING.labelled, OUT_RULING.label),
)


def overlaps() -> list[tuple[str, str]]:
    """Pairs of registers that share bits while both are live; there must be none."""
    found = []
    for n, one in enumerate(REGISTERS):
        for other in REGISTERS[n + 1 :]:
            together = one.born.pipeline == other.born.pipeline and (
                one.born.table <= other.dies.table and other.born.table <= one.dies.table
            )
            if together and one.bits() & other.bits():
                found.append((one.name, other.name))
    return found


_FIELD = re.compile(r"(x{0,2}reg)(\d)(?:\[(\d+)(?:\.\.(\d+))?\])?")


def _bits(field: str) -> list[tuple[int, int]]:
    """Bit positions of `reg4`, `reg0[3]`, `xreg1[0..47]`, `xxreg1`; the first register of a wide one is its highest."""
    parsed = _FIELD.fullmatch(field)
    if parsed is None:
        raise ValueError(f"{field} is not a register")
    width = {"reg": 1, "xreg": 2, "xxreg": 4}[parsed[1]]
    low = int(parsed[3]) if parsed[3] else 0
    high = int(parsed[4]) if parsed[4] else (low if parsed[3] else width * 32 - 1)
    first = int(parsed[2]) * width
    return [(first + width - 1 - bit // 32, bit % 32) for bit in range(low, high + 1)]


def markdown() -> str:
    """docs/pipeline.md."""
    lines = [
        "# The logical switch pipeline",
        "",
        "Generated from `src/ovine/northd/pipeline.py` by `python tools/pipeline_doc.py`; do not edit.",
        "",
        "northd compiles each logical switch into the stages below. A stage is one table of `Logical_Flow` in the",
        "southbound database; `ovn-sbctl lflow-list` and `ovn-trace` show its name.",
    ]
    for title, stages in (("Ingress", INGRESS), ("Egress", EGRESS)):
        lines += ["", f"## {title}", "", "| table | stage | purpose |", "|---|---|---|"]
        lines += [f"| {s.table} | `{s.name}` | {s.purpose} |" for s in stages]
    lines += ["", "## Registers", "", "Registers are zero when a packet enters a pipeline.", ""]
    lines += ["| name | bits | from | to | meaning |", "|---|---|---|---|---|"]
    lines += [f"| {r.name} | `{r.field}` | `{r.born.name}` | `{r.dies.name}` | {r.purpose} |" for r in REGISTERS]
    return "\n".join(lines) + "\n"
