"""Frames as text: what is built is described in the same words (`support.frames`)."""

from __future__ import annotations

import dpkt
import pytest

from support.frames import bfd_discriminator, build, describe

MACS = "02:00:00:00:00:01>02:00:00:00:00:02"
TEXTS = [
    f"{MACS} ip 10.0.0.1>10.0.0.2 udp 7000>7001",
    f"{MACS} vlan 101 arp request 02:00:00:00:00:01/10.0.0.1>00:00:00:00:00:00/10.0.0.2",
    f"{MACS} ip 10.0.0.1>10.0.0.2 ttl 63 size 1400 udp 7000>7001",
    f"{MACS} ip 10.0.0.1>10.0.0.2 tcp 7000>80 SA",
    f"{MACS} ip 10.0.0.1>10.0.0.2 first udp 7000>7001",
    f"{MACS} ip 10.0.0.1>10.0.0.2 proto 47",
    f"{MACS} ip 10.0.0.1>10.0.0.2 icmp 3/4 mtu 1400 about ip 10.0.0.2>10.0.0.9 ttl 63 size 1401 udp 7001>7000",
    f"{MACS} ip 10.0.0.1>10.0.0.2 icmp 11/0 about ip 10.0.0.2>10.0.0.9 ttl 1 icmp echo",
    f"{MACS} ip6 fd00::1>fd00::2 ttl 1 sctp 7000>80 init",
    f"{MACS} ip6 fd00::1>fd00::2 size 1300 icmp6 echo",
    f"{MACS} ip6 fd00::1>fd00::2 icmp6 2/0 mtu 1280 about ip6 fd00::2>fd00::9 size 1281 udp 7001>7000",
    f"{MACS} ip 10.0.0.1>10.0.0.2 ttl 63 dscp 46 udp 7000>7001",
    f"{MACS} ip6 fd00::1>fd00::2 dscp 10 udp 7000>7001",
    f"{MACS} ip 10.0.0.1>10.0.0.2 udp 7000>53 dns aaaa vm1.test edns",
    f"{MACS} ip 10.0.0.1>10.0.0.2 udp 67>67 dhcp discover giaddr 10.0.0.1 hops 1",
    f"{MACS} ip 10.0.0.1>224.0.0.1 ttl 1 igmp query",
    f"{MACS} ip 10.0.0.1>239.1.1.1 ttl 1 igmp2 report 239.1.1.1",
    f"{MACS} ip 10.0.0.1>224.0.0.22 ttl 1 igmp3 join 239.1.1.1 239.1.1.2",
    f"{MACS} ip6 fe80::1>ff02::1 ttl 1 mld query",
    f"{MACS} ip6 fe80::1>ff02::2 ttl 1 mld1 done ff0a::1",
    f"{MACS} ip6 fe80::1>ff02::16 ttl 1 mld2 leave ff0a::1 ff0a::2",
    f"{MACS} ip6 fd00::1>fd00::2 first udp 7000>7001",
    f"{MACS} ip6 fe80::1>ff02::1 ra 0 lifetime 1800 02:00:00:00:00:01",
    f"{MACS} ip6 fe80::1>ff02::2 rs 02:00:00:00:00:01",
    f"{MACS} ip6 fd00::1>fd00::2 ns fd00::2 02:00:00:00:00:01",
    f"{MACS} ip6 fd00::1>fd00::2 na e0 fd00::1 02:00:00:00:00:01",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_built_is_described_in_the_same_words(text: str) -> None:
    assert describe(build(text)) == text


def test_an_error_may_leave_out_the_addresses_of_what_it_is_about() -> None:
    short = build(f"{MACS} ip 10.0.0.1>10.0.0.2 icmp 3/3 about udp 1>2")
    assert short == build(f"{MACS} ip 10.0.0.1>10.0.0.2 icmp 3/3 about ip 10.0.0.2>10.0.0.1 udp 1>2")


def test_an_error_may_quote_less_than_a_whole_header() -> None:
    frame = build(f"{MACS} ip 10.0.0.1>10.0.0.2 icmp 3/3 about tcp 1>2 S")
    short = frame[:16] + (20 + 8 + 20 + 8).to_bytes(2, "big") + frame[18 : 14 + 20 + 8 + 20 + 8]
    assert describe(short).endswith("icmp 3/3 about ip 10.0.0.2>10.0.0.1 tcp 1>2")


def test_a_bfd_packet_says_its_state_and_its_senders_number() -> None:
    frame = build(f"{MACS} ip 10.0.0.1>10.0.0.2 ttl 255 udp 49152>3784 bfd init mine 7 yours 9")
    assert describe(frame).endswith("udp 49152>3784 bfd init")
    assert bfd_discriminator(frame) == 7


@pytest.mark.parametrize("version", [4, 6])
def test_a_size_is_that_of_the_whole_packet(version: int) -> None:
    network = "ip 10.0.0.1>10.0.0.2" if version == 4 else "ip6 fd00::1>fd00::2"
    frame = build(f"{MACS} {network} size 1400 udp 1>2")
    assert len(bytes(dpkt.ethernet.Ethernet(frame).data)) == 1400 == len(frame) - 14
