"""Admission: what may enter a switch, and what may be delivered.

The rules themselves stand in Port_Binding.port_security, and each host checks them for its own ports
(`check_in_port_sec()`, `check_out_port_sec()`); so port security costs no logical flow per port.
Wire behaviour is that of ovn-northd(8), "Admission Control and Ingress Port Security check" and "Egress Port Security".
Tests: tests/cases/northd/port_security.txt, tests/interop/test_northd_trace.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, rule
from ovine.model.base import Uuid
from ovine.northd.datapaths import SWITCHES, UNTAGGED
from ovine.northd.flows import FLOWS, Shared, flow, quoted
from ovine.northd.pipeline import ADMIT, CHECK, GUARD, OUT_TRACK, REFUSED, UNWANTED
from ovine.northd.ports import PORTS

SOURCE = "port_security"

CHECKED = f"{REFUSED.field} = check_in_port_sec(); next;"

SHARED = (
    Shared(SWITCHES, ADMIT, 110, "eth.src[40]", "drop;", SOURCE),
    Shared(UNTAGGED, ADMIT, 110, "vlan.present", "drop;", SOURCE),
    Shared(SWITCHES, ADMIT, 0, "1", CHECKED, SOURCE),
    Shared(SWITCHES, GUARD, 100, f"{REFUSED.field}", "drop;", SOURCE),
    Shared(SWITCHES, CHECK, 100, "eth.mcast", "next;", SOURCE),
    Shared(SWITCHES, CHECK, 0, "1", f"{UNWANTED.field} = check_out_port_sec(); next;", SOURCE),
    # Before anything that an ACL may have: a stateless one has flows in this stage, at priorities of its own.
    Shared(SWITCHES, OUT_TRACK, 65535, f"{UNWANTED.field}", "drop;", SOURCE),
)


DISABLED = Index(PORTS, lambda port: () if port.enabled else (port.key,), "disabled ports")


@rule(over=DISABLED, writes=(FLOWS,))
def disabled_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A disabled port neither sends nor receives."""
    port = q.row(PORTS, key)
    name = quoted(port.name)
    for stage, side in ((ADMIT, "inport"), (CHECK, "outport")):
        yield flow(port.switch, stage, 200, f"{side} == {name}", "drop;", source=SOURCE, hint=key, port=port.name)
