"""The protocol of one connection, joined in memory with a server that keeps real rows."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.model.base import Uuid
from ovine.ovsdb import replica
from ovine.ovsdb.framing import Framer
from ovine.ovsdb.plan import Monitor, monitors_of
from ovine.ovsdb.session import (
    ConditionsApplied,
    Event,
    LockChanged,
    Lost,
    Paused,
    Replied,
    Session,
    Standing,
    Synced,
    Updated,
)
from ovine.ovsdb.transaction import Transaction
from support.everything import DATABASE, Child, Parent, Thing, rows, uuid_texts
from support.ovsdb_memory import LEVELS, Connection, MemoryServer

U = Uuid("01234567-89ab-cdef-0123-456789abcdef")
V = Uuid("11234567-89ab-cdef-0123-456789abcdef")


class Joint:
    """A session and its server's connection; `pump` carries bytes both ways until neither has more to say."""

    def __init__(
        self,
        server: MemoryServer,
        standing: Standing | None = None,
        seed: int = 0,
        paused: Callable[[Joint], None] = lambda joint: None,
    ) -> None:
        """`paused` is what else is done when the session pauses."""
        self.server = server
        self.standing = standing or Standing.of(DATABASE, monitors_of(DATABASE, None))
        self.session = Session(self.standing, probe_interval=5.0)
        self.connection: Connection = server.connect()
        self.events: list[Event] = []
        self.now = 0.0
        self._random = random.Random(seed)
        self._paused = paused
        self.session._framer = Framer(piece=self._random.randint(1, 1000))
        self.session.start(self.now)
        self.pump()

    def pump(self) -> None:
        while True:
            out, back = self.session.take_output(), self.connection.take()
            if not out and not back:
                return
            self.connection.receive(out)
            self.feed(back)

    def feed(self, data: bytes) -> None:
        while data:
            size = self._random.randint(1, max(1, len(data)))
            for event in self.session.receive(data[:size], self.now):
                if isinstance(event, Paused):
                    self._paused(self)
                else:
                    self.events.append(event)
            data = data[size:]

    def drop(self) -> None:
        self.server.connections.remove(self.connection)
        self.events += self.session.end("dropped")

    def batches(self) -> list[Any]:
        return [event.batch for event in self.events if isinstance(event, Synced | Updated)]

    def lost(self) -> str | None:
        return next((event.reason for event in self.events if isinstance(event, Lost)), None)

    def asked(self, method: str) -> list[Any]:
        return [m["params"] for m in self.connection.requests if m.get("method") == method]


def contents(standing: Standing) -> dict[str, dict[Uuid, Any]]:
    return {table.name: dict(standing.replica.rows(table.row)) for table in DATABASE.tables.values()}


def replay(batches: list[Any]) -> dict[str, dict[Uuid, Any]]:
    """What a subscriber believes, having checked that each change fits what it believed before."""
    held: dict[str, dict[Uuid, Any]] = {name: {} for name in DATABASE.tables}
    for batch in batches:
        for table, uuid, old, new in batch:
            assert held[table.spec.name].get(uuid) == old
            assert old != new
            if new is None:
                del held[table.spec.name][uuid]
            else:
                held[table.spec.name][uuid] = new
    return held


some_uuids = st.sampled_from([U, V]) | uuid_texts
steps = st.lists(
    st.one_of(
        st.sampled_from(["drop", "connect"]),
        st.dictionaries(
            st.tuples(st.sampled_from([Thing, Parent, Child]), some_uuids),
            st.none() | st.integers(0, 2**32),
            min_size=1,
            max_size=4,
        ),
    ),
    max_size=10,
)


