"""From a declared daemon to a running one: options, log, forks, pidfile, control socket, event loop, and the way out.

A daemon is a `DaemonSpec` with an async `main(context)`. `run_daemon` does the rest in an order that others rely on:
everything that can be refused is refused before the first fork; the pidfile and the control socket exist before a
detached start returns; `exit` is answered when the clean-up is over and both files are gone; then the process ends.

The end comes in steps, each with a bound, so that a daemon whose databases are gone still ends promptly: `stopping` is
set; `main` has `grace` seconds to return, then it is cancelled; callbacks of `on_exit` run in reverse order, with
`cleanup_seconds` for all of this. Modules of daemons import what is large inside `main`, so that a start is quick.
Tests: tests/interop/daemons/test_daemon_process.py, tests/interop/daemons/test_appctl.py.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from ovine import __version__
from ovine.daemons import collector, paths, process, vlog
from ovine.daemons import options as opts
from ovine.daemons.context import CannotStart, Context, DaemonSpec, Ending, TlsOptions
from ovine.daemons.pidfile import AlreadyRunning, Pidfile, acquire
from ovine.daemons.syslog_sink import SyslogSink
from ovine.daemons.tls import check as check_tls
from ovine.daemons.unixctl import CommandError, Commands, Server
from ovine.daemons.vlog_levels import SpecError

__all__ = ["CannotStart", "Context", "DaemonSpec", "Ending", "TlsOptions", "program_name", "run_daemon", "version_text"]

# The version of OVN whose conventions these daemons keep.  Scripts compare the last word of the first line of `version`
# with the versions they know (ovs-lib: only from 2.5.90 on is a daemon stopped by `exit`), so it stands there.
OVN_VERSION = "23.03.1"
# After SIGTERM a process that computes and doesn't get round to ending is ended the hard way.
HARD_END_SECONDS = 5.0


def program_name(default: str, program: str | None = None) -> str:
    """$OVN_PROGRAM, else the name of the program called (a path or None), else the default."""
    return os.environ.get("OVN_PROGRAM") or Path(program or default).name


def version_text(program: str) -> str:
    """What --version and the control command `version` say."""
    return f"{program} (Ovine {__version__}) in place of OVN {OVN_VERSION}\n"


def run_daemon(spec: DaemonSpec, argv: Sequence[str], program: str | None = None) -> int:
    """Run a daemon with the words after its name; `program` is argv[0] where the caller has one.

    Returns an exit status in the process that was called: at once for --help, --version and errors, after the start
    with --detach.  The process that becomes the daemon ends in here.
    """
    name = program_name(spec.default_program, program)
    try:
        parsed = opts.parse(argv, (*spec.options, *opts.COMMON_OPTIONS), spec.positional)
        if parsed.has("help") or parsed.has("version"):
            sys.stdout.write(_help(spec, name) if parsed.has("help") else version_text(name))
            return 0
        check_tls(parsed)
        if spec.check is not None:
            spec.check(parsed)
        where = paths.from_environment()
        log = _start_log(spec, parsed, name, where)
        process.rename_process(name)
        startup = process.start(
            detach=parsed.has("detach"), monitor=parsed.has("monitor"), chdir=not parsed.has("no-chdir")
        )
    except opts.OptionError as fault:
        return _refuse(name, str(fault))
    if isinstance(startup, int):
        return startup
    status = _Daemon(spec, parsed, name, where, log).run(startup)
    # Nothing is left to do: the interpreter's own tidying would take time, and might wait for a thread that is stuck.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _refuse(program: str, text: str) -> int:
    sys.stderr.write(f"{program}: {text}\n")
    return 1


def _help(spec: DaemonSpec, program: str) -> str:
    groups = (
        ("Options", spec.options),
        ("Daemon options", opts.DAEMON_OPTIONS),
        ("Logging options", opts.LOG_OPTIONS),
        ("TLS options", opts.TLS_OPTIONS),
        ("Other options", opts.OTHER_OPTIONS),
    )
    return opts.usage(program, spec.description, spec.arguments, groups, spec.example)


def _start_log(spec: DaemonSpec, parsed: opts.Parsed, program: str, where: paths.Paths) -> vlog.Vlog:
    """The log as the options ask.  OptionError if they ask for what cannot be."""
    method = parsed.value("syslog-method") or os.environ.get("OVS_SYSLOG_METHOD") or "libc"
    try:
        log = vlog.Vlog(program, modules=(spec.name, *spec.modules), syslog=SyslogSink(method))
    except ValueError as fault:
        raise opts.OptionError(str(fault)) from None
    for text in parsed.values("verbose"):
        try:
            log.set(text or "dbg")
        except SpecError as fault:
            raise opts.OptionError(f'processing "{text}": {fault}') from None
    log.install()
    if parsed.has("log-file"):
        path = where.log_file(program, parsed.value("log-file")).absolute()
        try:
            log.open_file(path)
        except OSError as fault:
            raise opts.OptionError(f"{path}: cannot open log file: {fault.strerror}") from None
    return log


class _Daemon:
    """One daemon in its own process."""

    def __init__(self, spec: DaemonSpec, parsed: opts.Parsed, program: str, where: paths.Paths, log: vlog.Vlog) -> None:
        self._spec = spec
        self._parsed = parsed
        self._program = program
        self._paths = where
        self._vlog = log
        self._log = logging.getLogger(f"ovine.{spec.name}")
        self._commands = Commands()
        self._pidfile: Pidfile | None = None
        self._server: Server | None = None
        self._over = asyncio.Event()

    def run(self, startup: process.Startup) -> int:
        """Run until the end; the exit status, or death by the signal that was received."""
        try:
            self._take_pidfile()
            # Not closed: that would wait for threads, and the caller ends the process anyway.
            runner = asyncio.Runner(loop_factory=_loop_factory())
            ending, failed = runner.run(self._live(startup))
        except (AlreadyRunning, CannotStart) as fault:
            self._release()
            return _refuse(self._program, str(fault))
        if ending.signal is not None:
            process.die_of(ending.signal)
        if failed and startup.monitored:
            process.die_of(signal.SIGABRT)  # a bug: the monitor is to start the daemon again
        return 1 if failed else 0

    def _take_pidfile(self) -> None:
        if not self._parsed.has("pidfile"):
            return
        path = self._paths.pidfile(self._program, self._parsed.value("pidfile")).absolute()
        try:
            self._pidfile = acquire(path, overwrite=self._parsed.has("overwrite-pidfile"))
        except OSError as fault:
            raise CannotStart(f"{path}: cannot create pidfile: {fault.strerror}") from None

    async def _live(self, startup: process.Startup) -> tuple[Ending, bool]:
        context = Context(
            program=self._program,
            options=self._parsed,
            paths=self._paths,
            tls=TlsOptions.parsed(self._parsed),
            commands=self._commands,
            vlog=self._vlog,
            log=self._log,
            environment=dict(os.environ),
        )
        self._register(context)
        await self._listen()
        self._catch_signals(context)
        self._log.info("%s (Ovine %s) started", self._program, __version__)
        main = asyncio.ensure_future(_awaited(self._spec.main(context)))
        await asyncio.sleep(0)  # `main` runs up to where it first waits
        collector.start()
        fault = _fault(main)
        if isinstance(fault, CannotStart):
            raise fault
        if fault is None:
            startup.ready()
            if startup.detached:
                self._vlog.leave_console()
        failed = await self._end_of(main, context)
        await self._finish()
        return context.ending or Ending(), failed

    async def _listen(self) -> None:
        given = self._parsed.value("unixctl")
        if given == "none":
            return
        path = self._paths.control_socket(self._program, os.getpid(), given).absolute()
        self._server = Server(path, self._commands)
        try:
            await self._server.start()
        except OSError as fault:
            raise CannotStart(f"{path}: cannot listen for control commands: {fault.strerror}") from None

    def _register(self, context: Context) -> None:
        async def exit_(words: list[str]) -> str:
            if words not in ([], ["--restart"]):
                raise CommandError(f'"exit" takes no argument but --restart, not "{words[0]}"')
            context.stop(Ending(tuple(words)))
            await self._over.wait()
            return ""

        self._commands.register("exit", "[--restart]", 0, 1, exit_)
        self._commands.register("version", "", 0, 0, lambda words: version_text(self._program))
        vlog.register(self._commands, self._vlog)

    def _catch_signals(self, context: Context) -> None:
        loop = asyncio.get_running_loop()

        def end(number: int) -> None:
            self._log.info("terminating with signal %d (%s)", number, signal.strsignal(number))
            context.stop(Ending(signal=number))

        def hangup() -> None:
            try:
                self._vlog.reopen_file()
            except OSError as fault:
                self._log.warning("cannot open log file: %s", fault.strerror)

        def caught(number: int, frame: object) -> None:
            del frame
            # Runs between two byte codes, even while a long computation keeps the event loop from its work.
            loop.call_soon_threadsafe(end, number)
            watch = threading.Timer(HARD_END_SECONDS, self._end_hard, (number,))
            watch.daemon = True
            watch.start()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, caught)
        loop.add_signal_handler(signal.SIGHUP, hangup)

    def _end_hard(self, number: int) -> None:
        self._release()
        process.die_of(number)

    async def _end_of(self, main: asyncio.Future[None], context: Context) -> bool:
        """Wait for the end and clean up; whether `main` failed."""
        stop: asyncio.Future[bool] = asyncio.ensure_future(context.stopping.wait())
        either: set[asyncio.Future[Any]] = {main, stop}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        context.stop(Ending(failed=_fault(main) is not None))
        try:
            async with asyncio.timeout(self._spec.cleanup_seconds):
                await asyncio.wait({main}, timeout=self._spec.grace)
                main.cancel()
                await asyncio.wait({main})
                await context.run_callbacks()
        except TimeoutError:
            self._log.warning("clean-up not over after %g seconds: leaving the rest", self._spec.cleanup_seconds)
        stop.cancel()
        fault = _fault(main)
        if fault is not None:
            self._log.critical("%s failed", self._program, exc_info=fault)
        return fault is not None

    async def _finish(self) -> None:
        """Remove the files, answer those who asked for the end, and go."""
        if self._pidfile is not None:
            self._pidfile.release()
            self._pidfile = None
        self._over.set()
        if self._server is not None:
            await self._server.close()

    def _release(self) -> None:
        if self._pidfile is not None:
            self._pidfile.release()
        if self._server is not None:
            with contextlib.suppress(OSError):
                self._server.path.unlink()


def _fault(main: asyncio.Future[None]) -> BaseException | None:
    """The exception that ended `main`, if it ended by one."""
    return main.exception() if main.done() and not main.cancelled() else None


async def _awaited(awaitable: Awaitable[None]) -> None:
    await awaitable


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
