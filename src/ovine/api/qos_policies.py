"""QoS policies: planning of create, update and delete, and which policy a port, a network or a floating IP may have.

A project may have one default policy, which its new networks get that name none. A policy that is in use stays.

Tests: tests/api/test_api_qos.py.
"""

from __future__ import annotations

from typing import Any

from neutron_lib.exceptions import qos as qos_exc

from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.policy import Judge, Target, not_found, target_of
from ovine.api.resources import QOS_POLICY, UNSET
from ovine.model.base import Uuid
from ovine.model.cloud import (
    FloatingIP,
    Network,
    Port,
    QoSBandwidthLimitRule,
    QoSDSCPMarkingRule,
    QoSPolicy,
)

DEFAULT = "default"
"""The `place` of a project's default policy."""


def create(draft: Draft, env: Env, judge: Judge, given: dict[str, Any], parsed: dict[str, Any]) -> QoSPolicy:
    """A new policy without rules."""
    project = parsed["project_id"]
    judge.require_create(QOS_POLICY, given, parsed, Target(project, project, parsed["shared"], False))
    uuid = draft.new_uuid()
    if parsed["is_default"]:
        _check_no_default(draft, project)
    return draft.insert_resource(
        QoSPolicy(
            uuid=uuid,
            project_id=project,
            name=parsed["name"],
            description=parsed["description"],
            shared=parsed["shared"],
            place=DEFAULT if parsed["is_default"] else uuid,
            tags=() if parsed["tags"] is UNSET else tuple(sorted(parsed["tags"])),
        ),
        revision=0,
    )


def _check_no_default(draft: Draft, project: str) -> None:
    if default_of(draft, project) is not None:
        raise qos_exc.QoSPolicyDefaultAlreadyExists(project_id=project)


def default_of(draft: Draft, project: str) -> QoSPolicy | None:
    """A project's default policy."""
    return next((row for row in draft.find(QoSPolicy, "project_id", project) if row.place == DEFAULT), None)


def update(draft: Draft, env: Env, judge: Judge, policy: QoSPolicy, parsed: dict[str, Any]) -> None:
    """Changes what is not its rules. One that others use stays shared."""
    judge.require_update(QOS_POLICY, parsed, target_of(draft, policy))
    columns: dict[str, Any] = {name: parsed[name] for name in ("name", "description", "shared") if name in parsed}
    if policy.shared and columns.get("shared") is False:
        draft.touch(policy)
        for kind, user in _users(draft, policy):
            if user.project_id != policy.project_id:
                raise qos_exc.QosPolicyInUse(policy_id=policy.uuid, object_type=kind, object_id=user.uuid)
    if "is_default" in parsed:
        is_default = policy.place == DEFAULT
        if parsed["is_default"] and not is_default:
            _check_no_default(draft, policy.project_id)
        columns["place"] = DEFAULT if parsed["is_default"] else policy.uuid
    draft.update(policy, **columns)


def delete(draft: Draft, env: Env, judge: Judge, policy: QoSPolicy) -> None:
    """Deletes a policy that nobody uses, with its rules."""
    judge.require("delete_policy", target_of(draft, policy))
    for kind, user in _users(draft, policy):
        raise qos_exc.QosPolicyInUse(policy_id=policy.uuid, object_type=kind, object_id=user.uuid)
    for table in (QoSBandwidthLimitRule, QoSDSCPMarkingRule):
        for rule in list(draft.find(table, "policy", policy.uuid)):
            draft.delete(rule)
    draft.delete(policy)


def _users(draft: Draft, policy: QoSPolicy) -> list[tuple[str, Network | Port | FloatingIP]]:
    found: list[tuple[str, Network | Port | FloatingIP]] = []
    found += [("network", row) for row in draft.find(Network, "qos_policy", policy.uuid)]
    found += [("port", row) for row in draft.find(Port, "qos_policy", policy.uuid)]
    found += [("floatingip", row) for row in draft.find(FloatingIP, "qos_policy", policy.uuid)]
    return found


def chosen(draft: Draft, judge: Judge, parsed: dict[str, Any], present: Uuid | None = None) -> Uuid | None:
    """The policy that a port, network or floating IP is to have.

    Raises QosPolicyNotFound for one that the caller can't see. Such a one can't be taken away either:
    PolicyRemoveAuthorizationError.
    """
    if "qos_policy_id" not in parsed or parsed["qos_policy_id"] == present:
        return present
    seen = draft.get(QoSPolicy, present) if present is not None else None
    if seen is not None and not judge.sees(QOS_POLICY, target_of(draft, seen)):
        raise qos_exc.PolicyRemoveAuthorizationError(policy_id=present)
    asked: str | None = parsed["qos_policy_id"]
    if asked is None:
        return None
    policy = draft.get(QoSPolicy, asked)
    if policy is None or not judge.sees(QOS_POLICY, target_of(draft, policy)):
        raise not_found(QOS_POLICY, asked)
    return policy.uuid