@settings(max_examples=60, deadline=None)
@given(level=st.sampled_from(LEVELS), history=st.integers(1, 4), steps=steps, data=st.data())
def test_replica_and_subscribers_follow_the_server_through_changes_and_lost_connections(level, history, steps, data):
    server = MemoryServer(DATABASE, level=level, history=history)
    one, two, told = Joint(server, seed=1), Joint(server, seed=2), []
    for step in [*steps, "connect"]:
        if isinstance(step, dict):
            picks = {key: None if pick is None else data.draw(rows(key[0])(uuid=key[1])) for key, pick in step.items()}
            server.commit(picks)
            one.pump()
        elif step == "drop" and not one.session.lost:
            one.drop()
            told += one.batches()
        elif step == "connect" and one.session.lost:
            one = Joint(server, one.standing, seed=3)
    told += one.batches() if not one.session.lost else []
    two.pump()
    assert one.session.synced and two.session.synced
    assert contents(one.standing) == contents(two.standing) == server.rows
    assert replay(told) == replay(two.batches()) == server.rows


@settings(max_examples=60, deadline=None)
@given(
    level=st.sampled_from(LEVELS),
    history=st.integers(0, 3),
    commits=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9, unique=True), min_size=1, max_size=6),
    breaks=st.lists(st.booleans(), max_size=20),
)
def test_only_whole_transactions_are_seen_when_work_is_paused_or_breaks_off(level, history, commits, breaks):
    server, told, standing, pauses = MemoryServer(DATABASE, level=level, history=history), [], None, iter(breaks)

    def paused(joint: Joint) -> None:
        nonlocal standing
        standing = joint.standing
        assert contents(joint.standing) == replay([*told, *joint.batches()])
        if next(pauses, False):
            joint.drop()

    def connected(previous: Standing | None) -> Joint:
        while True:
            joint = Joint(server, previous, paused=paused)
            if not joint.session.lost:
                return joint
            told.extend(joint.batches())
            previous = joint.standing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replica, "SLICE", 2)
        joint = connected(None)
        for number, commit in enumerate(commits):
            ids = [Uuid(f"{each:08d}-0000-0000-0000-000000000000") for each in commit]
            server.commit({(Child, each): Child(uuid=each, name=str(number), weight=number) for each in ids})
            joint.pump()
            if joint.session.lost:
                told += joint.batches()
                joint = connected(joint.standing)
            assert contents(joint.standing) == server.rows == replay([*told, *joint.batches()])


def test_a_session_that_ended_in_a_pause_does_nothing_more_and_the_next_one_goes_on_from_before(monkeypatch):
    monkeypatch.setattr(replica, "SLICE", 1)
    server = MemoryServer(DATABASE)
    joint = Joint(server)
    last = joint.standing.last_txn
    server.commit({(Child, each): Child(uuid=each, name=each[0]) for each in (U, V)})
    work = joint.session.receive(joint.connection.take(), 0.0)
    assert next(work) == Paused()
    assert list(joint.session.end("over")) == [Lost("over")]
    assert list(work) == []
    assert not joint.standing.replica.rows(Child) and joint.standing.last_txn == last
    server.connections.remove(joint.connection)
    after = Joint(server, joint.standing)
    assert set(after.standing.replica.rows(Child)) == {U, V}


def test_replies_come_after_the_update_before_them_however_long_that_takes(monkeypatch):
    monkeypatch.setattr(replica, "SLICE", 1)
    server = MemoryServer(DATABASE)
    joint = Joint(server)
    server.commit({(Child, each): Child(uuid=each, name=each[0]) for each in (U, V)})
    joint.session.transact(Transaction().operations)
    joint.connection.receive(joint.session.take_output())
    server.commit({(Child, U): None})
    events = list(joint.session.receive(joint.connection.take(), 0.0))
    assert [type(event) for event in events] == [Paused, Updated, Replied, Updated]
    assert set(joint.standing.replica.rows(Child)) == {V}


def test_a_peer_is_not_given_up_while_its_update_is_worked_off_and_hears_from_us(monkeypatch):
    monkeypatch.setattr(replica, "SLICE", 1)
    server = MemoryServer(DATABASE)
    joint = Joint(server)
    server.commit({(Child, each): Child(uuid=each, name=each[0]) for each in (U, V)})
    work = joint.session.receive(joint.connection.take(), 0.0)
    assert next(work) == Paused()
    for now in (5.0, 10.0, 15.0):
        assert joint.session.next_tick() == now
        assert list(joint.session.tick(now)) == []
        assert b'"echo"' in joint.session.take_output()
    assert [type(event) for event in work] == [Updated]
    assert joint.session.next_tick() == 20.0
    assert list(joint.session.tick(20.0)) == []
    assert [type(event) for event in joint.session.tick(25.0)] == [Lost]


