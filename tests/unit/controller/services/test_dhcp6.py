"""What a DHCPv6 client gets for what it sends."""

from __future__ import annotations

import random
import struct
from ipaddress import ip_address

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.controller.services.dhcp6 import parse_options
from ovine.model import sb
from support.frames import build, mac_bytes
from support.service_bed import resumed, userdata, world

STATEFUL = userdata(
    "reg0[3] = put_dhcpv6_opts(ia_addr = fd00::1, server_id = 02:00:00:00:00:fe, dns_server = fd00::53); next;"
)
STATELESS = userdata("reg0[3] = put_dhcpv6_opts(server_id = 02:00:00:00:00:fe, dns_server = fd00::53); next;")
CLIENT = b"\0\3\0\1" + mac_bytes("02:00:00:00:00:01")
OURS = b"\0\3\0\1" + mac_bytes("02:00:00:00:00:fe")
OTHER = b"\0\3\0\1" + mac_bytes("02:00:00:00:00:fd")
FOR_EVER = b"\xff" * 4

SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE = range(1, 10)
INFORMATION_REQUEST = 11
CLIENT_ID, SERVER_ID, IA_NA, IA_ADDR, STATUS, DNS, IA_PD = 1, 2, 3, 5, 13, 23, 25


def ip(text: str) -> bytes:
    return ip_address(text).packed


def option(code: int, data: bytes) -> bytes:
    return struct.pack("!HH", code, len(data)) + data


def association(iaid: int, *addresses: str, code: int = IA_NA) -> bytes:
    inner = b"".join(option(IA_ADDR, ip(address) + bytes(8)) for address in addresses)
    return option(code, struct.pack("!III", iaid, 0, 0) + inner)


def message(kind: int, *options: bytes, client: bytes | None = CLIENT, server: bytes | None = None) -> bytes:
    """A client's frame."""
    body = bytes((kind,)) + b"\1\2\3"
    body += option(CLIENT_ID, client) if client is not None else b""
    body += option(SERVER_ID, server) if server is not None else b""
    body += b"".join(options)
    segment = struct.pack("!HHHH", 546, 547, 8 + len(body), 0) + body
    header = struct.pack("!IHBB", 6 << 28, len(segment), 17, 1) + ip("fe80::ff:fe00:1") + ip("ff02::1:2")
    return mac_bytes("33:33:00:01:00:02") + mac_bytes("02:00:00:00:00:01") + b"\x86\xdd" + header + segment


def parsed(frame: bytes | None) -> tuple[int, list[tuple[int, bytes]]]:
    """A reply's kind and options, after checks that hold for every reply."""
    assert frame is not None
    packet = dpkt.ethernet.Ethernet(frame).data
    datagram = packet.data
    assert packet.plen == datagram.ulen == len(datagram)
    pseudo = packet.src + packet.dst + struct.pack("!II", packet.plen, 17)
    assert dpkt.in_cksum(pseudo + bytes(datagram)) == 0
    data = bytes(datagram.data)
    return data[0], parse_options(data[4:])


def answer(frame: bytes, arguments: str = "") -> tuple[int, list[tuple[int, bytes]]]:
    if not arguments:
        return parsed(resumed(frame, STATEFUL))
    usual = "ia_addr = fd00::1, server_id = 02:00:00:00:00:fe"
    return parsed(resumed(frame, userdata(f"reg0[3] = put_dhcpv6_opts({usual}, {arguments}); next;")))


def given_address(address: str, lifetime: bytes = FOR_EVER) -> bytes:
    return option(IA_ADDR, ip(address) + lifetime * 2)


@pytest.mark.parametrize(
    ("kind", "server", "answered"),
    [
        (SOLICIT, None, ADVERTISE),
        (REQUEST, OURS, REPLY),
        (RENEW, OURS, REPLY),
        (REBIND, None, REPLY),
    ],
)
def test_messages_that_ask_for_an_address_get_it_for_ever(kind: int, server: bytes | None, answered: int) -> None:
    said, options = answer(message(kind, association(7), server=server))
    assert said == answered
    assert options == [
        (CLIENT_ID, CLIENT),
        (SERVER_ID, OURS),
        (IA_NA, b"\0\0\0\7" + FOR_EVER * 2 + given_address("fd00::1")),
        (DNS, ip("fd00::53")),
    ]


