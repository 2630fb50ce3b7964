"""The client against a real ovsdb-server: operations, monitors, conditions, locks, transports, schemas."""

from __future__ import annotations

import asyncio
import copy
import functools
import json
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ovine.model.base import Map, Uuid
from ovine.model.schema import to_json
from ovine.ovsdb import (
    Batch,
    Client,
    Monitor,
    NotConnected,
    RemoteError,
    Tls,
    Transaction,
    TransactionError,
    replica,
)
from support.everything import DATABASE, Child, Parent, Thing, rows
from support.ovsdb import Server, connected, free_port, start_server, until
from support.relay import relay

DEADLINE = 20.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with start_server(DATABASE, tmp_path) as running:
        yield running


client = functools.partial(connected, DATABASE)


async def commit(client: Client, build: Callable[[Transaction], Any]) -> Any:
    txn = Transaction()
    given = build(txn)
    await client.transact(txn, DEADLINE)
    return given


async def refused(client: Client, build: Callable[[Transaction], Any]) -> TransactionError:
    with pytest.raises(TransactionError) as caught:
        await commit(client, build)
    return caught.value


# --- operations -----------------------------------------------------------------------------------------------------


async def test_inserted_rows_are_in_the_replica_when_transact_returns(server):
    async with client(server.remote) as one:
        batches: list[Batch] = []
        one.subscribe(batches.append)
        txn = Transaction()
        child = txn.insert(Child(name="c", weight=5, tags=("x", "y")))
        parent = txn.insert(Parent(name="p", children=(child,), favourite=child, named=Map({"k": child})))
        await one.transact(txn)
        assert one.replica.get(Child, child) == Child(uuid=child, name="c", weight=5, tags=("x", "y"))
        assert one.replica.rows(Parent)[parent].named == {"k": child}
        (batch,) = batches
        assert {(change.table, change.uuid, change.old is None) for change in batch} == {
            (Child, child, True),
            (Parent, parent, True),
        }


@pytest.mark.parametrize("remote", ["unix", "tcp", "uvloop"])
def test_others_have_their_turns_while_a_large_update_is_read_and_see_it_as_a_whole(tmp_path, monkeypatch, remote):
    monkeypatch.setattr(replica, "SLICE", 10)
    many, port = 5000, free_port()

    async def read(remote: str) -> None:
        async with client(remote) as one, client(remote, monitors=[]) as writer, asyncio.timeout(DEADLINE):
            seen: list[int] = []
            one.subscribe(lambda batch: seen.append(-len(batch)))
            txn = Transaction()
            for number in range(many):
                txn.insert(Parent(name=f"parent {number}"))
            thing = txn.insert(Thing(integer=5))
            writing = asyncio.create_task(writer.transact(txn))
            while -many - 1 not in seen:
                if one._link is not None and one._link._received:
                    seen.append(len(one.replica.rows(Parent)))
                await asyncio.sleep(0)
            assert len(seen) > 20 and set(seen[:-1]) == {0}
            assert len(one.replica.rows(Parent)) == many and one.replica.get(Thing, thing) is not None
            await writing

    with start_server(DATABASE, tmp_path, remotes=[f"ptcp:{port}:127.0.0.1"]) as server:
        factory = uvloop.new_event_loop if remote == "uvloop" else None
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(read(f"tcp:127.0.0.1:{port}" if remote == "tcp" else server.remote))


