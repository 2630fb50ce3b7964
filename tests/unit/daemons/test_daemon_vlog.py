"""Levels, patterns, limits and lines of the log."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.daemons.syslog_sink import SyslogSink
from ovine.daemons.vlog import Bucket, Vlog, module_of, rate_limit
from ovine.daemons.vlog_format import Entry, level_of, render
from ovine.daemons.vlog_levels import DEFAULT_PATTERNS, FACILITIES, SYSLOG_FACILITIES, Levels, SpecError

KNOWN = {"northd", "unixctl"}
ENTRY = Entry(
    time=1_700_000_000.0625,
    number=42,
    module="northd",
    level="WARN",
    message="100% sure",
    program="ovn-northd",
    pid=77,
    host="here",
    since_start=1.5,
)


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def record(
    module: str = "ovine.northd", level: int = logging.INFO, text: str = "text", **extra: object
) -> logging.LogRecord:
    made = logging.LogRecord(module, level, "", 0, text, (), None)
    made.__dict__.update(extra)
    return made


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(lines, clock) -> Vlog:
    return Vlog("prog", modules=KNOWN, clock=clock, console=lines.append)


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (DEFAULT_PATTERNS["file"], "2023-11-14T22:13:20.062Z|00042|northd|WARN|100% sure"),
        (DEFAULT_PATTERNS["console"], "2023-11-14T22:13:20Z|00042|northd|WARN|100% sure"),
        ("%A %P %E %r", "ovn-northd 77 here 1500"),
        ("<%B>", "<28>"),
        ("%-8c|%8c|%08N|%3N|", "northd  |  northd|00000042| 42|"),
        ("%t%T%%%n.", "%\n."),
        ("%T{main}%t{main}", "(main)main"),
        ("%D", "2023-11-14 22:13:20.062"),
        ("plain", "plain"),
        ("%y%", "%y%"),
    ],
)
def test_a_pattern_makes_the_line(pattern, line):
    assert render(pattern, ENTRY) == line


def test_a_thread_is_named_after_the_module():
    assert render("%c%T", replace(ENTRY, thread="worker")) == "northd(worker)"


@pytest.mark.parametrize(
    ("number", "name"),
    [(50, "EMER"), (40, "ERR"), (30, "WARN"), (20, "INFO"), (10, "DBG"), (5, "DBG"), (25, "INFO"), (99, "EMER")],
)
def test_levels_of_python_have_names_of_open_vswitch(number, name):
    assert level_of(number) == name


@pytest.mark.parametrize(
    ("name", "module"),
    [("ovine.northd", "northd"), ("ovine.ovsdb.client", "ovsdb_client"), ("asyncio", "asyncio"), ("a.B", "a_b")],
)
def test_a_logger_is_a_module(name, module):
    assert module_of(name) == module


@pytest.mark.parametrize(
    ("specs", "northd", "other"),
    [
        ([], "INFO INFO INFO", "INFO INFO INFO"),
        (["dbg"], "DBG DBG DBG", "DBG DBG DBG"),
        ([""], "DBG DBG DBG", "DBG DBG DBG"),
        (["console:off"], "OFF INFO INFO", "OFF INFO INFO"),
        (["FILE,warn"], "INFO INFO WARN", "INFO INFO WARN"),
        (["northd"], "DBG DBG DBG", "INFO INFO INFO"),
        (["any:northd:file:err"], "INFO INFO ERR", "INFO INFO INFO"),
        (["err:file:northd"], "INFO INFO ERR", "INFO INFO INFO"),
        (["northd:file:dbg", "file:emer"], "INFO INFO EMER", "INFO INFO EMER"),
        (["console:off", "northd:file:dbg", "console:err"], "ERR INFO DBG", "ERR INFO INFO"),
    ],
)
def test_specifications_set_levels_and_the_later_one_wins(specs, northd, other):
    levels = Levels()
    for spec in specs:
        levels = levels.applied(spec, KNOWN)
    rows = {line.split()[0]: line.split()[1:] for line in levels.listing(KNOWN, set()).splitlines()[2:]}
    assert rows == {"northd": northd.split(), "unixctl": other.split()}


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("nosuch:dbg", 'no destination, level, or module "nosuch"'),
        ("dbg:info", "cannot specify multiple levels"),
        ("file:console", "cannot specify multiple destinations"),
        ("northd:unixctl:dbg", "cannot specify multiple modules"),
        ("PATTERN:file", "a pattern is set by PATTERN:destination:pattern"),
        ("PATTERN:x:y", 'unknown destination "x"'),
        ("FACILITY", "invalid facility"),
        ("FACILITY:x", "invalid facility"),
    ],
)
def test_a_wrong_specification_is_refused(spec, complaint):
    with pytest.raises(SpecError) as refusal:
        Levels().applied(spec, KNOWN)
    assert str(refusal.value) == complaint


def test_a_pattern_may_hold_colons_and_go_everywhere():
    assert Levels().applied("PATTERN:ANY:%c: %m", KNOWN).patterns == dict.fromkeys(FACILITIES, "%c: %m")


def test_facilities_have_the_numbers_of_rfc_5424():
    assert (SYSLOG_FACILITIES["daemon"], SYSLOG_FACILITIES["clock"], SYSLOG_FACILITIES["ftp"]) == (3, 9, 11)
    assert (SYSLOG_FACILITIES["clock2"], SYSLOG_FACILITIES["local0"], SYSLOG_FACILITIES["local7"]) == (15, 16, 23)


WORDS = st.sampled_from(["northd", "unixctl", "console", "syslog", "file", "off", "err", "warn", "info", "dbg", "any"])


@given(st.lists(st.lists(WORDS, min_size=1, max_size=3).map(":".join), max_size=8))
def test_the_lowest_level_lets_everything_through_that_any_module_wants(specs):
    levels = Levels()
    for spec in specs:
        try:
            levels = levels.applied(spec, KNOWN)
        except SpecError:
            continue
    wanted = [levels.level(module, facility) for module in (*KNOWN, "another") for facility in FACILITIES]
    assert levels.lowest() <= min(wanted)


def test_messages_are_numbered_lines_whatever_they_hold(log, lines):
    log.emit(record(text="one"))
    log.emit(record("ovine.unixctl", logging.ERROR, "two\nlines\r"))
    log.emit(record(level=logging.DEBUG, text="unheard"))
    log.emit(record("asyncio", logging.CRITICAL, "three"))
    assert lines == [
        "2023-11-14T22:13:20Z|00001|northd|INFO|one\n",
        "2023-11-14T22:13:20Z|00002|unixctl|ERR|two\\nlines\\r\n",
        "2023-11-14T22:13:20Z|00003|asyncio|EMER|three\n",
    ]


def test_a_log_file_gets_undecodable_text_escaped(log, tmp_path):
    log.open_file(tmp_path / "log")
    log.emit(record(text="sur\udc80rogate ü"))
    log.close_file()
    assert (tmp_path / "log").read_bytes().endswith("|northd|INFO|sur\\udc80rogate ü\n".encode())


def test_a_full_disk_stops_the_log_only(log, lines):
    log.open_file(Path("/dev/full"))
    log.emit(record(text="on"))
    assert lines == ["2023-11-14T22:13:20Z|00001|northd|INFO|on\n"]


def test_arguments_that_do_not_fit_are_shown_rather_than_lost(log, lines):
    log.emit(record(text="%d of %d", args=("x",)))
    assert lines[0].endswith("|INFO|%d of %d ('x',)\n")


def test_without_console_the_other_destinations_remain(log, lines, tmp_path):
    log.open_file(tmp_path / "log")
    log.leave_console()
    log.emit(record(text="kept"))
    assert lines == []
    assert (tmp_path / "log").read_text().endswith("|kept\n")


def test_what_was_dropped_is_told_with_the_next_message_that_passes(log, lines, clock):
    limit = rate_limit(per_minute=6, burst=2)
    for _ in range(5):
        log.emit(record(text="often", **limit))
        clock.now += 1
    assert [line.rsplit("|", 1)[1] for line in lines] == ["often\n", "often\n"]
    clock.now += 8
    log.emit(record(text="again", **limit))
    assert [line.rsplit("|", 1)[1] for line in lines[2:]] == [
        "Dropped 3 log messages in last 11 seconds (most recently, 9 seconds ago) due to excessive rate\n",
        "again\n",
    ]


def test_messages_below_the_level_use_no_tokens(log, lines):
    limit = rate_limit(per_minute=1, burst=1)
    log.emit(record(level=logging.DEBUG, **limit))
    log.emit(record(text="counts", **limit))
    assert len(lines) == 1


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60), st.integers(1, 60), st.integers(1, 10))
def test_no_interval_sees_more_than_the_burst_and_the_rate_allow(gaps, rate, burst):
    bucket = Bucket(rate, burst, burst)
    now, passed = 0.0, []
    for gap in gaps:
        now += gap
        if bucket.admits(now):
            passed.append(now)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            allowed = burst + (passed[last] - passed[first]) * rate / 60 + 1e-6
            assert last - first + 1 <= allowed
    assert len(passed) + bucket.dropped == len(gaps)


@pytest.mark.parametrize("method", ["libc", "null", "unix:/nonexistent/log", "udp:127.0.0.1:1", "udp:[::1]:1"])
def test_syslog_that_nobody_hears_is_no_fault(method):
    SyslogSink(method).send("<27>lost")


@pytest.mark.parametrize("method", ["", "pigeon", "unix:", "udp:x", "udp::514", "udp:h:port"])
def test_an_unknown_syslog_method_is_refused(method):
    with pytest.raises(ValueError, match="is none of libc, unix:FILE, udp:IP:PORT, null"):
        SyslogSink(method)
