"""Agents: the programs on each host, as operators know them from Neutron, and whether they answer.

The plugin asks all hosts for a sign of life by raising NB_Global.nb_cfg, a *round*; `cloud.AgentCheck` has the latest
rounds. A controller answers with `Chassis_Private.nb_cfg`, a metadata service with `neutron:ovn-metadata-sb-cfg` there.
An agent *responds* if it has answered the last round but one, so that each had a whole interval to do so. Only what
changes then is written: while agents respond, their rows stay as they are, and the API shows the time of that round.

What an agent's row remembers (since when, the last answer) it reads from the row itself. Sources: ovn-sb(5), and the
marks that Neutron's metadata agent leaves in `Chassis_Private.external_ids`.

Tests: tests/unit/plugin/test_plugin_agents.py, tests/paths/test_plugin_walk.py,
tests/interop/test_plugin_agents_daemon.py.
"""

from __future__ import annotations

import uuid as uuids
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from ovine.engine import Emit, Engine, Reader, Relation, query, rule
from ovine.model import cloud, sb
from ovine.model.base import Uuid
from ovine.model.chassis import GATEWAY, METADATA_ID, METADATA_SB_CFG, options_of, zones_of
from ovine.ovsdb import Batch, Replica, Transaction
from ovine.projection import NAMESPACE

CONTROLLER, GATEWAY_CONTROLLER, METADATA = (
    "OVN Controller agent",
    "OVN Controller Gateway agent",
    "OVN Metadata agent",
)
"""Neutron's names for the kinds."""

AGENTS: Relation[Uuid, cloud.Agent] = Relation("Agent")
"""By id."""


@dataclass(frozen=True)
class Removal:
    """Southbound rows that somebody wants to be gone: those of a whole host, or just what its metadata service said."""

    whole: bool


REMOVALS: Relation[tuple[Uuid, bool], Removal] = Relation("Chassis (removal)")
"""By Chassis_Private row, and whether all of it is meant."""


class Round(NamedTuple):
    """A time at which all agents were asked."""

    number: int
    at: str


@query
def rounds(q: Reader) -> tuple[Round, ...]:
    """The latest rounds, the newest last."""
    found = [Round(number, at) for key in q.keys(cloud.AgentCheck) for number, at in _asked(q, key)]
    return tuple(sorted(found))


def _asked(q: Reader, key: Uuid) -> list[tuple[int, str]]:
    return list(q.row(cloud.AgentCheck, key).asked.items())


def due(asked: tuple[Round, ...]) -> Round | None:
    """The round that must have been answered by now: not the newest, unless it is the only one."""
    return asked[-2:][0] if asked else None


def agent_id(kind: str, chassis: str, announced: str) -> Uuid:
    """What an agent calls itself, if that is a UUID (Neutron's agents do so); else one made from its host's name."""
    try:
        return Uuid(str(uuids.UUID(announced)))
    except ValueError:
        return Uuid(str(uuids.uuid5(NAMESPACE, f"{kind} {chassis}")))


@rule(over=sb.ChassisPrivate, writes=(AGENTS, REMOVALS))
def agents(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The agents of a host: its controller, and its metadata service if it has announced itself."""
    private = q.row(sb.ChassisPrivate, key)
    row = q.get(sb.Chassis, private.chassis or "")
    settings = {**row.external_ids, **row.other_config} if row is not None else {}
    options = settings.get("ovn-cms-options", "")
    host = cloud.Agent(
        host=row.hostname if row is not None and row.hostname else private.name,
        chassis=private.name,
        bridge_mappings=settings.get("ovn-bridge-mappings", ""),
        availability_zones=tuple(sorted(zones_of(options))),
    )
    kind = GATEWAY_CONTROLLER if GATEWAY in options_of(options) else CONTROLLER
    controller = replace(host, agent_type=kind, binary="ovn-controller")
    identity = agent_id(CONTROLLER, private.name, private.name)
    yield from _agent(q, key, replace(controller, uuid=identity), private.nb_cfg)
    announced = private.external_ids.get(METADATA_ID)
    if announced is not None:
        answered = private.external_ids.get(METADATA_SB_CFG, "")
        metadata = replace(host, agent_type=METADATA, binary="neutron-ovn-metadata-agent")
        identity = agent_id(METADATA, private.name, announced)
        yield from _agent(q, key, replace(metadata, uuid=identity), int(answered) if answered.isdecimal() else 0)


def _agent(q: Reader, key: Uuid, found: cloud.Agent, answered: int) -> Iterator[Emit]:
    """One agent, which has `answered` a round, and what is to be removed with it."""
    asked, present = rounds(q), q.value(cloud.Agent, found.uuid) or cloud.Agent()
    wanted = due(asked)
    responding = wanted is not None and answered >= wanted.number
    removal = present.removal and not responding
    now = asked[-1].at if asked else ""
    heard = max((at for number, at in asked if number <= answered), default="")
    state = replace(
        found,
        responding=responding,
        heartbeat_at=present.heartbeat_at if responding else max(present.heartbeat_at, heard),
        created_at=present.created_at or now,
        started_at=now if responding and not present.responding else present.started_at,
        removal=removal,
    )
    yield AGENTS(found.uuid, state)
    if removal:
        whole = found.agent_type != METADATA
        yield REMOVALS((key, whole), Removal(whole))


class Remover:
    """Plans the removal from the southbound of hosts that do not answer any more.

    It is a planner for a writer of `ovine.daemons.derivation`; each row that goes must still say what it said.
    """

    def __init__(self, engine: Engine, replica: Replica) -> None:
        self._engine, self._replica = engine, replica
        self.put_back: deque[str] = deque(maxlen=1)

    def note(self, batch: Batch) -> None:
        """Nothing has to be remembered of changes: what is there is looked up when it is to go."""

    def lost(self) -> None:
        """Nor of what was planned."""

    def use(self, engine: Engine) -> None:
        self._engine = engine

    def plan(self) -> Transaction:
        """Deletes the rows that are to go; empty (false) when they are gone."""
        transaction = Transaction()
        removals = self._engine.rows(REMOVALS)
        for key, whole in removals:
            row = self._replica.get(sb.ChassisPrivate, key)
            if row is None or (not whole and (key, True) in removals):
                continue
            if whole:
                self._remove_host(transaction, row)
            elif METADATA_ID in row.external_ids:
                transaction.wait_row(row, "external_ids")
                transaction.mutate(sb.ChassisPrivate, key, "external_ids", "delete", (METADATA_ID, METADATA_SB_CFG))
        return transaction

    def _remove_host(self, transaction: Transaction, row: sb.ChassisPrivate) -> None:
        transaction.wait_row(row, "nb_cfg")
        transaction.delete(sb.ChassisPrivate, row.uuid)
        chassis = self._replica.get(sb.Chassis, row.chassis) if row.chassis else None
        if chassis is not None:
            transaction.delete(sb.Chassis, chassis.uuid)
