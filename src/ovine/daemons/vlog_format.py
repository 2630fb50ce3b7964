"""Patterns of log lines, in the notation of ovs-appctl(8) under PATTERN, and the names of levels.

A pattern is text with %-conversions: %m message, %c module, %p level, %N number, %D{…} and %d{…} time in UTC and local,
%A program, %P pid, %t and %T thread, %E host, %B syslog priority, %r milliseconds since the start, %n newline, %%.
After the % may come `-` (left), `0` (zeros) and a width.
Tests: tests/unit/daemons/test_daemon_vlog.py.
"""

import logging
import re
import time
from dataclasses import dataclass

OFF = logging.CRITICAL + 50
LEVELS = {
    "OFF": OFF,
    "EMER": logging.CRITICAL,
    "ERR": logging.ERROR,
    "WARN": logging.WARNING,
    "INFO": logging.INFO,
    "DBG": logging.DEBUG,
}
NAMES = {number: name for name, number in LEVELS.items()}
SYSLOG_SEVERITY = {"EMER": 1, "ERR": 3, "WARN": 4, "INFO": 6, "DBG": 7}
_CONVERSION = re.compile(r"%(-?)(0?)(\d*)([%A-Za-z])(?:\{([^}]*)\})?")
_DEFAULT_TIME = "%Y-%m-%d %H:%M:%S.###"


@dataclass(frozen=True)
class Entry:
    """One line to be logged; times are seconds (since 1970, since the start)."""

    time: float
    number: int
    module: str
    level: str
    message: str
    program: str
    pid: int
    host: str
    thread: str = ""
    since_start: float = 0.0
    syslog_facility: int = 3


def level_of(number: int) -> str:
    """The vlog level of a level of Python's logging."""
    return next((name for name, least in list(LEVELS.items())[1:] if number >= least), "DBG")


def render(pattern: str, entry: Entry) -> str:
    """The line that a pattern makes of an entry."""

    def convert(match: re.Match[str]) -> str:
        left, zero, width, letter, braces = match.groups()
        text = _converted(letter, braces, entry)
        if left:
            return text.ljust(int(width or 0))
        return text.rjust(int(width or 0), "0" if zero else " ")

    return _CONVERSION.sub(convert, pattern)


def _converted(letter: str, braces: str | None, entry: Entry) -> str:
    match letter:
        case "m":
            return entry.message
        case "c":
            return entry.module
        case "p":
            return entry.level
        case "N":
            return str(entry.number)
        case "D":
            return _moment(time.gmtime(entry.time), entry.time, braces)
        case "d":
            return _moment(time.localtime(entry.time), entry.time, braces)
        case "A":
            return entry.program
        case "P":
            return str(entry.pid)
        case "E":
            return entry.host
        case "B":
            return str(entry.syslog_facility * 8 + SYSLOG_SEVERITY[entry.level])
        case "t":
            return entry.thread or (braces or "")
        case "T":
            return f"({entry.thread})" if entry.thread else (f"({braces})" if braces else "")
        case "r":
            return str(int(entry.since_start * 1000))
        case "n":
            return "\n"
        case "%":
            return "%"
    return f"%{letter}"


def _moment(parts: time.struct_time, seconds: float, braces: str | None) -> str:
    return time.strftime(braces or _DEFAULT_TIME, parts).replace("###", f"{int(seconds * 1000) % 1000:03d}")