def test_the_transaction_is_the_clients() -> None:
    frame = resumed(message(SOLICIT), STATEFUL)
    assert frame is not None and frame[62:66] == bytes((ADVERTISE, 1, 2, 3))


@pytest.mark.parametrize(
    "frame",
    [
        message(SOLICIT, server=OURS),
        message(SOLICIT, client=None),
        message(REQUEST, association(1)),
        message(REQUEST, association(1), server=OTHER),
        message(RENEW, association(1)),
        message(RENEW, association(1), server=OTHER),
        message(REBIND, association(1), server=OURS),
        message(CONFIRM, association(1, "fd00::1"), server=OURS),
        message(CONFIRM, association(1)),
        message(CONFIRM),
        message(RELEASE, association(1, "fd00::1")),
        message(DECLINE, association(1, "fd00::1"), server=OTHER),
        message(INFORMATION_REQUEST, server=OTHER),
        message(INFORMATION_REQUEST, association(1)),
        message(ADVERTISE, server=OURS),
        message(REPLY, server=OURS),
        message(12),
        message(0),
    ],
)
def test_what_a_server_is_to_discard_goes_on_unchanged(frame: bytes) -> None:
    assert resumed(frame, STATEFUL) is None


@pytest.mark.parametrize("kind", [RELEASE, DECLINE])
def test_giving_an_address_back_succeeds(kind: int) -> None:
    said, options = answer(message(kind, association(1, "fd00::1"), server=OURS))
    assert said == REPLY
    assert [(code, data[:2]) for code, data in options[2:]] == [(STATUS, b"\0\0")]


@pytest.mark.parametrize(("address", "status"), [("fd00::1", 0), ("fd00::9", 4)])
def test_confirming_says_whether_the_addresses_are_right(address: str, status: int) -> None:
    said, options = answer(message(CONFIRM, association(1, address)))
    assert said == REPLY
    assert [(code, data[:2]) for code, data in options[2:]] == [(STATUS, bytes((0, status)))]


@pytest.mark.parametrize("client", [CLIENT, None])
@pytest.mark.parametrize("server", [OURS, None])
@pytest.mark.parametrize("carried", [STATEFUL, STATELESS], ids=["stateful", "stateless"])
def test_an_information_request_gets_options_only(carried: object, client: bytes | None, server: bytes | None) -> None:
    said, options = parsed(resumed(message(INFORMATION_REQUEST, client=client, server=server), carried))  # type: ignore[arg-type]
    identity = [(CLIENT_ID, CLIENT)] if client else []
    assert (said, options) == (REPLY, [*identity, (SERVER_ID, OURS), (DNS, ip("fd00::53"))])


def test_a_second_association_gets_no_address() -> None:
    _, options = answer(message(SOLICIT, association(1), association(2)))
    first, second = (data for code, data in options if code == IA_NA)
    assert given_address("fd00::1") in first
    assert (second[:12], second[16:18]) == (b"\0\0\0\2" + bytes(8), b"\0\2")


def test_a_stateless_server_has_no_address() -> None:
    said, options = parsed(resumed(message(SOLICIT, association(1)), STATELESS))
    (only,) = (data for code, data in options if code == IA_NA)
    assert (said, only[16:18]) == (ADVERTISE, b"\0\2")


def test_no_prefixes_are_delegated() -> None:
    _, options = answer(message(SOLICIT, association(1, code=IA_PD)))
    (only,) = (data for code, data in options if code == IA_PD)
    assert only[16:18] == b"\0\6"


def test_renewing_an_address_that_is_no_longer_right_ends_it() -> None:
    _, options = answer(message(RENEW, association(1, "fd00::9", "fd00::1"), server=OURS))
    (only,) = (data for code, data in options if code == IA_NA)
    assert only[12:] == given_address("fd00::1") + given_address("fd00::9", bytes(4))


