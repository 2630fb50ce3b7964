"""northd as a process: Northbound → Southbound, and what hosts report back up.

    ovine northd --ovnnb-db=REMOTES --ovnsb-db=REMOTES [--dry-run]

Several may run; the one that holds the OVSDB lock `ovn_northd` of the southbound database works, be it ours or OVN's.
The others stand by: they compute like the active one, from the same input and with the tunnel keys that they found in
the southbound, but write nothing. When the lock comes, what they have is right unless the active one chose other tunnel
keys meanwhile; then they start again from those, so that taking over changes nothing.

Every southbound transaction asserts the lock, so that one who has lost it unawares cannot write.
Tests: tests/interop/test_northd_daemon.py, tests/interop/test_northd_takeover.py.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ovine.daemons.options import OptionError, Parsed, flag, valued
from ovine.daemons.service import Context, DaemonSpec, run_daemon
from ovine.daemons.tls import database_tls

if TYPE_CHECKING:
    from ovine.daemons.derivation import Writer
    from ovine.engine import Failure
    from ovine.ovsdb import Batch, Client, Transaction

LOCK = "ovn_northd"
OPTIONS = (
    valued("ovnnb-db", "REMOTES", "connect to the northbound database at REMOTES"),
    valued("ovnsb-db", "REMOTES", "connect to the southbound database at REMOTES"),
    flag("dry-run", "start paused"),
    valued("n-threads", "N", "for compatibility; the work is incremental and done by one thread"),
)


def _now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Northd:
    """The two clients, the derivation between them, and whether it is our turn."""

    def __init__(self, context: Context, above: Client, below: Client) -> None:
        from ovine import northd
        from ovine.daemons.derivation import Derivation
        from ovine.model import sb
        from ovine.northd import expiry, thresholds
        from ovine.northd.ageing import Ageing
        from ovine.northd.upward import Upward

        self.log = context.log
        self.above = above
        self.below = below
        self.paused = context.options.has("dry-run")
        self.active = False
        self._met = False
        """Both databases have been there."""
        self._nb_cfg, self._seen = -1, 0
        """The newest nb_cfg, and when it was seen."""
        self._reported: set[str] = set()
        self.derivation = Derivation(northd.new_engine(), context.log, report=self._report)
        self.derivation.paused = True
        above.subscribe(self._note_global)
        for client, tables in ((above, northd.NB_INPUTS), (below, northd.SB_INPUTS)):
            self.derivation.feed(client, tables)
        # The southbound goes first: others wait for it.
        self._ageing = (
            (sb.MACBinding, Ageing(expiry.EXPIRY), thresholds.removal_limit),
            (sb.FDB, Ageing(expiry.FDB_EXPIRY), thresholds.fdb_removal_limit),
        )
        """For each table of learned addresses, what is to go, and how much at a time."""
        self._alarm: asyncio.TimerHandle | None = None
        """When learned addresses are next to be looked at."""
        self._down: Writer = self.derivation.write(
            below, northd.TARGETS, allowed=self._writes, extend=self._guard, written=lambda: self._up.wake()
        )
        self._up: Writer = self.derivation.add(
            above, Upward(self.derivation.engine, above.replica), allowed=self._writes, extend=self._progress
        )
        for client in (above, below):
            client.on_state(self._look)

    # --- whose turn it is ---------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Gives the lock away, and writes no more."""
        self.paused = True
        self.below.unlock()
        self._look()

    def resume(self) -> None:
        """Wants the lock."""
        self.paused = False
        self.below.lock(LOCK)
        self._look()

    @property
    def status(self) -> str:
        return "paused" if self.paused else "active" if self.below.lock_held else "standby"

    def _writes(self) -> bool:
        return self.active

    def _look(self) -> None:
        """Takes over, or stands back, as connections and lock say."""
        started = False
        if not self._met and self.above.connected and self.below.connected:
            self._met = started = True
            self._start_from_southbound()
        active = self._met and self.below.connected and self.below.lock_held and not self.paused
        if active and not self.active:
            if not started:
                self._take_over()
            self.log.info("active")
        self.active = active
        self.derivation.paused = self.paused or not self._met
        self.derivation.wake()

    def _start_from_southbound(self) -> None:
        """Computes everything anew, with the tunnel keys that the southbound has now."""
        from ovine import northd

        self.derivation.replace(northd.seeded(self.above.replica, self.below.replica))

    def _take_over(self) -> None:
        """Goes on where another left off."""
        from ovine import northd

        self.derivation.engine.run()
        if not northd.agrees(self.derivation.engine, self.below.replica):
            self.log.info("starting from the tunnel keys of the southbound")
            self._start_from_southbound()

    # --- what goes into transactions besides rows ---------------------------------------------------------------------

    def _guard(self, transaction: Transaction) -> None:
        """Deletes what hosts learned that is out of date, and makes sure that it is our turn."""
        from ovine.northd.learned import STALE

        self._expire(transaction)
        for table, uuid in self.derivation.engine.rows(STALE):
            if self.below.replica.get(table, uuid) is not None:
                transaction.delete(table, uuid)
        if transaction:
            transaction.assert_lock(LOCK)

    def _expire(self, transaction: Transaction) -> None:
        """Deletes learned addresses that have reached the greatest age, and has the writer look again in time."""
        from ovine.model import nb

        rows = self.above.replica.rows(nb.NBGlobal).values()
        looks: list[int] = []
        for table, ageing, limit_of in self._ageing:
            limit = max((limit_of(row.options) for row in rows), default=0)
            for uuid in ageing.due(self.derivation.engine, limit, _now()):
                if self.below.replica.get(table, uuid) is not None:
                    transaction.delete(table, uuid)
            later = ageing.next_look(_now())
            if later is not None:
                looks.append(later)
        if self._alarm is not None:
            self._alarm.cancel()
        again = self._down.wake
        self._alarm = asyncio.get_running_loop().call_later(min(looks) / 1000, again) if looks else None

    def _progress(self, transaction: Transaction) -> None:
        """Tells the northbound how far the southbound and its hosts have come.

        The nb_cfg that the southbound has came there in one transaction with all that belongs to it.
        """
        from ovine.model import nb, sb
        from ovine.northd.config import REACHED, THE_ROW, progress

        if not self.above.replica.rows(nb.NBGlobal):
            transaction.insert(nb.NBGlobal())
        reached = self.derivation.engine.rows(REACHED).get(THE_ROW)
        for below in self.below.replica.rows(sb.SBGlobal).values():
            for uuid, row in self.above.replica.rows(nb.NBGlobal).items():
                if changes := progress(row, below.nb_cfg, reached, self._seen, _now()):
                    transaction.update(nb.NBGlobal, uuid, **changes)

    def _note_global(self, batch: Batch) -> None:
        """Notes when an nb_cfg was seen first, and follows options that concern the connections."""
        from ovine.model import nb
        from ovine.northd.config import probe_interval

        for change in batch:
            if not isinstance(change.new, nb.NBGlobal):
                continue
            if change.new.nb_cfg != self._nb_cfg:
                self._nb_cfg, self._seen = change.new.nb_cfg, _now()
            for client in (self.above, self.below):
                client.probe_every(probe_interval(change.new.options))

    # --- reports ------------------------------------------------------------------------------------------------------

    def _report(self, failures: Sequence[Failure]) -> None:
        """One warning for each kind of failure; the rest is for `ovine/failures`."""
        for failure in failures:
            if failure.rule not in self._reported:
                self._reported.add(failure.rule)
                self.log.warning("%s: %s (for others of this kind: ovine/failures)", failure.rule, failure.error)
            else:
                self.log.info("%s at %s: %s", failure.rule, failure.key, failure.error)

    def register(self, context: Context) -> None:
        """Adds the control commands."""

        def connection(client: Client) -> str:
            return "connected\n" if client.connected else "not connected\n"

        def pause(words: list[str]) -> str:
            self.pause()
            return ""

        def resume(words: list[str]) -> str:
            self.resume()
            return ""

        commands = context.commands
        commands.register("pause", "", 0, 0, pause)
        commands.register("resume", "", 0, 0, resume)
        commands.register("is-paused", "", 0, 0, lambda _: f"{str(self.paused).lower()}\n")
        commands.register("status", "", 0, 0, lambda _: f"Status: {self.status}\n")
        commands.register("nb-connection-status", "", 0, 0, lambda _: connection(self.above))
        commands.register("sb-connection-status", "", 0, 0, lambda _: connection(self.below))
        self.derivation.register(commands)


