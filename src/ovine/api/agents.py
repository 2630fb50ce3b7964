"""Agents: shown, described, and forgotten when their hosts are gone for good.

What is known of them comes from the plugin (`ovine.plugin.agents`): an agent that responds had its last heartbeat at
the last round of questions that all should have answered by now, a silent one when it answered last. It is alive if
that is no longer ago than `agent_down_time`; so nobody is alive whom nobody has asked.

An agent that is to be forgotten is gone for callers at once; the plugin removes its host's rows, and then its own.

Tests: tests/api/test_api_agents.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from neutron_lib import exceptions as n_exc
from neutron_lib.exceptions.agent import AgentNotFound

from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import AgentInUse
from ovine.api.policy import Judge, target_of
from ovine.api.resources import AGENT
from ovine.model.cloud import Agent, AgentCheck
from ovine.ovsdb import Replica

View = dict[str, Any]
_TOPIC = "n/a"
"""Neutron's agents are reached by message queues; these are not."""


def create(draft: Draft, env: Env, judge: Judge, given: dict[str, Any], parsed: dict[str, Any]) -> Agent:
    """Agents announce themselves. Raises BadRequest."""
    raise n_exc.BadRequest(resource="agent", msg="agents announce themselves, and are not made by requests")


def update(draft: Draft, env: Env, judge: Judge, agent: Agent, parsed: dict[str, Any]) -> None:
    """Describes an agent. Raises BadRequest if it is to be disabled, which no OVN agent can be."""
    judge.require_update(AGENT, parsed, target_of(draft, agent))
    _check_there(agent)
    if parsed.get("admin_state_up") is False:
        raise n_exc.BadRequest(resource="agent", msg="OVN agent status cannot be updated")
    if "description" in parsed:
        draft.update(agent, description=parsed["description"])


def delete(draft: Draft, env: Env, judge: Judge, agent: Agent) -> None:
    """Forgets an agent. Raises AgentInUse while it is alive: it would announce itself anew."""
    judge.require("delete_agent", target_of(draft, agent))
    _check_there(agent)
    now = datetime.now(UTC)
    if is_alive(agent, last_check(draft.rows(AgentCheck)), env.config.agent_down_time, now):
        raise AgentInUse(id=agent.uuid, host=agent.host)
    draft.update(agent, removal=True)


def _check_there(agent: Agent) -> None:
    if is_forgotten(agent):
        raise AgentNotFound(id=agent.uuid)


def is_forgotten(agent: Agent) -> bool:
    """Whether an agent is to be removed, and has not come back in the meantime."""
    return agent.removal and not agent.responding


def last_check(checks: Iterable[AgentCheck]) -> str:
    """When the agents were asked what all should have answered by now; "" if they never were."""
    return max((sorted(check.asked.items())[-2:][0][1] for check in checks if check.asked), default="")


def heartbeat(agent: Agent, check: str) -> str:
    """An agent's last sign of life that is known; "" if there was none."""
    return max(check, agent.heartbeat_at) if agent.responding else agent.heartbeat_at


def is_alive(agent: Agent, check: str, down_time: int, now: datetime) -> bool:
    """Whether that is less than `down_time` seconds ago."""
    last = heartbeat(agent, check)
    return bool(last) and now - datetime.fromisoformat(last) < timedelta(seconds=down_time)


def agent_view(replica: Replica, row: Agent, down_time: int, now: datetime) -> View:
    """An agent as Neutron shows one of its OVN driver."""
    check = last_check(replica.rows(AgentCheck).values())
    return {
        "id": row.uuid,
        "agent_type": row.agent_type,
        "binary": row.binary,
        "topic": _TOPIC,
        "host": row.host,
        "admin_state_up": True,
        "alive": is_alive(row, check, down_time, now),
        "created_at": _time(row.created_at),
        "started_at": _time(row.started_at),
        "heartbeat_timestamp": _time(heartbeat(row, check)),
        "configurations": {"chassis_name": row.chassis, "bridge-mappings": row.bridge_mappings},
        "description": row.description,
        "availability_zone": ", ".join(row.availability_zones),
    }


def _time(text: str) -> str | None:
    """A time as Neutron writes those of agents: in UTC, without saying so."""
    return text.removesuffix("Z").replace("T", " ") or None
