"""The operations of the API on parsed requests: list, show, create, update, delete, tags.

Here the parts come together: bodies are parsed (`bodies`), a plan is made and judged (`networks`, `subnets`, `ports`,
`policy`), carried out (`store`), and the outcome is shown (`views`, `query`). HTTP itself is in `ovine.api.server`.

Tests: tests/api/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, cast

from neutron_lib.exceptions import NotAuthorized

from ovine.api import (
    address_groups,
    agents,
    availability_zones,
    bodies,
    floating_ips,
    ip_availability,
    networks,
    ports,
    qos_policies,
    qos_rules,
    query,
    quotas,
    router_actions,
    routers,
    security_group_rules,
    security_groups,
    subnet_pools,
    subnets,
    tags,
    trunks,
)
from ovine.api.context import Caller
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import RevisionNumberConstraintFailed, bad_request, http_error
from ovine.api.policy import Judge, Policy, Target, not_found, target_of
from ovine.api.port_bindings import PortBindings
from ovine.api.resources import ROUTER, SECURITY_GROUP, TRUNK, Resource
from ovine.api.store import Store
from ovine.api.subresources import SubResources
from ovine.api.views import View, view
from ovine.model.base import Row, Uuid
from ovine.model.cloud import AddressGroup, Agent, FloatingIP, Port, Router, SecurityGroupRule, SubnetPool, Trunk
from ovine.ovsdb import Replica

Plan = Callable[[Draft, Judge, Any], None]
_MODULES: dict[str, ModuleType] = {
    "networks": networks,
    "subnets": subnets,
    "subnetpools": subnet_pools,
    "ports": ports,
    "security_groups": security_groups,
    "security_group_rules": security_group_rules,
    "address_groups": address_groups,
    "routers": routers,
    "floatingips": floating_ips,
    "policies": qos_policies,
    "trunks": trunks,
    "agents": agents,
}
_INDEXED: tuple[tuple[type[Row], str, str], ...] = (
    (Port, "device_id", "device_id"),
    (Port, "network_id", "network"),
    (SecurityGroupRule, "security_group_id", "security_group"),
    (FloatingIP, "port_id", "port"),
    (FloatingIP, "router_id", "router"),
)
"""Filters that an index answers: table, filter, column."""
_IF_MATCH = re.compile(r"\s*revision_number\s*=\s*(\d{1,18})\s*")


class Service:
    """One API process's operations."""

    def __init__(self, store: Store, policy: Policy, env: Env) -> None:
        self._store, self._policy, self._env = store, policy, env
        self.parts = SubResources(store, policy, env)
        self.bindings = PortBindings(store, policy, env)

    def judge(self, caller: Caller) -> Judge:
        return self._policy.judge(caller)

    # --- reading ----------------------------------------------------------------------------------------------------

    async def list(self, resource: Resource, caller: Caller, text: str, url: str) -> dict[str, Any]:
        """The reply to `GET /COLLECTION?text`."""
        asked = query.parse(resource, text, self._env.config.page_limit)
        await self._store.refresh()
        if resource is SECURITY_GROUP:
            await self._default_group(caller, asked)
        judge, replica = self.judge(caller), self._store.replica
        passes = query.predicate(resource, asked)
        views = (self._visible_view(judge, resource, row) for row in _candidates(replica, resource, asked))
        found = [v for v in views if v is not None and passes(v)]
        items = query.page(found, asked, lambda marker: not_found(resource, marker))
        shown = [query.selected(_public(resource, item), asked.fields) for item in items]
        return {resource.collection: shown} | query.links(resource.collection, url, text, asked, items)

    async def _default_group(self, caller: Caller, asked: query.Query) -> None:
        """Lists show a project's default group even if nothing has needed it yet: clients look for it there."""
        named = asked.filters.get("project_id") or asked.filters.get("tenant_id")
        project = named[0] if named and caller.is_admin else caller.project_id
        await self._store.commit(lambda draft: security_groups.ensure_default(draft, project))

    async def show(self, resource: Resource, caller: Caller, uuid: str, text: str) -> dict[str, Any]:
        """The reply to `GET /COLLECTION/ID`."""
        asked = query.parse(resource, text)
        await self._store.refresh()
        shown = self._shown(resource, self.judge(caller), uuid)
        return {resource.name: query.selected(shown, asked.fields)}

    def _shown(self, resource: Resource, judge: Judge, uuid: str) -> View:
        row = self._store.replica.get(resource.row, Uuid(uuid))
        found = None if row is None else self._visible_view(judge, resource, row)
        if found is None:
            raise not_found(resource, uuid)
        return _public(resource, found)

    def _visible_view(self, judge: Judge, resource: Resource, row: Row) -> View | None:
        """A row as the caller may see it, with what filters need besides; None if the caller can't see it at all."""
        target = target_of(self._store.replica, row)
        if not judge.sees(resource, target) or (isinstance(row, Agent) and agents.is_forgotten(row)):
            return None
        whole = view(self._store.replica, row, self._env.config)
        for name in judge.hidden(resource, target):
            whole.pop(name, None)
        return whole

    # --- writing ----------------------------------------------------------------------------------------------------

    async def create(self, resource: Resource, caller: Caller, body: Any) -> dict[str, Any]:
        """The reply to `POST /COLLECTION`; a bulk request makes all or none."""
        items, bulk = bodies.items_for_create(resource, body)
        parsed = [bodies.for_create(resource, item, caller) for item in items]
        judge = self.judge(caller)
        make = _MODULES[resource.collection].create

        def plan(draft: Draft) -> list[Uuid]:
            pairs = zip(items, parsed, strict=True)
            made = [cast(Row, make(draft, self._env, judge, given, whole)).uuid for given, whole in pairs]
            draft.asked.update(made)
            return made

        await self._store.refresh()
        uuids = await self._store.commit(plan)
        shown = [self._shown(resource, judge, uuid) for uuid in uuids]
        return {resource.collection: shown} if bulk else {resource.name: shown[0]}

    async def update(
        self, resource: Resource, caller: Caller, uuid: str, body: Any, if_match: str | None
    ) -> dict[str, Any]:
        """The reply to `PUT /COLLECTION/ID`."""
        parsed = bodies.for_update(resource, bodies.item_for_update(resource, body))
        change = getattr(_MODULES[resource.collection], "update", None)
        if change is None:
            raise http_error(405)
        judge = self.judge(caller)
        await self._change(
            resource, judge, uuid, if_match, lambda draft, judge, row: change(draft, self._env, judge, row, parsed)
        )
        return {resource.name: self._shown(resource, judge, uuid)}

    async def delete(self, resource: Resource, caller: Caller, uuid: str, if_match: str | None) -> None:
        """`DELETE /COLLECTION/ID`."""
        remove = _MODULES[resource.collection].delete
        await self._change(
            resource, self.judge(caller), uuid, if_match, lambda draft, judge, row: remove(draft, self._env, judge, row)
        )

    async def _change(self, resource: Resource, judge: Judge, uuid: str, if_match: str | None, act: Plan) -> None:
        expected = _expected_revision(if_match)

        def plan(draft: Draft) -> None:
            row = self._visible_row(draft, judge, resource, uuid)
            actual = getattr(row, "revision_number", None)
            if expected is not None and actual != expected:
                raise RevisionNumberConstraintFailed(expected=expected, actual=actual)
            act(draft, judge, row)

        await self._store.refresh()
        await self._store.commit(plan)

    def _visible_row(self, draft: Draft, judge: Judge, resource: Resource, uuid: str) -> Row:
        row = draft.get(resource.row, uuid)
        if row is None or not judge.sees(resource, target_of(draft, row)):
            raise not_found(resource, uuid)
        return row

    async def change_addresses(self, resource: Resource, caller: Caller, uuid: str, name: str, body: Any) -> Any:
        """The reply to `PUT /address-groups/ID/{add,remove}_addresses`."""
        addresses, act = address_groups.parse(body), address_groups.ACTIONS[name]

        def change(draft: Draft, judge: Judge, row: Row) -> None:
            judge.require(f"update_{resource.name}", target_of(draft, row))
            act(draft, cast(AddressGroup, row), addresses)

        judge = self.judge(caller)
        await self._change(resource, judge, uuid, None, change)
        return {resource.name: self._shown(resource, judge, uuid)}

    async def change_prefixes(self, resource: Resource, caller: Caller, uuid: str, name: str, body: Any) -> Any:
        """The reply to `PUT /subnetpools/ID/{add,remove}_prefixes`."""
        prefixes, act = subnet_pools.parse(body), subnet_pools.ACTIONS[name]

        def change(draft: Draft, judge: Judge, row: Row) -> None:
            judge.require(name, target_of(draft, row))
            act(draft, cast(SubnetPool, row), prefixes)

        judge = self.judge(caller)
        await self._change(resource, judge, uuid, None, change)
        return {"prefixes": self._shown(resource, judge, uuid)["prefixes"]}

    async def act_on_router(self, caller: Caller, uuid: str, name: str, body: Any, if_match: str | None) -> Any:
        """The reply to `PUT /routers/ID/ACTION`."""
        act = router_actions.parse(name, body)
        told: dict[str, Any] | None = None

        def change(draft: Draft, judge: Judge, row: Row) -> None:
            nonlocal told
            judge.require(name, target_of(draft, row))
            told = act(draft, self._env, judge, cast(Router, row))

        judge = self.judge(caller)
        await self._change(ROUTER, judge, uuid, if_match, change)
        return told if told is not None else {ROUTER.name: self._shown(ROUTER, judge, uuid)}

    async def act_on_trunk(self, caller: Caller, uuid: str, name: str, body: Any, if_match: str | None) -> Any:
        """The reply to `PUT /trunks/ID/ACTION`: the trunk, without its name around it."""
        subports, act = trunks.parse(body), trunks.ACTIONS[name]

        def change(draft: Draft, judge: Judge, row: Row) -> None:
            judge.require(name, target_of(draft, row))
            act(draft, judge, cast(Trunk, row), subports)

        judge = self.judge(caller)
        await self._change(TRUNK, judge, uuid, if_match, change)
        return self._shown(TRUNK, judge, uuid)

    async def subports(self, caller: Caller, uuid: str) -> Any:
        """The reply to `GET /trunks/ID/get_subports`."""
        await self._store.refresh()
        return {"sub_ports": self._shown(TRUNK, self.judge(caller), uuid)["sub_ports"]}

    def rule_types(self, text: str) -> dict[str, Any]:
        """The reply to `GET /qos/rule-types?text`."""
        return {"rule_types": qos_rules.types(text)}

    def rule_type(self, caller: Caller, name: str) -> dict[str, Any]:
        """The reply to `GET /qos/rule-types/NAME`: only administrators may know what drivers can do."""
        if not caller.is_admin:
            raise NotAuthorized
        return {"rule_type": qos_rules.type_details(name)}

    def availability_zones(self, text: str) -> dict[str, Any]:
        """The reply to `GET /availability_zones?text`."""
        return {"availability_zones": availability_zones.listed(self._env.hosts(), text)}

    async def ip_availabilities(self, caller: Caller, text: str, url: str) -> dict[str, Any]:
        """The reply to `GET /network-ip-availabilities?text`."""
        await self._store.refresh()
        limit = self._env.config.page_limit
        return ip_availability.listed(self._store.replica, self.judge(caller), text, url, limit)

    async def ip_availability(self, caller: Caller, network: str, text: str) -> dict[str, Any]:
        """The reply to `GET /network-ip-availabilities/NETWORK`."""
        await self._store.refresh()
        return ip_availability.shown(self._store.replica, self.judge(caller), network, text)

    # --- quotas -----------------------------------------------------------------------------------------------------

    async def quotas(self, caller: Caller) -> dict[str, Any]:
        """The reply to `GET /quotas`."""
        self.judge(caller).require("update_quota", _project("*"))
        await self._store.refresh()
        return {"quotas": quotas.listed(self._env.config, self._store.replica)}

    async def quota(self, caller: Caller, project: str, what: str = "") -> dict[str, Any]:
        """The reply to `GET /quotas/PROJECT[/default|/details]`."""
        self.judge(caller).require("get_quota", _project(project))
        await self._store.refresh()
        config, replica = self._env.config, self._store.replica
        if what == "details":
            return {"quota": quotas.details(config, replica, project)}
        return {"quota": quotas.defaults(config) if what else quotas.view(config, replica, project)}

    async def set_quota(self, caller: Caller, project: str, body: Any) -> dict[str, Any]:
        """The reply to `PUT /quotas/PROJECT`."""
        self.judge(caller).require("update_quota", _project(project))
        limits, compare = quotas.parse(body)
        replica = self._store.replica
        await self._store.refresh()
        await self._store.commit(lambda draft: quotas.put(draft, replica, project, limits, compare=compare))
        return {"quota": quotas.view(self._env.config, replica, project)}

    async def reset_quota(self, caller: Caller, project: str) -> None:
        """`DELETE /quotas/PROJECT`."""
        self.judge(caller).require("delete_quota", _project(project))
        await self._store.refresh()
        await self._store.commit(lambda draft: quotas.reset(draft, self._store.replica, project))

    # --- tags -------------------------------------------------------------------------------------------------------

    async def tags(self, resource: Resource, caller: Caller, uuid: str) -> dict[str, Any]:
        await self._store.refresh()
        return {"tags": self._shown(resource, self.judge(caller), uuid)["tags"]}

    async def has_tag(self, resource: Resource, caller: Caller, uuid: str, tag: str) -> None:
        """Raises TagNotFound."""
        await self._store.refresh()
        draft = Draft(self._store.replica, "")
        tags.require(self._visible_row(draft, self.judge(caller), resource, uuid), tag)

    async def change_tags(
        self, resource: Resource, caller: Caller, uuid: str, act: Callable[[Draft, Row], None]
    ) -> dict[str, Any]:
        """Replaces, adds or removes tags, and shows those that there are then."""

        def change(draft: Draft, judge: Judge, row: Row) -> None:
            judge.require(f"update_{resource.name}", target_of(draft, row))
            act(draft, row)

        judge = self.judge(caller)
        await self._change(resource, judge, uuid, None, change)
        return {"tags": self._shown(resource, judge, uuid)["tags"]}


def _project(project: str) -> Target:
    return Target(project, project, False, False)


def _candidates(replica: Replica, resource: Resource, asked: query.Query) -> Iterable[Row]:
    """The rows that can pass the filters; indexes spare the look at all of them."""
    if "id" in asked.filters:
        return [row for uuid in asked.filters["id"] if (row := replica.get(resource.row, Uuid(uuid))) is not None]
    for table, name, column in _INDEXED:
        if resource.row is table and name in asked.filters:
            index = replica.index(table, column)
            return [row for value in set(asked.filters[name]) for row in index.find(value)]
    return replica.rows(resource.row).values()


def _public(resource: Resource, whole: View) -> View:
    return {name: value for name, value in whole.items() if resource.attributes[name]["is_visible"]}


def _expected_revision(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "":
        return None
    matched = _IF_MATCH.fullmatch(if_match)
    if matched is None:
        raise bad_request(f"Invalid If-Match header: {if_match[:60]}; write revision_number=N")
    return int(matched[1])
