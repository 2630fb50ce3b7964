"""Garbage to the reader: a ProtocolError and nothing else."""

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.openflow import (
    Bucket,
    BundleAdd,
    Error,
    FeaturesReply,
    FlowMod,
    GroupEntry,
    GroupMod,
    Hello,
    Output,
    PacketIn,
    PacketOut,
    Port,
    PortStatus,
    ProtocolError,
    Session,
    TlvMap,
    TlvTableReply,
    decode,
    encode,
    match,
)
from ovine.openflow.action_codec import decode_actions
from support import openflow_samples


@pytest.fixture(scope="module")
def valid() -> list[bytes]:
    """Encoded messages of all shapes."""
    messages = [FlowMod("add", flow) for flow in openflow_samples.flows()]
    messages += [
        Hello(),
        Error(1, 2, b"abc"),
        FeaturesReply(5),
        PortStatus("add", Port(1, "p", "00:00:00:00:00:01")),
        PacketIn(b"abc", match(reg0=5, tun_metadata0=7), 3, 4, userdata=b"u", continuation=b"\0\0\0\0c"),
        PacketOut(1, (Output(5),), b"data"),
        GroupMod("add", GroupEntry(1, "select", (Bucket(1, (Output(1),), 5),), "hash", 1, match(ip_src=5))),
        TlvTableReply((TlvMap(1, 2, 4, 0),)),
    ]
    messages.append(BundleAdd(1, messages[0]))
    return [encode(message, 1) for message in messages]


def _refused_or_read(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        decode(data)


def _with_length(data: bytes) -> bytes:
    return data[:2] + len(data).to_bytes(2, "big") + data[4:]


def test_truncated_messages_are_refused_or_read(valid) -> None:
    for message in valid:
        for size in range(len(message)):
            with pytest.raises(ProtocolError):
                decode(message[:size])
            if size >= 8:
                _refused_or_read(_with_length(message[:size]))


def test_any_changed_byte_is_refused_or_read(valid) -> None:
    chance = random.Random(1)
    for message in valid:
        for at in range(len(message)):
            for byte in {0, 255, message[at] ^ 1, message[at] ^ 0x80, chance.randrange(256)}:
                _refused_or_read(_with_length(message[:at] + bytes((byte,)) + message[at + 1 :]))


@given(st.integers(0, 40), st.binary(max_size=200))
@settings(max_examples=500)
def test_random_bodies_of_every_type_are_refused_or_read(kind, body) -> None:
    _refused_or_read(_with_length(bytes((6, kind, 0, 0, 0, 0, 0, 1)) + body))


@given(st.integers(0, 60), st.binary(max_size=200))
@settings(max_examples=500)
def test_random_nicira_bodies_are_refused_or_read(kind, body) -> None:
    head = bytes((6, 4, 0, 0, 0, 0, 0, 1)) + bytes.fromhex("00002320") + kind.to_bytes(4, "big")
    _refused_or_read(_with_length(head + body))


@given(st.integers(0, 60), st.binary(max_size=100))
@settings(max_examples=500)
def test_random_nicira_actions_are_refused_or_read(kind, body) -> None:
    body += bytes(-(len(body) + 10) % 8)
    length = len(body) + 10
    data = b"\xff\xff" + length.to_bytes(2, "big") + bytes.fromhex("00002320") + kind.to_bytes(2, "big") + body
    with contextlib.suppress(ProtocolError):
        decode_actions(data, 0, length)


@given(st.binary(min_size=1, max_size=300))
def test_random_bytes_to_a_session_are_refused_or_awaited(data) -> None:
    session = Session()
    with contextlib.suppress(ProtocolError):
        session.receive(data)
        session.receive(data)


def test_deep_nesting_is_refused_not_a_crash() -> None:
    inner = b""
    for _ in range(3000):
        length = 16 + len(inner)
        inner = b"\xff\xff" + length.to_bytes(2, "big") + bytes.fromhex("00002320002a") + bytes(6) + inner
    with pytest.raises(ProtocolError, match="nested"):
        decode_actions(inner, 0, len(inner))


@pytest.mark.parametrize("length", [0, 7])
def test_a_length_below_the_headers_own_is_refused(length) -> None:
    with pytest.raises(ProtocolError, match="less than a header"):
        Session().receive(bytes((6, 2, 0, length, 0, 0, 0, 1)))
