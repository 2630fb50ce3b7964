"""Where packets go: known addresses, the forwarding database, and unknown destinations.

Wire behaviour is that of ovn-northd(8), "Destination Lookup" and "Destination unknown".
Tests: tests/cases/northd/switching.txt, tests/interop/test_northd_trace.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, query, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.datapaths import SWITCHES, member
from ovine.northd.flows import FLOWS, MEMBERS, Shared, flow, quoted, scope
from ovine.northd.multicast import FLOOD_GROUP, UNKNOWN_GROUP
from ovine.northd.pipeline import ADMIT, DELIVER, FORWARD, GUARD, KNOWN, LEARNS, UNKNOWN
from ovine.northd.ports import PORTS, disputed, owners_in_order

SOURCE = "switching"

LEARNING = scope("switches with ports of unknown addresses")
"""Only these have a use for the forwarding database."""
CLOSED = scope("switches that know all addresses")

TAKES_UNKNOWN = Index(
    PORTS,
    lambda port: (port.switch,) if port.unknown and port.enabled and port.switched else (),
    "ports of unknown addresses by switch",
)

SHARED = (
    Shared(SWITCHES, GUARD, 0, "1", "next;", SOURCE),
    Shared(LEARNING, GUARD, 50, f"{LEARNS.field} && !{KNOWN.field}", "put_fdb(inport, eth.src); next;", SOURCE),
    Shared(SWITCHES, FORWARD, 70, "eth.mcast", f'outport = "{FLOOD_GROUP}"; output;', SOURCE),
    Shared(CLOSED, FORWARD, 0, "1", "drop;", SOURCE),
    Shared(LEARNING, FORWARD, 0, "1", "outport = get_fdb(eth.dst); next;", SOURCE),
    Shared(LEARNING, UNKNOWN, 50, 'outport == "none"', f'outport = "{UNKNOWN_GROUP}"; output;', SOURCE),
    Shared(LEARNING, UNKNOWN, 0, "1", "output;", SOURCE),
    Shared(SWITCHES, DELIVER, 0, "1", "output;", SOURCE),
)


OWNERS = Index(
    PORTS,
    lambda port: tuple((port.switch, owned.mac) for owned in port.owned) if port.switched else (),
    "ports by Ethernet address",
)
LEARNS_AT = Index(PORTS, lambda port: (port.key,) if port.learns and port.enabled else (), "learning ports")


@query
def takes_unknown(q: Reader, switch: Uuid) -> bool:
    """Whether a switch has a port that wants what nobody is known to own."""
    return bool(q.find(TAKES_UNKNOWN, switch))


@rule(over=nb.LogicalSwitch, writes=(MEMBERS,))
def knowledge(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """Whether the switch has a use for learning."""
    yield member(LEARNING if takes_unknown(q, switch) else CLOSED, switch)


def _first_owner(q: Reader, owned: tuple[Uuid, str]) -> Iterator[Emit]:
    """Packets to a port's own Ethernet address go to it alone, or nowhere while it is disabled."""
    switch, mac = owned
    port = owners_in_order(q, q.find(OWNERS, owned))[0]
    actions = f"outport = {quoted(port.name)}; output;" if port.enabled else "drop;"
    yield flow(switch, FORWARD, 50, f"eth.dst == {mac}", actions, source=SOURCE, hint=port.key)


@rule(over=OWNERS, writes=(FLOWS,), on_failure=_first_owner)
def known_address(q: Reader, owned: tuple[Uuid, str]) -> Iterator[Emit]:
    """The flow for an Ethernet address; if several ports claim it, the first one has it, and that is reported."""
    ports = owners_in_order(q, q.find(OWNERS, owned))
    if len(ports) > 1:
        raise ValueError(disputed(owned[1], ports))
    yield from _first_owner(q, owned)


@rule(over=LEARNS_AT, writes=(FLOWS,))
def learning_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Looks up who sends at a port whose addresses are learned; such a port has no port security to be checked."""
    port = q.row(PORTS, key)
    actions = f"{LEARNS.field} = 1; {KNOWN.field} = lookup_fdb(inport, eth.src); next;"
    match = f"inport == {quoted(port.name)}"
    yield flow(port.switch, ADMIT, 50, match, actions, source=SOURCE, hint=key, port=port.name)
