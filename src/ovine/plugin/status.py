"""State that flows up: what is up, and where.

A port is ACTIVE while its logical switch port is up, a floating IP once its translation, or a load balancer that
forwards its ports, is in the northbound. A
gateway port is on the host that has bound the router's chassis-redirect port.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import cloud, nb, sb
from ovine.model.base import Uuid
from ovine.plugin.gateways import Southbound
from ovine.plugin.inputs import SWITCH_PORTS_BY_NAME
from ovine.plugin.nat import FLOATING_IP
from ovine.plugin.router_places import lrp_name, place

PORT_STATUS: Relation[Uuid, cloud.Port] = Relation("Port (status)")
FLOATING_IP_STATUS: Relation[Uuid, cloud.FloatingIP] = Relation("Floating_IP (status)")
BINDINGS: Index[sb.PortBinding] = Index(sb.PortBinding, lambda row: (row.logical_port,), "bindings by name")
NATS_OF_FLOATING_IP: Index[nb.NAT] = Index(
    nb.NAT, lambda row: (row.external_ids[FLOATING_IP],) if FLOATING_IP in row.external_ids else ()
)

BALANCERS_OF_FLOATING_IP: Index[nb.LoadBalancer] = Index(
    nb.LoadBalancer, lambda row: (row.external_ids[FLOATING_IP],) if FLOATING_IP in row.external_ids else ()
)


@rule(over=cloud.Port, writes=(PORT_STATUS,))
def port_status(q: Reader, key: Uuid) -> Iterator[Emit]:
    """What the API shows as a port's status."""
    up = any(q.row(nb.LogicalSwitchPort, port).up for port in q.find(SWITCH_PORTS_BY_NAME, key))
    yield PORT_STATUS(key, cloud.Port(status="ACTIVE" if up else "DOWN", active_host=_active_host(q, key)))


def _active_host(q: Reader, port: Uuid) -> str:
    where = place(q, port)
    if where is None or not where.is_gateway:
        return ""
    if q.value(Southbound, ()) is None:
        return q.row(cloud.Port, port).active_host  # what was known before holds until more is known
    for binding in q.find(BINDINGS, f"cr-{lrp_name(port)}"):
        chassis = q.get(sb.Chassis, q.row(sb.PortBinding, binding).chassis or "")
        if chassis is not None:
            return chassis.hostname or chassis.name
    return ""


@rule(over=cloud.FloatingIP, writes=(FLOATING_IP_STATUS,))
def floating_ip_status(q: Reader, key: Uuid) -> Iterator[Emit]:
    """What the API shows as a floating IP's status."""
    active = bool(q.find(NATS_OF_FLOATING_IP, key) or q.find(BALANCERS_OF_FLOATING_IP, key))
    yield FLOATING_IP_STATUS(key, cloud.FloatingIP(status="ACTIVE" if active else "DOWN"))
