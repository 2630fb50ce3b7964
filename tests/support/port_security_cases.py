"""Cases of port security, and the judge: a real switch that runs the tables on each frame.

tests/cases/controller/services/port_security.txt says how they are written.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from support.dummy_switch import Switch
from support.frames import build, ip_bytes, mac_bytes

CASES = Path(__file__).parents[1] / "cases/controller/services"
REFUSES = 12
"""The bit of reg10 that says so, in our controller and Debian's."""


@dataclass(frozen=True)
class Check:
    """One line: may a port with this security send, or get, the frame?"""

    number: int
    security: tuple[str, ...]
    direction: str
    frame: bytes
    allowed: bool
    allowed_by_theirs: bool


def read(name: str) -> list[Check]:
    """The checks of a file."""
    checks, security = [], ()
    for number, line in enumerate((CASES / name).read_text().splitlines(), 1):
        text = line.strip()
        if not text or text[0] == "#":
            continue
        if text.startswith("security "):
            security = tuple(element.strip() for element in text.removeprefix("security ").split("|"))
            continue
        theirs = re.match(r"\[theirs: (allow|refuse)\] *", text)
        verdict, direction, frame = text[theirs.end() if theirs else 0 :].split(None, 2)
        assert verdict in ("allow", "refuse") and direction in ("in", "out"), f"{name}:{number}: {line}"
        allowed = verdict == "allow"
        by_theirs = theirs[1] == "allow" if theirs else allowed
        checks.append(Check(number, security, direction, _frame(frame), allowed, by_theirs))
    return checks


def _frame(text: str) -> bytes:
    """A frame; also what `support.frames` need not know: odd types, and bare ICMPv6."""
    found = re.match(r"(\S+)>(\S+) type (\S+)$", text)
    if found:
        return mac_bytes(found[2]) + mac_bytes(found[1]) + struct.pack("!H", int(found[3], 16)) + bytes(46)
    found = re.match(r"(\S+)>(\S+) ip6 (\S+)>(\S+) icmp6 (\d+)$", text)
    if found:
        header = struct.pack("!IHBB", 6 << 28, 24, 58, 1) + ip_bytes(found[3]) + ip_bytes(found[4])
        body = struct.pack("!BBHI", int(found[5]), 0, 0, 0) + bytes(16)
        return mac_bytes(found[2]) + mac_bytes(found[1]) + b"\x86\xdd" + header + body
    return build(text)


class Judge:
    """Runs frames through tables of a switch: refused or not."""

    def __init__(self, switch: Switch, flows: Iterable[str], tables: tuple[int, int]) -> None:
        """`flows` replace all that are there; `tables` are the ones that are asked about what comes in and goes out."""
        self.switch, self.tables = switch, tables
        path = switch.directory / "flows.txt"
        verdict = f"table=200,reg10=0/{1 << REFUSES:#x},actions=output:3"
        path.write_text("\n".join((*flows, verdict, "")))
        switch.ofctl("del-flows")
        switch.ofctl("add-flows", str(path))

    def allows(self, datapath: int, port: int, check: Check) -> bool:
        """Whether a port, named by keys, may send or get a check's frame."""
        coming = check.direction == "in"
        register, table = ("reg14", self.tables[0]) if coming else ("reg15", self.tables[1])
        ask = f"set_field:{datapath}->metadata,set_field:{port}->{register},resubmit(,{table}),resubmit(,200)"
        self.switch.ofctl("add-flow", f"table=0,in_port=1,actions={ask}")
        return "output:3" in self.switch.appctl("ofproto/trace", "br0", "in_port=1", check.frame.hex())
