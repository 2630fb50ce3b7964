"""What a DHCPv4 client gets for what it sends; dpkt judges lengths, options and checksums."""

from __future__ import annotations

import random
import struct
from ipaddress import ip_address

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.openflow import Resume
from support.frames import build, mac_bytes
from support.service_bed import handle, resumed, userdata, world

OFFER = "reg0[3] = put_dhcp_opts({}); next;"
USUAL = "offerip = 10.0.0.1, netmask = 255.255.255.0, server_id = 10.0.0.254, lease_time = 3600, router = 10.0.0.254"
CARRIED = userdata(OFFER.format(USUAL))
HEAD = "02:00:00:00:00:01>ff:ff:ff:ff:ff:ff ip 0.0.0.0>255.255.255.255 udp 68>67 dhcp "
DISCOVER, REQUEST, DECLINE, RELEASE, INFORM = 1, 3, 4, 7, 8


def request(kind: int, *options: tuple[int, bytes], flags: int = 0, ciaddr: str = "0.0.0.0", **fields: bytes) -> bytes:
    """A client's frame; `options` beside the message type."""
    fixed = struct.pack("!BBBBIHH", 1, 1, 6, 0, 0xABCD, 7, flags) + ip_address(ciaddr).packed + bytes(12)
    message = fixed + mac_bytes("02:00:00:00:00:01") + bytes(10)
    message += fields.get("sname", b"").ljust(64, b"\0") + fields.get("file", b"").ljust(128, b"\0")
    message += b"\x63\x82\x53\x63" + bytes((53, 1, kind))
    message += b"".join(bytes((code, len(data))) + data for code, data in options) + b"\xff"
    datagram = struct.pack("!HHHH", 68, 67, 8 + len(message), 0) + message
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0) + ip_address(ciaddr).packed
    return b"\xff" * 6 + mac_bytes("02:00:00:00:00:01") + b"\x08\x00" + header + b"\xff" * 4 + datagram


def parsed(frame: bytes | None) -> tuple[dpkt.ip.IP, dpkt.dhcp.DHCP, dict[int, bytes]]:
    """A reply's parts, after checks that hold for every reply."""
    assert frame is not None
    packet = dpkt.ethernet.Ethernet(frame).data
    assert dpkt.in_cksum(bytes(packet)[:20]) == 0
    datagram = packet.data
    assert datagram.ulen == len(datagram) == packet.len - 20
    pseudo = packet.src + packet.dst + struct.pack("!BBH", 0, 17, datagram.ulen)
    assert dpkt.in_cksum(pseudo + bytes(datagram)) == 0
    assert len(datagram.data) >= 300
    message = dpkt.dhcp.DHCP(datagram.data)
    assert message.op == 2
    options: dict[int, bytes] = {}
    for code, data in message.opts:
        options[code] = options.get(code, b"") + data
    return packet, message, options


def reply(frame: bytes, arguments: str = USUAL) -> tuple[dpkt.ip.IP, dpkt.dhcp.DHCP, dict[int, bytes]]:
    return parsed(resumed(frame, userdata(OFFER.format(arguments))))


def ip(text: str) -> bytes:
    return ip_address(text).packed


def test_a_discover_is_offered_the_address_and_all_options() -> None:
    packet, message, options = reply(request(DISCOVER))
    assert (message.yiaddr, message.xid, message.chaddr[:6]) == (0x0A000001, 0xABCD, mac_bytes("02:00:00:00:00:01"))
    assert options == {
        53: b"\x02",
        1: ip("255.255.255.0"),
        54: ip("10.0.0.254"),
        51: struct.pack("!I", 3600),
        3: ip("10.0.0.254"),
    }
    assert packet.dst == ip("10.0.0.1")
    assert message.opts[0][0] == 53


def test_addresses_of_the_frame_and_ports_are_left_to_the_logical_flow() -> None:
    frame = resumed(request(DISCOVER), CARRIED)
    assert frame is not None
    assert frame[:12] == request(DISCOVER)[:12]
    assert frame[34:38] == struct.pack("!HH", 68, 67)


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (REQUEST, {"ask": "10.0.0.1"}, 5),
        (REQUEST, {"ask": "10.0.0.1", "server": "10.0.0.254"}, 5),
        (REQUEST, {"ciaddr": "10.0.0.1"}, 5),
        (REQUEST, {"ask": "10.0.0.9"}, 6),
        (REQUEST, {"ciaddr": "10.0.0.9"}, 6),
        (REQUEST, {}, 6),
        (REQUEST, {"ask": "10.0.0.9", "server": "10.0.0.77"}, None),
        (REQUEST, {"ask": "10.0.0.1", "server": "10.0.0.77"}, None),
        (DISCOVER, {"ask": "10.0.0.9"}, 2),
        (INFORM, {"ciaddr": "10.0.0.1"}, 5),
        (DECLINE, {"ask": "10.0.0.1", "server": "10.0.0.254"}, None),
        (RELEASE, {"ciaddr": "10.0.0.1", "server": "10.0.0.254"}, None),
        (2, {}, None),
        (5, {}, None),
        (13, {}, None),
        (0, {}, None),
    ],
    ids=str,
)
def test_each_message_has_its_answer(kind: int, fields: dict[str, str], expected: int | None) -> None:
    codes = {"ask": 50, "server": 54}
    options = [(codes[name], ip(value)) for name, value in fields.items() if name in codes]
    frame = resumed(request(kind, *options, ciaddr=fields.get("ciaddr", "0.0.0.0")), CARRIED)
    assert (None if frame is None else parsed(frame)[2][53]) == (None if expected is None else bytes((expected,)))