def _check(parsed: Parsed) -> None:
    if parsed.number("n-threads", 1) < 1:
        raise OptionError("--n-threads: at least 1")


async def _main(context: Context) -> None:
    from ovine.model import nb, sb
    from ovine.ovsdb import Client

    tls = database_tls(context.tls)
    run = context.paths.ovn_run
    above = Client(
        nb.DATABASE,
        context.remote("ovnnb-db", "OVN_NB_DB", f"unix:{run}/ovnnb_db.sock"),
        leader_only=True,
        tls=tls,
    )
    below = Client(
        sb.DATABASE,
        context.remote("ovnsb-db", "OVN_SB_DB", f"unix:{run}/ovnsb_db.sock"),
        leader_only=True,
        tls=tls,
    )
    if context.options.number("n-threads", 1) > 1:
        context.log.info("--n-threads: the work is incremental and done by one thread")
    northd = Northd(context, above, below)
    northd.register(context)
    if not northd.paused:
        below.lock(LOCK)
    await above.start()
    await below.start()
    work = asyncio.create_task(northd.derivation.run())
    stop = asyncio.create_task(context.stopping.wait())
    try:
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
    finally:
        work.cancel()
        stop.cancel()
        await asyncio.gather(work, stop, return_exceptions=True)
        await above.close()
        await below.close()


SPEC = DaemonSpec(
    name="northd",
    default_program="ovn-northd",
    description="Ovine's northd: compiles OVN_Northbound into OVN_Southbound.",
    example="ovine northd --ovnnb-db=unix:/run/ovn/ovnnb_db.sock --ovnsb-db=unix:/run/ovn/ovnsb_db.sock --detach",
    main=_main,
    options=OPTIONS,
    check=_check,
)


def main(argv: Sequence[str], program: str | None = None) -> int:
    return run_daemon(SPEC, argv, program)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
