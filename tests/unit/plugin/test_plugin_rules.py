"""Cloud rows in, northbound rows out: the shapes that an ML2/OVN northbound has."""

from __future__ import annotations

import msgspec
import pytest

from ovine.engine import Engine
from ovine.model import cloud, nb
from ovine.model.base import Map, Uuid
from ovine.plugin import CLOUD, NORTHBOUND, RULES
from ovine.plugin.dhcp import DHCP_OPTIONS, OptionsKey
from ovine.plugin.networks import SWITCH_PORTS, SWITCHES, localnet_name
from ovine.plugin.settings import Settings
from ovine.plugin.status import PORT_STATUS
from ovine.projection import ref

NET = Uuid("11111111-0000-4000-8000-000000000001")
SUBNET = Uuid("22222222-0000-4000-8000-000000000001")
PORT = Uuid("33333333-0000-4000-8000-000000000001")
META = Uuid("33333333-0000-4000-8000-000000000002")
IP, META_IP = Uuid("44444444-0000-4000-8000-000000000001"), Uuid("44444444-0000-4000-8000-000000000002")


@pytest.fixture
def engine() -> Engine:
    """One geneve network with an IPv4 subnet, its metadata port and one instance's port."""
    made = Engine(RULES, watch=[t.relation for t in (*NORTHBOUND, *CLOUD)])
    made.feed(cloud.Network, NET, cloud.Network(uuid=NET, name="net1", mtu=1442, segmentation_id=1, revision_number=1))
    made.feed(
        cloud.Subnet,
        SUBNET,
        cloud.Subnet(
            uuid=SUBNET,
            network=NET,
            cidr="10.1.0.0/24",
            gateway_ip="10.1.0.1",
            dns_nameservers=Map({0: "8.8.8.8", 1: "1.1.1.1"}),
            host_routes=("192.168.9.0/24,10.1.0.9",),
        ),
    )
    made.feed(cloud.IPAllocation, IP, cloud.IPAllocation(uuid=IP, subnet=SUBNET, ip_address="10.1.0.11"))
    made.feed(cloud.IPAllocation, META_IP, cloud.IPAllocation(uuid=META_IP, subnet=SUBNET, ip_address="10.1.0.2"))
    made.feed(cloud.Port, PORT, port())
    made.feed(
        cloud.Port,
        META,
        cloud.Port(
            uuid=META,
            network=NET,
            mac_address="fa:16:3e:00:00:02",
            device_owner="network:distributed",
            device_id=f"ovnmeta-{NET}",
            port_security_enabled=False,
            fixed_ips=(META_IP,),
        ),
    )
    made.run()
    assert made.failures() == []
    return made


def port(**changes: object) -> cloud.Port:
    base: dict[str, object] = {
        "uuid": PORT,
        "network": NET,
        "name": "p1",
        "mac_address": "fa:16:3e:00:00:01",
        "fixed_ips": (IP,),
    }
    return cloud.Port(**{**base, **changes})  # type: ignore[arg-type]


def test_a_network_is_a_switch_that_holds_its_ports(engine: Engine) -> None:
    switch = engine.rows(SWITCHES)[NET]
    assert switch.name == f"neutron-{NET}"
    assert switch.ports == tuple(sorted([ref(SWITCH_PORTS, PORT), ref(SWITCH_PORTS, META)]))
    assert switch.external_ids["neutron:mtu"] == "1442"
    assert "fdb_age_threshold" not in switch.other_config


def test_a_vlan_network_has_a_tagged_localnet_port(engine: Engine) -> None:
    engine.feed(
        cloud.Network,
        NET,
        cloud.Network(uuid=NET, network_type="vlan", physical_network="physnet1", segmentation_id=123, mtu=1500),
    )
    engine.run()
    localnet = engine.rows(SWITCH_PORTS)[localnet_name(NET)]
    assert (localnet.type, localnet.tag, localnet.options["network_name"]) == ("localnet", 123, "physnet1")
    assert ref(SWITCH_PORTS, localnet_name(NET)) in engine.rows(SWITCHES)[NET].ports


def test_a_secured_port_may_use_its_own_addresses_only(engine: Engine) -> None:
    row = engine.rows(SWITCH_PORTS)[PORT]
    assert row.addresses == row.port_security == ("fa:16:3e:00:00:01 10.1.0.11",)