@pytest.mark.parametrize("level", LEVELS)
def test_an_older_server_is_asked_with_the_newest_method_it_knows(level):
    server = MemoryServer(DATABASE, level=level)
    server.commit({(Child, U): Child(uuid=U, name="a")})
    joint = Joint(server)
    assert joint.session.synced and joint.session.method == level
    tried = [m["method"] for m in joint.connection.requests if m["method"] in LEVELS and m["params"][0] != "_Server"]
    assert tried == list(reversed(LEVELS))[: len(LEVELS) - LEVELS.index(level)]


def test_after_a_short_gap_only_the_gap_is_sent():
    server = MemoryServer(DATABASE)
    server.commit({(Child, U): Child(uuid=U, name="a"), (Child, V): Child(uuid=V, name="b")})
    joint = Joint(server)
    joint.drop()
    server.commit({(Child, U): Child(uuid=U, name="c")})
    again = Joint(server, joint.standing)
    (synced,) = [e for e in again.events if isinstance(e, Synced)]
    assert synced.resumed
    assert [(c.old.name, c.new.name) for c in synced.batch] == [("a", "c")]


def test_after_a_gap_that_the_server_forgot_the_batch_still_holds_only_differences():
    server = MemoryServer(DATABASE, history=1)
    server.commit({(Child, U): Child(uuid=U, name="a"), (Child, V): Child(uuid=V, name="b")})
    joint = Joint(server)
    joint.drop()
    server.commit({(Child, U): None})
    server.commit({(Parent, U): Parent(uuid=U, name="p")})
    again = Joint(server, joint.standing)
    (synced,) = [e for e in again.events if isinstance(e, Synced)]
    assert not synced.resumed
    assert {(c.table, c.old and c.old.name, c.new and c.new.name) for c in synced.batch} == {
        (Child, "a", None),
        (Parent, None, "p"),
    }


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_resume_is_not_claimed_when_the_conditions_have_changed_since(interrupted):
    server = MemoryServer(DATABASE)
    server.commit({(Child, U): Child(uuid=U, name="a")})
    joint = Joint(server)
    if interrupted:
        joint.standing.where["Child"] = [["name", "==", "x"]]
        joint.session.conditions_changed()
        joint.drop()
        joint.standing.where["Child"] = []
    else:
        joint.drop()
        joint.standing.where["Child"] = [["name", "==", "x"]]
    again = Joint(server, joint.standing)
    assert again.asked("monitor_cond_since")[0][3] == "00000000-0000-0000-0000-000000000000"


def test_a_resume_is_not_claimed_when_the_server_has_more_columns_than_before():
    server = MemoryServer(DATABASE)
    server.commit({(Child, U): Child(uuid=U, name="a")})
    whole = server.schema
    server.schema = orjson.loads(orjson.dumps(whole))
    del server.schema["tables"]["Thing"]
    joint = Joint(server)
    assert ("Thing", None) in joint.standing.replica.missing_columns
    joint.drop()
    server.schema = whole
    again = Joint(server, joint.standing)
    assert again.asked("monitor_cond_since")[0][3] == "00000000-0000-0000-0000-000000000000"
    assert not joint.standing.replica.missing_columns


def test_a_change_of_conditions_is_told_and_applied_when_the_server_says_so():
    joint = Joint(MemoryServer(DATABASE))
    joint.standing.where["Child"] = [["name", "==", "x"]]
    joint.session.conditions_changed()
    joint.standing.where["Child"] = [False]
    joint.session.conditions_changed()
    assert joint.standing.applied is None
    joint.pump()
    changes = [params[2] for params in joint.asked("monitor_cond_change")]
    assert changes == [{"Child": [{"where": [["name", "==", "x"]]}]}, {"Child": [{"where": [False]}]}]
    assert joint.events.count(ConditionsApplied()) == 1
    assert joint.standing.applied == joint.standing.where


