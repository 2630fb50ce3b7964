"""What an audit says of the writing of a compiler."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ovine.daemons import derivation
from ovine.daemons.derivation import Derivation
from ovine.engine import Emit, Engine, Reader, Relation, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.ovsdb import Transaction
from ovine.projection import Target
from support.ovsdb import connected, start_server, until

SWITCHES: Relation[str, nb.LogicalSwitch] = Relation("switches")
TARGET = Target(SWITCHES, nb.LogicalSwitch, lambda row, names: row.name, ("name",))


@rule(over=nb.NBGlobal, writes=(SWITCHES,))
def a_switch(q: Reader, key: Uuid) -> Iterator[Emit]:
    yield SWITCHES("sw", nb.LogicalSwitch(name="sw"))


def _nothing(transaction: Transaction) -> None:
    return


def _without_end(transaction: Transaction) -> None:
    transaction.insert(nb.LogicalRouter(name="again"))


@pytest.mark.parametrize(
    ("more", "said"),
    [(_nothing, []), (_without_end, ["OVN_Northbound: what is written does not come to an end"])],
)
async def test_an_audit_tells_of_a_database_that_is_written_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: Callable[[Transaction], None], said: list[str]
) -> None:
    monkeypatch.setattr(derivation, "AUDIT_PATIENCE", 0.5)
    with start_server(nb.DATABASE, tmp_path) as server:
        async with connected(nb.DATABASE, server.remote) as client:
            made = Derivation(Engine([a_switch], watch=[SWITCHES]), logging.getLogger("test"))
            made.feed(client, [nb.NBGlobal])
            made.write(client, [TARGET], extend=more)
            begin = Transaction()
            begin.insert(nb.NBGlobal())
            await client.transact(begin)
            running = asyncio.create_task(made.run())
            try:
                await until(lambda: bool(client.replica.rows(nb.LogicalSwitch)), "the switch")
                assert await made.audit() == said
            finally:
                running.cancel()