async def test_every_operation_does_what_it_says(server):
    async with client(server.remote) as one:
        child = Uuid("01234567-89ab-cdef-0123-456789abcdef")
        parent = await commit(
            one, lambda t: t.insert(Parent(name="p", children=(t.insert(Child(uuid=child, name="c", tags=("a",))),)))
        )

        def row() -> Child:
            return one.replica.rows(Child)[child]

        await commit(one, lambda t: t.update(Child, child, name="d", weight=3))
        assert (row().name, row().weight) == ("d", 3)
        await commit(one, lambda t: t.update_where(Child, [("name", "==", "d"), ("weight", "<", 2)], weight=9))
        assert row().weight == 3
        await commit(one, lambda t: t.mutate(Child, child, "weight", "*=", 4))
        await commit(one, lambda t: t.mutate(Child, child, "tags", "insert", ("b", "c")))
        await commit(one, lambda t: t.mutate(Child, child, "tags", "delete", "a"))
        assert (row().weight, row().tags) == (12, ("b", "c"))
        await commit(one, lambda t: t.mutate(Parent, parent, "named", "insert", Map({"x": child, "y": child})))
        await commit(one, lambda t: t.mutate(Parent, parent, "named", "delete", "x"))
        assert one.replica.rows(Parent)[parent].named == {"y": child}

        txn = Transaction()
        txn.comment("look")
        txn.wait_row(row(), "name", "weight")
        selected = txn.select(Child, [("weight", ">", 5)])
        touched = txn.update_where(Child, [], weight=1)
        txn.commit(durable=True)
        outcome = await one.transact(txn)
        assert outcome.rows(Child, selected) == (Child(uuid=child, name="d", weight=12, tags=("b", "c")),)
        assert outcome.count(touched) == 1

        await commit(one, lambda t: t.delete(Parent, parent))
        assert not one.replica.rows(Parent) and not one.replica.rows(Child)


async def test_a_refused_transaction_changes_nothing_and_says_why(server):
    async with client(server.remote) as one:
        parent = await commit(one, lambda t: t.insert(Parent(name="p")))
        stranger = Uuid("91234567-89ab-cdef-0123-456789abcdef")
        taken = await refused(one, lambda t: t.insert(Parent(name="p")))
        assert (taken.kind, taken.index) == ("constraint violation", None)
        range_ = await refused(one, lambda t: t.insert(Child(weight=101)))
        assert (range_.kind, range_.index) == ("constraint violation", 0)
        dangling = await refused(one, lambda t: t.update(Parent, parent, children=(stranger,)))
        assert dangling.kind == "referential integrity violation"
        held = await refused(one, lambda t: (t.comment("x"), t.assert_lock("mine")))
        assert (held.kind, held.index) == ("not owner", 1)
        changed = await refused(one, lambda t: t.wait_row(Parent(uuid=parent, name="q"), "name"))
        assert changed.kind == "timed out"
        aborted = await refused(one, lambda t: (t.update(Parent, parent, name="q"), t.abort()))
        assert (aborted.kind, aborted.index) == ("aborted", 1)
        again = await refused(one, lambda t: t.insert(Parent(uuid=parent, name="r")))
        assert again.kind == "duplicate uuid"
        assert one.replica.rows(Parent)[parent] == Parent(uuid=parent, name="p")
        assert len(one.replica.rows(Parent)) == 1


async def test_a_transaction_that_waits_too_long_is_canceled(server):
    async with client(server.remote) as one:
        txn = Transaction()
        txn.insert(Parent(name="never"))
        txn.wait(Parent, [("name", "==", "x")], ["name"], [{"name": "x"}], timeout=100_000)
        with pytest.raises(TransactionError, match="canceled"):
            await one.transact(txn, timeout=0.05)
        await one.barrier()
        assert not one.replica.rows(Parent)


async def test_a_transaction_whose_caller_is_canceled_is_canceled_too(server):
    async with relay(server.socket) as link, client(link.remote) as one, client(server.remote) as two:
        txn = Transaction()
        txn.wait(Parent, [("name", "==", "x")], ["name"], [{"name": "x"}], timeout=100_000)
        txn.insert(Parent(name="y"))
        waiting = asyncio.create_task(one.transact(txn))
        await until(lambda: len(link.asked("transact")) == 1, "the request is on its way")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await one.barrier()
        await commit(two, lambda t: t.insert(Parent(name="x")))
        await one.barrier()
        assert [row.name for row in one.replica.rows(Parent).values()] == ["x"]


