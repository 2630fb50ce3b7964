"""Why flows exist: hints lead to northbound rows, and these to objects of the API, with their names."""

from __future__ import annotations

from typing import Any

import pytest

from ovine.model import cloud, nb, sb
from ovine.model.base import Map, Row, Uuid
from ovine.trace import Origins

PORT = Uuid("aaaaaaaa-0000-4000-8000-000000000001")
NETWORK = Uuid("bbbbbbbb-0000-4000-8000-000000000002")
SUBNET = Uuid("cccccccc-0000-4000-8000-000000000003")
OPTIONS = Uuid("dddddddd-0000-4000-8000-000000000004")
RULE, GROUP = "11111111-0000-4000-8000-000000000006", "22222222-0000-4000-8000-000000000007"


def row(table: type[Row], uuid: Uuid | None = None, **columns: Any) -> Row:
    return table(uuid=uuid or Uuid("eeeeeeee-0000-4000-8000-000000000005"), **columns)


def flow(hint: str, actions: str = "next;") -> sb.LogicalFlow:
    return sb.LogicalFlow(actions=actions, external_ids=Map({"stage-hint": hint[:8]}))


NEUTRON_PORT = row(
    nb.LogicalSwitchPort,
    name=PORT,
    dhcpv4_options=OPTIONS,
    external_ids=Map({"neutron:port_name": "web1", "neutron:revision_number": "1"}),
)
SERVED = row(nb.DHCPOptions, OPTIONS, cidr="10.0.0.0/24", external_ids=Map({"subnet_id": SUBNET}))


ROUTE = row(nb.LogicalRouterStaticRoute, ip_prefix="0.0.0.0/0", nexthop="10.0.0.1")
POLICY = row(nb.LogicalRouterPolicy, priority=5, match="ip4", action="drop")
JUMP = row(nb.LogicalRouterPolicy, priority=5, match="ip4", action="jump", chain="web", jump_chain="dns")
MATCHING = row(nb.NAT, type="snat", external_ip="1.2.3.4", logical_ip="10.0.0.0/24", match="tcp.dst == 80")
FIP = Map({"neutron:fip_id": "f"})
FLOATING = row(
    nb.NAT,
    type="dnat_and_snat",
    external_ip="1.2.3.4",
    logical_ip="10.0.0.1",
    external_ids=Map({"neutron:fip_id": "f"}),
)
RED = row(nb.LogicalSwitch, name=f"neutron-{NETWORK}", external_ids=Map({"neutron:network_name": "red"}))
EDGE = row(nb.LogicalRouter, name="neutron-r", external_ids=Map({"neutron:router_name": "edge"}))


@pytest.mark.parametrize(
    ("north", "said"),
    [
        (NEUTRON_PORT, f'Logical_Switch_Port of port "web1" ({PORT})'),
        (row(nb.LogicalSwitchPort, name="p1"), "Logical_Switch_Port p1"),
        (RED, f'Logical_Switch of network "red" ({NETWORK})'),
        (row(nb.LogicalSwitch, name="s1"), "Logical_Switch s1"),
        (EDGE, 'Logical_Router of router "edge" (r)'),
        (row(nb.LogicalRouterPort, name=f"lrp-{PORT}"), f"Logical_Router_Port of port {PORT}"),
        (FLOATING, "NAT dnat_and_snat 1.2.3.4 10.0.0.1, of floating IP f"),
        (ROUTE, "Logical_Router_Static_Route 0.0.0.0/0 by 10.0.0.1"),
        (POLICY, "Logical_Router_Policy priority 5, ip4: drop"),
        (JUMP, "Logical_Router_Policy chain web, priority 5, ip4: jump to dns"),
        (MATCHING, "NAT snat 1.2.3.4 10.0.0.0/24 for tcp.dst == 80"),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, Row) else "",
)
def test_a_hint_leads_to_a_row_and_the_object_behind_it(north: Row, said: str) -> None:
    assert [str(reason) for reason in Origins.of([north]).why(flow(north.uuid))] == [said]


def test_an_acl_names_its_security_group_and_rule() -> None:
    acl = row(
        nb.ACL,
        direction="to-lport",
        priority=1002,
        match="ip4",
        action="allow-related",
        external_ids=Map({"neutron:security_group_rule_id": RULE}),
    )
    group = nb.PortGroup(name="pg", acls=(acl.uuid,), external_ids=Map({"neutron:security_group_id": GROUP}))
    (reason,) = Origins.of([acl, group]).why(flow(acl.uuid))
    behind = f"security group {GROUP}, security group rule {RULE}"
    assert str(reason) == f"ACL to-lport, priority 1002, ip4: allow-related, of {behind}"


def test_a_dhcp_answer_is_because_of_the_subnet_too() -> None:
    origins = Origins.of([NEUTRON_PORT, SERVED, cloud.Subnet(uuid=SUBNET, name="red-v4")])
    reasons = origins.why(flow(NEUTRON_PORT.uuid, "reg0[3] = put_dhcp_opts(offerip = 10.0.0.1); next;"))
    assert str(reasons[1]) == f'DHCP_Options 10.0.0.0/24, of subnet "red-v4" ({SUBNET})'
    assert len(origins.why(flow(NEUTRON_PORT.uuid))) == 1


def test_a_localnet_port_is_because_of_its_network() -> None:
    port = row(nb.LogicalSwitchPort, name="provnet-1", type="localnet")
    switch = row(nb.LogicalSwitch, NETWORK, name=f"neutron-{NETWORK}", ports=(port.uuid,))
    (reason,) = Origins.of([port, switch]).why(flow(port.uuid))
    assert [(one.kind, one.id) for one in reason.objects] == [("network", NETWORK)]


def test_the_cloud_knows_names_better_than_the_northbound() -> None:
    origins = Origins.of([NEUTRON_PORT, cloud.Port(uuid=PORT, name="renamed")])
    assert origins.why(flow(NEUTRON_PORT.uuid))[0].objects[0].name == "renamed"
    assert origins.port_names[PORT] == "renamed"


def test_rows_whose_uuids_begin_alike_are_all_named() -> None:
    one = row(nb.LogicalSwitch, Uuid("eeeeeeee-0000-4000-8000-00000000000a"), name="s1")
    two = row(nb.LogicalSwitch, Uuid("eeeeeeee-0000-4000-8000-00000000000b"), name="s2")
    assert [reason.name for reason in Origins.of([one, two]).why(flow("eeeeeeee"))] == ["s1", "s2"]


def test_a_flow_without_a_hint_or_with_one_that_is_gone_has_no_reason() -> None:
    origins = Origins.of([row(nb.LogicalSwitch, name="s1")])
    assert origins.why(sb.LogicalFlow()) == ()
    assert origins.why(flow("12345678")) == ()


def test_a_datapath_is_a_network_or_a_router() -> None:
    ids = {"logical-switch": NETWORK, "name": f"neutron-{NETWORK}", "name2": "red"}
    assert str(Origins().datapath(sb.DatapathBinding(external_ids=Map(ids)))) == f'network "red" ({NETWORK})'
    router = sb.DatapathBinding(external_ids=Map({"logical-router": "x", "name": "neutron-r"}))
    assert str(Origins().datapath(router)) == "router r"
    assert Origins().datapath(sb.DatapathBinding(external_ids=Map({"logical-switch": "x", "name": "s1"}))) is None