def test_a_refusal_says_no_more_than_by_whom_and_goes_to_everybody() -> None:
    packet, message, options = reply(request(REQUEST, (50, ip("10.0.0.9"))))
    assert options == {53: b"\x06", 54: ip("10.0.0.254")}
    assert (message.yiaddr, message.ciaddr, packet.dst) == (0, 0, b"\xff" * 4)


def test_an_inform_gets_options_without_a_lease() -> None:
    packet, message, options = reply(request(INFORM, ciaddr="10.0.0.1"), f"{USUAL}, T1 = 100, T2 = 200")
    assert not {51, 58, 59} & options.keys()
    assert 3 in options
    assert (message.yiaddr, packet.dst) == (0, ip("10.0.0.1"))


@pytest.mark.parametrize(
    ("flags", "ciaddr", "destination"),
    [(0, "0.0.0.0", "10.0.0.1"), (0x8000, "0.0.0.0", "255.255.255.255"), (0x8000, "10.0.0.1", "10.0.0.1")],
)
def test_the_reply_goes_where_the_client_hears_it(flags: int, ciaddr: str, destination: str) -> None:
    packet, message, _ = reply(request(REQUEST, (50, ip("10.0.0.1")), flags=flags, ciaddr=ciaddr))
    assert (packet.dst, message.flags) == (ip(destination), flags)


@pytest.mark.parametrize(
    ("argument", "code", "data"),
    [
        ("mtu = 1442", 26, "05a2"),
        ("ip_forward_enable = 1", 19, "01"),
        ("default_ttl = 64", 23, "40"),
        ("T1 = 70000", 58, "00011170"),
        ("dns_server = {8.8.8.8, 1.1.1.1}", 6, "0808080801010101"),
        ('domain_name = "example.org"', 15, b"example.org".hex()),
        ('tftp_server = "boot.example.org"', 66, b"boot.example.org".hex()),
        ("tftp_server = 10.0.0.7", 66, "0a000007"),
        ('domain_search_list = "a.example,b.org"', 119, (b"\1a\7example\0" + b"\1b\3org\0").hex()),
        # RFC 3442's own examples of how many bytes of a destination are sent.
        ("classless_static_route = {0.0.0.0/0, 10.0.0.1}", 121, "000a000001"),
        ("classless_static_route = {10.0.0.0/8, 10.0.0.1}", 121, "080a0a000001"),
        ("classless_static_route = {10.17.0.0/16, 10.0.0.1}", 121, "100a110a000001"),
        ("classless_static_route = {10.27.129.0/24, 10.0.0.1}", 121, "180a1b810a000001"),
        ("classless_static_route = {10.229.0.128/25, 10.0.0.1}", 121, "190ae500800a000001"),
        ("classless_static_route = {10.198.122.47, 10.0.0.1}", 121, "200ac67a2f0a000001"),
        ("classless_static_route = {169.254.169.254/32, 10.0.0.2, 0.0.0.0/0, 10.0.0.1}", 121, None),
    ],
)
def test_options_are_encoded_by_their_types(argument: str, code: int, data: str | None) -> None:
    _, _, options = reply(request(DISCOVER), f"{USUAL}, {argument}")
    assert options[code].hex() == (data or "20a9fea9fe0a000002" + "000a000001")


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("nonsense = 1", "DHCP option nonsense = {1}: is not in the table DHCP_Options"),
        ("mtu = 70000", "DHCP option mtu = {70000}: takes a number up to 65535, not 70000"),
        ("ip_forward_enable = 2", "takes a number up to 1"),
        ('router = "x"', "takes addresses (ip4), not x"),
        ("domain_name = 5", "takes a text in quotes, not 5"),
        ('domain_search_list = "a..b"', "'a..b' is not a domain name"),
        ("classless_static_route = {10.0.0.0/8}", "takes pairs of a destination and a router"),
        ("classless_static_route = {10.0.0.0/255.0.255.0, 10.0.0.1}", "is no prefix"),
        ("mtu = {1, 2}", "takes one value, not 2"),
    ],
)
def test_a_flow_with_an_option_that_cannot_be_is_refused_by_name(argument: str, problem: str) -> None:
    with pytest.raises(ValueError) as error:
        userdata(OFFER.format(f"{USUAL}, {argument}"))
    assert problem in str(error.value)