async def test_a_wait_goes_on_when_another_client_makes_it_true(server):
    async with client(server.remote) as one, client(server.remote) as two:
        txn = Transaction()
        txn.wait(Parent, [("name", "==", "x")], ["name"], [{"name": "x"}], timeout=10_000)
        txn.insert(Parent(name="y"))
        waiting = asyncio.create_task(one.transact(txn))
        await commit(two, lambda t: t.insert(Parent(name="x")))
        await asyncio.wait_for(waiting, DEADLINE)
        assert {row.name for row in one.replica.rows(Parent).values()} == {"x", "y"}


async def test_an_integer_beyond_64_bits_is_refused_and_the_connection_lives(server):
    async with client(server.remote) as one:
        with pytest.raises(ValueError, match="64 bits"):
            Transaction().insert(Thing(integer=2**64))
        txn = Transaction()
        txn.mutate(Child, Uuid("01234567-89ab-cdef-0123-456789abcdef"), "weight", "+=", 2**70)
        with pytest.raises(ValueError, match="64-bit"):
            await one.transact(txn)
        await one.barrier()


async def test_explicit_uuids_of_two_inserts_may_refer_to_each_other_backwards(server):
    async with client(server.remote) as one:
        child = Uuid("01234567-89ab-cdef-0123-456789abcdef")
        txn = Transaction()
        txn.insert(Parent(name="p", children=(child,)))
        txn.insert(Child(uuid=child, name="later"))
        await one.transact(txn)
        assert one.replica.rows(Child)[child].name == "later"


@pytest.mark.parametrize("known", [True, False])
async def test_a_server_without_explicit_uuids_is_given_named_ones(server, known):
    async with relay(server.socket, no_uuids=True) as old, client(old.remote, named_uuids=known) as one:
        txn = Transaction()
        child = txn.insert(Child(name="c"))
        parent = txn.insert(Parent(name="p", children=(child,), named=Map({"k": child})))
        txn.update(Child, child, weight=7)
        outcome = await one.transact(txn)
        real = outcome.uuid(child)
        assert real != child
        assert one.replica.rows(Child)[real] == Child(uuid=real, name="c", weight=7)
        assert one.replica.rows(Parent)[outcome.uuid(parent)].children == (real,)
        await commit(one, lambda t: t.insert(Parent(name="q")))
        assert len(old.asked("transact")) == (2 if known else 3)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=st.lists(rows(Thing)(), min_size=1, max_size=6), new=rows(Thing)())
def test_rows_of_every_type_come_back_from_the_server_as_they_were_written(server, old, new):
    async def run() -> None:
        async with client(server.remote) as writer, client(server.remote) as reader:
            txn = Transaction()
            txn.delete_where(Thing, [])
            uuids = [txn.insert(row) for row in old]
            await writer.transact(txn)
            await reader.barrier()
            for uuid, row in zip(uuids, old, strict=True):
                assert reader.replica.get(Thing, uuid) == writer.replica.get(Thing, uuid) == with_uuid(row, uuid)
            columns = {c.attribute: getattr(new, c.attribute) for c in Thing.spec.columns.values()}
            await commit(writer, lambda t: t.update_where(Thing, [], **columns))
            await reader.barrier()
            assert set(reader.replica.rows(Thing).values()) == {with_uuid(new, uuid) for uuid in uuids}

    asyncio.run(run())


def with_uuid(row: Thing, uuid: Uuid) -> Thing:
    return Thing(uuid=uuid, **{c.attribute: getattr(row, c.attribute) for c in Thing.spec.columns.values()})


