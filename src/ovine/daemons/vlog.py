"""The log of a daemon, in the format of Open vSwitch: `TIME|SEQ|module|LEVEL|text`.

It is a handler of Python's logging. A logger `ovine.northd` is the module `northd`, `ovine.ovsdb.client` is
`ovsdb_client`; CRITICAL, ERROR, WARNING, INFO, DEBUG are EMER, ERR, WARN, INFO, DBG. Messages go to the console
(standard error), to syslog and to a file, each with its own level and pattern (vlog_levels, vlog_format).

A message that may come often carries a limit: `logger.warning("…", extra=rate_limit(per_minute=12))`, made once per
place in the program. What was dropped is counted and told with the next message that passes.
Tests: tests/unit/daemons/test_daemon_vlog.py, tests/interop/daemons/test_appctl.py.
"""

import contextlib
import logging
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ovine.daemons.syslog_sink import SyslogSink
from ovine.daemons.unixctl import CommandError, Commands
from ovine.daemons.vlog_format import Entry, level_of, render
from ovine.daemons.vlog_levels import FACILITIES, Levels, SpecError

# Names that operators and scripts give to -v out of habit with OVN's daemons; they exist even if nothing logs there.
_USUAL = (
    "binding chassis daemon encaps fatal_signal if_status inc_proc_eng jsonrpc lflow main memory northd ofctrl "
    "ovn_northd ovsdb_cs ovsdb_idl patch physical pinctrl poll_loop rconn reconnect "
    "socket_util stream_ssl timeval unixctl vconn vlog"
)
USUAL_MODULES = frozenset(_USUAL.split())


def module_of(logger: str) -> str:
    """The vlog module of a logger's name."""
    return logger.removeprefix("ovine.").replace(".", "_").lower()


@dataclass
class Bucket:
    """A token bucket: `rate` tokens a minute, at most `burst`; and what was dropped since the last that passed."""

    rate: float
    burst: float
    tokens: float
    filled: float | None = None
    dropped: int = 0
    first_dropped: float = 0.0
    last_dropped: float = 0.0

    def admits(self, now: float) -> bool:
        """Take a token at time `now` (seconds), or count a drop."""
        if self.filled is not None:
            self.tokens = min(self.burst, self.tokens + (now - self.filled) * self.rate / 60)
        self.filled = now
        if self.tokens >= 1:
            self.tokens -= 1
            return True
        self.first_dropped = self.first_dropped if self.dropped else now
        self.last_dropped = now
        self.dropped += 1
        return False

    def account(self, now: float) -> str | None:
        """What to say about the messages dropped so far, which are then forgotten."""
        if not self.dropped:
            return None
        text = (
            f"Dropped {self.dropped} log messages in last {now - self.first_dropped:.0f} seconds (most recently, "
            f"{now - self.last_dropped:.0f} seconds ago) due to excessive rate"
        )
        self.dropped = 0
        return text


def rate_limit(per_minute: float = 5, burst: float | None = None) -> dict[str, Bucket]:
    """A limit to pass as `extra=` to logging calls; `burst` (default: a minute's worth) may come at once."""
    most = per_minute if burst is None else burst
    return {"vlog_limit": Bucket(per_minute, most, most)}


