"""Derived rows into a real database: what is written, what is left alone, what is put back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from ovine.engine import Emit, Engine, Reader, Relation, rule
from ovine.model import nb
from ovine.model.base import Map, Uuid
from ovine.model.members import Members, as_column
from ovine.ovsdb import Client, Transaction
from ovine.projection import MUTATE_FROM, Names, Projection, Target, ref
from support.ovsdb import connected, start_server


class Net(NamedTuple):
    ports: tuple[str, ...]
    note: str = ""


SWITCHES: Relation[str, nb.LogicalSwitch] = Relation("switches")
PORTS: Relation[str, nb.LogicalSwitchPort] = Relation("ports")
BALANCERS: Relation[str, nb.LoadBalancer] = Relation("balancers")


@rule(over=Net, writes=(SWITCHES, PORTS))
def network(q: Reader, key: str) -> Iterator[Emit]:
    net = q.row(Net, key)
    for port in net.ports:
        yield PORTS(port, nb.LogicalSwitchPort(name=port, external_ids=Map({"mine": "1"})))
    ports = as_column(Members(ref(PORTS, port) for port in net.ports))
    yield SWITCHES(key, nb.LogicalSwitch(name=key, ports=ports, external_ids=Map({"mine": "1", "note": net.note})))


def mine(row: nb.LogicalSwitch | nb.LogicalSwitchPort | nb.LoadBalancer, names: Names) -> str | None:
    return row.name if "mine" in row.external_ids else None


TARGETS = (
    Target(PORTS, nb.LogicalSwitchPort, mine, ("name", "external_ids")),
    Target(SWITCHES, nb.LogicalSwitch, mine, ("name", "ports", "external_ids")),
)


class Bed:
    """An engine, a database, and the projection between them."""

    def __init__(
        self, client: Client, engine: Engine | None = None, targets: tuple[Target[Any], ...] = TARGETS
    ) -> None:
        self.client = client
        self.engine = engine or Engine([network], watch=[SWITCHES, PORTS])
        self.projection = Projection(self.engine, client.replica, targets)
        client.subscribe(self.projection.note)

    async def settle(self, **nets: Net | None) -> list[Transaction]:
        """Feeds networks and writes until nothing is left to write; returns what was sent."""
        for key, net in nets.items():
            self.engine.feed(Net, key, net)
        self.engine.run()
        sent = []
        while transaction := self.projection.plan():
            sent.append(transaction)
            assert len(sent) < 5
            await self.client.transact(transaction)
        return sent

    def switches(self) -> dict[str, nb.LogicalSwitch]:
        return {row.name: row for row in self.client.replica.rows(nb.LogicalSwitch).values()}

    def ports(self) -> dict[str, nb.LogicalSwitchPort]:
        return {row.name: row for row in self.client.replica.rows(nb.LogicalSwitchPort).values()}


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    with start_server(nb.DATABASE, tmp_path) as server:
        async with connected(nb.DATABASE, server.remote) as client:
            yield Bed(client)


async def test_rows_are_written_with_their_references_in_one_transaction(bed: Bed) -> None:
    sent = await bed.settle(n1=Net(("p1", "p2")))
    assert len(sent) == 1
    assert bed.switches()["n1"].ports == tuple(sorted(port.uuid for port in bed.ports().values()))


async def test_what_is_equal_is_not_written_again(bed: Bed) -> None:
    await bed.settle(n1=Net(("p1",)))
    assert await bed.settle(n1=Net(("p1",))) == []


async def test_rows_go_with_what_they_were_derived_from(bed: Bed) -> None:
    await bed.settle(n1=Net(("p1",)), n2=Net(("p2",)))
    await bed.settle(n1=None)
    assert bed.switches().keys() == {"n2"}
    assert bed.ports().keys() == {"p2"}


async def test_columns_that_are_not_ours_stay_as_they_are(bed: Bed) -> None:
    await bed.settle(n1=Net(("p1",)))
    transaction = Transaction()
    transaction.update(nb.LogicalSwitchPort, bed.ports()["p1"].uuid, up=True)
    await bed.client.transact(transaction)
    await bed.settle(n1=Net(("p1",), note="changed"))
    assert bed.ports()["p1"].up is True
    assert bed.projection.put_back_count == 0


async def test_another_programs_row_with_our_key_is_taken_over_with_its_uuid(bed: Bed) -> None:
    transaction = Transaction()
    there = transaction.insert(nb.LogicalSwitch(name="n1", external_ids=Map({"mine": "1"})))
    await bed.client.transact(transaction)
    await bed.settle(n1=Net(("p1",), note="x"))
    assert bed.switches()["n1"].uuid == there
    assert bed.switches()["n1"].external_ids["note"] == "x"


async def test_of_two_rows_with_one_key_one_is_kept(bed: Bed) -> None:
    transaction = Transaction()
    for _ in range(2):
        transaction.insert(nb.LogicalSwitch(name="n1", external_ids=Map({"mine": "1"})))
    await bed.client.transact(transaction)
    await bed.settle(n1=Net(()))
    assert len(bed.client.replica.rows(nb.LogicalSwitch)) == 1


async def test_foreign_rows_are_left_alone(bed: Bed) -> None:
    transaction = Transaction()
    foreign = transaction.insert(nb.LogicalSwitch(name="n1"))
    await bed.client.transact(transaction)
    await bed.settle(n1=Net(()))
    await bed.settle(n1=None)
    assert bed.client.replica.rows(nb.LogicalSwitch).keys() == {foreign}


async def test_foreign_changes_are_put_back_and_said(bed: Bed) -> None:
    await bed.settle(n1=Net(("p1",)))
    transaction = Transaction()
    transaction.update(nb.LogicalSwitch, bed.switches()["n1"].uuid, ports=())
    await bed.client.transact(transaction)
    await bed.settle()
    assert bed.switches()["n1"].ports == (bed.ports()["p1"].uuid,)
    assert any("'n1' was changed by somebody else" in line for line in bed.projection.put_back)


async def test_a_large_set_is_changed_by_what_differs(bed: Bed) -> None:
    names = [f"p{n}" for n in range(MUTATE_FROM + 2)]
    await bed.settle(n1=Net(tuple(names)))
    sent = await bed.settle(n1=Net((*names[1:], "new")))
    operations = [op for transaction in sent for op in transaction.operations]
    mutations = [m for op in operations if op["op"] == "mutate" for m in op["mutations"]]
    assert [m[1] for m in mutations] == ["delete", "insert"]
    assert not any(op["op"] == "update" for op in operations)
    assert bed.ports().keys() == {*names[1:], "new"}


async def test_references_follow_a_row_that_somebody_made_anew(bed: Bed) -> None:
    await bed.settle(n1=Net(("p1", "p2")))
    await bed.settle(n1=Net(("p1", "p2"), note="both have been referred to"))
    transaction = Transaction()
    anew = transaction.insert(nb.LogicalSwitchPort(name="p1", external_ids=Map({"mine": "1"})))
    kept = bed.ports()["p2"].uuid
    transaction.update(nb.LogicalSwitch, bed.switches()["n1"].uuid, ports=tuple(sorted((anew, kept))))
    anew = (await bed.client.transact(transaction)).uuid(anew)
    await bed.settle(n1=Net(("p1", "p2"), note="changed"))
    assert bed.ports()["p1"].uuid == anew
    assert bed.switches()["n1"].ports == tuple(sorted((anew, kept)))


class Lone(NamedTuple):
    """A port, in a switch or in none."""

    switch: str | None


@rule(over=Lone, writes=(SWITCHES, PORTS))
def lone(q: Reader, key: str) -> Iterator[Emit]:
    port = q.row(Lone, key)
    yield PORTS(key, nb.LogicalSwitchPort(name=key, external_ids=Map({"mine": "1"})))
    if port.switch is not None:
        row = nb.LogicalSwitch(name=port.switch, ports=(ref(PORTS, key),), external_ids=Map({"mine": "1"}))
        yield SWITCHES(port.switch, row)


async def test_a_row_that_lives_by_being_referred_to_is_made_with_what_refers_to_it(bed: Bed) -> None:
    engine = Engine([lone], watch=[SWITCHES, PORTS])
    bed = Bed(bed.client, engine)
    engine.feed(Lone, "p", Lone(None))
    assert await bed.settle() == []
    for _ in range(2):
        engine.feed(Lone, "p", Lone("n"))
        assert len(await bed.settle()) == 1
        assert bed.switches()["n"].ports == (bed.ports()["p"].uuid,)
        engine.feed(Lone, "p", Lone(None))
        assert len(await bed.settle()) == 1
        assert not bed.ports() and not bed.switches()
    assert bed.projection.put_back_count == 0


async def test_a_rebuilt_database_gets_the_same_uuids(bed: Bed) -> None:
    await bed.settle(n1=Net(("p1",)))
    before = {row.uuid for row in (*bed.switches().values(), *bed.ports().values())}
    await bed.settle(n1=None)
    await bed.settle(n1=Net(("p1",)))
    assert {row.uuid for row in (*bed.switches().values(), *bed.ports().values())} == before


async def test_an_update_only_target_never_makes_or_deletes_rows(bed: Bed) -> None:
    transaction = Transaction()
    there = transaction.insert(nb.LogicalSwitch(name="there", external_ids=Map({"mine": "1"})))
    await bed.client.transact(transaction)
    target = Target(SWITCHES, nb.LogicalSwitch, mine, ("external_ids",), update_only=True)
    projection = Projection(bed.engine, bed.client.replica, [target])
    bed.engine.feed(Net, "there", Net((), note="seen"))
    bed.engine.feed(Net, "elsewhere", Net(()))
    bed.engine.run()
    await bed.client.transact(projection.plan())
    assert bed.switches()["there"].external_ids["note"] == "seen"
    assert bed.client.replica.rows(nb.LogicalSwitch).keys() == {there}
    bed.engine.feed(Net, "there", None)
    bed.engine.run()
    assert not projection.plan()


async def test_a_target_may_choose_the_uuids_of_its_rows(bed: Bed) -> None:
    chosen = "12345678-0000-4000-8000-000000000000"
    target = Target(SWITCHES, nb.LogicalSwitch, mine, ("name", "external_ids"), new_uuid=lambda key: chosen)
    projection = Projection(bed.engine, bed.client.replica, [target])
    bed.engine.feed(Net, "n1", Net(()))
    bed.engine.run()
    await bed.client.transact(projection.plan())
    assert bed.switches()["n1"].uuid == Uuid(chosen)


def test_a_column_that_the_table_does_not_have_is_refused(tmp_path: Path) -> None:
    from ovine.ovsdb import Client

    client = Client(nb.DATABASE, f"unix:{tmp_path}/none")
    with pytest.raises(ValueError, match="no column frobs"):
        Projection(
            Engine([network], watch=[SWITCHES]),
            client.replica,
            [Target(SWITCHES, nb.LogicalSwitch, mine, ("name", "frobs"))],
        )


@rule(over=Net, writes=(BALANCERS, SWITCHES))
def balanced(q: Reader, key: str) -> Iterator[Emit]:
    net = q.row(Net, key)
    for port in net.ports:
        yield BALANCERS(port, nb.LoadBalancer(name=port, external_ids=Map({"mine": "1"})))
    balancers = tuple(ref(BALANCERS, port) for port in net.ports)
    yield SWITCHES(key, nb.LogicalSwitch(name=key, load_balancer=balancers, external_ids=Map({"mine": "1"})))


async def test_in_a_partial_set_the_rows_of_others_stay(bed: Bed) -> None:
    client = bed.client
    engine = Engine([balanced], watch=[SWITCHES, BALANCERS])
    targets = (
        Target(BALANCERS, nb.LoadBalancer, mine, ("name", "external_ids")),
        Target(
            SWITCHES,
            nb.LogicalSwitch,
            mine,
            ("name", "load_balancer", "external_ids"),
            partial=("load_balancer",),
        ),
    )
    bed = Bed(client, engine, targets)
    await bed.settle(a=Net(("p", "q")))
    (switch,) = client.replica.rows(nb.LogicalSwitch).values()
    txn = Transaction()
    foreign = txn.insert(nb.LoadBalancer(name="foreign"))
    txn.mutate(nb.LogicalSwitch, switch.uuid, "load_balancer", "insert", (foreign,))
    await client.transact(txn)
    assert await bed.settle() == []
    await bed.settle(a=Net(("q", "r")))
    names = {row.uuid: row.name for row in client.replica.rows(nb.LoadBalancer).values()}
    (switch,) = client.replica.rows(nb.LogicalSwitch).values()
    assert {names[uuid] for uuid in switch.load_balancer} == {"q", "r", "foreign"}
    await bed.settle(a=Net(()))
    (switch,) = client.replica.rows(nb.LogicalSwitch).values()
    assert [names[uuid] for uuid in switch.load_balancer] == ["foreign"]
    assert bed.projection.put_back_count == 0


MANY_PORTS = tuple(f"p{n:03}" for n in range(150))


async def test_a_large_set_is_written_by_what_differs_whoever_changes_what(bed: Bed) -> None:
    """Against random changes of our own and of others, of the set and of the rows that it refers to."""
    random = Random(7)
    have = set(MANY_PORTS[:100])
    await bed.settle(a=Net(tuple(sorted(have))))
    for step in range(40):
        have ^= set(random.sample(MANY_PORTS, 3))
        ports, switch = bed.ports(), bed.switches()["a"]
        meddling = Transaction()
        if step % 4 == 1:
            meddling.mutate(nb.LogicalSwitch, switch.uuid, "ports", "delete", tuple(random.sample(switch.ports, 2)))
        if step % 4 == 2:  # another row by the same name, and the first one gone
            victim = ports[random.choice(sorted(have & ports.keys()))]
            meddling.mutate(nb.LogicalSwitch, switch.uuid, "ports", "delete", (victim.uuid,))
            heir = meddling.insert(nb.LogicalSwitchPort(name=victim.name, external_ids=victim.external_ids))
            meddling.mutate(nb.LogicalSwitch, switch.uuid, "ports", "insert", (heir,))
        if step % 4 == 3:
            stranger = meddling.insert(nb.LogicalSwitchPort(name=f"foreign{step}"))
            meddling.mutate(nb.LogicalSwitch, switch.uuid, "ports", "insert", (stranger,))
        if meddling:
            await bed.client.transact(meddling)
        sent = await bed.settle(a=Net(tuple(sorted(have))))
        assert sum(len(str(operation)) for txn in sent for operation in txn.operations) < 6000
        assert {bed.client.replica.rows(nb.LogicalSwitchPort)[u].name for u in bed.switches()["a"].ports} == have


async def test_a_large_set_survives_another_engine_and_grows_small(bed: Bed) -> None:
    await bed.settle(a=Net(MANY_PORTS))
    bed.engine = bed.engine.recomputed()
    bed.projection.use(bed.engine)
    assert await bed.settle() == []
    for left in (63, 3, 150, 0, 70):
        await bed.settle(a=Net(MANY_PORTS[:left]))
        assert len(bed.switches()["a"].ports) == len(bed.ports()) == left
