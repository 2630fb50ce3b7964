"""Cutting a byte stream into JSON texts."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.ovsdb.errors import ProtocolError
from ovine.ovsdb.framing import Framer, encode

nasty_text = st.text(st.sampled_from('{}[]"\\,: \n\tax\u20ac/'), max_size=12)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | nasty_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(nasty_text, inner, max_size=4),
    max_leaves=12,
)
messages = st.dictionaries(nasty_text, documents, max_size=4)


@given(st.lists(messages, max_size=6), st.lists(st.integers(1, 40), min_size=1), st.sampled_from(["", " ", "\r\n\t "]))
def test_any_split_of_any_messages_gives_them_back(texts, sizes, gap):
    data = gap.encode().join(orjson.dumps(text) for text in texts) + gap.encode()
    framer, out, position, turn = Framer(), [], 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        out += framer.feed(data[position : position + size])
        position, turn = position + size, turn + 1
    assert out == texts


row_updates = st.dictionaries(st.sampled_from(["insert", "new", "modify"]), messages, min_size=1, max_size=2)
table_updates = st.dictionaries(nasty_text, st.dictionaries(nasty_text, row_updates, max_size=4), max_size=3)
update_messages = st.one_of(
    st.builds(lambda updates, more: {"id": None, "params": ["x", updates, *more]}, table_updates, st.lists(documents)),
    st.builds(lambda updates, more: {"result": updates, "x": more}, table_updates, documents),
    st.builds(lambda *pair: {"params": list(pair), "x": pair[0], "y": list(pair)}, table_updates, table_updates),
    messages,
)


@given(
    st.lists(update_messages, max_size=4),
    st.lists(st.integers(1, 300), min_size=1),
    st.integers(1, 200),
)
def test_a_message_that_is_parsed_in_pieces_is_what_it_is_as_a_whole(texts, sizes, piece):
    data = b"".join(orjson.dumps(text) for text in texts)
    framer, out, position, turn = Framer(piece=piece), [], 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        out += framer.feed(data[position : position + size])
        position, turn = position + size, turn + 1
    # As text: the order of members is to be the same, too.
    assert [orjson.dumps(each) for each in out] == [orjson.dumps(text) for text in texts]


@pytest.mark.parametrize("where", ["params", "result"])
def test_a_long_update_is_parsed_while_it_comes(where):
    rows = {f"row {number}": {"insert": {"text": 'a}},"b' * 10}} for number in range(300)}
    updates = {"One": dict(list(rows.items())[:200]), "Two": rows}
    message = {"id": None, where: ["x", updates] if where == "params" else updates}
    data, framer = orjson.dumps(message), Framer(piece=1000)
    ahead = []
    for position in range(0, len(data) - 1000, 1000):
        assert list(framer.feed(data[position : position + 1000])) == []
        ahead.append(framer._unparsed)
    assert max(ahead) < 3000 < len(data) / 10
    assert list(framer.feed(data[position + 1000 :])) == [message]


@pytest.mark.parametrize("bad", [b'"a":{"b":{]}},"c":{"d":{}},"e', b'"a":{"b":{}},"c":{"d":{}},,"e', b'"\xff'])
def test_a_malformed_piece_is_refused(bad):
    framer = Framer(piece=10)
    with pytest.raises(ProtocolError, match="malformed JSON"):
        for text in (b'{"result":{"T":{"a":{"b":{}},"x":{"y":{}},', bad, b'":{"f":{}}}}}'):
            list(framer.feed(text))


def test_a_message_is_given_as_soon_as_its_last_byte_is_there():
    framer = Framer()
    assert list(framer.feed(b'{"a":"}')) == []
    assert list(framer.feed(b'\\"')) == []
    assert list(framer.feed(b'"}')) == [{"a": '}"'}]


def test_a_message_is_not_held_back_by_the_start_of_the_next():
    assert list(Framer().feed(b'{"a":1}{"b":')) == [{"a": 1}]


def test_messages_before_garbage_are_still_given():
    messages = Framer().feed(b'{"a":1} x {"b":2}')
    assert next(messages) == {"a": 1}
    with pytest.raises(ProtocolError, match="expected a JSON object, got b'x"):
        next(messages)


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"[1]",
        b'"text"',
        b"}",
        b'{"a":1}}',
        b"{'a':1}",
        b'{"a":}',
        b'{"a":\xff}',
        b'{"a":1e999999}x',
        b"\x00" * 100,
    ],
)
def test_garbage_is_refused(garbage):
    with pytest.raises(ProtocolError):
        list(Framer().feed(garbage))


@given(st.binary(max_size=200) | st.text('{}":\\,[]1 a', max_size=60).map(str.encode))
def test_no_bytes_do_anything_but_parse_or_be_refused(data):
    framer = Framer()
    try:
        for message in framer.feed(data):
            assert isinstance(message, dict)
    except ProtocolError as error:
        assert "\n" not in str(error)


def test_deep_nesting_is_refused_not_followed():
    depth = 100_000
    with pytest.raises(ProtocolError, match="malformed JSON"):
        list(Framer().feed(b'{"a":' * depth + b"1" + b"}" * depth))


def test_deep_nesting_over_many_reads_is_refused_too():
    framer = Framer()
    for _ in range(100):
        assert list(framer.feed(b'{"a":' * 1000)) == []
    with pytest.raises(ProtocolError, match="malformed JSON"):
        for _ in range(100):
            assert list(framer.feed(b"}" * 1000)) == []


def test_an_endless_message_is_refused_at_the_limit():
    framer = Framer(max_message=10_000)
    with pytest.raises(ProtocolError, match="longer than 10000 bytes"):
        for _ in range(100):
            assert list(framer.feed(b'{"a":"' + b"x" * 1000 if not framer._parts else b"x" * 1000)) == []


def test_what_json_cannot_carry_is_refused_when_writing():
    with pytest.raises(ValueError, match="64-bit"):
        encode({"a": 2**70})
