"""The operations on resources that belong to another one: `/v2.0/PARENTS/ID/COLLECTION[/ID]`.

A parent that the caller can't see is not found. What is changed under a parent changes the parent's revision, so that
two requests that could not both have seen the other's change don't both go in.

Tests: tests/api/test_api_qos.py, tests/api/test_api_port_forwardings.py.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, cast

from ovine.api import bodies, port_forwardings, qos_rules, query
from ovine.api.context import Caller
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.policy import Judge, Policy, Target, not_found, target_of
from ovine.api.resources import QOS_POLICY, Resource
from ovine.api.store import Store
from ovine.api.views import View, view
from ovine.model.base import Row, Uuid
from ovine.ovsdb import Replica

_MODULES: dict[str, ModuleType] = {
    "bandwidth_limit_rules": qos_rules,
    "dscp_marking_rules": qos_rules,
    "port_forwardings": port_forwardings,
}


class SubResources:
    """One API process's operations on them."""

    def __init__(self, store: Store, policy: Policy, env: Env) -> None:
        self._store, self._policy, self._env = store, policy, env

    async def list(self, resource: Resource, caller: Caller, parent: str, text: str, url: str) -> dict[str, Any]:
        """The reply to GET of a collection."""
        asked = query.parse(resource, text, self._env.config.page_limit)
        await self._store.refresh()
        judge, replica = self._policy.judge(caller), self._store.replica
        owner = _parent(replica, judge, resource, parent)
        passes = query.predicate(resource, asked)
        rows = replica.index(resource.row, resource.parent_column).find(owner.uuid)
        views = (self._view(judge, resource, row) for row in rows)
        found = [shown for shown in views if shown is not None and passes(shown)]
        items = query.page(found, asked, lambda marker: not_found(resource, marker, parent))
        shown = [query.selected(item, asked.fields) for item in items]
        return {resource.collection: shown} | query.links(resource.collection, url, text, asked, items)

    async def show(self, resource: Resource, caller: Caller, parent: str, uuid: str, text: str) -> dict[str, Any]:
        """The reply to GET of one."""
        asked = query.parse(resource, text)
        await self._store.refresh()
        return {resource.name: query.selected(self._shown(resource, caller, parent, uuid), asked.fields)}

    def _shown(self, resource: Resource, caller: Caller, parent: str, uuid: str) -> View:
        judge = self._policy.judge(caller)
        _parent(self._store.replica, judge, resource, parent)
        row = self._store.replica.get(resource.row, Uuid(uuid))
        found = None
        if row is not None and getattr(row, resource.parent_column) == parent:
            found = self._view(judge, resource, row)
        if found is None:
            raise not_found(resource, uuid, parent)
        return found

    def _view(self, judge: Judge, resource: Resource, row: Row) -> View | None:
        if not judge.sees(resource, target_of(self._store.replica, row)):
            return None
        whole = view(self._store.replica, row, self._env.config)
        return {name: value for name, value in whole.items() if resource.attributes[name]["is_visible"]}

    async def create(self, resource: Resource, caller: Caller, parent: str, body: Any) -> dict[str, Any]:
        """The reply to POST."""
        items, bulk = bodies.items_for_create(resource, body)
        parsed = [bodies.for_create(resource, item, caller) for item in items]
        judge, make = self._policy.judge(caller), _MODULES[resource.collection].create
        if resource.parent is QOS_POLICY:  # who may make no rules is told so, of whosever policy
            judge.require(f"create_{resource.rule}", Target(caller.project_id, caller.project_id, False, False))

        def plan(draft: Draft) -> list[Uuid]:
            owner = _parent(draft, judge, resource, parent)
            return [cast(Row, make(draft, self._env, judge, resource, owner, whole)).uuid for whole in parsed]

        await self._store.refresh()
        uuids = await self._store.commit(plan)
        shown = [self._shown(resource, caller, parent, uuid) for uuid in uuids]
        return {resource.collection: shown} if bulk else {resource.name: shown[0]}

    async def update(self, resource: Resource, caller: Caller, parent: str, uuid: str, body: Any) -> dict[str, Any]:
        """The reply to PUT."""
        parsed = bodies.for_update(resource, bodies.item_for_update(resource, body))
        judge, change = self._policy.judge(caller), _MODULES[resource.collection].update

        def plan(draft: Draft) -> None:
            owner = _parent(draft, judge, resource, parent)
            change(draft, self._env, judge, resource, owner, _member(draft, judge, resource, owner, uuid), parsed)

        await self._store.refresh()
        await self._store.commit(plan)
        return {resource.name: self._shown(resource, caller, parent, uuid)}

    async def delete(self, resource: Resource, caller: Caller, parent: str, uuid: str) -> None:
        """DELETE."""
        judge, remove = self._policy.judge(caller), _MODULES[resource.collection].delete

        def plan(draft: Draft) -> None:
            owner = _parent(draft, judge, resource, parent)
            remove(draft, judge, resource, owner, _member(draft, judge, resource, owner, uuid))

        await self._store.refresh()
        await self._store.commit(plan)


def _parent(reader: Replica | Draft, judge: Judge, resource: Resource, uuid: str) -> Row:
    assert resource.parent is not None
    row = reader.get(resource.parent.row, Uuid(uuid))
    if row is None or not judge.sees(resource.parent, target_of(reader, row)):
        raise not_found(resource.parent, uuid)
    return row


def _member(draft: Draft, judge: Judge, resource: Resource, owner: Row, uuid: str) -> Row:
    row = draft.get(resource.row, uuid)
    if row is None or getattr(row, resource.parent_column) != owner.uuid:
        raise not_found(resource, uuid, owner.uuid)
    if not judge.sees(resource, target_of(draft, row)):
        raise not_found(resource, uuid, owner.uuid)
    return row
