"""A lab of Debian's daemons: its hosts, wires and instances work, whatever our own daemons do."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from dpkt.ethernet import Ethernet
from dpkt.ip import IP
from dpkt.udp import UDP

from ovine.lab import Instance, Lab, LabError

CIDR, ROUTER = "10.0.0.0/24", "10.0.0.254"


def mac(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


def datagram(source: str, destination: str) -> bytes:
    """A UDP datagram from 10.0.0.1 to 10.0.0.2 in a frame with the given MAC addresses, in hexadecimal."""
    udp = UDP(sport=7000, dport=7000, ulen=18, data=b"spoof-test")
    packet = IP(src=bytes([10, 0, 0, 1]), dst=bytes([10, 0, 0, 2]), p=17, data=udp)
    return bytes(Ethernet(src=bytes.fromhex(source), dst=bytes.fromhex(destination), type=0x0800, data=packet))


@pytest.fixture(scope="module")
def pair(c_lab: Lab) -> Iterator[tuple[Instance, Instance]]:
    """Two instances of one logical switch on two hosts, with DHCP, routes and an MTU for Geneve."""
    lab = c_lab
    lab.nbctl("ls-add", "red")
    options = lab.nbctl(
        *("create", "DHCP_Options", f"cidr={CIDR}", f"options:server_id={ROUTER}", f"options:server_mac={mac(254)}"),
        *("options:lease_time=3600", f"options:router={ROUTER}", "options:mtu=1442", "options:dns_server=192.0.2.53"),
        f"options:classless_static_route={{198.51.100.0/24,10.0.0.77, 0.0.0.0/0,{ROUTER}}}",
    ).strip()
    options6 = lab.nbctl(
        *("create", "DHCP_Options", 'cidr="2001:db8::/64"', f"options:server_id={mac(254)}"),
        r'options:dns_server="2001:db8::53"',
    ).strip()
    instances = []
    for number in (1, 2):
        port, address = f"red-{number}", f"{mac(number)} 10.0.0.{number} 2001:db8::{number}"
        lab.nbctl("lsp-add", "red", port, "--", "lsp-set-addresses", port, address)
        lab.nbctl("lsp-set-port-security", port, address, "--", "lsp-set-dhcpv4-options", port, options)
        lab.nbctl("lsp-set-dhcpv6-options", port, options6)
        instances.append(lab.plug(f"vm{number}", host=f"h{number}", port_id=port, mac=mac(number)))
    for instance in instances:
        instance.wait_installed()
    lab.sync()
    for instance in instances:
        instance.dhcp()
        instance.dhcp(6)
    yield instances[0], instances[1]
    for instance in instances:
        instance.delete()


def test_instances_on_two_hosts_reach_each_other_across_geneve(pair: tuple[Instance, Instance]) -> None:
    assert pair[0].ping("10.0.0.2").all


def test_dhcpv6_gives_an_address_that_reaches_the_other_host(pair: tuple[Instance, Instance]) -> None:
    lease = pair[0].lease(6)
    assert lease is not None
    assert (lease.address, lease.name_servers) == ("2001:db8::1", ("2001:db8::53",))
    assert "2001:db8::1/64" in pair[0].addresses
    pair[0].wait_reaches("2001:db8::2")


def test_the_lease_sets_address_mtu_routes_and_name_server(pair: tuple[Instance, Instance]) -> None:
    lease = pair[0].lease()
    assert lease is not None
    assert (lease.address, lease.mtu, lease.name_servers) == ("10.0.0.1", 1442, ("192.0.2.53",))
    assert "10.0.0.1/24" in pair[0].addresses
    routes = pair[0].run("ip", "route").stdout
    assert "198.51.100.0/24 via 10.0.0.77" in routes and f"default via {ROUTER}" in routes
    assert pair[0].run("cat", "/etc/resolv.conf").stdout == "nameserver 192.0.2.53\nnameserver 2001:db8::53\n"


def test_the_largest_packet_that_the_lease_allows_passes_and_one_byte_more_does_not(
    pair: tuple[Instance, Instance],
) -> None:
    headers = 28
    assert pair[0].ping("10.0.0.2", size=1442 - headers, fragment=False).all
    assert pair[0].ping("10.0.0.2", size=1442 - headers + 1, fragment=False, count=1).none


def test_tcp_passes_with_right_checksums(pair: tuple[Instance, Instance]) -> None:
    kind = (socket.AF_INET, socket.SOCK_STREAM)
    sent = bytes(range(256)) * 1000
    with pair[1].socket(*kind) as listener, pair[0].socket(*kind) as client:
        listener.bind(("10.0.0.2", 7000))
        listener.listen()
        listener.settimeout(10)
        client.settimeout(10)
        client.connect(("10.0.0.2", 7000))
        server, _ = listener.accept()
        with server:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            with server.makefile("rb") as stream:
                assert stream.read() == sent


def test_a_frame_with_a_foreign_source_does_not_arrive_and_an_honest_one_behind_it_does(
    pair: tuple[Instance, Instance],
) -> None:
    spoofed, honest = (datagram(source, "020000000002") for source in ("020000000099", "020000000001"))
    with pair[1].capture() as seen:
        pair[0].send(spoofed)
        pair[0].send(honest)
        frames = seen.wait(lambda frames: honest in frames)
    assert spoofed not in frames


def test_machines_outside_reach_each_other_within_a_vlan_and_not_across(c_lab: Lab) -> None:
    untagged = c_lab.outside("gateway", "203.0.113.1/24")
    tagged = [c_lab.outside(f"tagged{number}", f"203.0.113.{number}/24", vlan=100) for number in (2, 3)]
    tagged[0].wait_reaches("203.0.113.3")
    assert untagged.ping("203.0.113.2", count=1, wait=0.5).none


def test_a_second_instance_of_one_name_is_refused_and_the_first_stays(
    c_lab: Lab, pair: tuple[Instance, Instance]
) -> None:
    with pytest.raises(LabError, match="instance vm1 exists already"):
        c_lab.plug("vm1", host="h1", port_id="red-1", mac=mac(1))
    assert pair[0].ping("10.0.0.2", count=1).all


def test_an_unknown_host_or_instance_is_named_with_those_that_exist(c_lab: Lab) -> None:
    with pytest.raises(LabError, match=r"no host h9: lab .* has h1, h2"):
        c_lab.plug("vm9", host="h9", port_id="red-9", mac=mac(9))
    with pytest.raises(LabError, match="no instance nobody"):
        c_lab.instance("nobody")
