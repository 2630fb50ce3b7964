"""Rules of QoS policies: planning of create, update and delete, and the types that there are.

A policy has at most one rule for the bandwidth of each direction, and one for the DSCP of what its ports send.

Tests: tests/api/test_api_qos.py.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import parse_qsl

from neutron_lib import constants
from neutron_lib.exceptions import qos as qos_exc

from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import bad_request, http_error
from ovine.api.policy import Judge, target_of
from ovine.api.resources import BANDWIDTH_LIMIT_RULE, DSCP_MARKING_RULE, Resource
from ovine.model.base import Row
from ovine.model.cloud import QoSBandwidthLimitRule, QoSDSCPMarkingRule, QoSPolicy

Rule = QoSBandwidthLimitRule | QoSDSCPMarkingRule
_COLUMNS = {
    BANDWIDTH_LIMIT_RULE.name: ("max_kbps", "max_burst_kbps", "direction"),
    DSCP_MARKING_RULE.name: ("dscp_mark",),
}
_MOST = 2**31 - 1
REFUSED = frozenset({"minimum_bandwidth_rules", "packet_rate_limit_rules", "minimum_packet_rate_rules"})
"""Collections of rules of which no host could keep what they promise."""


def type_of(row: Row) -> str:
    """What Neutron calls the type of a rule."""
    return "bandwidth_limit" if isinstance(row, QoSBandwidthLimitRule) else "dscp_marking"


def create(draft: Draft, env: Env, judge: Judge, resource: Resource, owner: Row, parsed: dict[str, Any]) -> Rule:
    """A new rule."""
    policy = cast(QoSPolicy, owner)
    judge.require(f"create_{resource.rule}", target_of(draft, policy))
    columns = {name: parsed[name] for name in _COLUMNS[resource.name]}
    _check(draft, resource, policy, columns)
    draft.touch(policy)
    made = draft.insert(resource.row(policy=policy.uuid, **columns))  # type: ignore[call-arg]
    return cast(Rule, made)


def update(
    draft: Draft, env: Env, judge: Judge, resource: Resource, owner: Row, rule: Row, parsed: dict[str, Any]
) -> None:
    """Changes a rule."""
    policy = cast(QoSPolicy, owner)
    judge.require(f"update_{resource.rule}", target_of(draft, rule))
    columns = {name: parsed[name] for name in _COLUMNS[resource.name] if name in parsed}
    _check(draft, resource, policy, columns, cast(Rule, rule))
    draft.touch(policy)
    draft.update(rule, **columns)


def delete(draft: Draft, judge: Judge, resource: Resource, owner: Row, rule: Row) -> None:
    """Deletes a rule."""
    judge.require(f"delete_{resource.rule}", target_of(draft, rule))
    draft.touch(cast(QoSPolicy, owner))
    draft.delete(rule)


def _check(
    draft: Draft, resource: Resource, policy: QoSPolicy, columns: dict[str, Any], present: Rule | None = None
) -> None:
    if columns.get("max_kbps", 1) < 1:
        raise bad_request("Invalid input for max_kbps. Reason: a port that may not send has admin_state_up false.")
    direction = columns.get("direction", getattr(present, "direction", None))
    for other in draft.find(cast(type[Rule], resource.row), "policy", policy.uuid):
        if (present is None or other.uuid != present.uuid) and getattr(other, "direction", None) == direction:
            raise qos_exc.QoSRulesConflict(new_rule_type=type_of(other), rule_id=other.uuid, policy_id=policy.uuid)


# --- types ------------------------------------------------------------------------------------------------------------


def _numbers(start: int, end: int) -> dict[str, Any]:
    return {"parameter_type": "range", "parameter_values": {"start": start, "end": end}}


def _choices(values: tuple[Any, ...]) -> dict[str, Any]:
    return {"parameter_type": "choices", "parameter_values": list(values)}


_TYPES: dict[str, dict[str, dict[str, Any]]] = {
    "bandwidth_limit": {
        "max_kbps": _numbers(1, _MOST),
        "max_burst_kbps": _numbers(0, _MOST),
        "direction": _choices(tuple(constants.VALID_DIRECTIONS)),
    },
    "dscp_marking": {"dscp_mark": _choices(tuple(constants.VALID_DSCP_MARKS))},
}


def types(text: str) -> list[dict[str, Any]]:
    """The types of rules that pass a query string. Raises HttpError."""
    wanted: dict[str, set[str]] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        if key not in ("type", "fields"):
            raise bad_request(f"{[key]} is invalid attribute for filtering")
        wanted.setdefault(key, set()).add(value)
    return [{"type": name} for name in _TYPES if name in wanted.get("type", _TYPES)]


def type_details(name: str) -> dict[str, Any]:
    """What a rule of a type may say. Raises HttpError."""
    if name not in _TYPES:
        raise http_error(404, f"QoS rule type {name} could not be found.")
    parameters = [{"parameter_name": key, **value} for key, value in _TYPES[name].items()]
    return {"type": name, "drivers": [{"name": "ovn", "supported_parameters": parameters}]}