# --- monitors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unknown",
    [
        (),
        ("monitor_cond_since",),
        ("monitor_cond_since", "monitor_cond", "set_db_change_aware"),
    ],
)
async def test_every_monitor_method_gives_the_same_replica(server, unknown):
    async with (
        client(server.remote) as writer,
        relay(server.socket, unknown=frozenset(unknown)) as old,
    ):
        child = Uuid("01234567-89ab-cdef-0123-456789abcdef")
        parent = await commit(
            writer, lambda t: t.insert(Parent(name="p", children=(t.insert(Child(uuid=child, tags=("a", "b"))),)))
        )
        async with client(old.remote) as one:
            batches: list[Batch] = []
            one.subscribe(batches.append)
            await commit(writer, lambda t: t.mutate(Child, child, "tags", "delete", "a"))
            await commit(writer, lambda t: t.mutate(Parent, parent, "named", "insert", Map({"k": child})))
            await commit(writer, lambda t: t.update(Parent, parent, favourite=child))
            await one.barrier()
            for table in (Parent, Child):
                assert dict(one.replica.rows(table)) == dict(writer.replica.rows(table))
            assert [len(batch) for batch in batches] == [1, 1, 1]
            assert one.replica.rows(Child)[child].tags == ("b",)


async def test_only_the_columns_asked_for_are_read(server):
    async with client(server.remote, monitors=[Monitor(Child, columns=["name"]), Parent]) as one:
        child = Uuid("01234567-89ab-cdef-0123-456789abcdef")
        await commit(
            one, lambda t: t.insert(Parent(name="p", children=(t.insert(Child(uuid=child, name="c", weight=5)),)))
        )
        assert one.replica.rows(Child)[child] == Child(uuid=child, name="c")


async def test_rows_come_and_go_with_the_conditions(server):
    async with client(server.remote) as writer:
        txn = Transaction()
        kids = {n: txn.insert(Child(name=n, weight=w, tags=(n,))) for n, w in (("a", 1), ("b", 2), ("c", 3))}
        txn.insert(Parent(name="p", children=tuple(sorted(kids.values()))))
        await writer.transact(txn)

        monitors = [Monitor(Child, where=[("name", "==", "a"), ("weight", "==", 2)])]
        async with client(server.remote, monitors=monitors) as one:
            seen: list[tuple[str, str]] = []
            one.subscribe(lambda b: seen.extend(("+" if c.old is None else "-", (c.new or c.old).name) for c in b))

            def names() -> set[str]:
                return {row.name for row in one.replica.rows(Child).values()}

            assert names() == {"a", "b"}
            one.set_condition(Child, [("_uuid", "==", kids["c"]), ("tags", "includes", "b")])
            await one.condition_applied()
            assert names() == {"b", "c"}
            assert sorted(seen) == [("+", "c"), ("-", "a")]
            one.set_condition(Child, [False])
            one.set_condition(Child, [])
            await one.condition_applied()
            assert names() == {"a", "b", "c"}
            one.set_condition(Child, [False])
            await one.condition_applied()
            assert names() == set()
            with pytest.raises(ValueError, match="Parent is not monitored"):
                one.set_condition(Parent, [])
            with pytest.raises(ValueError, match="no column 'colour'"):
                one.set_condition(Child, [("colour", "==", "red")])


async def test_conditions_set_together_arrive_together(server):
    async with client(server.remote) as writer, relay(server.socket) as link:
        txn = Transaction()
        txn.insert(Parent(name="p", children=(txn.insert(Child(name="c")),)))
        txn.insert(Thing(string="t"))
        await writer.transact(txn)
        monitors = [Monitor(table, where=[False]) for table in (Parent, Child, Thing)]
        async with client(link.remote, monitors=monitors) as one:
            batches: list[Batch] = []
            one.subscribe(batches.append)
            for table in (Parent, Child, Thing):
                one.set_condition(table, [])
            await one.condition_applied()
            assert [{change.table for change in batch} for batch in batches] == [{Parent, Child, Thing}]
            one.set_condition(Thing, [False])
            await one.barrier()
            assert not one.replica.rows(Thing), "a transaction goes out after the conditions set before it"
            assert len(link.asked("monitor_cond_change")) == 2