def test_conditions_on_columns_that_the_server_lacks_ask_for_every_row():
    server = MemoryServer(DATABASE)
    server.schema = orjson.loads(orjson.dumps(server.schema))
    del server.schema["tables"]["Child"]["columns"]["weight"]
    monitors = monitors_of(DATABASE, [Monitor(Child, where=[("weight", "==", 1), ("name", "==", "a")])])
    joint = Joint(server, Standing.of(DATABASE, monitors))
    assert joint.asked("monitor_cond_since")[0][2] == {"Child": [{"columns": ["name", "tags"]}]}


def test_only_the_columns_asked_for_are_monitored():
    monitors = monitors_of(DATABASE, [Monitor(Child, columns=["name"]), Thing])
    joint = Joint(MemoryServer(DATABASE), Standing.of(DATABASE, monitors))
    request = joint.asked("monitor_cond_since")[0][2]
    assert request["Child"] == [{"columns": ["name"]}]
    assert set(request) == {"Child", "Thing"}


def test_replies_and_echo():
    joint = Joint(MemoryServer(DATABASE))
    txn = Transaction()
    txn.comment("hello")
    id, _ = joint.session.transact(txn.operations)
    joint.pump()
    assert joint.events[-1] == Replied(id, [{}], None)
    joint.connection.send({"method": "echo", "params": ["x"], "id": "e1"})
    joint.pump()
    assert joint.connection.requests[-1] == {"id": "e1", "result": ["x"], "error": None}
    joint.connection.send({"method": "sing", "params": [], "id": 5})
    joint.pump()
    assert joint.connection.requests[-1] == {"id": 5, "result": None, "error": "unknown method"}


def test_locks_are_reported_and_stale_news_about_them_ignored():
    joint = Joint(MemoryServer(DATABASE))
    joint.standing.lock = "one"
    joint.session.lock()
    assert not joint.session.lock_held
    joint.pump()
    assert joint.session.lock_held
    joint.connection.notify("stolen", "other")
    joint.pump()
    assert joint.session.lock_held
    joint.connection.notify("stolen", "one")
    joint.pump()
    assert not joint.session.lock_held
    joint.connection.notify("locked", "one")
    joint.pump()
    joint.events += joint.session.unlock("one")
    joint.events += joint.session.end("over")
    held = [e.held for e in joint.events if isinstance(e, LockChanged)]
    assert held == [True, False, True, False]


def test_a_lock_asked_for_twice_counts_by_the_last_answer():
    joint = Joint(MemoryServer(DATABASE))
    joint.standing.lock = "one"
    joint.session.lock()
    joint.events += joint.session.unlock("one")
    joint.session.lock()
    first, _, last = [orjson.loads(t) for t in joint.session.take_output().replace(b"}{", b"}\n{").split(b"\n")]
    joint.connection.send({"id": first["id"], "result": {"locked": True}, "error": None})
    joint.pump()
    assert not joint.session.lock_held
    joint.connection.send({"id": last["id"], "result": {"locked": False}, "error": None})
    joint.pump()
    assert not joint.session.lock_held


def test_a_silent_peer_is_probed_then_given_up():
    joint = Joint(MemoryServer(DATABASE))
    assert joint.session.next_tick() == 5.0
    assert list(joint.session.tick(4.9)) == []
    assert joint.session.take_output() == b""
    assert list(joint.session.tick(5.0)) == []
    assert b'"echo"' in joint.session.take_output()
    assert joint.session.next_tick() == 10.0
    (lost,) = joint.session.tick(10.0)
    assert "no answer to an inactivity probe within 5 s" in lost.reason
    assert joint.session.next_tick() is None


def test_anything_heard_puts_the_probe_off():
    joint = Joint(MemoryServer(DATABASE))
    list(joint.session.tick(5.0))
    joint.now = 6.0
    joint.pump()
    assert joint.session.next_tick() == 11.0


