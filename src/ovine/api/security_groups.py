"""Security groups: planning of create, update and delete; which groups a port gets.

Each project has a *default group*, made when the project first needs it: it lets everything out, and in what comes
from its own members. A new group only lets everything out.

A rule belongs to its group's revision: whoever adds or removes one bumps it, so that two requests that could not both
have seen the other's rule don't both go in.

Tests: tests/api/test_api_security_groups.py.
"""

from __future__ import annotations

from typing import Any

import msgspec
from neutron_lib.exceptions import port_security as psec_exc

from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import invalid_input
from ovine.api.policy import Judge, Target, target_of
from ovine.api.resources import SECURITY_GROUP, UNSET, is_set
from ovine.api.security_definitions import DEFAULT, ETHERTYPES
from ovine.api.security_errors import (
    SecurityGroupCannotRemoveDefault,
    SecurityGroupCannotUpdateDefault,
    SecurityGroupConflict,
    SecurityGroupInUse,
    SecurityGroupNotFound,
)
from ovine.model.base import Uuid
from ovine.model.cloud import Port, SecurityGroup, SecurityGroupRule

_TRUSTED_PREFIX = "network:"
"""Ports of network services are never filtered, so they have no groups."""


def create(draft: Draft, env: Env, judge: Judge, given: dict[str, Any], parsed: dict[str, Any]) -> SecurityGroup:
    """A new group, with rules that let everything out."""
    project = parsed["project_id"]
    judge.require_create(SECURITY_GROUP, given, parsed, Target(project, project, False, False))
    ensure_default(draft, project)
    group = _insert(
        draft,
        SecurityGroup(
            project_id=project,
            name=parsed["name"],
            description=parsed["description"],
            stateful=parsed["stateful"],
            tags=() if parsed["tags"] is UNSET else tuple(sorted(parsed["tags"])),
        ),
    )
    draft.asked.update(rule.uuid for rule in draft.find(SecurityGroupRule, "security_group", group.uuid))
    return group


def ensure_default(draft: Draft, project: str) -> SecurityGroup | None:
    """The project's default group, made if it is not there; None for what belongs to no project."""
    if not project:
        return None
    found = draft.default_group(project)
    if found is not None:
        return found
    group = _insert(
        draft,
        SecurityGroup(project_id=project, name=DEFAULT, description="Default security group", place=DEFAULT),
    )
    for ethertype in ETHERTYPES:
        _insert_rule(draft, group, ethertype, "ingress", remote_group=group.uuid)
    return group


def _insert(draft: Draft, group: SecurityGroup) -> SecurityGroup:
    uuid = draft.new_uuid()
    made = draft.insert_resource(msgspec.structs.replace(group, uuid=uuid, place=group.place or uuid), revision=1)
    for ethertype in ETHERTYPES:
        _insert_rule(draft, made, ethertype, "egress")
    return made


def _insert_rule(
    draft: Draft, group: SecurityGroup, ethertype: str, direction: str, remote_group: Uuid | None = None
) -> None:
    rule = SecurityGroupRule(
        security_group=group.uuid,
        project_id=group.project_id,
        direction=direction,
        ethertype=ethertype,
        remote_group=remote_group,
    )
    draft.insert_resource(rule, revision=0)


def update(draft: Draft, env: Env, judge: Judge, group: SecurityGroup, parsed: dict[str, Any]) -> None:
    """Changes a group. Connections can't be told to begin or cease to be tracked, so `stateful` needs it unused."""
    judge.require_update(SECURITY_GROUP, parsed, target_of(draft, group))
    if group.place == DEFAULT and "name" in parsed:
        raise SecurityGroupCannotUpdateDefault()
    if parsed.get("stateful", group.stateful) != group.stateful and draft.has_members(group.uuid):
        raise SecurityGroupInUse(id=group.uuid)
    draft.update(group, **{name: parsed[name] for name in ("name", "description", "stateful") if name in parsed})


def delete(draft: Draft, env: Env, judge: Judge, group: SecurityGroup) -> None:
    """Deletes a group with its rules and those that name it as their peer; its ports keep it."""
    judge.require("delete_security_group", target_of(draft, group))
    if group.place == DEFAULT and not judge.caller.is_admin:
        raise SecurityGroupCannotRemoveDefault()
    if draft.has_members(group.uuid):
        raise SecurityGroupInUse(id=group.uuid)
    for rule in list(draft.find(SecurityGroupRule, "remote_group", group.uuid)):
        other = draft.get(SecurityGroup, rule.security_group)
        if other is not None and other.uuid != group.uuid:
            draft.touch(other)
        draft.delete(rule)
    for rule in list(draft.find(SecurityGroupRule, "security_group", group.uuid)):
        draft.delete(rule)
    draft.delete(group)


def visible(draft: Draft, judge: Judge, uuid: str) -> SecurityGroup:
    """A group that the caller can see. Raises SecurityGroupNotFound."""
    group = draft.get(SecurityGroup, uuid)
    if group is None or not judge.sees(SECURITY_GROUP, target_of(draft, group)):
        raise SecurityGroupNotFound(id=uuid)
    return group


# --- the groups of a port -------------------------------------------------------------------------------------------


def of_new_port(draft: Draft, judge: Judge, parsed: dict[str, Any], *, secure: bool) -> tuple[Uuid, ...]:
    """What a new port gets: the groups named, else the default group if it has port security."""
    project, asked = parsed["project_id"], parsed["security_groups"]
    default = ensure_default(draft, project)
    if _is_trusted(parsed["device_owner"]):
        return ()
    if is_set(asked):
        return _chosen(draft, judge, project, asked, secure=secure)
    return (default.uuid,) if secure and default is not None else ()


def of_port(draft: Draft, judge: Judge, port: Port, parsed: dict[str, Any], *, secure: bool) -> tuple[Uuid, ...]:
    """What a port has after an update. Port security can be turned off only for a port without groups."""
    if "security_groups" in parsed:
        if _is_trusted(parsed.get("device_owner", port.device_owner)):
            return ()
        return _chosen(draft, judge, port.project_id, parsed["security_groups"] or (), secure=secure)
    if port.security_groups and not secure:
        raise psec_exc.PortSecurityPortHasSecurityGroup()
    return port.security_groups


def _is_trusted(device_owner: str) -> bool:
    return device_owner.startswith(_TRUSTED_PREFIX)


def _chosen(draft: Draft, judge: Judge, project: str, asked: Any, *, secure: bool) -> tuple[Uuid, ...]:
    found = []
    for uuid in asked:
        group = visible(draft, judge, uuid)
        if project not in ("", group.project_id) and not judge.caller.is_admin:
            raise SecurityGroupNotFound(id=uuid)
        found.append(group)
    if found and not secure:
        raise psec_exc.PortSecurityAndIPRequiredForSecurityGroups()
    chosen = {group.uuid for group in found}
    if len(chosen) < len(found):
        raise invalid_input(f"Duplicate items in the list of security groups: {', '.join(asked)}")
    if len({group.stateful for group in found}) > 1:
        raise SecurityGroupConflict(reason="stateful and stateless security groups together on one port")
    return tuple(sorted(chosen))
