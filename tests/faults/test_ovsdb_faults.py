"""The client through faults: servers killed, stopped, late or mad; connections cut; leaders that change."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ovine.ovsdb import Batch, Client, NotConnected, Transaction, replica
from support.everything import DATABASE, Child, Parent
from support.ovsdb import Server, free_port, leader_of, start_cluster, start_server, until
from support.relay import relay


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with start_server(DATABASE, tmp_path) as running:
        yield running


@contextlib.asynccontextmanager
async def client(remote: str, *, wait: bool = True, **options: Any) -> AsyncIterator[Client]:
    given = Client(DATABASE, remote, **options)
    await given.start()
    try:
        if wait:
            await given.ready(30)
        yield given
    finally:
        await given.close()


async def add(client: Client, *names: str) -> None:
    txn = Transaction()
    for name in names:
        txn.insert(Parent(name=name))
    await client.transact(txn, 30)


def names(client: Client) -> set[str]:
    return {row.name for row in client.replica.rows(Parent).values()}


class Believer:
    """A subscriber that keeps its own copy from batches alone, and checks that they fit."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.rows: dict[Any, dict[Any, Any]] = {Parent: {}, Child: {}}
        self.batches = 0
        client.subscribe(self.on_batch)

    def on_batch(self, batch: Batch) -> None:
        self.batches += 1
        for table, uuid, old, new in batch:
            assert self.rows[table].get(uuid) == old != new
            if new is None:
                del self.rows[table][uuid]
            else:
                self.rows[table][uuid] = new
            assert self.client.replica.get(table, uuid) == new

    def check(self) -> None:
        for table, rows in self.rows.items():
            assert rows == dict(self.client.replica.rows(table))


async def test_a_killed_server_loses_nothing_and_subscribers_get_differences_only(server):
    async with client(server.remote) as one:
        believer = Believer(one)
        await add(one, "a", "b")
        server.restart()
        await until(lambda: one.generation == 2, "the second connection")
        assert names(one) == {"a", "b"} and believer.batches == 1
        await add(one, "c")
        believer.check()
        assert names(one) == {"a", "b", "c"}
        assert one.reconnects == 1 and not one.resumed


async def test_what_others_wrote_in_the_gap_comes_in_one_batch(server):
    async with relay(server.socket) as link, client(link.remote) as one, client(server.remote) as other:
        believer = Believer(one)
        await add(one, "a", "b")
        await link.shut()
        await until(lambda: not one.connected, "the loss is noticed")
        await add(other, "c")
        await add(other, "d")
        txn = Transaction()
        txn.delete_where(Parent, [("name", "==", "a")])
        await other.transact(txn)
        batches = believer.batches
        await link.open()
        await until(lambda: one.generation == 2, "the second connection")
        assert names(one) == {"b", "c", "d"}
        assert believer.batches == batches + 1
        believer.check()


async def test_a_connection_cut_at_any_byte_leaves_a_usable_replica(server):
    async with client(server.remote) as writer:
        await add(writer, *(f"parent-{number}" for number in range(20)))
        async with relay(server.socket) as link:
            for limit in (1, 10, 500, 2000, 2500, 3000, 3500, 4000):
                link.limit = limit
                async with client(link.remote, wait=False) as one:
                    believer = Believer(one)
                    await until(lambda one=one: one.last_error is not None or one.connected, "an attempt")
                    link.limit, before = None, one.generation
                    link.cut()
                    await until(lambda one=one, before=before: one.generation > before, "a connection after the cut")
                    assert one.connected and len(names(one)) == 20
                    await add(one, f"after-{limit}")
                    believer.check()
                txn = Transaction()
                txn.delete_where(Parent, [("name", "==", f"after-{limit}")])
                await writer.transact(txn)