def test_no_probe_is_sent_if_none_is_wanted():
    standing = Standing.of(DATABASE, monitors_of(DATABASE, None))
    assert Session(standing, probe_interval=0).next_tick() is None


BAD = [
    b"garbage",
    b'{"id":null,"method":"update3","params":["ovine","%s",{"Child":{"%s":{"modify":{"name":"z"}}}}]}'
    % (b"0" * 36, V.encode()),
    b'{"id":null,"method":"update3","params":["ovine","t",{"Child":{"%s":{"modify":{"name":5}}}}]}' % U.encode(),
    b'{"id":null,"method":"update3","params":["ovine","t",{"Child":{"%s":{"modify":{"nonesuch":5}}}}]}' % U.encode(),
    b'{"id":null,"method":"update3","params":["ovine","t",{"Nonesuch":{}}]}',
    b'{"id":null,"method":"update3","params":["ovine","t",{"Child":[]}]}',
    b'{"id":null,"method":"update3","params":["ovine","t",5]}',
    b'{"id":null,"method":"update3","params":["ovine",{},{}]}',
    b'{"id":null,"method":"update3","params":["other","t",{}]}',
    b'{"id":null,"method":"update3","params":{}}',
    b'{"id":null,"method":"update3","params":["ovine","t",{"Child":{"%s":{}}}]}' % U.encode(),
    b'{"id":null,"method":"update3","params":["ovine","t",{"Child":{"%s":{"explode":1}}}]}' % U.encode(),
    b'{"id":null,"method":"update2","params":["_Server",[]]}',
    b'{"id":null,"method":"update","params":["ovine",{"Child":{"%s":{}}}]}' % U.encode(),
    b'{"id":999,"result":{},"error":null}',
    b'{"id":[],"result":{},"error":null}',
    b'{"id":1}',
    b"{}",
    b'{"id":null,"method":"dance","params":[]}',
    b'{"id":null,"method":5,"params":[]}',
]


@pytest.mark.parametrize("bad", BAD)
def test_a_broken_peer_loses_the_connection_and_nothing_else(bad):
    server = MemoryServer(DATABASE)
    server.commit({(Child, U): Child(uuid=U, name="a")})
    joint = Joint(server)
    joint.feed(
        b'{"id":null,"method":"update3","params":["ovine","t",{"Child":{"%s":{"modify":{"name":"b"}}}}]}' % U.encode()
    )
    joint.feed(bad)
    reason = joint.lost()
    assert reason and "\n" not in reason
    assert joint.standing.replica.rows(Child)[U].name == "b"
    joint.feed(b'{"id":null,"method":"update3","params":["ovine","t",{"Child":{}}]}')
    assert [type(event) for event in joint.events].count(Lost) == 1
    again = Joint(server, joint.standing)
    assert again.session.synced and contents(again.standing) == server.rows


def test_a_batch_with_one_bad_row_changes_nothing():
    server = MemoryServer(DATABASE)
    server.commit({(Child, U): Child(uuid=U, name="a"), (Child, V): Child(uuid=V, name="b")})
    joint = Joint(server)
    update = {"Child": {U: {"delete": None}, V: {"modify": {"weight": "heavy"}}}}
    joint.feed(orjson.dumps({"id": None, "method": "update3", "params": ["ovine", "t", update]}))
    assert joint.lost() == f"table Child, row {V}, column weight: expected an integer of 64 bits, got 'heavy'"
    assert contents(joint.standing) == server.rows


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_truncated_or_mangled_conversation_never_raises(data):
    server = MemoryServer(DATABASE)
    server.commit({(Child, U): Child(uuid=U, name="a")})
    standing = Standing.of(DATABASE, monitors_of(DATABASE, None))
    session, connection = Session(standing), server.connect()
    session.start(0.0)
    connection.receive(session.take_output())
    said = bytearray(connection.take())
    for _ in range(data.draw(st.integers(0, 5))):
        said[data.draw(st.integers(0, len(said) - 1))] = data.draw(st.integers(0, 255))
    events = list(session.receive(bytes(said[: data.draw(st.integers(0, len(said)))]), 0.0))
    assert sum(isinstance(event, Lost) for event in events) <= 1