walks = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from("abcde"), st.integers(0, 3)),
        st.tuples(st.just("delete"), st.sampled_from("abcde"), st.just(0)),
        st.tuples(st.just("watch"), st.sets(st.sampled_from("abcde"), max_size=3), st.just(0)),
        st.tuples(st.just("cut"), st.just(""), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=walks)
def test_on_any_walk_the_replica_is_what_the_conditions_select(server, steps):
    """Writes by one client, changes of condition by another, in any order, without waiting between them."""

    async def run() -> None:
        held: dict[Uuid, Any] = {}

        def follow(batch: Batch) -> None:
            for _, uuid, old, new in batch:
                assert held.get(uuid) == old != new
                if new is None:
                    del held[uuid]
                else:
                    held[uuid] = new

        async with (
            relay(server.socket) as link,
            client(server.remote) as writer,
            client(link.remote, monitors=[Monitor(Thing, where=[False])]) as one,
        ):
            await commit(writer, lambda t: t.delete_where(Thing, []))
            one.subscribe(follow)
            watched: set[str] = set()
            for kind, what, number in steps:
                if kind == "watch":
                    watched = what
                    one.set_condition(Thing, [("string", "==", name) for name in sorted(what)] or [False])
                elif kind == "cut":
                    link.cut()
                else:
                    txn = Transaction()
                    txn.delete_where(Thing, [("string", "==", what)])
                    if kind == "write":
                        txn.insert(Thing(string=what, integer=number))
                    await writer.transact(txn)
            await one.condition_applied()
            await one.ready(DEADLINE)
            await settle(one)
            everything = writer.replica.rows(Thing)
            assert held == dict(one.replica.rows(Thing))
            assert held == {uuid: row for uuid, row in everything.items() if row.string in watched}

    asyncio.run(run())


async def settle(client: Client) -> None:
    """A barrier that outlasts a connection which is just breaking."""
    while True:
        try:
            return await client.barrier()
        except NotConnected:
            await client.ready(DEADLINE)


async def test_a_row_that_stops_to_match_leaves_the_replica(server):
    async with (
        client(server.remote) as writer,
        client(server.remote, monitors=[Monitor(Parent, where=[("name", "==", "p")])]) as one,
    ):
        parent = await commit(writer, lambda t: t.insert(Parent(name="p")))
        await one.barrier()
        assert parent in one.replica.rows(Parent)
        await commit(writer, lambda t: t.update(Parent, parent, name="q"))
        await one.barrier()
        assert parent not in one.replica.rows(Parent)


async def test_a_weak_reference_goes_with_its_target(server):
    async with client(server.remote) as one:
        txn = Transaction()
        child = txn.insert(Child(name="c"))
        parent = txn.insert(Parent(name="p", children=(child,), favourite=child))
        await one.transact(txn)
        await commit(one, lambda t: t.update(Parent, parent, children=()))
        assert one.replica.rows(Parent)[parent].favourite is None


async def test_indexes_follow_the_server(server):
    async with client(server.remote) as one:
        by_name = one.replica.index(Parent, "name")
        parent = await commit(one, lambda t: t.insert(Parent(name="p")))
        assert by_name.one("p") == Parent(uuid=parent, name="p")
        await commit(one, lambda t: t.update(Parent, parent, name="q"))
        assert by_name.find("p") == () and by_name.one("q") is not None


async def test_a_failing_subscriber_harms_neither_the_others_nor_the_connection(server):
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
    async with client(server.remote) as one:
        batches: list[Batch] = []
        one.subscribe(lambda _batch: 1 / 0)
        one.subscribe(batches.append)
        await commit(one, lambda t: t.insert(Parent(name="p")))
        await commit(one, lambda t: t.insert(Parent(name="q")))
        assert len(batches) == 2 and one.generation == 1
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError] * 2


