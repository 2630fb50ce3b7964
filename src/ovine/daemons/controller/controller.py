"""The controller of one host as a process: two databases in, OpenFlow on the integration bridge out.

    ovine controller [-n SYSTEM-ID] [OVS-DB-REMOTE]

One loop computes (in bounded turns), three write: to the switch, to the southbound database, to the local database.
Each writer works out anew, whenever it is woken, what differs from what should be; so nothing is lost when a
connection is.

*Settled* means that the engine is at rest and the southbound rows that it asked for have arrived. Only what was
computed when settled is called installed: a port is `up`, and an `nb_cfg` reached, when the switch has acknowledged
flows made at or after such a moment. The very first difference is sent when settled, too, so that a start never
removes what it has not yet understood.

Tests: tests/interop/controller/, tests/faults/test_controller_faults.py, tests/interop/test_packet_cases.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ovine.daemons import collector

if TYPE_CHECKING:
    from ovine.controller.config import Config
    from ovine.controller.local import Claim
    from ovine.controller.services.timed import Inquiry
    from ovine.controller.switch import Desired, SwitchState
    from ovine.daemons.context import Context
    from ovine.daemons.controller.conditions import Conditions
    from ovine.engine import Engine, Failure
    from ovine.model.base import Uuid
    from ovine.openflow import PacketIn
    from ovine.ovsdb import Batch, Client, Tls, Transaction

TURN = 100
"""Rule runs between two looks at other events: some milliseconds. An answer to a packet takes several such looks."""
TOLD = 10
"""How many failures are logged at a time, one by one."""
FEED = 100
"""Rows fed between two looks at other events: some milliseconds, too."""
AUDIT_PATIENCE = 5.0
"""Seconds for which an audit waits until it is known what the switch should hold."""
GIVE_WAY = 0.05
"""Seconds for which a write into the local database waits for flows that are on their way into the switch."""
RETRY = 1.0
"""Seconds before a refused transaction is tried again."""


def _now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Controller:
    """The engine, its two databases and the switch."""

    def __init__(self, context: Context, local: Client) -> None:
        from ovine.controller.contests import Contests
        from ovine.controller.identity import Identity
        from ovine.controller.packets import PacketServices
        from ovine.controller.rules import new_engine
        from ovine.controller.services.registry import timed
        from ovine.controller.southbound import Progress
        from ovine.daemons.controller.connections import Connections
        from ovine.daemons.controller.startup import startup
        from ovine.daemons.controller.world import ServiceWorld

        self.context = context
        self.log = context.log
        self.local = local
        self.southbound: Client | None = None
        self._startup = startup(context)
        self.engine: Engine = new_engine(self._startup)
        self._shadow: Engine | None = None
        """An engine that is being computed from nothing, and is told all that the other one is told."""
        self._recomputing = asyncio.Lock()
        self.progress = Progress()
        self._contests = Contests()
        self._identity = Identity()
        self.paused = False
        self.world = ServiceWorld(self)
        self.services = PacketServices(self.world)
        self.timed = timed()
        self._wants: dict[Any, dict[Any, Any]] = {}
        """What timed services are told: what was wanted when the switch last had all flows for it."""
        self.recomputes = 0
        self.writers_failed: dict[str, str] = {}
        self.settings: Config | None = None
        self._before: Config | None = None
        """The last settings that made sense."""
        self._remote: tuple[str, Tls | None] | None = None
        self._at_rest = False
        self._conditions: Conditions | None = None
        """Of the southbound client that there is."""
        self._ever_settled = False
        self._settings_stale = self._southbound_stale = self._local_stale = True
        """What they are worked out from has changed: the settings, and what is written into either database."""
        self._backlog: deque[Batch] = deque()
        """What came from the southbound and is not fed yet. Nothing is at rest as long as there is something."""
        self._news = True
        """Southbound rows have come that timed services may look at."""
        self._fresh: dict[Uuid, None] = {}
        """Claims that may be written although other things are not settled."""
        self._moment: tuple[dict[Uuid, Claim], int] = ({}, 0)
        """Claims and nb_cfg as of the last time everything was settled."""
        self._zones: dict[str, int] = {}
        self._connections = Connections()
        self._reported: set[Failure] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.link: Any = None
        self.wake = asyncio.Event()
        self._wake_flows, self._wake_southbound, self._wake_local = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._wake_timed = asyncio.Event()

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Works for ever; to be cancelled."""
        await self.local.start()
        await self.local.ready()
        self._take_local()
        self.local.on_state(self._wake_all)
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "compute": self._compute,
            "flows": self._write_flows,
            "southbound": self._write_southbound,
            "local": self._write_local,
            "timed": self._run_timed,
            "collector": collector.tend,
        }
        tasks = [asyncio.create_task(_forever(loop), name=name) for name, loop in loops.items()]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            if self._conditions is not None:
                self._conditions.close()
            for task in [*tasks, *self._tasks.values()]:
                task.cancel()
            await asyncio.gather(*tasks, *self._tasks.values(), return_exceptions=True)

    def _wake_all(self) -> None:
        self._southbound_stale = self._local_stale = True
        for event in (self.wake, self._wake_flows, self._wake_southbound, self._wake_local):
            event.set()
        self._wake_timed.set()

    def _spawn(self, name: str, work: Awaitable[None]) -> None:
        old = self._tasks.pop(name, None)
        if old is not None:
            old.cancel()
        self._tasks[name] = asyncio.ensure_future(work)

    def _feed(self, relation: Any, key: Any, value: Any) -> None:
        self.engine.feed(relation, key, value)
        if self._shadow is not None:
            self._shadow.feed(relation, key, value)

    # --- inputs -------------------------------------------------------------------------------------------------------

    def _take_local(self) -> None:
        """Feeds what the local database holds, once the zones that were in use are known to the engine."""
        from ovine.controller.config import parse
        from ovine.controller.zones import ZONES, stored
        from ovine.model import vs

        for root in self.local.replica.rows(vs.OpenVSwitch).values():
            settings = parse(root.external_ids, self._startup)
            bridge = self.local.replica.index(vs.Bridge, "name").one(settings.bridge) if settings else None
            if bridge is not None:
                self._zones = stored(bridge.external_ids)
                self.engine.seed(ZONES, self._zones)
        for table in (vs.OpenVSwitch, vs.Bridge, vs.Port, vs.Interface):
            for uuid, row in self.local.replica.rows(table).items():
                self._feed(table, uuid, row)
        self.local.subscribe(self._local_changed)
        self.wake.set()

    def _local_changed(self, batch: Batch) -> None:
        from ovine.controller.local import Yielded
        from ovine.model import vs

        self._local_stale = True
        for change in batch:
            self._feed(change.table, change.uuid, change.new)
            if change.table in (vs.OpenVSwitch, vs.SSL):
                self._settings_stale = True
            if change.table is vs.Interface and change.old is not None:
                before = change.old.external_ids.get("iface-id")  # type: ignore[attr-defined]
                after = change.new.external_ids.get("iface-id") if change.new is not None else None  # type: ignore[attr-defined]
                if before and before != after:
                    self._feed(Yielded, before, None)
            elif change.table is vs.Bridge and self.link is not None:
                self.link.hurry()
        self._at_rest = False
        self.wake.set()

    def _southbound_changed(self, batch: Batch) -> None:
        self._backlog.append(batch)
        self._at_rest = False
        self.wake.set()

    async def _feed_backlog(self) -> None:
        """Feeds what came from the southbound, with looks at other events in between."""
        while self._backlog:
            batch = self._backlog.popleft()
            for start in range(0, len(batch), FEED):
                if start:
                    await asyncio.sleep(0)
                self._take_southbound(batch[start : start + FEED])

    def _take_southbound(self, batch: Batch) -> None:
        from ovine.controller.rules import PLANNED_FROM
        from ovine.model import sb

        self._news = True
        for change in batch:
            self._feed(change.table, change.uuid, change.new)
            self._southbound_stale |= change.table in PLANNED_FROM
            if change.table is sb.PortBinding:
                self._notice_rival(change.old, change.new)
                self._notice_activation(change.old, change.new)
            elif change.table in (sb.MACBinding, sb.StaticMACBinding, sb.IGMPGroup, sb.ServiceMonitor):
                self._wake_timed.set()

    def _notice_rival(self, old: Any, new: Any) -> None:
        """Records that another chassis took a port of ours over, or that it is free again."""
        from ovine.controller.local import CLAIMS, Yielded
        from ovine.controller.southbound import own_chassis

        if self.southbound is None or self.settings is None:
            return
        ours = own_chassis(self.southbound.replica, self.settings.chassis)
        if new is None or new.chassis is None or new.chassis == ours:
            name = (new or old).logical_port
            if self.engine.rows(Yielded).get(name) is not None:
                self._feed(Yielded, name, None)
        elif old is not None and ours is not None and old.chassis == ours:
            claim = self.engine.rows(CLAIMS).get(new.uuid)
            if claim is not None and claim.interface is not None:
                self.log.info("port %s is now bound to another chassis", new.logical_port)
                self._feed(Yielded, new.logical_port, Yielded(claim.interface))
            elif claim is not None:
                self._contests.taken(new.uuid, time.monotonic())

    def _notice_activation(self, old: Any, new: Any) -> None:
        """Forgets that a port was activated here, once its binding says so or the port is elsewhere."""
        from ovine.controller.activation import Activated, is_over
        from ovine.controller.southbound import own_chassis

        name = (new or old).logical_port
        if self.southbound is None or self.settings is None or self.engine.rows(Activated).get(name) is None:
            return
        if is_over(new, self.settings.chassis, own_chassis(self.southbound.replica, self.settings.chassis)):
            self._feed(Activated, name, None)

    # --- computing ----------------------------------------------------------------------------------------------------

    async def _compute(self) -> None:
        await self.wake.wait()
        self.wake.clear()
        if self.paused:
            return
        await self._feed_backlog()
        await self._claim_first()
        while not self.engine.run(TURN) or self._backlog:
            await asyncio.sleep(0)
            await self._feed_backlog()
        self._at_rest = True
        if self._settings_stale:
            self._settings_stale = False
            await self._follow_settings()
        if self._conditions is not None and self.settings is not None:
            self._conditions.follow(self.engine, everything=self.settings.monitor_all)
        self._report()
        if self.settled:
            self._note_moment()
        self._note_changes()
        if self._southbound_stale:
            await self._write_southbound_now()
        self._wake_flows.set()
        if self._local_stale:
            self._wake_local.set()

    def _note_changes(self) -> None:
        """Finds out whether what was computed may have to be written."""
        from ovine.controller.rules import TO_LOCAL, TO_SOUTHBOUND

        if self._taken(TO_SOUTHBOUND):
            self._southbound_stale = self._local_stale = True
        if self._taken(TO_LOCAL):
            self._local_stale = True

    def _taken(self, relations: Iterable[Any]) -> bool:
        """Whether any of these watched relations has changed since this was last asked."""
        return bool(sum(len(self.engine.take(relation)) for relation in relations))

    async def _claim_first(self) -> None:
        """Has new claims written before anything else is computed: whoever waits for the port can go on meanwhile.

        Only of ports that have an interface here, which is all that has to be known of them. Who is active in a group
        may follow from rows that are still to come, and what is not claimed may only not be known yet.
        """
        from ovine.controller.local import CLAIMS

        while not self.engine.settle(CLAIMS, TURN):  # noqa: ASYNC110 (a turn for the others, not a wait)
            await asyncio.sleep(0)
        changes = self.engine.take(CLAIMS)
        if changes:
            self._southbound_stale = self._local_stale = True
        fresh = {delta.key: None for delta in changes if delta.new is not None and delta.new.interface is not None}
        if fresh and self._ever_settled:
            self._fresh.update(fresh)
            await self._write_southbound_now()

    async def _write_southbound_now(self) -> None:
        """Returns when what is to be written is on its way: it is short, and goes before flows are encoded."""
        self._wake_southbound.set()
        await asyncio.sleep(0)  # the writer plans and sends,
        await asyncio.sleep(0)  # and the loop passes the bytes on

    @property
    def settled(self) -> bool:
        """Whether everything that is known has been computed, and everything that was asked for has come."""
        client, asked = self.southbound, self._conditions
        if client is None or asked is None:
            return False
        return self._at_rest and client.connected and not asked.awaited

    def _note_moment(self) -> None:
        from ovine.controller.local import CLAIMS
        from ovine.model import sb

        assert self.southbound is not None
        nb_cfg = max((row.nb_cfg for row in self.southbound.replica.rows(sb.SBGlobal).values()), default=0)
        self._moment = (dict(self.engine.rows(CLAIMS)), nb_cfg)
        if not self._ever_settled:
            self._ever_settled = self._local_stale = True

    async def _follow_settings(self) -> None:
        """Connects to the databases and bridges that the settings name."""
        from ovine.controller.config import parse
        from ovine.model import vs

        roots = self.local.replica.rows(vs.OpenVSwitch).values()
        parsed = [parse(root.external_ids, self._startup) for root in roots]
        now, before = parsed[0] if parsed else None, self._before
        self.settings = now
        if now is None:
            return
        if before is not None and now.chassis != before.chassis:
            self.log.warning("system-id changed from %s to %s: the chassis is renamed", before.chassis, now.chassis)
            self._identity.renamed(before.chassis)
        if before is None or now.bridge != before.bridge:
            self._follow_bridge(now.bridge)
        self._before = now
        if self.southbound is not None:
            self.southbound.probe_every(now.probe_interval)
        remote = (now.remote, self._tls())
        if now.remote and remote != self._remote:
            self._remote = remote
            await self._connect_southbound(now)

    def _follow_bridge(self, name: str) -> None:
        from ovine.daemons.controller.link import SwitchLink

        target = f"unix:{self.context.paths.ovs_run}/{name}.mgmt"
        self.link = SwitchLink(
            target,
            self.log,
            desired=self._desired,
            note=self._note_desired,
            packet_in=self._packet_in,
            changed=self._link_changed,
        )
        self._spawn("switch", self.link.run())

    def _link_changed(self) -> None:
        self._wake_flows.set()
        self._wake_timed.set()

    def _desired(self) -> Desired:
        from ovine.controller.flows import FLOWS
        from ovine.controller.switch import Desired
        from ovine.controller.switch_tables import GROUPS, METERS

        return Desired(self.engine.rows(FLOWS), self.engine.rows(GROUPS), self.engine.rows(METERS))

    def _note_desired(self, state: SwitchState) -> bool:
        """Tells the switch's state what has changed; False while the engine is under way, or knows too little."""
        from ovine.controller.flows import FLOWS
        from ovine.controller.switch_tables import GROUPS, METERS

        if not (self._at_rest and self._ever_settled and self.settings is not None):
            return False
        state.flows.note(delta.key for delta in self.engine.take(FLOWS))
        state.groups.note(delta.key for delta in self.engine.take(GROUPS))
        state.meters.note(delta.key for delta in self.engine.take(METERS))
        return True

    async def _connect_southbound(self, settings: Config) -> None:
        """Leaves the old southbound database, if any, and turns to the one that the settings name."""
        from ovine.controller.interest import monitors
        from ovine.daemons.controller.conditions import Conditions
        from ovine.model import sb
        from ovine.ovsdb import Client, RemoteError

        await self._forget_southbound()
        try:
            client = Client(
                sb.DATABASE,
                settings.remote,
                monitors=monitors(settings.monitor_all),
                probe_interval=settings.probe_interval,
                tls=self._tls(),
            )
        except RemoteError as error:
            self.writers_failed["ovn-remote"] = str(error)
            self.log.error("ovn-remote: %s", error)
            return
        self.writers_failed.pop("ovn-remote", None)
        client.subscribe(self._southbound_changed)
        client.on_state(self._wake_all)
        self.southbound = client
        self._conditions = Conditions(client, self.wake.set, everything=settings.monitor_all)
        await client.start()

    async def _forget_southbound(self) -> None:
        client, self.southbound = self.southbound, None
        if client is None:
            return
        if self._conditions is not None:
            self._conditions.close()
            self._conditions = None
        await client.close()
        self._backlog.clear()
        self._ever_settled = False
        for table in client.database.tables.values():
            for uuid in list(self.engine.rows(table.row)):
                self._feed(table.row, uuid, None)
        self.wake.set()

    def _tls(self) -> Tls | None:
        """The command line's keys, else those of the SSL table of the local database."""
        from ovine.daemons.tls import database_tls
        from ovine.model import vs
        from ovine.ovsdb import Tls

        given = database_tls(self.context.tls)
        for row in self.local.replica.rows(vs.SSL).values():
            if given is None and row.private_key and row.certificate and row.ca_cert:
                return Tls(row.private_key, row.certificate, row.ca_cert)
        return given

    # --- writing ------------------------------------------------------------------------------------------------------

    async def _write_flows(self) -> None:
        """Brings the switch up to date, and then says what is installed."""
        from ovine.daemons.controller.connections import balanced

        await self._wake_flows.wait()
        self._wake_flows.clear()
        if self.link is None or not self._at_rest or not self._ever_settled or self.settings is None:
            return
        claims, nb_cfg = self._moment
        now = balanced(self.engine)
        await self._flush_new_zones()
        if self.link.ready and await self.link.apply() and await self._connections.end(self.engine, now, self.link):
            self._installed(claims, nb_cfg)

    async def _flush_new_zones(self) -> None:
        from ovine.controller.zones import ZONES

        zones = dict(self.engine.rows(ZONES))
        new = [number for name, number in zones.items() if self._zones.get(name) != number]
        self._zones = zones
        if new:
            await self.link.flush_zones(sorted(new))

    def _installed(self, claims: dict[Uuid, Claim], nb_cfg: int) -> None:
        from ovine.controller.services import wants
        from ovine.controller.southbound import Progress

        for relation in wants():
            if self.engine.take(relation) or relation not in self._wants:
                self._wants[relation] = dict(self.engine.rows(relation))
                self._news = True
        if self._news:
            self._news = False
            self._wake_timed.set()
        installed = frozenset(claims.items())
        if nb_cfg != self.progress.nb_cfg or installed != self.progress.installed:
            timestamp = _now() if nb_cfg != self.progress.nb_cfg else self.progress.timestamp
            self.progress = Progress(nb_cfg, timestamp, installed)
            self._wake_southbound.set()
            self._wake_local.set()

    async def _write_southbound(self) -> None:
        from ovine.controller import southbound
        from ovine.controller.chassis import PRESENCE
        from ovine.controller.local import CLAIMS

        await self._wake_southbound.wait()
        self._wake_southbound.clear()
        presence = self.engine.rows(PRESENCE).get(())
        client = self.southbound
        fresh, self._fresh = self._fresh, {}
        self._southbound_stale = not self.settled
        if client is None or presence is None or not client.connected or not (self.settled or fresh):
            return
        may, complaints = self._identity.settle(client.replica, presence, time.monotonic())
        self._note_failure("chassis", "; ".join(complaints))
        if may is None:
            return
        claims, again = self._contests.undisputed(self.engine.rows(CLAIMS), time.monotonic())
        if again is not None:
            asyncio.get_running_loop().call_later(again, self._wake_southbound.set)
        if self.settled:
            former = self._identity.former(client.replica, may.name)
            txn = southbound.plan(client.replica, may, claims, self.progress, former)
        else:
            some = {uuid: claims[uuid] for uuid in fresh if uuid in claims}
            txn = southbound.plan_bindings(client.replica, may.name, some, self.progress)
        await self._send(client, txn, self._wake_southbound)
        await self._send_learned(client)

    def _note_failure(self, name: str, text: str) -> None:
        """Says once what hinders a writer; no text when nothing does."""
        if not text:
            self.writers_failed.pop(name, None)
        elif self.writers_failed.get(name) != text:
            self.writers_failed[name] = text
            self.log.error("%s", text)

    async def _send_learned(self, client: Client) -> None:
        """Writes what packets taught, apart from all else: another host may have learned the same at the same time.

        Such a transaction is refused and not repeated; the other's row has come by then, or the next packet teaches.
        """
        from ovine.ovsdb import NotConnected, Transaction, TransactionError

        txn = Transaction()
        self.services.add_learned(txn, client.replica)
        try:
            if txn:
                await client.transact(txn)
        except (TransactionError, NotConnected) as error:
            self.log.info("what was learned is not written: %s", error)

    async def _write_local(self) -> None:
        from ovine.controller import vswitch
        from ovine.controller.wanted import wanted

        await self._wake_local.wait()
        await self._give_way()
        self._wake_local.clear()
        self._local_stale = not self._at_rest
        if self.settings is None or not self._at_rest or not self.local.connected:
            return
        wishes = wanted(self.engine, self.progress, _now()) if self._ever_settled else None
        txn = vswitch.plan(self.local.replica, self.settings, wishes)
        await self._send(self.local, txn, self._wake_local)

    async def _give_way(self) -> None:
        """Lets flows go first, for a moment: any change of its database has the switch look through all of that.

        What is said when the flows are in (`ovn-installed`) rides on the same transaction then.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GIVE_WAY):
                if self.link is not None:
                    await self.link.idle()

    async def _send(self, client: Client, txn: Transaction, again: asyncio.Event) -> None:
        """Commits a plan; an empty one says that there is nothing wrong any more."""
        from ovine.ovsdb import NotConnected, TransactionError

        try:
            if txn:
                await client.transact(txn)
            self.writers_failed.pop(client.name, None)
        except TransactionError as error:
            if self.writers_failed.get(client.name) != str(error):
                self.log.error("%s refused a transaction: %s", client.name, error)
            self.writers_failed[client.name] = str(error)
            await asyncio.sleep(RETRY)
            again.set()
        except NotConnected:
            return  # on_state wakes us when the connection is back

    # --- packets ------------------------------------------------------------------------------------------------------

    def _packet_in(self, packet: PacketIn) -> None:
        self._carried_out(self.services.handle(packet))
        for fact in self.services.facts:
            self._feed(*fact)
            self._at_rest = False
            self.wake.set()
        self.services.facts.clear()
        if self.services.events:
            self._wake_timed.set()

    def _carried_out(self, messages: Sequence[Any]) -> None:
        if messages:
            self._spawn_send(messages)
        if self.services.learned:
            self._wake_southbound.set()
        inquiries, self.services.inquiries = self.services.inquiries, []
        for inquiry in inquiries:
            self._spawn_shortly("ask", self._inquire(inquiry))

    async def _inquire(self, inquiry: Inquiry) -> None:
        """Asks the switch, and has the timed services hear the answer."""
        items = await self.link.ask(inquiry.request)
        if items is not None:
            self.services.events.append(inquiry.answer(inquiry.request, tuple(items)))
            self._wake_timed.set()

    async def _run_timed(self) -> None:
        """Steps the services that act by the clock, when one of them is due or there may be news."""
        deadline = self.timed.deadline() if self._can_send() else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic())):
                await self._wake_timed.wait()
        self._wake_timed.clear()
        events, self.services.events = self.services.events, []
        if not self._can_send():
            return
        now = time.monotonic()
        for event in events:
            self.timed.hear(event, now)
        self._carried_out(self.services.carry_out(self.timed.step(self._wants, self.world, now)))

    def _can_send(self) -> bool:
        return self.southbound is not None and self.link is not None and bool(self.link.ready)

    def _spawn_send(self, messages: Sequence[Any]) -> None:
        self._spawn_shortly("send", self.link.send(*messages))

    def _spawn_shortly(self, name: str, work: Awaitable[None]) -> None:
        """Does work beside all else of its name."""
        task = asyncio.ensure_future(work)
        self._tasks[f"{name} {id(task)}"] = task
        task.add_done_callback(lambda done: self._tasks.pop(f"{name} {id(done)}", None))

    # --- reports ------------------------------------------------------------------------------------------------------

    def failures(self) -> list[Failure]:
        """Everything that does not work: rules, flows that the switch refused, transactions."""
        from ovine.controller import rules
        from ovine.engine import Failure

        found = rules.failures(self.engine) + (self.link.failures() if self.link is not None else [])
        found += [Failure(name, "transaction", error) for name, error in sorted(self.writers_failed.items())]
        return found + self.services.failures() + self.timed.failures()

    def _report(self) -> None:
        from ovine.controller import rules

        now = set(rules.failures(self.engine))
        news = sorted(now - self._reported, key=lambda f: (f.rule, f.key))
        for failure in news[:TOLD]:
            self.log.warning("%s at %s: %s", failure.rule, failure.key, failure.error)
        if len(news) > TOLD:
            self.log.warning("%d more failures of this kind or others: see ovine/failures", len(news) - TOLD)
        self._reported = now

    async def _recomputed(self) -> tuple[Engine, list[str]]:
        """An engine computed from nothing, and where it differs from ours: nowhere. In bounded turns.

        What changes meanwhile is fed to both.
        """
        from ovine.controller.rules import INPUTS, STICKY, new_engine

        async with self._recomputing:
            fresh = self._shadow = new_engine(self._startup)
            try:
                for sticky in STICKY:
                    fresh.seed(sticky, dict(self.engine.rows(sticky)))
                for relation in INPUTS:
                    keys = list(self.engine.rows(relation))
                    for start in range(0, len(keys), FEED):
                        for key in keys[start : start + FEED]:
                            fresh.feed(relation, key, self.engine.rows(relation).get(key))
                        await asyncio.sleep(0)
                while not (self.engine.run(TURN) and fresh.run(TURN)):  # noqa: ASYNC110 (a turn for the others)
                    await asyncio.sleep(0)
                return fresh, self.engine.differences(fresh)
            finally:
                self._shadow = None
                self.wake.set()

    async def recompute(self) -> list[str]:
        """Replaces the engine by one computed from nothing; returns the differences, which should be none.

        The switch is read back as well, so that this mends what another program did to it.
        """
        self.engine, differences = await self._recomputed()
        self.recomputes += 1
        if self.link is not None:
            await self.link.reread()
        for line in differences[:20]:
            self.log.error("recompute differs: %s", line)
        return differences

    async def audit(self) -> list[str]:
        """Incremental state against a recompute, and the switch against what it should hold; empty if all agree.

        Changes that come meanwhile are waited for, for `AUDIT_PATIENCE` seconds.
        """
        from ovine.daemons.controller.link import UNDER_WAY

        _, found = await self._recomputed()
        deadline = time.monotonic() + AUDIT_PATIENCE
        while self.link is not None and self.link.ready:
            differences = await self.link.audit()
            if differences != [UNDER_WAY] or time.monotonic() > deadline:
                return [*found, *differences]
            await asyncio.sleep(AUDIT_PATIENCE / 100)
        return found

    # --- the end ------------------------------------------------------------------------------------------------------

    async def leave(self) -> None:
        """After `exit`: takes our rows and tunnels back, unless we are to come again; flows stay in any case."""
        from ovine.controller import southbound, vswitch
        from ovine.ovsdb import OvsdbError

        settings, ending = self.settings, self.context.ending
        with contextlib.suppress(OvsdbError, TimeoutError):
            if ending is not None and ending.clean_up and settings is not None and settings.cleanup_on_exit:
                if self.southbound is not None and self.southbound.connected and not self._identity.given_way:
                    txn = southbound.leave(self.southbound.replica, settings.chassis)
                    if txn:
                        await self.southbound.transact(txn, timeout=2.0)
                if self.local.connected and (txn := vswitch.leave(self.local.replica, settings)):
                    await self.local.transact(txn, timeout=2.0)
        for client in (self.southbound, self.local):
            if client is not None:
                await client.close()


async def _forever(step: Callable[[], Awaitable[None]]) -> None:
    while True:
        await step()