def test_a_port_without_port_security_gets_unknown_traffic_and_no_checks(engine: Engine) -> None:
    engine.feed(cloud.Port, PORT, port(port_security_enabled=False))
    engine.run()
    row = engine.rows(SWITCH_PORTS)[PORT]
    assert row.addresses == ("fa:16:3e:00:00:01 10.1.0.11", "unknown")
    assert row.port_security == ()


def test_address_pairs_widen_port_security(engine: Engine) -> None:
    pairs = ("10.1.0.100 fa:16:3e:00:00:01", "10.1.0.128/25 02:aa:bb:cc:dd:99")
    engine.feed(cloud.Port, PORT, port(allowed_address_pairs=pairs))
    engine.run()
    row = engine.rows(SWITCH_PORTS)[PORT]
    assert row.addresses == ("02:aa:bb:cc:dd:99", "fa:16:3e:00:00:01 10.1.0.11")
    assert row.port_security == (
        "02:aa:bb:cc:dd:99 10.1.0.128/25",
        "VRRPv3 fa:16:3e:00:00:01 02:aa:bb:cc:dd:99 10.1.0.128/25",
        "fa:16:3e:00:00:01 10.1.0.11 10.1.0.100",
    )


def test_dhcp_hands_out_routes_servers_and_the_networks_mtu(engine: Engine) -> None:
    row = engine.rows(DHCP_OPTIONS)[OptionsKey(SUBNET, "")]
    assert row.cidr == "10.1.0.0/24"
    assert dict(row.options) == {
        "classless_static_route": "{169.254.169.254/32,10.1.0.2, 192.168.9.0/24,10.1.0.9, 0.0.0.0/0,10.1.0.1}",
        "dns_server": "{8.8.8.8, 1.1.1.1}",
        "domain_name": '"openstacklocal"',
        "lease_time": "43200",
        "mtu": "1442",
        "router": "10.1.0.1",
        "server_id": "10.1.0.1",
        "server_mac": row.options["server_mac"],
    }
    assert engine.rows(SWITCH_PORTS)[PORT].dhcpv4_options == ref(DHCP_OPTIONS, OptionsKey(SUBNET, ""))
    assert engine.rows(SWITCH_PORTS)[META].dhcpv4_options is None


@pytest.mark.parametrize("named", ["fd00::1", "0.0.0.0"])
def test_a_subnet_without_a_server_of_its_ip_version_hands_out_none(engine: Engine, named: str) -> None:
    subnet = cloud.Subnet(uuid=SUBNET, network=NET, cidr="10.1.0.0/24", dns_nameservers=Map({0: named}))
    engine.feed(cloud.Subnet, SUBNET, subnet)
    engine.run()
    assert "dns_server" not in engine.rows(DHCP_OPTIONS)[OptionsKey(SUBNET, "")].options


def test_settings_change_what_is_handed_out(engine: Engine) -> None:
    engine.feed(Settings, (), Settings(domain="example.org", lease_time=60))
    engine.run()
    options = engine.rows(DHCP_OPTIONS)[OptionsKey(SUBNET, "")].options
    assert (options["domain_name"], options["lease_time"]) == ('"example.org"', "60")


def test_a_port_with_extra_options_has_a_row_of_its_own(engine: Engine) -> None:
    engine.feed(cloud.Port, PORT, port(extra_dhcp_opts=Map({"4:mtu": "1300", "4:bootfile-name": "pxe.0"})))
    engine.run()
    key = OptionsKey(SUBNET, PORT)
    options = engine.rows(DHCP_OPTIONS)[key].options
    assert (options["mtu"], options["bootfile_name"], options["router"]) == ("1300", '"pxe.0"', "10.1.0.1")
    assert engine.rows(SWITCH_PORTS)[PORT].dhcpv4_options == ref(DHCP_OPTIONS, key)


def test_dhcp_can_be_turned_off_for_a_port(engine: Engine) -> None:
    engine.feed(cloud.Port, PORT, port(extra_dhcp_opts=Map({"4:dhcp_disabled": "true"})))
    engine.run()
    assert engine.rows(SWITCH_PORTS)[PORT].dhcpv4_options is None


def test_an_option_that_cannot_be_handed_out_is_left_out_and_reported(engine: Engine) -> None:
    options = {"4:frobnicate": "1", "4:router": "no address", "4:mtu": "1300"}
    engine.feed(cloud.Port, PORT, port(extra_dhcp_opts=Map(options)))
    engine.run()
    assert engine.rows(DHCP_OPTIONS)[OptionsKey(SUBNET, PORT)].options["mtu"] == "1300"
    assert engine.rows(DHCP_OPTIONS)[OptionsKey(SUBNET, PORT)].options["router"] == "10.1.0.1"
    (failure,) = engine.failures()
    assert failure.key == repr(PORT) and "frobnicate" in failure.error


