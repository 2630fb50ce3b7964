"""External ports: machines out on the provider's network that one chassis serves as if they were instances.

Their packets come in by the localnet port of their switch, on every host. One host answers for each of them, the active
one of its chassis group, where `is_chassis_resident()` holds for the port: it gives DHCP (`ovine.northd.dhcp`), and its
router answers. The other hosts keep what the machine says to routers from theirs.

Wire behaviour is that of ovn-northd(8), "DHCP option processing" and "External ports".
Tests: tests/cases/northd/external_ports.txt, tests/cases/packets/port_external.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, query, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.attachments import own_requests
from ovine.northd.flows import FLOWS, flow, one_of, quoted
from ovine.northd.ha_groups import GROUPS
from ovine.northd.pipeline import FORWARD
from ovine.northd.ports import EXTERNAL, PORT_BINDINGS, PORTS, binding
from ovine.northd.router_ports import LOCALNETS, PORTS_ON_SWITCH, ROUTER_PORTS
from ovine.projection import ref

SOURCE = "external_ports"

EXTERNALS = Index(PORTS, lambda port: (port.key,) if port.type == EXTERNAL else (), "external ports")


@query
def ways_in(q: Reader, switch: Uuid) -> tuple[str, ...]:
    """The localnet ports of a switch, by name."""
    return tuple(sorted(q.row(PORTS, key).name for key in q.find(LOCALNETS, switch)))


def served_at(q: Reader, switch: Uuid, name: str) -> str | None:
    """Matches packets that an external port's chassis has from the provider's network; None if there is no such way."""
    localnets = ways_in(q, switch)
    if not localnets:
        return None
    return f"inport == {one_of(map(quoted, localnets))} && is_chassis_resident({quoted(name)})"


@query
def for_routers(q: Reader, switch: Uuid) -> str:
    """Matches what is for the routers on a switch: packets, and requests for their addresses; "" if there are none."""
    routers = [q.row(ROUTER_PORTS, key) for key in q.find(PORTS_ON_SWITCH, switch)]
    if not routers:
        return ""
    parts = [f"eth.dst == {one_of(sorted({port.mac for port in routers}))}"]
    addresses = sorted({network.address for port in routers for network in (*port.networks4, *port.networks6)})
    asked = own_requests(addresses)
    if asked:
        parts.append(asked if asked.startswith("(") else f"({asked})")
    return "(" + " || ".join(parts) + ")"


@rule(over=EXTERNALS, writes=(FLOWS,))
def kept_from_routers(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Routers of hosts that do not serve the machine are not to hear it."""
    port = q.row(PORTS, key)
    localnets, routers = ways_in(q, port.switch), for_routers(q, port.switch)
    if not localnets or not routers or not port.owned:
        return
    match = (
        f"inport == {one_of(map(quoted, localnets))} && eth.src == {one_of(owned.mac for owned in port.owned)} && "
        f"!is_chassis_resident({quoted(port.name)}) && {routers}"
    )
    yield flow(port.switch, FORWARD, 110, match, "drop;", source=SOURCE, hint=key)


@rule(over=EXTERNALS, writes=(PORT_BINDINGS,))
def external_binding(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The binding names the group whose active chassis serves the machine."""
    chosen = q.row(nb.LogicalSwitchPort, key).ha_chassis_group
    group = q.get(nb.HAChassisGroup, chosen) if chosen is not None else None
    yield from binding(q, key, ref(GROUPS, group.name) if group is not None else None)


RULES = (
    external_binding,
    kept_from_routers,
)
