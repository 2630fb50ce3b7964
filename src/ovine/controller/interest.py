"""Which southbound rows this host needs: the conditions of its monitor, as a relation.

Everything about local datapaths, ports that an interface here names or that are bound or reserved for us, and our own
rows. Conditions follow the ports as they come and go. Small tables that are needed before their use is known
(datapaths, chassis and their groups, encapsulations, address sets, port groups) are replicated whole; so are logical
flows of datapath groups, which are few, since a flow that moves between groups must not be missing in between.

The other end of a link is asked for by name, as its datapath is not known before. Ports of gateways are all
replicated: what assigns them to a chassis is an option, and a condition on one key of a map is not one that the server
can look up. A condition with `==` costs it the same however many there are.

Tests: tests/unit/controller/test_controller_local.py, test_controller_reach.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ovine.controller.config import config
from ovine.controller.ha import is_member
from ovine.controller.local import INTERFACE_BY_ID, LOCAL_DATAPATHS, PORT_BY_NAME, chassis
from ovine.controller.reach import LINKS, LINKS_TO_PEER
from ovine.controller.residents import CHASSIS_OPTIONS
from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import Row, Uuid
from ovine.ovsdb import Monitor

Clause = tuple[str, str, Any]
"""(column, operator, value) as `ovine.ovsdb` takes it."""

INTEREST: Relation[tuple[str, Clause], bool] = Relation("monitor condition")
"""By (table, clause). A conditional table without clauses is empty here."""

WHOLE: Final[tuple[type[Row], ...]] = (
    sb.SBGlobal,
    sb.Chassis,
    sb.Encap,
    sb.HAChassis,
    sb.HAChassisGroup,
    sb.DatapathBinding,
    sb.LogicalDPGroup,
    sb.AddressSet,
    sb.PortGroup,
    sb.DHCPOptions,
    sb.DHCPv6Options,
    sb.Meter,
    sb.MeterBand,
    sb.BFD,
    sb.ServiceMonitor,
    sb.Mirror,
)
CONDITIONAL: Final[tuple[type[Row], ...]] = (
    sb.ChassisPrivate,
    sb.ChassisTemplateVar,
    sb.PortBinding,
    sb.LogicalFlow,
    sb.MulticastGroup,
    sb.MACBinding,
    sb.StaticMACBinding,
    sb.FDB,
    sb.DNS,
    sb.LoadBalancer,
    sb.IPMulticast,
    sb.IGMPGroup,
    sb.ControllerEvent,
)
GROUPED: Final[Clause] = ("logical_dp_group", "!=", None)


def monitors(monitor_all: bool) -> list[Monitor]:
    """What to subscribe to at first: of conditional tables nothing, until the conditions are known."""
    where: list[Any] = [] if monitor_all else [False]
    return [Monitor(table) for table in WHOLE] + [Monitor(table, where=where) for table in CONDITIONAL]


@rule(writes=(INTEREST,))
def our_rows(q: Reader, _key: tuple[()]) -> Iterator[Emit]:
    """Rows that concern this chassis, whatever ports it has."""
    settings, own = config(q), chassis(q)
    if settings is None:
        return
    for table, column in (("Chassis_Private", "name"), ("Chassis_Template_Var", "chassis")):
        yield INTEREST((table, (column, "==", settings.chassis)), True)
    yield INTEREST(("Logical_Flow", GROUPED), True)
    yield INTEREST(("Load_Balancer", ("datapath_group", "!=", None)), True)
    for kind in CHASSIS_OPTIONS:
        yield INTEREST(("Port_Binding", ("type", "==", kind)), True)
    if own is not None:
        yield INTEREST(("Port_Binding", ("chassis", "==", own)), True)
        yield INTEREST(("Port_Binding", ("requested_chassis", "==", own)), True)
        yield INTEREST(("Port_Binding", ("additional_chassis", "==", (own,))), True)
        yield INTEREST(("IGMP_Group", ("chassis", "==", own)), True)
        yield INTEREST(("Controller_Event", ("chassis", "==", own)), True)
        yield INTEREST(("Chassis_Private", ("chassis", "==", own)), True)


@rule(over=INTERFACE_BY_ID, writes=(INTEREST,))
def named_ports(q: Reader, name: str) -> Iterator[Emit]:
    """Ports that an interface names, unless they come with their datapath anyway.

    A condition costs the server a look at every row of the table, so a further port of a local datapath must not need
    one.
    """
    if not _comes_anyway(q, name):
        yield INTEREST(("Port_Binding", ("logical_port", "==", name)), True)


@rule(over=INTERFACE_BY_ID, writes=(INTEREST,))
def nested_ports(q: Reader, name: str) -> Iterator[Emit]:
    """Ports inside those that an interface names; they may be in other datapaths. Our northd says if there are none."""
    if any(q.row(sb.SBGlobal, row).options.get("nested_ports", "") != "false" for row in q.keys(sb.SBGlobal)):
        yield INTEREST(("Port_Binding", ("parent_port", "==", name)), True)


def _comes_anyway(q: Reader, name: str) -> bool:
    return any(
        q.get(LOCAL_DATAPATHS, q.row(sb.PortBinding, uuid).datapath) is not None for uuid in q.find(PORT_BY_NAME, name)
    )


@rule(over=LINKS_TO_PEER, writes=(INTEREST,))
def other_ends(q: Reader, name: str) -> Iterator[Emit]:
    """The ports to which links of local datapaths lead."""
    ours = (q.row(LINKS, uuid).datapath for uuid in q.find(LINKS_TO_PEER, name))
    if any(q.get(LOCAL_DATAPATHS, datapath) is not None for datapath in ours) and not _comes_anyway(q, name):
        yield INTEREST(("Port_Binding", ("logical_port", "==", name)), True)


@rule(over=sb.HAChassisGroup, writes=(INTEREST,))
def group_ports(q: Reader, group: Uuid) -> Iterator[Emit]:
    """Ports of the groups that this chassis is in."""
    if is_member(q, group):
        yield INTEREST(("Port_Binding", ("ha_chassis_group", "==", group)), True)


@rule(over=LOCAL_DATAPATHS, writes=(INTEREST,))
def datapath_rows(q: Reader, datapath: Uuid) -> Iterator[Emit]:
    """What belongs to a local datapath."""
    key = q.get(LOCAL_DATAPATHS, datapath)
    yield INTEREST(("Logical_Flow", ("logical_datapath", "==", datapath)), True)
    for table in ("Port_Binding", "Multicast_Group", "MAC_Binding", "Static_MAC_Binding", "IP_Multicast"):
        yield INTEREST((table, ("datapath", "==", datapath)), True)
    yield INTEREST(("FDB", ("dp_key", "==", key)), True)
    yield INTEREST(("DNS", ("datapaths", "includes", (datapath,))), True)
    yield INTEREST(("Load_Balancer", ("datapaths", "includes", (datapath,))), True)


RULES = (our_rows, named_ports, nested_ports, other_ends, group_ports, datapath_rows)
