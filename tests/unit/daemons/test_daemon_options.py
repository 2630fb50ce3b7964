"""Command lines as getopt_long takes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.daemons.options import COMMON_OPTIONS, OptionError, Parsed, flag, parse, usage, valued

OPTIONS = (
    *COMMON_OPTIONS,
    valued("ovnnb-db", "REMOTES", "northbound"),
    valued("system-id", "ID", "us", "n"),
    flag("x-y", ""),
)


@pytest.mark.parametrize(
    ("words", "given", "positional"),
    [
        ("--ovnnb-db=tcp:h:1", {"ovnnb-db": ("tcp:h:1",)}, ()),
        ("--ovnnb-db tcp:h:1", {"ovnnb-db": ("tcp:h:1",)}, ()),
        ("--ovnnb tcp:h:1", {"ovnnb-db": ("tcp:h:1",)}, ()),
        ("--ovnnb-db=", {"ovnnb-db": ("",)}, ()),
        ("--ovnnb-db --detach", {"ovnnb-db": ("--detach",)}, ()),
        ("--pidfile --detach", {"pidfile": (None,), "detach": (None,)}, ()),
        ("--pidfile=/x --detach", {"pidfile": ("/x",), "detach": (None,)}, ()),
        ("--pidfile /x", {"pidfile": (None,)}, ("/x",)),
        ("-v -vconsole:off -vfile:dbg", {"verbose": (None, "console:off", "file:dbg")}, ()),
        ("-v -p k.pem -cc.pem", {"verbose": (None,), "private-key": ("k.pem",), "certificate": ("c.pem",)}, ()),
        ("-n host1 -u /x/y", {"system-id": ("host1",), "unixctl": ("/x/y",)}, ()),
        ("-Vh", {"version": (None,), "help": (None,)}, ()),
        ("unix:/db.sock --detach", {"detach": (None,)}, ("unix:/db.sock",)),
        ("--detach -- --pidfile", {"detach": (None,)}, ("--pidfile",)),
        ("-", {}, ("-",)),
    ],
)
def test_a_command_line_means(words, given, positional):
    assert parse(words.split(), OPTIONS, (0, 1)) == Parsed(given, positional)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--nosuch", "unrecognized option '--nosuch'"),
        ("--nosuch=1", "unrecognized option '--nosuch'"),
        ("--ver", "option '--ver' is ambiguous; possibilities: '--verbose' '--version'"),
        ("--unixctl", "option '--unixctl' requires an argument"),
        ("--detach=yes", "option '--detach' doesn't allow an argument"),
        ("-z", "invalid option -- 'z'"),
        ("-p", "option requires an argument -- 'p'"),
        ("a b", "unexpected argument 'b'; use --help for usage"),
    ],
)
def test_a_wrong_command_line_is_refused_in_the_words_of_getopt(words, complaint):
    with pytest.raises(OptionError) as refusal:
        parse(words.split(), OPTIONS, (0, 1))
    assert str(refusal.value) == complaint


def test_too_few_words_are_refused():
    with pytest.raises(OptionError, match="at least 2 arguments needed"):
        parse(["one"], OPTIONS, (2, 3))


def test_the_last_value_counts_and_all_are_kept():
    parsed = parse(["--unixctl=a", "-ub"], OPTIONS)
    assert (parsed.value("unixctl"), parsed.values("unixctl")) == ("b", ("a", "b"))
    assert (parsed.get("private-key", "none"), parsed.has("private-key")) == ("none", False)


def test_numbers_are_checked():
    options = (valued("n-threads", "N", "threads"),)
    assert parse(["--n-threads=4"], options).number("n-threads", 1) == 4
    assert parse([], options).number("n-threads", 1) == 1
    with pytest.raises(OptionError, match="--n-threads: 'x' is not a whole number"):
        parse(["--n-threads=x"], options).number("n-threads", 1)


@given(st.lists(st.sampled_from(["--detach", "--pidfile", "-v", "-h", "--ovnnb-db=x", "-nid", "--log-file=/l"])))
def test_order_does_not_matter_between_different_options(words):
    names = lambda parsed: {name: len(values) for name, values in parsed.given.items()}  # noqa: E731
    assert names(parse(words, OPTIONS)) == names(parse(words[::-1], OPTIONS))


def test_no_two_common_options_share_a_name_or_letter():
    names = [option.name for option in COMMON_OPTIONS]
    letters = [option.short for option in COMMON_OPTIONS if option.short]
    assert len(set(names)) == len(names)
    assert len(set(letters)) == len(letters)


def test_the_help_shows_every_option_of_every_group_that_has_some():
    text = usage("prog", "does", "[REMOTE]", (("Options", OPTIONS), ("Nothing", ())))
    assert text.startswith("prog: does\nusage: prog [OPTIONS] [REMOTE]\n\nOptions:\n")
    assert all(f"--{option.name}" in text for option in OPTIONS)
    assert "-n, --system-id=ID" in text
    assert "--pidfile[=FILE]" in text
    assert "Nothing" not in text
