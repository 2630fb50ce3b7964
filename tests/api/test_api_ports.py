"""Ports: addresses, MACs, address pairs, DHCP options, binding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.api_server import Caller, Cloud, running_cloud


def error(reply: tuple[int, Any]) -> tuple[int, str]:
    return reply[0], reply[1]["NeutronError"]["type"]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("ports")) as running:
        running.register_chassis("c1", "host1", datapath_type="netdev", ovn_bridge_mappings="physnet1:br-ex,other:br-o")
        running.register_chassis("c2", "host2")
        yield running


@pytest.fixture
def network(alice: Caller) -> Any:
    return alice.make("network")


@pytest.fixture
def subnet(alice: Caller, network: Any) -> Any:
    return alice.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")


def addresses(port: Any) -> list[str]:
    return [address["ip_address"] for address in port["fixed_ips"]]


def test_a_port_gets_one_address_of_each_family_and_every_automatic_one(alice: Caller, network: Any) -> None:
    def make(cidr: str, **more: Any) -> str:
        version = 6 if ":" in cidr else 4
        made = alice.make("subnet", network_id=network["id"], ip_version=version, cidr=cidr, **more)
        return str(made["id"])

    first = make("10.0.0.0/24")
    make("10.0.1.0/24")
    stateful = make("fd00:1::/64", ipv6_ra_mode="dhcpv6-stateful", ipv6_address_mode="dhcpv6-stateful")
    slaac = make("fd00:2::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    stateless = make("fd00:3::/64", ipv6_ra_mode="dhcpv6-stateless", ipv6_address_mode="dhcpv6-stateless")
    port = alice.make("port", network_id=network["id"])
    assert [a["subnet_id"] for a in port["fixed_ips"]] == [first, stateful, slaac, stateless]
    assert port["ip_allocation"] == "immediate"
    none = alice.make("port", network_id=network["id"], fixed_ips=[])
    assert (none["fixed_ips"], none["ip_allocation"]) == ([], "none")


def test_addresses_can_be_asked_for_by_subnet_by_address_and_by_both(alice: Caller, network: Any, subnet: Any) -> None:
    other = alice.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.1.0/24")
    asked = [
        {"subnet_id": other["id"]},
        {"ip_address": "10.0.0.77"},
        {"subnet_id": other["id"], "ip_address": "10.0.1.88"},
    ]
    port = alice.make("port", network_id=network["id"], fixed_ips=asked)
    assert [a["subnet_id"] for a in port["fixed_ips"]] == [other["id"], subnet["id"], other["id"]]
    assert addresses(port)[1:] == ["10.0.0.77", "10.0.1.88"]


REFUSED_ADDRESSES: dict[str, tuple[Any, int, str]] = {
    "of no subnet": ([{"ip_address": "192.0.2.1"}], 400, "InvalidIpForNetwork"),
    "of another subnet": ([{"subnet_id": "SUBNET", "ip_address": "192.0.2.1"}], 400, "InvalidIpForSubnet"),
    "broadcast": ([{"ip_address": "10.0.0.255"}], 400, "InvalidIpForSubnet"),
    "the network itself": ([{"ip_address": "10.0.0.0"}], 400, "InvalidIpForSubnet"),
    "in use": ([{"ip_address": "10.0.0.2"}], 409, "IpAddressAlreadyAllocated"),
    "no such subnet": ([{"subnet_id": "00000000-0000-4000-8000-000000000000"}], 400, "InvalidInput"),
    "nothing": ([{}], 400, "InvalidInput"),
    "no address": ([{"ip_address": "here"}], 400, "HTTPBadRequest"),
    "a number": ([{"ip_address": 7}], 400, "HTTPBadRequest"),
    "not even an object": ([None], 400, "HTTPBadRequest"),
    "no list": ("10.0.0.9", 400, "HTTPBadRequest"),
    "the same twice": ([{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.9"}], 400, "HTTPBadRequest"),
    "more than an address": ([{"ip_address": "10.0.0.9", "mask": 24}], 400, "InvalidInput"),
}


@pytest.mark.parametrize("asked, status, kind", REFUSED_ADDRESSES.values(), ids=REFUSED_ADDRESSES.keys())
def test_impossible_addresses_are_refused_by_the_names_nova_knows(
    alice: Caller, network: Any, subnet: Any, asked: Any, status: int, kind: str
) -> None:
    if isinstance(asked, list):
        asked = [
            {k: subnet["id"] if v == "SUBNET" else v for k, v in item.items()} if isinstance(item, dict) else item
            for item in asked
        ]
    body = {"port": {"network_id": network["id"], "fixed_ips": asked}}
    assert error(alice.post("/v2.0/ports", body)) == (status, kind)


def test_an_automatic_address_cannot_be_chosen(alice: Caller, network: Any) -> None:
    modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    subnet = alice.make("subnet", network_id=network["id"], ip_version=6, cidr="fd00::/64", **modes)
    body = {"network_id": network["id"], "fixed_ips": [{"ip_address": "fd00::99"}]}
    assert error(alice.post("/v2.0/ports", {"port": body})) == (400, "InvalidInput")
    mac = {"mac_address": "02:00:00:00:00:01"}
    own = [{"subnet_id": subnet["id"], "ip_address": "fd00::ff:fe00:1"}]
    port = alice.make("port", network_id=network["id"], fixed_ips=own, **mac)
    assert addresses(port) == ["fd00::ff:fe00:1"]


def test_a_used_up_pool_ends_in_neutrons_error(alice: Caller, network: Any) -> None:
    pools = [{"start": "10.0.0.10", "end": "10.0.0.12"}]
    alice.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24", allocation_pools=pools)
    made = alice.post("/v2.0/ports", {"ports": [{"network_id": network["id"]}] * 2})[1]["ports"]
    assert sorted(address for port in made for address in addresses(port)) == ["10.0.0.11", "10.0.0.12"]
    refused = alice.post("/v2.0/ports", {"port": {"network_id": network["id"]}})
    assert error(refused) == (409, "IpAddressGenerationFailure")
    alice.remove("port", made[0]["id"])
    assert addresses(alice.make("port", network_id=network["id"])) == addresses(made[0])


def test_update_keeps_the_addresses_it_can(alice: Caller, network: Any, subnet: Any) -> None:
    port = alice.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.0.0.50"}])
    (kept,) = addresses(port)
    asked = [{"ip_address": "10.0.0.200"}, {"subnet_id": subnet["id"]}]
    changed = alice.change("port", port["id"], fixed_ips=asked)
    assert addresses(changed) == ["10.0.0.200", kept]
    assert addresses(alice.change("port", port["id"], fixed_ips=[{"ip_address": kept}])) == [kept]
    assert addresses(alice.make("port", network_id=network["id"], fixed_ips=asked[:1])) == ["10.0.0.200"]


def test_a_mac_belongs_to_one_port_of_a_network(alice: Caller, network: Any) -> None:
    body = {"network_id": network["id"], "mac_address": "02-AA-BB-CC-DD-EE"}
    port = alice.make("port", **body)
    assert port["mac_address"] == "02:aa:bb:cc:dd:ee"
    assert error(alice.post("/v2.0/ports", {"port": body})) == (409, "MacAddressInUse")
    assert error(alice.post("/v2.0/ports", {"port": body | {"mac_address": "02:aa"}})) == (400, "HTTPBadRequest")
    elsewhere = alice.make("network")
    assert alice.make("port", **body | {"network_id": elsewhere["id"]})["mac_address"] == "02:aa:bb:cc:dd:ee"
    generated = alice.make("port", network_id=network["id"], mac_address=None)["mac_address"]
    assert generated.startswith("fa:16:3e:")


def test_a_new_mac_moves_automatic_addresses(admin: Caller) -> None:
    network = admin.make("network")
    modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    admin.make("subnet", network_id=network["id"], ip_version=6, cidr="fd00::/64", **modes)
    admin.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")
    port = admin.make("port", network_id=network["id"])
    changed = admin.change("port", port["id"], mac_address="02:00:00:00:00:05")
    assert set(addresses(changed)) == {"fd00::ff:fe00:5", *(a for a in addresses(port) if "." in a)}


def test_address_pairs_need_port_security_and_default_to_the_ports_mac(alice: Caller, network: Any) -> None:
    pairs = [{"ip_address": "10.0.0.50"}, {"ip_address": "10.9.0.0/16", "mac_address": "02:00:00:00:00:09"}]
    port = alice.make("port", network_id=network["id"], allowed_address_pairs=pairs)
    assert port["allowed_address_pairs"] == [
        {"ip_address": "10.0.0.50", "mac_address": port["mac_address"]},
        {"ip_address": "10.9.0.0/16", "mac_address": "02:00:00:00:00:09"},
    ]
    path = f"/v2.0/ports/{port['id']}"
    off: Any = {"port": {"port_security_enabled": False}}
    assert error(alice.put(path, off)) == (409, "AddressPairAndPortSecurityRequired")
    off["port"] |= {"allowed_address_pairs": [], "security_groups": []}
    assert alice.put(path, off)[0] == 200
    on = {"port": {"allowed_address_pairs": pairs}}
    assert error(alice.put(path, on)) == (409, "AddressPairAndPortSecurityRequired")


REFUSED_PAIRS: dict[str, tuple[Any, str]] = {
    "no ip": ([{"mac_address": "02:00:00:00:00:09"}], "AllowedAddressPairsMissingIP"),
    "twice": ([{"ip_address": "10.0.0.1"}, {"ip_address": "10.0.0.1"}], "DuplicateAddressPairInRequest"),
    "too many": ([{"ip_address": f"10.0.0.{n}"} for n in range(11)], "AllowedAddressPairExhausted"),
    "multicast": ([{"ip_address": "224.0.0.1"}], "HTTPBadRequest"),
    "multicast mac": ([{"ip_address": "10.0.0.1", "mac_address": "01:00:00:00:00:09"}], "HTTPBadRequest"),
    "no address": ([{"ip_address": "any"}], "HTTPBadRequest"),
    "not an object": (["10.0.0.1"], "HTTPBadRequest"),
    "not a list": ({"ip_address": "10.0.0.1"}, "HTTPBadRequest"),
    "a number": ([{"ip_address": 1}], "HTTPBadRequest"),
    "more": ([{"ip_address": "10.0.0.1", "port": 4}], "HTTPBadRequest"),
}


@pytest.mark.parametrize("asked, kind", REFUSED_PAIRS.values(), ids=REFUSED_PAIRS.keys())
def test_impossible_address_pairs_are_refused(alice: Caller, network: Any, asked: Any, kind: str) -> None:
    body = {"port": {"network_id": network["id"], "allowed_address_pairs": asked}}
    assert error(alice.post("/v2.0/ports", body)) == (400, kind)


def test_dhcp_options_are_merged_and_removed_one_by_one(alice: Caller, network: Any) -> None:
    def option(name: str, value: str | None, version: int = 4) -> dict[str, Any]:
        return {"opt_name": name, "opt_value": value, "ip_version": version}

    asked = [{"opt_name": "mtu", "opt_value": "1300"}, option("dns-server", "fd00::1", 6)]
    port = alice.make("port", network_id=network["id"], extra_dhcp_opts=asked)
    assert port["extra_dhcp_opts"] == [option("mtu", "1300"), option("dns-server", "fd00::1", 6)]
    more = [option("mtu", None), option("bootfile-name", "pxe.0")]
    changed = alice.change("port", port["id"], extra_dhcp_opts=more)
    assert changed["extra_dhcp_opts"] == [option("bootfile-name", "pxe.0"), option("dns-server", "fd00::1", 6)]
    for bad in (
        [option("", "x")],
        [option("no-such-option", "x")],
        [option("mtu", "a\nb")],
        [option("mtu", "1", 5)],
        [{"opt_name": "mtu"}],
        "mtu",
    ):
        body = {"port": {"network_id": network["id"], "extra_dhcp_opts": bad}}
        assert alice.post("/v2.0/ports", body)[0] == 400


def test_binding_needs_a_registered_chassis(admin: Caller) -> None:
    network = admin.make("network")
    port = admin.make("port", network_id=network["id"], **{"binding:host_id": "host1"})
    assert port["binding:vif_type"] == "ovs"
    assert port["binding:vif_details"] == {
        "port_filter": True,
        "connectivity": "l2",
        "ovs_create_tap": True,
        "bridge_name": "br-int",
        "datapath_type": "netdev",
        "bound_drivers": {"0": "ovn"},
    }
    moved = admin.change("port", port["id"], **{"binding:host_id": "host2"})
    assert moved["binding:vif_details"]["datapath_type"] == "system"
    assert admin.change("port", port["id"], **{"binding:host_id": "c2"})["binding:vif_type"] == "ovs"
    failed = admin.change("port", port["id"], **{"binding:host_id": "host9"})
    assert (failed["binding:vif_type"], failed["binding:vif_details"]) == ("binding_failed", {})
    cleared = admin.change("port", port["id"], **{"binding:host_id": None, "binding:profile": None})
    assert (cleared["binding:host_id"], cleared["binding:vif_type"]) == ("", "unbound")


def test_binding_needs_the_physical_network_on_the_host(admin: Caller) -> None:
    vlan = {"provider:network_type": "vlan", "provider:physical_network": "physnet1", "provider:segmentation_id": 150}
    network = admin.make("network", **vlan)
    kinds = [
        admin.make("port", network_id=network["id"], **{"binding:host_id": host})["binding:vif_type"]
        for host in ("host1", "host2")
    ]
    assert kinds == ["ovs", "binding_failed"]


def test_a_chassis_that_appears_is_bound_to_when_asked_again(cloud: Cloud, admin: Caller) -> None:
    network = admin.make("network")
    port = admin.make("port", network_id=network["id"], **{"binding:host_id": "late"})
    assert port["binding:vif_type"] == "binding_failed"
    cloud.register_chassis("late", "late")
    assert admin.change("port", port["id"], **{"binding:host_id": "late"})["binding:vif_type"] == "ovs"


def test_only_plain_vifs_are_bound_and_a_bound_ports_mac_stays(admin: Caller) -> None:
    network = admin.make("network")
    direct = admin.make("port", network_id=network["id"], **{"binding:host_id": "host1", "binding:vnic_type": "direct"})
    assert direct["binding:vif_type"] == "binding_failed"
    bound = admin.make("port", network_id=network["id"], **{"binding:host_id": "host1"})
    reply = admin.put(f"/v2.0/ports/{bound['id']}", {"port": {"mac_address": "02:00:00:00:00:07"}})
    assert error(reply) == (409, "PortBound")


def test_the_binding_profile_is_kept_as_it_is(admin: Caller) -> None:
    profile = {"pci_slot": "0000:03:10.1", "nested": {"list": [1, None, True]}}
    network = admin.make("network")
    port = admin.make("port", network_id=network["id"], **{"binding:profile": profile})
    assert port["binding:profile"] == profile
    large = {"port": {"binding:profile": {"x": "y" * 5000}}}
    assert error(admin.put(f"/v2.0/ports/{port['id']}", large)) == (400, "InvalidInput")
