"""What is read from, and written to, text: addresses and DHCP options."""

from __future__ import annotations

import pytest

from ovine.language import parse_actions
from ovine.model.dhcp_options import V4, V6, rendered
from ovine.northd.addresses import Owned, link_local, parse_owned, parse_subnet


def test_an_entry_has_a_mac_and_addresses_in_canonical_form() -> None:
    entry = "0A:00:00:00:00:01 10.0.0.1, 10.0.0.2/24 FD00:0:0::1/64"
    assert parse_owned(entry) == Owned("0a:00:00:00:00:01", ("10.0.0.1", "10.0.0.2"), ("fd00::1",))


@pytest.mark.parametrize(
    "entry",
    ["", "10.0.0.1", "0a:00:00:00:00", "0a:00:00:00:00:01 10.0.0", "0a:00:00:00:00:01 10.0.0.1/33", "x 10.0.0.1"],
)
def test_a_wrong_entry_is_refused(entry: str) -> None:
    with pytest.raises(ValueError):
        parse_owned(entry)


def test_a_link_local_address_comes_from_the_mac() -> None:
    assert link_local("00:11:22:33:44:55") == "fe80::211:22ff:fe33:4455"


@pytest.mark.parametrize(
    ("cidr", "version", "inside", "outside"),
    [
        ("10.0.0.0/24", 4, "10.0.0.255", "10.0.1.0"),
        ("10.0.0.7/24", 4, "10.0.0.1", "11.0.0.1"),
        ("fd00::/64", 6, "fd00::1", "fd00:1::1"),
        ("0.0.0.0/0", 4, "1.2.3.4", ""),
    ],
)
def test_a_subnet_contains_what_has_its_prefix(cidr: str, version: int, inside: str, outside: str) -> None:
    subnet = parse_subnet(cidr, version)
    assert inside in subnet
    assert not outside or outside not in subnet


@pytest.mark.parametrize(("cidr", "version"), [("10.0.0.0/24", 6), ("fd00::/64", 4), ("ten", 4), ("10.0.0.0/99", 4)])
def test_a_wrong_subnet_is_refused(cidr: str, version: int) -> None:
    with pytest.raises(ValueError):
        parse_subnet(cidr, version)


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("mtu", "1442", "mtu = 1442"),
        ("router", " 10.0.0.1 ", "router = 10.0.0.1"),
        ("dns_server", "{8.8.8.8,1.1.1.1}", "dns_server = {8.8.8.8, 1.1.1.1}"),
        ("domain_name", "a.example", 'domain_name = "a.example"'),
        ("domain_name", '"a.example"', 'domain_name = "a.example"'),
        ("hostname", 'it"s', 'hostname = "it\\"s"'),
        ("tftp_server", "10.0.0.1", "tftp_server = 10.0.0.1"),
        ("tftp_server", "boot.example", 'tftp_server = "boot.example"'),
        ("domain_search_list", "a.example,b.example", 'domain_search_list = "a.example,b.example"'),
        ("classless_static_route", "{0.0.0.0/0,10.0.0.1}", "classless_static_route = {0.0.0.0/0, 10.0.0.1}"),
        ("ip_forward_enable", "1", "ip_forward_enable = 1"),
        ("router_discovery", "true", "router_discovery = 1"),
    ],
)
def test_an_option_is_written_as_hosts_read_it(name: str, value: str, written: str) -> None:
    text = rendered(V4, name, value)
    assert text == written
    parse_actions(f"reg0[3] = put_dhcp_opts(offerip = 10.0.0.5, {text}); next;", "ingress")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mtu", "65536"),
        ("mtu", "-1"),
        ("mtu", "1e3"),
        ("default_ttl", "256"),
        ("ip_forward_enable", "2"),
        ("router", "10.0.0"),
        ("router", "{}"),
        ("router", "10.0.0.1; output"),
        ("classless_static_route", "{10.0.0.0/8}"),
        ("domain_name", '"unended" "'),
        ("no_such_option", "1"),
    ],
)
def test_a_value_of_the_wrong_form_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        rendered(V4, name, value)


def test_dhcpv6_options_are_written_as_hosts_read_them() -> None:
    given = {"server_id": "0a:00:00:00:00:01", "dns_server": "{fd00::1,fd00::2}", "domain_search": "a.example"}
    text = ", ".join(rendered(V6, name, value) for name, value in given.items())
    assert text == 'server_id = 0a:00:00:00:00:01, dns_server = {fd00::1, fd00::2}, domain_search = "a.example"'
    parse_actions(f"reg0[3] = put_dhcpv6_opts(ia_addr = fd00::5, {text}); next;", "ingress")
