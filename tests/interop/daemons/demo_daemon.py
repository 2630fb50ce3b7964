"""A daemon that does nothing but be one: the tests drive its process, its control commands and its end."""

import asyncio
import logging
import os
import threading
import time
from pathlib import Path

from ovine.daemons import statistics
from ovine.daemons.options import OptionError, Parsed, flag, valued
from ovine.daemons.service import CannotStart, Context, DaemonSpec, run_daemon
from ovine.daemons.unixctl import CommandError
from ovine.daemons.vlog import rate_limit

LIMIT = rate_limit(per_minute=1, burst=3)


def check(options: Parsed) -> None:
    if options.number("n-threads", 1) < 1:
        raise OptionError("--n-threads: at least 1")


async def run(context: Context) -> None:
    if context.options.get("hold", "") == "/":
        raise CannotStart("--hold: a file is needed")
    if context.options.get("watch", "") == "/":
        raise RuntimeError("a bug at the start")
    failing = asyncio.Event()
    counts = {"flows": {"recompute": 2, "compute": 40}}
    register(context, failing, counts)
    context.on_exit(lambda: clean_up(context))
    if context.options.has("watch"):
        await context.stopping.wait()
        Path(context.options.get("watch", "")).write_text("ended by itself")
        return
    if context.options.has("stuck-thread"):
        threading.Thread(target=time.sleep, args=(3600,)).start()
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
    await failing.wait()
    raise RuntimeError("told to fail\nin two lines")


def register(context: Context, failing: asyncio.Event, counts: dict[str, dict[str, int]]) -> None:
    def fail(words: list[str]) -> str:
        failing.set()
        return ""

    def crash(words: list[str]) -> str:
        os.kill(os.getpid(), int(words[0]))
        return ""

    def refuse(words: list[str]) -> str:
        raise CommandError("not today")

    def log(words: list[str]) -> str:
        logger = logging.getLogger(words[0])
        logger.log(logging.getLevelNamesMapping()[words[1]], "%s", words[2])
        return ""

    def repeat(words: list[str]) -> str:
        for number in range(int(words[0])):
            context.log.warning("message %d", number, extra=LIMIT)
        return ""

    def spin(words: list[str]) -> str:
        context.log.info("spinning")
        while True:
            time.sleep(0.01)

    async def wait(words: list[str]) -> str:
        await asyncio.sleep(3600)
        return "never"

    add = context.commands.register
    add("fail", "", 0, 0, fail)
    add("crash", "SIGNAL", 1, 1, crash)
    add("refuse", "", 0, 0, refuse)
    add("bug", "", 0, 0, lambda words: words[0])
    add("echo", "[WORD]...", 0, None, lambda words: " ".join(words))
    add("log", "LOGGER LEVEL TEXT", 3, 3, log)
    add("repeat", "NUMBER", 1, 1, repeat)
    add("spin", "", 0, 0, spin)
    add("wait", "", 0, 0, wait)
    add("cwd", "", 0, 0, lambda words: str(Path.cwd()))
    add("loop", "", 0, 0, lambda words: type(asyncio.get_running_loop()).__module__)
    add("remote", "", 0, 0, lambda words: context.remote("ovnnb-db", "OVN_NB_DB", "unix:default"))
    add("tls", "", 0, 0, lambda words: f"{context.tls.given} {context.tls.private_key} {context.tls.ca_cert}")
    statistics.register(context.commands, lambda: counts, lambda: counts["flows"].update(recompute=0, compute=0))


async def clean_up(context: Context) -> None:
    """Wait until the file given by --hold is there, then say in the log what kind of end this is."""
    hold = context.options.value("hold")
    while hold is not None and not Path(hold).exists():  # noqa: ASYNC110  (tests are another process)
        await asyncio.sleep(0.01)
    assert context.ending is not None
    context.log.info("clean-up %s %s", context.ending.clean_up, context.ending.words)


SPEC = DaemonSpec(
    name="demo",
    default_program="demod",
    description="a daemon for tests",
    main=run,
    options=(
        valued("hold", "FILE", "end only when FILE exists"),
        valued("watch", "FILE", "watch for the end, and write FILE"),
        flag("stuck-thread", "have threads that never end"),
        flag("dry-run", "start paused"),
        valued("n-threads", "N", "number of threads"),
        valued("ovnnb-db", "REMOTES", "northbound database"),
        valued("ovnsb-db", "REMOTES", "southbound database"),
    ),
    check=check,
    cleanup_seconds=5.0,
)


def main(argv: list[str], program: str | None = None) -> int:
    return run_daemon(SPEC, argv, program)
