"""Where packets go: known addresses, the forwarding database, and unknown destinations.

Known addresses are in the forwarding database (FDB) from the start, with those that hosts learn: an address costs one
short row and no flow. A host that learns must not overwrite them. So the sender's address is looked up first, and
learned only if nobody has it, or another port that learns.

Wire behaviour is that of ovn-northd(8), "Destination Lookup" and "Destination unknown".
Tests: tests/cases/northd/switching.txt, tests/interop/test_northd_trace.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import nb, sb
from ovine.model.base import Uuid
from ovine.northd.datapaths import KEYS as SWITCH_KEYS
from ovine.northd.datapaths import SWITCHES, member
from ovine.northd.flows import FLOWS, MEMBERS, Shared, flow, quoted, scope
from ovine.northd.multicast import FLOOD_GROUP, UNKNOWN_GROUP
from ovine.northd.pipeline import ADMIT, DELIVER, FORWARD, GUARD, KNOWN, LEARNS, UNKNOWN
from ovine.northd.ports import KEYS, PORTS, ROUTER, disputed, owners_in_order
from ovine.northd.router_ports import speaks_where
from ovine.projection import Names, Target

SOURCE = "switching"

LEARNING = scope("switches with ports of unknown addresses")
"""Only these have a use for learning."""
CLOSED = scope("switches that know all addresses")

TAKES_UNKNOWN = Index(
    PORTS,
    lambda port: (port.switch,) if port.unknown and port.enabled and port.switched else (),
    "ports of unknown addresses by switch",
)

NEWS = f"{LEARNS.field} && !{KNOWN.field}"
LOOK_UP = f"{LEARNS.field} = 1; {KNOWN.field} = lookup_fdb(inport, eth.src); outport = get_fdb(eth.src); next;"
LEARN = 'put_fdb(inport, eth.src); outport = ""; next;'

KNOWN_AT: Relation[tuple[int, str], sb.FDB] = Relation("FDB")
"""Where an Ethernet address is, by the switch's tunnel key and the address."""

SHARED = (
    Shared(SWITCHES, GUARD, 0, "1", "next;", SOURCE),
    Shared(LEARNING, GUARD, 60, f'{NEWS} && outport == "none"', LEARN, SOURCE),
    Shared(LEARNING, GUARD, 50, LEARNS.field, 'outport = ""; next;', SOURCE),
    Shared(SWITCHES, FORWARD, 70, "eth.mcast", f'outport = "{FLOOD_GROUP}"; output;', SOURCE),
    Shared(SWITCHES, FORWARD, 0, "1", "outport = get_fdb(eth.dst); next;", SOURCE),
    Shared(CLOSED, UNKNOWN, 50, 'outport == "none"', "drop;", SOURCE),
    Shared(LEARNING, UNKNOWN, 50, 'outport == "none"', f'outport = "{UNKNOWN_GROUP}"; output;', SOURCE),
    Shared(SWITCHES, UNKNOWN, 0, "1", "output;", SOURCE),
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
    """Packets to a port's own Ethernet address go to it alone, or nowhere while it is disabled.

    That of a router may be at its port on some hosts only; elsewhere it is out in the physical network.
    """
    switch, mac = owned
    port = owners_in_order(q, q.find(OWNERS, owned))[0]
    if not port.enabled:
        yield flow(switch, FORWARD, 50, f"eth.dst == {mac}", "drop;", source=SOURCE, hint=port.key)
        return
    if port.type == ROUTER:
        where = speaks_where(q, port.router_port) if port.as_router and port.router_port is not None else ""
        match = f"eth.dst == {mac} && {where}" if where else f"eth.dst == {mac}"
        actions = f"outport = {quoted(port.name)}; output;"
        yield flow(switch, FORWARD, 50, match, actions, source=SOURCE, hint=port.key)
        return
    datapath, number = q.get(SWITCH_KEYS, switch), q.get(KEYS, (switch, port.name))
    if datapath is not None and number is not None:
        yield KNOWN_AT((datapath, mac), sb.FDB(mac=mac, dp_key=datapath, port_key=number))


@rule(over=OWNERS, writes=(KNOWN_AT, FLOWS), on_failure=_first_owner)
def known_address(q: Reader, owned: tuple[Uuid, str]) -> Iterator[Emit]:
    """Where an Ethernet address is; if several ports claim it, the first one has it, and that is reported."""
    ports = owners_in_order(q, q.find(OWNERS, owned))
    if len(ports) > 1:
        raise ValueError(disputed(owned[1], ports))
    yield from _first_owner(q, owned)


@rule(over=LEARNS_AT, writes=(FLOWS,))
def learning_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Looks up who sends at a port whose addresses are learned; such a port has no port security to be checked.

    What was learned here may turn up at another such port.
    """
    port = q.row(PORTS, key)
    name = quoted(port.name)
    yield flow(port.switch, ADMIT, 50, f"inport == {name}", LOOK_UP, source=SOURCE, hint=key, port=port.name)
    yield flow(port.switch, GUARD, 60, f"{NEWS} && outport == {name}", LEARN, source=SOURCE, hint=key)


def _key(row: sb.FDB, names: Names) -> Hashable:
    return (row.dp_key, row.mac)


TARGET = Target(KNOWN_AT, sb.FDB, _key, ("mac", "dp_key", "port_key"), shared=True)
"""Shared with the hosts, who learn; `ovine.northd.learned` says which rows are to go."""