def test_search_domains_are_names_on_the_wire() -> None:
    _, options = answer(message(SOLICIT), 'domain_search = "a.example,b.org"')
    assert dict(options)[24] == b"\1a\7example\0\1b\3org\0"


def test_several_servers_are_one_option() -> None:
    _, options = answer(message(SOLICIT), "dns_server = {fd00::53, fd00::54}")
    assert dict(options)[DNS] == ip("fd00::53") + ip("fd00::54")


def named_options() -> object:
    """A host whose table also has the options of newer northds."""
    made = world()
    for name, code in (("fqdn", 39), ("bootfile_name", 59), ("bootfile_name_alt", 254)):
        made.put(
            sb.DHCPv6Options(uuid=f"00000000-0000-0000-0000-0000000000{code:02x}", name=name, code=code, type="str")
        )  # type: ignore[arg-type]
    return made


def test_the_name_and_the_boot_file_depend_on_the_client() -> None:
    arguments = 'server_id = 02:00:00:00:00:fe, fqdn = "vm1.example", bootfile_name = "http://boot", '
    arguments += 'bootfile_name_alt = "first"'
    carried = userdata(f"reg0[3] = put_dhcpv6_opts({arguments}); next;", made=named_options())  # type: ignore[arg-type]
    plain = dict(parsed(resumed(message(SOLICIT), carried))[1])
    assert (plain[59], 39 in plain, 254 in plain) == (b"first", False, False)
    ipxe = dict(parsed(resumed(message(SOLICIT, option(15, b"\0\4iPXE"), option(6, b"\0\x27")), carried))[1])
    assert (ipxe[59], ipxe[39]) == (b"http://boot", b"\4\3vm1\7example\0")
    updates = dict(parsed(resumed(message(SOLICIT, option(39, b"\1\2vm")), carried))[1])
    assert updates[39][0] == 6


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("nonsense = 1", "DHCPv6 option nonsense = {1}: is not in the table DHCPv6_Options"),
        ("ia_addr = 10.0.0.1", "takes addresses (ip6), not 10.0.0.1"),
        ("ia_addr = {fd00::1, fd00::2}", "takes one address"),
        ('domain_search = "a..b"', "'a..b' is not a domain name"),
    ],
)
def test_a_flow_with_an_option_that_cannot_be_is_refused_by_name(arguments: str, problem: str) -> None:
    with pytest.raises(ValueError) as error:
        userdata(f"reg0[3] = put_dhcpv6_opts({arguments}); next;")
    assert problem in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "02:00:00:00:00:01>33:33:00:01:00:02 ip6 fe80::1>ff02::1:2 udp 546>547",
        "02:00:00:00:00:01>33:33:00:01:00:02 ip 10.0.0.1>10.0.0.2 udp 546>547",
    ],
)
def test_what_is_no_message_goes_on_unchanged(text: str) -> None:
    assert resumed(build(text), STATEFUL) is None


def test_a_message_that_is_cut_anywhere_goes_on_unchanged() -> None:
    whole = message(REQUEST, association(1, "fd00::1"), association(2), option(6, b"\0\x17"), server=OURS)
    for length in range(len(whole)):
        assert resumed(whole[:length], STATEFUL) is None


@settings(max_examples=2000, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 30))
def test_no_packet_breaks_the_service(random_: random.Random, changes: int) -> None:
    kind = random_.choice([SOLICIT, REQUEST, CONFIRM, RENEW, REBIND, INFORMATION_REQUEST])
    server = OURS if kind in (REQUEST, RENEW) else None
    frame = bytearray(message(kind, association(1, "fd00::1"), association(2, code=IA_PD), server=server))
    for _ in range(changes):
        frame[random_.randrange(len(frame))] = random_.randrange(256)
    made = resumed(bytes(frame), STATEFUL)
    if made is not None:
        parsed(made)