def test_a_port_is_active_while_its_switch_port_is_up(engine: Engine) -> None:
    assert engine.rows(PORT_STATUS)[PORT].status == "DOWN"
    row = Uuid("55555555-0000-4000-8000-000000000001")
    engine.feed(nb.LogicalSwitchPort, row, nb.LogicalSwitchPort(uuid=row, name=PORT, up=True))
    engine.run()
    assert engine.rows(PORT_STATUS)[PORT].status == "ACTIVE"


def test_renaming_a_port_runs_that_ports_rule_and_nothing_else(engine: Engine) -> None:
    engine.log = []
    engine.feed(cloud.Port, PORT, port(name="renamed"))
    engine.run()
    assert engine.log == [("plugin.ports.switch_port", PORT)]


def test_a_description_changes_nothing_and_runs_nothing(engine: Engine) -> None:
    engine.log = []
    engine.feed(cloud.Port, PORT, port(description="seen by nobody below"))
    engine.run()
    assert engine.log == []


def test_a_subport_names_its_parent_and_has_a_tag(engine: Engine) -> None:
    child, trunk, sub = Uuid(PORT[:-1] + "9"), Uuid(NET[:-1] + "8"), Uuid(NET[:-1] + "9")
    engine.feed(cloud.Port, child, cloud.Port(uuid=child, network=NET, mac_address="fa:16:3e:00:00:09"))
    engine.feed(cloud.Trunk, trunk, cloud.Trunk(uuid=trunk, port=PORT))
    engine.feed(cloud.SubPort, sub, cloud.SubPort(uuid=sub, trunk=trunk, port=child, segmentation_id=77))
    engine.run()
    rows = engine.rows(SWITCH_PORTS)
    assert (rows[child].parent_name, rows[child].tag) == (PORT, 77)
    assert (rows[PORT].parent_name, rows[PORT].tag) == (None, None)
    engine.feed(cloud.SubPort, sub, None)
    engine.run()
    assert (engine.rows(SWITCH_PORTS)[child].parent_name, engine.rows(SWITCH_PORTS)[child].tag) == (None, None)


def test_a_port_whose_address_others_may_use_is_virtual(engine: Engine) -> None:
    def other(number: int, *pairs: str, network: Uuid = NET) -> Uuid:
        key = Uuid(f"{PORT[:-1]}{number}")
        mac = f"fa:16:3e:00:00:0{number}"
        row = cloud.Port(uuid=key, network=network, mac_address=mac, allowed_address_pairs=pairs)
        engine.feed(cloud.Port, key, row)
        return key

    other(7, "10.1.0.0/24 fa:16:3e:00:00:07")
    other(8, "10.1.0.11 fa:16:3e:00:00:08", network=Uuid(NET[:-1] + "2"))
    engine.run()
    assert engine.rows(SWITCH_PORTS)[PORT].type == ""
    first, second = other(5, "10.1.0.11 fa:16:3e:00:00:05"), other(6, "10.1.0.11 fa:16:3e:00:00:06")
    engine.run()
    row = engine.rows(SWITCH_PORTS)[PORT]
    assert (row.type, row.options) == (
        "virtual",
        {"virtual-ip": "10.1.0.11", "virtual-parents": f"{first},{second}"},
    )
    engine.feed(cloud.Port, PORT, msgspec.structs.replace(port(), binding_host_id="hv1"))
    engine.run()
    row = engine.rows(SWITCH_PORTS)[PORT]
    assert (row.type, row.options) == ("", {"requested-chassis": "hv1"})


def test_a_port_that_moves_is_requested_on_both_hosts(engine: Engine) -> None:
    key = Uuid(NET[:-1] + "7")
    engine.feed(cloud.Port, PORT, msgspec.structs.replace(port(), binding_host_id="hv2"))
    engine.feed(cloud.PortBinding, key, cloud.PortBinding(uuid=key, port=PORT, host="hv1"))
    engine.run()
    options = {"requested-chassis": "hv2,hv1", "activation-strategy": "rarp"}
    assert engine.rows(SWITCH_PORTS)[PORT].options == options
    engine.feed(cloud.PortBinding, key, None)
    engine.run()
    assert engine.rows(SWITCH_PORTS)[PORT].options == {"requested-chassis": "hv2"}