async def test_a_connection_cut_in_the_midst_of_a_large_update_leaves_what_was_before_it(server, monkeypatch):
    monkeypatch.setattr(replica, "SLICE", 5)
    async with relay(server.socket) as link, client(link.remote) as one, client(server.remote) as other:
        believer = Believer(one)
        await add(one, "a")
        await link.shut()
        await until(lambda: not one.connected, "the loss is noticed")
        await add(other, *(f"many-{number}" for number in range(1000)))
        await link.open()
        # The gap is being worked off while this loop goes on, a turn of which is all that a pause lasts.
        async with asyncio.timeout(30):
            while one._link is None or not one._link._received:  # noqa: ASYNC110 (no event tells)
                await asyncio.sleep(0)
        assert names(one) == {"a"} and not one.connected
        link.cut()
        await until(lambda: one.connected, "a connection after the cut")
        assert len(names(one)) == 1001
        believer.check()


async def test_a_transaction_whose_answer_is_lost_ends_in_not_connected(server):
    async with relay(server.socket) as link, client(link.remote) as one:
        txn = Transaction()
        txn.wait(Parent, [("name", "==", "x")], ["name"], [{"name": "x"}], timeout=100_000)
        waiting = asyncio.create_task(one.transact(txn))
        await until(lambda: len(link.asked("transact")) == 1, "the request is on its way")
        link.cut()
        with pytest.raises(NotConnected, match="whether the transaction was done is unknown"):
            await waiting
        with pytest.raises(NotConnected, match="not connected to unix:"):
            await one.barrier()
        await one.ready(30)
        await one.barrier()


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b'{"id":1,"result":{}}',
        b'{"id":null,"method":"update3","params":["ovine","t",{"Parent":5}]}',
        b'{"id":1e999}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"\x00\xff" * 500,
    ],
)
async def test_a_mad_server_is_left_with_a_reason_and_followed_when_it_is_sane_again(server, garbage):
    async with client(server.remote) as writer:
        await add(writer, "a")
    async with relay(server.socket, garbage=garbage) as link, client(link.remote, wait=False) as one:
        await until(lambda: one.last_error is not None, "an error")
        assert "\n" not in (one.last_error or "")
        assert not one.connected
        link.garbage = b""
        await one.ready(30)
        assert names(one) == {"a"}


async def test_a_stopped_server_is_noticed_by_the_probe(server):
    async with client(server.remote, probe_interval=0.2) as one:
        await add(one, "a")
        server.pause()
        try:
            await until(lambda: not one.connected, "the loss is noticed")
            await until(lambda: "inactivity probe" in (one.last_error or ""), "the reason")
            assert names(one) == {"a"}
        finally:
            server.resume()
        await one.ready(30)
        await add(one, "b")


async def test_the_probe_interval_of_a_connection_may_change(server):
    async with relay(server.socket) as link, client(link.remote, probe_interval=0.0) as one:
        await one.barrier()
        assert not link.asked("echo")
        one.probe_every(0.05)
        await until(lambda: len(link.asked("echo")) >= 2, "probes")
        one.probe_every(0.0)
        await one.barrier()
        before = len(link.asked("echo"))
        for _ in range(50):
            await one.barrier()
        assert len(link.asked("echo")) == before and one.generation == 1


async def test_a_quiet_connection_is_kept_by_the_probe(server):
    async with relay(server.socket) as link, client(link.remote, probe_interval=0.05) as one:
        await until(lambda: len(link.asked("echo")) >= 3, "three probes")
        assert one.connected and one.generation == 1


@pytest.mark.parametrize("transport", ["unix", "tcp"])
async def test_a_server_that_starts_late_is_found(tmp_path, transport):
    port = free_port()
    with start_server(DATABASE, tmp_path, remotes=[f"ptcp:{port}:127.0.0.1"]) as server:
        server.kill()
        remote = server.remote if transport == "unix" else f"tcp:127.0.0.1:{port}"
        async with client(remote, wait=False) as one:
            await until(lambda: one.last_error is not None, "an error")
            assert "cannot connect" in (one.last_error or "")
            with pytest.raises(NotConnected, match="not connected"):
                await one.transact(Transaction())
            server.start()
            await one.ready(30)
            await add(one, "a")


