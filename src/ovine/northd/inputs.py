"""What northd reads: the input tables, and the indexes over them.

From the northbound comes what is wanted; from the southbound only what hosts report there (chassis, where ports are
bound, what was learned), never what northd wrote itself.
"""

from __future__ import annotations

from ovine.engine import Index, Reader, query
from ovine.model import nb, sb
from ovine.model.base import Row, Uuid

NB_INPUTS: tuple[type[Row], ...] = (
    nb.NBGlobal,
    nb.LogicalSwitch,
    nb.LogicalSwitchPort,
    nb.LogicalRouter,
    nb.LogicalRouterPort,
    nb.LogicalRouterStaticRoute,
    nb.LogicalRouterPolicy,
    nb.NAT,
    nb.GatewayChassis,
    nb.HAChassisGroup,
    nb.HAChassis,
    nb.BFD,
    nb.StaticMACBinding,
    nb.AddressSet,
    nb.PortGroup,
    nb.ACL,
    nb.Sample,
    nb.SampleCollector,
    nb.SamplingApp,
    nb.QoS,
    nb.Copp,
    nb.Mirror,
    nb.LoadBalancer,
    nb.LoadBalancerGroup,
    nb.LoadBalancerHealthCheck,
    nb.ChassisTemplateVar,
    nb.Meter,
    nb.MeterBand,
    nb.DHCPOptions,
    nb.DHCPRelay,
    nb.DNS,
)

SB_INPUTS: tuple[type[Row], ...] = (
    sb.Chassis,
    sb.ChassisPrivate,
    sb.Encap,
    sb.DatapathBinding,
    sb.PortBinding,
    sb.MACBinding,
    sb.FDB,
    sb.IGMPGroup,
    sb.BFD,
    sb.ServiceMonitor,
)

SWITCH_OF_PORT = Index(nb.LogicalSwitch, lambda switch: switch.ports, "switches by port")
ROUTER_OF_PORT = Index(nb.LogicalRouter, lambda router: router.ports, "routers by port")
ROUTER_OF_ROUTE = Index(nb.LogicalRouter, lambda router: router.static_routes, "routers by static route")
SWITCH_PORT_NAMED = Index(nb.LogicalSwitchPort, lambda port: (port.name,), "switch ports by name")
ROUTER_PORT_NAMED = Index(nb.LogicalRouterPort, lambda port: (port.name,), "router ports by name")
BOUND = Index(sb.PortBinding, lambda binding: (binding.logical_port,), "port bindings by name")
CHASSIS_BY_NAME = Index(sb.Chassis, lambda chassis: (chassis.name,), "chassis by name")
CHASSIS_BY_HOST = Index(sb.Chassis, lambda chassis: (chassis.hostname,), "chassis by hostname")


def nb_option(q: Reader, name: str) -> str:
    """A value of NB_Global.options, "" where it is not set. Depends on the whole map."""
    for key in q.keys(nb.NBGlobal):
        return q.row(nb.NBGlobal, key).options.get(name, "")
    return ""


@query
def answers_for_down_ports(q: Reader) -> bool:
    """NB_Global options:ignore_lsp_down, true by default as in ovn-nb(5)."""
    return nb_option(q, "ignore_lsp_down").lower() != "false"


@query
def chassis_called(q: Reader, name: str) -> Uuid | None:
    """The chassis of this name, else one with this hostname; None for "", which is no name."""
    if not name:
        return None
    found: tuple[Uuid, ...] = q.find(CHASSIS_BY_NAME, name) or q.find(CHASSIS_BY_HOST, name)
    return found[0] if found else None