def test_an_option_that_changes_its_code_changes_the_flow() -> None:
    made = world()
    before = userdata(OFFER.format(USUAL), made=made)
    row = next(row for row in made.rows.values() if getattr(row, "name", "") == "router" and hasattr(row, "code"))
    made.change(type(row), row.uuid, code=33)
    assert before != userdata(OFFER.format(USUAL), made=made)


def test_long_options_are_sent_in_parts() -> None:
    text = "x" * 600
    _, message, options = reply(request(DISCOVER), f'{USUAL}, domain_name = "{text}"')
    assert options[15] == text.encode()
    assert [len(data) for code, data in message.opts if code == 15] == [255, 255, 90]


def test_the_boot_file_depends_on_what_the_client_is() -> None:
    both = f'{USUAL}, bootfile_name = "http://boot", bootfile_name_alt = "first.kpxe"'
    assert reply(request(DISCOVER), both)[2][67] == b"first.kpxe"
    assert reply(request(DISCOVER, (175, b"\1")), both)[2][67] == b"http://boot"
    one = f'{USUAL}, bootfile_name = "only", next_server = 10.0.0.8'
    _, message, options = reply(request(DISCOVER), one)
    assert (options[67], message.siaddr) == (b"only", 0x0A000008)
    assert not {253, 254} & options.keys()


def test_the_client_identifier_comes_back() -> None:
    assert reply(request(DISCOVER, (61, b"\1abcdef")))[2][61] == b"\1abcdef"


def test_options_in_the_fields_of_names_are_read() -> None:
    asked = request(REQUEST, (52, b"\3"), file=bytes((50, 4)) + ip("10.0.0.1") + b"\xff", sname=b"\x3d\2ab\xff")
    _, _, options = reply(asked)
    assert (options[53], options[61]) == (b"\5", b"ab")


def test_tags_of_the_frame_stay() -> None:
    frame = request(DISCOVER)
    tagged = frame[:12] + b"\x81\x00\x00\x65" + frame[12:]
    made = resumed(tagged, CARRIED)
    assert made is not None and made[:16] == tagged[:16]


@pytest.mark.parametrize(
    "text",
    [
        "02:00:00:00:00:01>ff:ff:ff:ff:ff:ff ip 0.0.0.0>255.255.255.255 udp 68>67",
        "02:00:00:00:00:01>ff:ff:ff:ff:ff:ff ip 10.0.0.1>10.0.0.2 icmp echo",
        "02:00:00:00:00:01>ff:ff:ff:ff:ff:ff ip6 fd00::1>fd00::2 udp 68>67",
        "02:00:00:00:00:01>ff:ff:ff:ff:ff:ff arp request 02:00:00:00:00:01/10.0.0.1>00:00:00:00:00:00/10.0.0.2",
    ],
)
def test_what_is_no_request_goes_on_unchanged(text: str) -> None:
    assert resumed(build(text), CARRIED) is None


def test_a_request_that_is_cut_anywhere_goes_on_unchanged_or_is_answered() -> None:
    whole = request(REQUEST, (50, ip("10.0.0.1")), (61, b"\1abcdef"))
    for length in range(len(whole)):
        assert resumed(whole[:length], CARRIED) is None


def test_a_result_leaves_other_bits_alone() -> None:
    for bits in (0, 0xFFFFFFFF):
        (yes,) = handle(request(DISCOVER), CARRIED, (("reg0", bits, None),))
        (no,) = handle(b"", CARRIED, (("reg0", bits, None),))
        assert isinstance(yes, Resume) and isinstance(no, Resume)
        assert yes.changes == (("reg0", bits | 8, None),)
        assert no.changes == (("reg0", bits & ~8, None),)


def test_a_result_in_a_wide_register_goes_to_its_part() -> None:
    for field, expected in (
        ("xreg0[3]", "reg1"),
        ("xreg0[35]", "reg0"),
        ("xxreg0[3]", "reg3"),
        ("xxreg1[127]", "reg4"),
    ):
        carried = userdata(f"{field} = put_dhcp_opts({USUAL}); next;")
        (message,) = handle(request(DISCOVER), carried)
        assert isinstance(message, Resume)
        assert message.changes == ((expected, 1 << int(field[:-1].partition("[")[2]) % 32, None),)


@settings(max_examples=2000, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 40))
def test_no_packet_breaks_the_service(random_: random.Random, changes: int) -> None:
    frame = bytearray(request(REQUEST, (50, ip("10.0.0.1")), (52, b"\3"), (61, b"abc"), file=b"\x0c\2vm", sname=b"\0"))
    for _ in range(changes):
        frame[random_.randrange(len(frame))] = random_.randrange(256)
    made = resumed(bytes(frame[: random_.randrange(len(frame) + 1) if changes & 1 else len(frame)]), CARRIED)
    if made is not None:
        parsed(made)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_break_the_service(frame: bytes) -> None:
    assert resumed(frame, CARRIED) is None