# --- locks ------------------------------------------------------------------------------------------------------------


async def test_a_lock_passes_from_one_client_to_the_next(server):
    async with client(server.remote) as one, client(server.remote) as two:
        states: list[bool] = []
        two.on_state(lambda: states.append(two.lock_held))
        one.lock("northd")
        await until(lambda: one.lock_held, "the first has the lock")
        two.lock("northd")
        await two.barrier()
        assert not two.lock_held and two.lock_name == "northd"
        held = await commit(one, lambda t: (t.assert_lock("northd"), t.insert(Parent(name="p")))[1])
        assert held in one.replica.rows(Parent)
        assert (await refused(two, lambda t: t.assert_lock("northd"))).kind == "not owner"
        one.unlock()
        await until(lambda: two.lock_held, "the second has the lock")
        assert not one.lock_held and states[-1]


async def test_a_lock_passes_on_when_its_holder_closes(server):
    async with client(server.remote) as two:
        async with client(server.remote) as one:
            one.lock("northd")
            await until(lambda: one.lock_held, "the first has the lock")
            two.lock("northd")
            await two.barrier()
        await until(lambda: two.lock_held, "the second has the lock")


async def test_a_stolen_lock_is_lost_and_comes_back(server):
    async with client(server.remote) as one, client(server.remote) as two:
        one.lock("northd")
        await until(lambda: one.lock_held, "the first has the lock")
        two.lock("northd", steal=True)
        await until(lambda: two.lock_held and not one.lock_held, "the second has stolen it")
        two.unlock()
        await until(lambda: one.lock_held, "the first has it again")
        two.lock("northd")
        two.lock("northd", steal=True)
        await until(lambda: two.lock_held and not one.lock_held, "the second has stolen it again")


async def test_another_lock_replaces_the_first(server):
    async with client(server.remote) as one, client(server.remote) as two:
        one.lock("a")
        one.lock("b")
        await until(lambda: one.lock_held, "the lock b")
        two.lock("a")
        await until(lambda: two.lock_held, "the lock a, free again")


# --- transports ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_tcp(tmp_path, host):
    port = free_port()
    with start_server(DATABASE, tmp_path, remotes=[f"ptcp:{port}:{host}"]):
        async with client(f"tcp:{host}:{port}") as one:
            await commit(one, lambda t: t.insert(Parent(name="p")))
            assert len(one.replica.rows(Parent)) == 1