class Vlog(logging.Handler):
    """The handler that knows levels, limits and the three facilities.  One for each process, on the root logger."""

    def __init__(
        self,
        program: str,
        *,
        modules: Iterable[str] = (),
        syslog: SyslogSink | None = None,
        clock: Callable[[], float] = time.time,
        console: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self.levels = Levels()
        self._program = program
        self._modules = USUAL_MODULES | set(modules)
        self._syslog = syslog
        self._clock = clock
        self._console: Callable[[str], None] | None = console or _to_stderr
        self._started = clock()
        self._count = 0
        self._unlimited: set[str] = set()
        self._path: Path | None = None
        self._file: int | None = None
        self._host = socket.gethostname()

    def install(self) -> None:
        """Become the only handler of the root logger."""
        root = logging.getLogger()
        root.handlers[:] = [self]
        root.setLevel(self.levels.lowest())

    def modules(self) -> set[str]:
        """The names of the modules that exist by now."""
        loggers = logging.root.manager.loggerDict
        return {module_of(name) for name in loggers if name.startswith("ovine.")} | self._modules

    def set(self, spec: str) -> None:
        """Obey a specification of `-v` or `vlog/set`.  SpecError says what is wrong with it."""
        self.levels = self.levels.applied(spec, self.modules())
        logging.getLogger().setLevel(self.levels.lowest())

    def open_file(self, path: Path) -> None:
        """Log to a file from now on.  OSError if it cannot be opened."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self.close_file()
        self._path, self._file = path, descriptor
        logging.getLogger("ovine.vlog").info("opened log file %s", path)

    def reopen_file(self) -> bool:
        """Open the log file anew, after it was moved away; False when there is none.  OSError if that fails."""
        if self._path is None:
            return False
        self.open_file(self._path)
        return True

    def close_file(self) -> None:
        """Stop logging to the file, until it is reopened."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def leave_console(self) -> None:
        """Write no more to the console, whatever its levels: nobody reads it."""
        self._console = None

    def limit(self, modules: Iterable[str], enabled: bool) -> None:
        """Switch rate limiting of modules on or off; no module means all.  SpecError if there is no such module."""
        chosen = set(modules) or self.modules()
        if chosen - self.modules():
            raise SpecError("unknown module")
        self._unlimited = self._unlimited - chosen if enabled else self._unlimited | chosen

    def listing(self) -> str:
        """What `vlog/list` answers."""
        return self.levels.listing(self.modules(), self._unlimited)

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record of Python's logging wherever its module's levels say."""
        module = module_of(record.name)
        wanted = [facility for facility in FACILITIES if record.levelno >= self.levels.level(module, facility)]
        if not wanted:
            return
        bucket = getattr(record, "vlog_limit", None)
        texts = [_text(record)]
        if bucket is not None and module not in self._unlimited:
            now = self._clock()
            if not bucket.admits(now):
                return
            texts = [account, *texts] if (account := bucket.account(now)) else texts
        for text in texts:
            self._write(self._entry(record, module, text), wanted)

    def _entry(self, record: logging.LogRecord, module: str, text: str) -> Entry:
        self._count += 1
        now = self._clock()
        return Entry(
            time=now,
            number=self._count,
            module=module,
            level=level_of(record.levelno),
            message=_one_line(text),
            program=self._program,
            pid=os.getpid(),
            host=self._host,
            thread="" if record.threadName in (None, "MainThread") else str(record.threadName),
            since_start=now - self._started,
            syslog_facility=self.levels.syslog_facility,
        )

    def _write(self, entry: Entry, facilities: list[str]) -> None:
        patterns = self.levels.patterns
        if "console" in facilities and self._console is not None:
            self._console(render(patterns["console"], entry) + "\n")
        if "file" in facilities and self._file is not None:
            with contextlib.suppress(OSError):  # a full disk must not stop the daemon
                os.write(self._file, (render(patterns["file"], entry) + "\n").encode(errors="backslashreplace"))
        if "syslog" in facilities and self._syslog is not None:
            self._syslog.send(render("<%B>%D{%b %e %H:%M:%S} %A: ", entry) + render(patterns["syslog"], entry))


def _text(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except (TypeError, ValueError):  # arguments that don't fit: better a strange line than none
        text = f"{record.msg} {record.args}"
    if record.exc_info and record.exc_info[0] is not None:
        text += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
    return text


def _one_line(text: str) -> str:
    # One message is one line, whatever a user put into it.
    return text.replace("\r", "\\r").replace("\n", "\\n") if "\n" in text or "\r" in text else text


def _to_stderr(line: str) -> None:
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody reads the console any more; the file and syslog remain


def register(commands: Commands, vlog: Vlog) -> None:
    """Add the `vlog/…` control commands (ovs-appctl(8), "LOGGING COMMANDS")."""

    def refusing(action: Callable[[list[str]], str | None]) -> Callable[[list[str]], str]:
        def handler(words: list[str]) -> str:
            try:
                return action(words) or ""
            except SpecError as fault:
                raise CommandError(str(fault)) from None
            except OSError as fault:
                raise CommandError(f"cannot open log file: {fault.strerror}") from None

        return handler

    def set_levels(words: list[str]) -> None:
        before = vlog.levels
        try:
            for word in words or ["dbg"]:
                vlog.set(word)
        except SpecError:
            vlog.levels = before
            raise

    def reopen(words: list[str]) -> str | None:
        del words
        return None if vlog.reopen_file() else "Logging to file not configured"

    commands.register("vlog/set", "{spec | PATTERN:destination:pattern}", 0, None, refusing(set_levels))
    commands.register("vlog/list", "", 0, 0, lambda words: vlog.listing())
    commands.register("vlog/list-pattern", "", 0, 0, lambda words: vlog.levels.pattern_listing())
    commands.register("vlog/reopen", "", 0, 0, refusing(reopen))
    commands.register("vlog/close", "", 0, 0, refusing(lambda words: vlog.close_file()))
    commands.register(
        "vlog/disable-rate-limit", "[module]...", 0, None, refusing(lambda words: vlog.limit(words, enabled=False))
    )
    commands.register(
        "vlog/enable-rate-limit", "[module]...", 0, None, refusing(lambda words: vlog.limit(words, enabled=True))
    )
