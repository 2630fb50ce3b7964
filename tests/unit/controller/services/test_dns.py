"""DNS answers; dnspython judges messages, dpkt checksums."""

from __future__ import annotations

import random

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.tsigkeyring
import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.controller.services import dns as service
from ovine.controller.services.frames import ethernet, ipv4, udp
from ovine.model import sb
from ovine.model.base import StrMap
from ovine.model.schema import to_json
from ovine.openflow import Resume
from ovine.ovsdb import Replica
from ovine.ovsdb.plan import monitors_of, plan
from support.controller_world import uuid_of
from support.frames import build, describe
from support.service_bed import Host, handle, userdata

LINK = "02:00:00:00:00:01>02:00:00:00:00:02"
KNOWN = {
    "vm1.test": "10.0.0.4 fd00::4",
    "vm4.test": "10.0.0.4,nonsense,10.0.0.5",
    "4.0.0.10.in-addr.arpa": "vm1.test",
    "many.test": " ".join(f"10.1.{n // 256}.{n % 256}" for n in range(200)),
}


def rows(*records: dict[str, str], owned: bool = False) -> list[sb.DNS]:
    ids = StrMap({"ovn-owned": "true"} if owned else {})
    return [sb.DNS(uuid=uuid_of("dns", str(n)), records=StrMap(r), external_ids=ids) for n, r in enumerate(records)]


def answered(query: dns.message.Message, known: list[sb.DNS]) -> dns.message.Message | None:
    made = service.answer(service.parse(query.to_wire()), known)
    if made is None:
        return None
    message = dns.message.from_wire(made)
    assert query.is_response(message)
    return message


def ask(kind: str, name: str, known: list[sb.DNS] | None = None, **options: int) -> list[str] | None:
    """The answers, in order; None if the question is passed on."""
    message = answered(dns.message.make_query(name, kind, **options), rows(KNOWN) if known is None else known)
    return [value.to_text() for answer in message.answer for value in answer] if message is not None else None


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("A", "vm1.test", ["10.0.0.4"]),
        ("AAAA", "VM1.tEst", ["fd00::4"]),
        ("ANY", "vm1.test", ["10.0.0.4", "fd00::4"]),
        ("A", "vm4.test", ["10.0.0.4", "10.0.0.5"]),
        ("PTR", "4.0.0.10.in-addr.arpa", ["vm1.test."]),
        ("ANY", "4.0.0.10.in-addr.arpa", ["vm1.test."]),
        ("PTR", "vm1.test", None),
        ("A", "4.0.0.10.in-addr.arpa", None),
        ("AAAA", "vm4.test", None),
        ("MX", "vm1.test", None),
        ("A", "test", None),
        ("A", ".", None),
    ],
)
def test_who_asks_for_what_gets_what_there_is_or_is_passed_on(kind: str, name: str, expected: list[str] | None) -> None:
    assert ask(kind, name) == expected


def test_rows_of_a_switch_are_put_together() -> None:
    known = rows({"a.test": "10.0.0.1"}, {"a.test": "fd00::1 10.0.0.1", "b.test": "10.0.0.2"})
    assert ask("ANY", "a.test", known) == ["10.0.0.1", "fd00::1"]
    assert ask("A", "b.test", known) == ["10.0.0.2"]


def test_who_owns_a_name_says_that_there_is_no_more() -> None:
    owned = rows({"a.test": "10.0.0.1"}, owned=True)
    assert ask("AAAA", "a.test", owned) == []
    assert ask("HTTPS", "a.test", owned) == []
    assert ask("A", "b.test", owned) is None


def test_the_header_is_that_of_an_answer_to_this_question() -> None:
    query = dns.message.make_query("vm1.test", "A")
    reply = answered(query, rows(KNOWN))
    assert reply is not None
    assert dns.flags.to_text(reply.flags) == "QR AA RD RA"
    assert (reply.id, reply.question, reply.edns) == (query.id, query.question, -1)


def test_a_client_with_extensions_is_told_ours() -> None:
    query = dns.message.make_query("vm1.test", "A", use_edns=0, payload=4096, want_dnssec=True)
    reply = answered(query, rows(KNOWN))
    assert reply is not None and (reply.edns, reply.payload) == (0, 1232)
    assert reply.ednsflags == dns.flags.DO and reply.rcode() == dns.rcode.NOERROR
    newer = answered(dns.message.make_query("vm1.test", "A", use_edns=1), rows(KNOWN))
    assert newer is not None and (newer.rcode(), newer.edns, newer.answer) == (dns.rcode.BADVERS, 0, [])