def certificate(directory: Path, name: str, ca: str | None = None) -> Tls:
    """A key and a certificate, signed by the authority `ca`, or an authority of its own."""
    key, cert = directory / f"{name}.key", directory / f"{name}.crt"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(cert)]
    if ca is not None:
        command += ["-CA", str(directory / f"{ca}.crt"), "-CAkey", str(directory / f"{ca}.key")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return Tls(key, cert, directory / f"{ca or name}.crt")


async def test_ssl_with_the_right_authority_and_not_with_another(tmp_path):
    certificate(tmp_path, "ca")
    theirs, ours = certificate(tmp_path, "server", "ca"), certificate(tmp_path, "client", "ca")
    strangers = certificate(tmp_path, "stranger")
    port = free_port()
    options = [f"--private-key={theirs.key}", f"--certificate={theirs.cert}", f"--ca-cert={theirs.ca}"]
    with start_server(DATABASE, tmp_path, remotes=[f"pssl:{port}:127.0.0.1"], options=options):
        async with client(f"ssl:127.0.0.1:{port}", tls=ours) as one:
            await commit(one, lambda t: t.insert(Parent(name="p")))
            assert len(one.replica.rows(Parent)) == 1
        other = Client(DATABASE, f"ssl:127.0.0.1:{port}", tls=strangers)
        await other.start()
        await until(lambda: other.last_error is not None, "an error")
        assert "CERTIFICATE_VERIFY_FAILED" in (other.last_error or "").upper().replace(" ", "_")
        with pytest.raises(NotConnected, match="not connected to ssl:127"):
            await other.ready(0.01)
        await other.close()
    with pytest.raises(RemoteError, match="an ssl: remote needs"):
        Client(DATABASE, "ssl:127.0.0.1:6640")
    assert isinstance(ours.context(), ssl.SSLContext)


# --- schemas that differ ----------------------------------------------------------------------------------------------


async def test_an_older_server_is_read_as_far_as_it_goes_and_written_where_that_loses_nothing(tmp_path):
    older = copy.deepcopy(to_json(DATABASE))
    del older["tables"]["Thing"]
    del older["tables"]["Child"]["columns"]["weight"]
    with start_server(older, tmp_path) as server:
        async with client(server.remote) as one:
            assert {("Thing", None), ("Child", "weight")} < one.replica.missing_columns
            txn = Transaction()
            child = txn.insert(Child(name="c"))
            txn.insert(Parent(name="p", children=(child,)))
            await one.transact(txn)
            await commit(
                one, lambda t: (t.wait_row(one.replica.rows(Child)[child]), t.update(Child, child, weight=0, name="d"))
            )
            assert one.replica.rows(Child)[child] == Child(uuid=child, name="d")
            assert (await refused(one, lambda t: t.update(Child, child, weight=5))).kind == "unknown column"
            assert (await refused(one, lambda t: t.insert(Thing(string="x")))).kind == "unknown table"
            await one.barrier()


async def test_a_newer_server_is_read_without_what_we_do_not_know(tmp_path):
    newer = copy.deepcopy(to_json(DATABASE))
    newer["tables"]["Novelty"] = {"columns": {"x": {"type": "string"}}, "isRoot": True}
    newer["tables"]["Parent"]["columns"]["colour"] = {"type": "string"}
    with start_server(newer, tmp_path) as server:
        async with client(server.remote) as one:
            assert not one.replica.missing_columns
            parent = await commit(one, lambda t: t.insert(Parent(name="p")))
            assert one.replica.rows(Parent)[parent] == Parent(uuid=parent, name="p")


async def test_a_conversion_of_the_schema_under_way_is_followed(tmp_path):
    older = copy.deepcopy(to_json(DATABASE))
    del older["tables"]["Child"]["columns"]["weight"]
    with start_server(older, tmp_path) as server:
        async with client(server.remote) as one:
            child = Uuid("01234567-89ab-cdef-0123-456789abcdef")
            await commit(one, lambda t: t.insert(Parent(name="p", children=(t.insert(Child(uuid=child, name="c")),))))
            assert one.replica.missing_columns == {("Child", "weight")}
            schema = tmp_path / "new.ovsschema"
            schema.write_text(json.dumps(to_json(DATABASE)))
            convert = ["ovsdb-client", "convert", server.remote, str(schema)]
            await asyncio.to_thread(subprocess.run, convert, check=True, timeout=DEADLINE)
            await until(lambda: one.connected and not one.replica.missing_columns, "the new schema")
            await commit(one, lambda t: t.update(Child, child, weight=5))
            assert one.replica.rows(Child)[child] == Child(uuid=child, name="c", weight=5)


async def test_a_server_without_the_database_says_so(tmp_path):
    other = {"name": "Other", "version": "1.0.0", "tables": {"T": {"columns": {"a": {"type": "string"}}}}}
    with start_server(other, tmp_path) as server:
        one = Client(DATABASE, server.remote)
        await one.start()
        await until(lambda: one.last_error is not None, "an error")
        assert one.last_error == "the server has no database Everything"
        with pytest.raises(NotConnected, match="has no database Everything"):
            await one.transact(Transaction())
        await one.close()
        with pytest.raises(NotConnected, match="closed"):
            await one.ready()