# --- the _Server database (ovsdb-server(5)) -----------------------------------------------------------------------

S = "21234567-89ab-cdef-0123-456789abcdef"
MEMBER = {"name": "Everything", "model": "clustered", "connected": True, "leader": True, "index": 10}


class AwareServer(MemoryServer):
    """A server with a `_Server` database, whose one row the test writes."""

    def __init__(self, row: dict[str, Any] | None) -> None:
        super().__init__(DATABASE)
        self.row = row

    def connect(self) -> Connection:
        connection = super().connect()
        answer = connection._answer

        def aware(method: str, params: list[Any]) -> tuple[Any, Any]:
            if method == "set_db_change_aware":
                return {}, None
            if method == "monitor_cond" and params[0] == "_Server":
                return ({} if self.row is None else {"Database": {S: {"initial": self.row}}}), None
            return answer(method, params)

        connection._answer = aware  # type: ignore[method-assign]
        return connection


def standing(*, leader_only: bool = False) -> Standing:
    return Standing.of(DATABASE, monitors_of(DATABASE, None), leader_only=leader_only)


@pytest.mark.parametrize(
    ("row", "leader_only", "reason"),
    [
        ({"name": "Everything"}, True, None),
        ({"name": "Everything", "model": "standalone"}, True, None),
        (MEMBER, True, None),
        (MEMBER | {"leader": False}, False, None),
        (MEMBER | {"leader": False}, True, "the server is not the leader of the cluster of database Everything"),
        (MEMBER | {"connected": False}, False, "the server is not in contact with the cluster of database Everything"),
        ({"name": "Another"}, False, "the server has no database Everything"),
        (None, False, "the server has no database Everything"),
    ],
)
def test_a_server_is_judged_by_its_server_database(row, leader_only, reason):
    joint = Joint(AwareServer(row), standing(leader_only=leader_only))
    assert joint.lost() == reason
    assert joint.session.synced is (reason is None)


def test_a_server_that_stops_to_lead_is_left():
    joint = Joint(AwareServer(MEMBER), standing(leader_only=True))
    joint.connection.notify("update2", "_Server", {"Database": {S: {"modify": {"leader": False}}}})
    joint.pump()
    assert joint.lost() == "the server is not the leader of the cluster of database Everything"


def test_a_member_that_lags_behind_what_was_seen_is_not_believed():
    joint = Joint(AwareServer(MEMBER))
    assert joint.session.synced
    joint.drop()
    behind = Joint(AwareServer(MEMBER | {"index": 9}), joint.standing)
    assert behind.lost() == "the server's copy of database Everything is older than what was already seen"
    another = Joint(AwareServer(MEMBER | {"index": 1, "cid": ["uuid", U]}), joint.standing)
    assert another.session.synced


def test_a_converted_database_is_connected_to_anew():
    joint = Joint(AwareServer(MEMBER))
    joint.connection.notify("monitor_canceled", "_Server")
    joint.pump()
    assert joint.lost() is None
    joint.connection.notify("monitor_canceled", "ovine")
    joint.pump()
    assert joint.lost() == "database Everything was converted to another schema or removed"


def test_a_refused_monitor_or_schema_ends_the_session_with_the_reason():
    server = MemoryServer(DATABASE)
    server.schema = {"tables": 5}
    assert "schema cannot be read" in (Joint(server).lost() or "")
    wrong = Joint(MemoryServer(DATABASE))
    wrong.session._call("get_schema", ["x"], wrong.session._schema_known)
    out = orjson.loads(wrong.session.take_output())
    wrong.connection.send({"id": out["id"], "result": None, "error": {"error": "unknown database", "details": "x"}})
    wrong.pump()
    assert wrong.lost() == "the server does not give the schema of Everything: unknown database: x"
