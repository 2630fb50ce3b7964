"""Finding messages in a stream, and answering them."""

import itertools

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.daemons.unixctl import CommandError, Commands, Splitter, answer, decode_request

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=4)


def commands() -> Commands:
    registry = Commands()

    async def later(words: list[str]) -> str:
        return "+".join(words)

    def refuse(words: list[str]) -> str:
        raise CommandError("no")

    def bug(words: list[str]) -> str:
        raise ZeroDivisionError

    registry.register("add", "A B...", 2, None, later)
    registry.register("line", "", 0, 0, lambda words: "ends\n")
    registry.register("refuse", "", 0, 1, refuse)
    registry.register("bug", "", 0, 0, bug)
    return registry


@given(OBJECTS, st.lists(st.integers(0, 200), max_size=8), st.sampled_from([b"", b" ", b"\r\n\t"]))
def test_objects_are_found_however_the_stream_is_cut(objects, cuts, between):
    stream = between.join(orjson.dumps(value) for value in objects) + between
    splitter = Splitter()
    found = []
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in itertools.pairwise(edges):
        found += [orjson.loads(message) for message in splitter.feed(stream[start:end])]
    assert found == objects


@pytest.mark.parametrize("garbage", [b"x", b"[1]", b'"a"', b"{} ,", b"}"])
def test_what_is_no_object_is_refused(garbage):
    with pytest.raises(ValueError, match="not a JSON object"):
        list(Splitter().feed(garbage))


def test_a_message_without_end_is_refused():
    with pytest.raises(ValueError, match="too long"):
        list(Splitter(longest=100).feed(b'{"' + b"x" * 100))


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b'{"method":1,"params":[],"id":0}', '"method" must be a JSON string'),
        (b'{"params":[],"id":0}', '"method" must be a JSON string'),
        (b'{"method":"x","params":{},"id":0}', '"params" must be a JSON array of strings'),
        (b'{"method":"x","params":[1],"id":0}', '"params" must be a JSON array of strings'),
        (b'{"method":"x","params":[],"id":null}', "unexpected notification"),
        (b"{]}", "unexpected character"),
    ],
)
def test_what_is_no_request_is_refused(message, complaint):
    with pytest.raises(ValueError) as refusal:
        decode_request(message)
    assert complaint in str(refusal.value)


@pytest.mark.parametrize(
    ("method", "words", "result", "error"),
    [
        ("add", ["1", "2", "3"], "1+2+3\n", None),
        ("line", [], "ends\n", None),
        ("add", ["1"], None, '"add" command requires at least 2 arguments\n'),
        ("line", ["1"], None, '"line" command takes at most 0 arguments\n'),
        ("refuse", [], None, "no\n"),
        ("bug", [], None, "bug: internal error: ZeroDivisionError()\n"),
        (
            "nosuch",
            [],
            None,
            '"nosuch" is not a valid command (use "list-commands" to see a list of valid commands)\n',
        ),
    ],
)
async def test_a_request_is_answered_by_result_or_error_and_its_id(method, words, result, error):
    message = orjson.dumps({"method": method, "params": words, "id": [7]})
    reply = orjson.loads(await answer(commands(), message))
    assert reply == {"id": [7], "result": result, "error": error}


async def test_a_command_registered_again_takes_the_place_of_the_first():
    registry = commands()
    registry.register("line", "", 0, 0, lambda words: "other")
    assert await registry.run("line", []) == "other"
    assert registry.listing().count("  line ") == 1


async def test_the_listing_is_sorted_and_holds_itself():
    assert await commands().run("list-commands", []) == (
        "The available commands are:\n"
        "  add                     A B...\n"
        "  bug                     \n"
        "  line                    \n"
        "  list-commands           \n"
        "  refuse                  \n"
    )
