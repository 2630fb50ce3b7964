"""The conversation without I/O: cutting, version, echo, errors by number, bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.openflow import (
    BarrierReply,
    BarrierRequest,
    BundleAdd,
    BundleControl,
    EchoReply,
    EchoRequest,
    EncodeError,
    Error,
    Flow,
    FlowMod,
    Hello,
    PacketIn,
    ProtocolError,
    Ready,
    Received,
    Refused,
    Session,
    decode,
    encode,
    match,
)
from ovine.openflow import session as session_module


def _ready() -> Session:
    session = Session()
    assert decode(session.greet())[1] == Hello()
    assert session.receive(encode(Hello(), 1)) == ([Ready()], b"")
    return session


_TALK = [
    (0, PacketIn(b"abc", match(reg0=5), 1, 2)),
    (7, BarrierReply()),
    (0, PacketIn(b"", ())),
    (8, EchoReply(b"x" * 300)),
]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_events_do_not_depend_on_how_the_bytes_are_cut(sizes) -> None:
    stream = b"".join(encode(message, xid) for xid, message in _TALK)
    session, events, at = _ready(), [], 0
    for size in [*sizes, len(stream)]:
        events += session.receive(stream[at : at + size])[0]
        at += size
    assert events == [Received(xid, message) for xid, message in _TALK]


def test_an_echo_is_answered_at_once() -> None:
    events, answer = _ready().receive(encode(EchoRequest(b"ping"), 9))
    assert (events, decode(answer)) == ([], (9, EchoReply(b"ping")))


@pytest.mark.parametrize("versions", [(1, 4, 5), (), (7,)])
def test_a_switch_without_openflow_1_5_is_told_apart(versions) -> None:
    with pytest.raises(ProtocolError, match=r"does not offer OpenFlow 1\.5"):
        Session().receive(encode(Hello(versions), 1))


def test_a_hello_of_another_version_with_a_bitmap_is_read() -> None:
    later = bytes((7,)) + encode(Hello((6, 7)), 1)[1:]
    assert Session().receive(later) == ([Ready()], b"")
    bare_old = bytes.fromhex("0100000800000001")
    with pytest.raises(ProtocolError, match=r"it offers 1\.0"):
        Session().receive(bare_old)


def test_a_refused_hello_says_why() -> None:
    with pytest.raises(ProtocolError, match=r"refuses OpenFlow 1\.5: We support 1\.3 only"):
        Session().receive(encode(Error(0, 0, b"We support 1.3 only"), 1))


def test_nothing_may_come_before_the_hello() -> None:
    with pytest.raises(ProtocolError, match="BarrierReply before its hello"):
        Session().receive(encode(BarrierReply(), 1))


def test_an_error_names_the_message_it_refuses() -> None:
    session = _ready()
    mods = [FlowMod("add", Flow(0, number, ())) for number in range(3)]
    xids = [session.send(mod)[0] for mod in mods]
    events, _answer = session.receive(encode(Error(5, 1), xids[1]))
    assert events == [Refused(xids[1], Error(5, 1), mods[1])]
    assert str(events[0]) == "OFPFMFC_TABLE_FULL: the switch refused flow add: table=0,priority=1 actions=drop"


def test_a_barrier_confirms_what_was_sent_before_it() -> None:
    session = _ready()
    first, _data = session.send(FlowMod("add", Flow(0, 1, ())))
    barrier, _data = session.send(BarrierRequest())
    second, _data = session.send(FlowMod("add", Flow(0, 2, ())))
    session.receive(encode(BarrierReply(), barrier))
    error = Error(5, 1)
    (known,), _answer = session.receive(encode(error, second))
    (forgotten,), _answer = session.receive(encode(error, first))
    assert (known.message, forgotten.message) == (FlowMod("add", Flow(0, 2, ())), None)


def test_what_is_in_a_bundle_is_remembered_until_its_commit() -> None:
    session, mod = _ready(), FlowMod("add", Flow(0, 1, ()))
    inside, _data = session.send(BundleAdd(3, mod))
    barrier, _data = session.send(BarrierRequest())
    session.receive(encode(BarrierReply(), barrier))
    assert session.receive(encode(Error(5, 1), inside))[0] == [Refused(inside, Error(5, 1), mod)]
    session.receive(encode(BundleControl(3, "commit_reply"), 99))
    assert session.receive(encode(Error(5, 1), inside))[0] == [Refused(inside, Error(5, 1), None)]


def test_the_end_of_a_bundle_confirms_what_was_sent_before_it_but_for_other_bundles() -> None:
    session, mod = _ready(), FlowMod("add", Flow(0, 1, ()))
    alone, _data = session.send(mod)
    other, _data = session.send(BundleAdd(2, mod))
    inside, _data = session.send(BundleAdd(3, mod))
    commit, _data = session.send(BundleControl(3, "commit"))
    session.receive(encode(BundleControl(3, "commit_reply"), commit))
    told = [session.receive(encode(Error(5, 1), xid))[0][0] for xid in (alone, other, inside)]
    assert [refused.message for refused in told] == [None, mod, None]


def test_what_cannot_be_encoded_takes_no_number() -> None:
    session = _ready()
    first, _data = session.send(BarrierRequest())
    with pytest.raises(EncodeError):
        session.send(FlowMod("add", Flow(999, 0, ())))
    assert session.send(BarrierRequest())[0] == first + 1


def test_memory_is_bounded_and_the_oldest_is_forgotten(monkeypatch) -> None:
    monkeypatch.setattr(session_module, "MEMORY", 10)
    session = _ready()
    xids = [session.send(BarrierRequest())[0] for _ in range(12)]
    known = [session.receive(encode(Error(1, 1), xid))[0][0].message is not None for xid in xids]
    assert known == [False, False] + [True] * 10
