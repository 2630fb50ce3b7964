"""Debian's ovn-trace walks packets through the pipeline that our northd wrote, and says what becomes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from support.northd_bed import NorthdBed, northd_bed, until_status

UNICAST = "ip4.src == 10.0.0.{0} && ip4.dst == 10.0.0.{1} && ip.ttl == 64 && icmp4.type == 8"


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NorthdBed]:
    """Switch s1: p1 and p2 secured, p3 disabled, p4 of unknown addresses, DHCP for p1, a localport and a localnet.
    Switch s2 has the same addresses."""
    with northd_bed(tmp_path_factory.mktemp("trace")) as made, made.ours() as daemon:
        until_status(daemon, "active")
        for switch in ("s1", "s2"):
            made.nbctl("ls-add", switch)
        for number, name in enumerate(("p1", "p2", "p3"), start=1):
            address = f"0a:00:00:00:00:0{number} 10.0.0.{number} fd00::{number}"
            made.nbctl("lsp-add", "s1", name, "--", "lsp-set-addresses", name, address)
            made.nbctl("lsp-set-port-security", name, address)
        made.nbctl("lsp-add", "s2", "q2", "--", "lsp-set-addresses", "q2", "0a:00:00:00:00:02 10.0.0.2")
        made.nbctl("lsp-add", "s2", "q1", "--", "lsp-set-addresses", "q1", "0a:00:00:00:00:01 10.0.0.1")
        made.nbctl("lsp-set-enabled", "p3", "disabled", "--", "lsp-add", "s1", "p4")
        made.nbctl("lsp-set-addresses", "p4", "unknown")
        made.nbctl("lsp-add", "s1", "meta", "--", "lsp-set-type", "meta", "localport")
        made.nbctl("lsp-set-addresses", "meta", "0a:00:00:00:00:0a 169.254.169.254")
        made.nbctl("lsp-add", "s1", "ln", "--", "lsp-set-type", "ln", "localnet")
        made.nbctl("lsp-set-addresses", "ln", "unknown", "--", "lsp-set-options", "ln", "network_name=phys")
        made.serve_dhcp("p1")
        made.sync()
        assert daemon.failures() == []
        yield made


def outputs(bed: NorthdBed, switch: str, packet: str) -> list[str]:
    """The ports that a packet is delivered to."""
    return sorted(re.findall(r'/\* output to "([^"]+)"', bed.trace(switch, packet)))


def stages(text: str) -> list[str]:
    return re.findall(r"^ *\d+\. (\S+)", text, re.MULTILINE)


def frame(inport: str, source: int, destination: str) -> str:
    return f'inport == "{inport}" && eth.src == 0a:00:00:00:00:0{source} && eth.dst == {destination}'


def test_unicast_to_a_known_address_reaches_its_port_alone(bed: NorthdBed) -> None:
    packet = f"{frame('p1', 1, '0a:00:00:00:00:02')} && {UNICAST.format(1, 2)}"
    assert outputs(bed, "s1", packet) == ["p2"]
    assert stages(bed.trace("s1", packet)) == [
        *("ls_in_admit", "ls_in_forward", "ls_in_unknown"),
        *("ls_out_check", "ls_out_deliver"),
    ]


def test_the_same_addresses_on_another_switch_are_another_port(bed: NorthdBed) -> None:
    packet = f"{frame('q1', 1, '0a:00:00:00:00:02')} && {UNICAST.format(1, 2)}"
    assert outputs(bed, "s2", packet) == ["q2"]


@pytest.mark.parametrize(
    "spoofed",
    [
        f"{frame('p1', 9, '0a:00:00:00:00:02')} && {UNICAST.format(1, 2)}",
        f"{frame('p1', 1, '0a:00:00:00:00:02')} && {UNICAST.format(9, 2)}",
        f"{frame('p1', 1, 'ff:ff:ff:ff:ff:ff')} && arp.op == 1 && arp.sha == 0a:00:00:00:00:01 && arp.spa == 10.0.0.9",
        f"{frame('p1', 1, '0a:00:00:00:00:02')} && ip6.src == fd00::9 && ip6.dst == fd00::2 && ip.ttl == 64",
    ],
    ids=["ethernet", "ipv4", "arp", "ipv6"],
)
def test_a_spoofed_source_is_dropped_by_port_security(bed: NorthdBed, spoofed: str) -> None:
    text = bed.trace("s1", spoofed)
    assert stages(text)[-1] == "ls_in_guard" and "drop;" in text
    assert outputs(bed, "s1", spoofed) == []


def test_unicast_to_an_address_that_the_output_port_may_not_have_is_dropped(bed: NorthdBed) -> None:
    packet = f"{frame('p4', 9, '0a:00:00:00:00:02')} && {UNICAST.format(9, 77)}"
    assert stages(bed.trace("s1", packet))[-1] == "ls_out_track"
    assert outputs(bed, "s1", packet) == []


def test_a_tagged_frame_and_a_multicast_source_are_dropped_at_once(bed: NorthdBed) -> None:
    tagged = f"{frame('p4', 9, '0a:00:00:00:00:02')} && vlan.present && vlan.vid == 7"
    assert stages(bed.trace("s1", tagged)) == ["ls_in_admit"]
    from_many = 'inport == "p4" && eth.src == 01:00:00:00:00:01 && eth.dst == 0a:00:00:00:00:02'
    assert stages(bed.trace("s1", from_many)) == ["ls_in_admit"]


def test_broadcast_and_multicast_reach_all_other_enabled_ports(bed: NorthdBed) -> None:
    for destination in ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:fb"):
        packet = f"{frame('p1', 1, destination)} && ip4.src == 10.0.0.1 && ip4.dst == 224.0.0.251 && ip.ttl == 64"
        assert outputs(bed, "s1", packet) == ["ln", "meta", "p2", "p4"]


def test_an_unknown_destination_reaches_ports_of_unknown_addresses(bed: NorthdBed) -> None:
    packet = f"{frame('p1', 1, '0a:00:00:00:00:77')} && {UNICAST.format(1, 77)}"
    assert outputs(bed, "s1", packet) == ["ln", "p4"]


def test_an_unknown_destination_is_dropped_where_all_addresses_are_known(bed: NorthdBed) -> None:
    packet = f"{frame('q1', 1, '0a:00:00:00:00:77')} && {UNICAST.format(1, 77)}"
    assert outputs(bed, "s2", packet) == []
    assert stages(bed.trace("s2", packet))[-1] == "ls_in_unknown"


def test_a_port_of_unknown_addresses_has_its_sender_learned(bed: NorthdBed) -> None:
    packet = f"{frame('p4', 7, '0a:00:00:00:00:02')} && {UNICAST.format(7, 2)}"
    text = bed.trace("s1", packet)
    assert "put_fdb(inport, eth.src);" in text
    assert outputs(bed, "s1", packet) == ["p2"]


def test_a_disabled_port_neither_sends_nor_receives(bed: NorthdBed) -> None:
    assert outputs(bed, "s1", f"{frame('p3', 3, '0a:00:00:00:00:01')} && {UNICAST.format(3, 1)}") == []
    assert outputs(bed, "s1", f"{frame('p1', 1, '0a:00:00:00:00:03')} && {UNICAST.format(1, 3)}") == []


def arp(inport: str, source: int, target: str) -> str:
    asks = f"arp.op == 1 && arp.sha == 0a:00:00:00:00:0{source} && arp.spa == 10.0.0.{source} && arp.tpa == {target}"
    return f"{frame(inport, source, 'ff:ff:ff:ff:ff:ff')} && {asks}"


def test_arp_for_a_known_address_is_answered_to_the_one_who_asks(bed: NorthdBed) -> None:
    text = bed.trace("s1", arp("p1", 1, "10.0.0.2"))
    assert "/* MAC binding to 0a:00:00:00:00:02. */" in text and "arp.op = 2;" in text
    said = bed.trace("s1", arp("p1", 1, "10.0.0.2"), "--minimal")
    assert "arp.sha = 0xa0000000002;" in said and "arp.spa = 10.0.0.2;" in said and "arp.op = 2;" in said
    assert outputs(bed, "s1", arp("p1", 1, "10.0.0.2")) == ["p1"]
    assert outputs(bed, "s1", arp("p1", 1, "169.254.169.254")) == ["p1"]


def test_arp_for_the_asking_ports_own_address_is_flooded(bed: NorthdBed) -> None:
    assert outputs(bed, "s1", arp("p1", 1, "10.0.0.1")) == ["ln", "meta", "p2", "p4"]


def test_arp_from_the_physical_network_goes_on_to_the_owner(bed: NorthdBed) -> None:
    assert outputs(bed, "s1", arp("ln", 7, "10.0.0.2")) == ["meta", "p1", "p2", "p4"]


def solicitation(inport: str, source: int, target: str) -> str:
    return (
        f"{frame(inport, source, '33:33:ff:00:00:02')} && ip6.src == fd00::{source} && ip6.dst == ff02::1:ff00:2 && "
        f"icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255 && nd.target == {target} && "
        f"nd.sll == 0a:00:00:00:00:0{source}"
    )


def test_a_neighbour_solicitation_is_answered_but_not_to_the_owner(bed: NorthdBed) -> None:
    text = bed.trace("s1", solicitation("p1", 1, "fd00::2"))
    assert "nd_na {" in text and "/* MAC binding to 0a:00:00:00:00:02. */" in text
    assert outputs(bed, "s1", solicitation("p1", 1, "fd00::2")) == ["p1"]
    assert "nd_na {" not in bed.trace("s1", solicitation("p2", 2, "fd00::2"))


def test_a_dhcp_request_becomes_a_reply_from_the_server(bed: NorthdBed) -> None:
    packet = (
        f"{frame('p1', 1, 'ff:ff:ff:ff:ff:ff')} && ip4.src == 0.0.0.0 && ip4.dst == 255.255.255.255 && "
        "ip.ttl == 64 && udp.src == 68 && udp.dst == 67"
    )
    text = bed.trace("s1", packet)
    assert "put_dhcp_opts(offerip = 10.0.0.1, lease_time = 3600, mtu = 1442, netmask = 255.255.255.0" in text
    assert outputs(bed, "s1", packet) == ["p1"]
    assert outputs(bed, "s1", packet.replace("p1", "p2").replace(":01 ", ":02 ")) == ["ln", "meta", "p1", "p4"]


def test_a_dhcpv6_request_becomes_a_reply_from_the_server(bed: NorthdBed) -> None:
    packet = (
        f"{frame('p1', 1, '33:33:00:01:00:02')} && ip6.src == fe80::800:ff:fe00:1 && ip6.dst == ff02::1:2 && "
        "ip.ttl == 64 && udp.src == 546 && udp.dst == 547"
    )
    text = bed.trace("s1", packet)
    assert "put_dhcpv6_opts(ia_addr = fd00::1, server_id = 0a:00:00:00:00:fe)" in text
    assert outputs(bed, "s1", packet) == ["p1"]


def test_renewing_with_another_server_is_left_to_that_server(bed: NorthdBed) -> None:
    packet = (
        f"{frame('p1', 1, '0a:00:00:00:00:02')} && ip4.src == 10.0.0.1 && ip4.dst == 10.0.0.2 && "
        "ip.ttl == 64 && udp.src == 68 && udp.dst == 67"
    )
    assert outputs(bed, "s1", packet) == ["p2"]