async def test_the_next_remote_is_tried_at_once(server, tmp_path):
    async with client(f"unix:{tmp_path}/nowhere,{server.remote}") as one:
        assert one.remote == server.remote
        server.kill(signal.SIGTERM)
        await until(lambda: not one.connected, "the loss is noticed")
        server.start()
        await one.ready(30)


async def test_a_lock_is_asked_for_again_after_a_reconnect(server):
    async with client(server.remote) as one:
        one.lock("northd")
        await until(lambda: one.lock_held, "the lock")
        server.restart()
        await until(lambda: not one.lock_held, "the lock is gone with the connection")
        await until(lambda: one.lock_held and one.generation == 2, "the lock again")


async def test_conditions_outlive_the_connection_and_may_change_without_one(server):
    async with relay(server.socket) as link, client(link.remote) as one, client(server.remote) as other:
        await add(other, "a", "b")
        one.set_condition(Parent, [("name", "==", "a")])
        await one.condition_applied()
        await link.shut()
        await until(lambda: not one.connected, "the loss is noticed")
        one.set_condition(Parent, [("name", "==", "b")])
        await link.open()
        await one.condition_applied()
        assert names(one) == {"b"}
        link.cut()
        await until(lambda: one.generation == 3, "the third connection")
        assert names(one) == {"b"}


async def test_a_cluster_resumes_on_another_member_and_follows_its_leader(tmp_path):
    with start_cluster(DATABASE, tmp_path) as members:
        remotes = ",".join(member.remote for member in members)
        async with (
            client(remotes, leader_only=True) as one,
            relay(members[2].socket) as link,
            client(f"{link.remote},{members[1].remote},{members[0].remote}") as reader,
        ):
            believer, follower = Believer(one), Believer(reader)
            first = leader_of(members)
            assert one.remote == first.remote
            await add(one, "a", "b")
            await until(lambda: names(reader) == {"a", "b"}, "the other client sees it")
            for name in ("x", "y", "z"):
                await add(reader, name)
                assert name in names(reader), "also a follower's reply comes after its update"
            txn = Transaction()
            for name in ("x", "y", "z"):
                txn.delete_where(Parent, [("name", "==", name)])
            await reader.transact(txn)

            link.cut()
            await until(lambda: reader.generation == 2, "the reader's second connection")
            assert reader.resumed and names(reader) == {"a", "b"}

            first.kill()
            second = await asyncio.to_thread(leader_of, members)
            assert second is not first
            await until(lambda: one.connected and one.remote == second.remote, "the new leader")
            assert one.resumed and names(one) == {"a", "b"}
            await add(one, "c")

            first.start()
            await until(lambda: reader.connected and names(reader) == {"a", "b", "c"}, "the reader catches up")
            generation = one.generation
            second.pause()
            third = await asyncio.to_thread(leader_of, [member for member in members if member is not second])
            second.resume()
            await until(lambda: one.connected and one.generation > generation, "the client moves on")
            assert one.remote == third.remote and one.resumed
            await add(one, "d")
            await until(lambda: names(reader) == {"a", "b", "c", "d"}, "the reader catches up")
            believer.check()
            follower.check()


async def test_a_member_cut_off_from_its_cluster_is_left(tmp_path):
    with start_cluster(DATABASE, tmp_path) as members:
        async with client(",".join(member.remote for member in members)) as one:
            await add(one, "a")
            alone = next(member for member in members if member.remote == one.remote)
            others = [member for member in members if member is not alone]
            for member in others:
                member.kill()
            await until(lambda: not one.connected, "the loss of the majority is noticed")
            await until(lambda: one.last_error is not None, "a reason")
            for member in others:
                member.start()
            await one.ready(60)
            assert names(one) == {"a"}