@pytest.mark.parametrize(("payload", "size"), [(0, 512), (600, 600), (100, 512), (65535, 1232)])
def test_an_answer_has_as_many_addresses_as_the_client_takes(payload: int, size: int) -> None:
    query = dns.message.make_query("many.test", "A", use_edns=0 if payload else False, payload=payload)
    made = service.answer(service.parse(query.to_wire()), rows(KNOWN))
    assert made is not None and size - 16 < len(made) <= size
    assert not dns.message.from_wire(made).flags & dns.flags.TC


def changed(**columns: int) -> bytes:
    query = dns.message.make_query("vm1.test", "A")
    query.flags = columns.get("flags", query.flags)
    query.question[0].rdclass = columns.get("rdclass", 1)  # type: ignore[assignment]
    return query.to_wire()


def signed() -> bytes:
    query = dns.message.make_query("vm1.test", "A")
    query.use_tsig(dns.tsigkeyring.from_text({"key.": "aGVsbG8="}))
    return query.to_wire()


@pytest.mark.parametrize(
    "message",
    [
        changed(flags=dns.flags.QR),
        changed(flags=5 << 11),
        changed(rdclass=3),
        signed(),
        dns.message.make_query(r"vm1\.test", "A").to_wire(),
        changed()[:20],
        changed()[:-1],
        b"",
        changed()[:5] + b"\2" + changed()[6:] + changed()[12:],
    ],
    # The messages themselves have random ids.
    ids=("response", "status", "chaos", "signed", "dot", "cut", "short", "empty", "two"),
)
def test_what_is_no_plain_query_is_not_read(message: bytes) -> None:
    with pytest.raises(service.Malformed):
        service.parse(message)


# --- through the handler ----------------------------------------------------------------------------------------------

CARRIED = userdata("reg0[3] = dns_lookup(); next;", "udp")


def host(**records: str) -> Host:
    """One whose southbound database has switch 7 with these records, and switch 8 with none."""
    replica = Replica(sb.DATABASE)
    seven, eight = uuid_of("datapath", "7"), uuid_of("datapath", "8")
    known = {"records": ["map", list(records.items())], "datapaths": ["uuid", seven]}
    tables = {
        "Datapath_Binding": {seven: {"insert": {"tunnel_key": 7}}, eight: {"insert": {"tunnel_key": 8}}},
        "DNS": {uuid_of("dns"): {"insert": known}},
    }
    replica.apply(plan(sb.DATABASE, monitors_of(sb.DATABASE, None), to_json(sb.DATABASE)), tables)
    return Host(southbound=replica)


def resumed(frame: bytes, key: int = 7) -> bytes | None:
    (message,) = handle(frame, CARRIED, (("metadata", key, None),), host(vm1="10.0.0.4"))
    assert isinstance(message, Resume)
    assert message.changes == (("reg0", 8 if message.packet else 0, None),)
    return message.packet


@pytest.mark.parametrize("ends", ["ip 10.0.0.1>10.0.0.2", "ip6 fd00::1>fd00::2"])
def test_a_reply_keeps_the_addresses_of_its_query(ends: str) -> None:
    frame = build(f"{LINK} {ends} udp 3000>53 dns a VM1")
    made = resumed(frame)
    assert made is not None
    assert describe(made) == f"{LINK} {ends} udp 3000>53 dns reply a VM1 10.0.0.4"
    packet = dpkt.ethernet.Ethernet(made).data
    before = packet.data.sum
    packet.data.sum = 0
    if packet.v == 4:
        packet.sum = 0
    assert (bytes(packet)[-len(packet.data) :][6:8]) == before.to_bytes(2) and bytes(packet)[10:12] == made[24:26]


def test_another_switch_does_not_know_the_name() -> None:
    assert resumed(build(f"{LINK} ip 10.0.0.1>10.0.0.2 udp 3000>53 dns a vm1"), 8) is None
    assert resumed(build(f"{LINK} ip 10.0.0.1>10.0.0.2 udp 3000>53 dns a vm1"), 9) is None


@settings(max_examples=1000, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 12), st.booleans())
def test_no_packet_breaks_the_service(random_: random.Random, changes: int, extended: bool) -> None:
    frame = bytearray(build(f"{LINK} ip 10.0.0.1>10.0.0.2 udp 3000>53 dns a vm1{' edns' * extended}"))
    for _ in range(changes):
        frame[random_.randrange(len(frame))] = random_.randrange(256)
    made = resumed(bytes(frame[: random_.randrange(40, len(frame) + 1)]))
    if made is not None:
        assert dns.message.from_wire(udp(ipv4(ethernet(made))).payload).flags & dns.flags.QR
