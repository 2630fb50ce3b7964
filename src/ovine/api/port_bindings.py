"""Bindings of a port to hosts: `/v2.0/ports/ID/bindings[/HOST[/activate]]`, by which Nova moves running instances.

The *active* binding is the port's own (`binding:host_id` and its like); the others are *inactive*: hosts on which the
port may come up next. Activating one makes it the port's own, and the port's own an inactive one, in one transaction.

Tests: tests/api/test_api_port_bindings.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from neutron_lib import constants
from neutron_lib import exceptions as n_exc

from ovine.api import binding, bodies, query
from ovine.api.context import Caller
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import bad_request
from ovine.api.policy import Judge, Policy, not_found, target_of
from ovine.api.resources import BINDING, PORT, UNSET
from ovine.api.store import Store
from ovine.api.views import View
from ovine.model.base import Uuid
from ovine.model.cloud import Network, Port, PortBinding
from ovine.ovsdb import Replica

ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"
MAX_HOST, MAX_PROFILE = 255, 4095
_CHANGING = ("vnic_type", "profile", "vif_type", "vif_details")


class PortBindings:
    """One API process's operations on them."""

    def __init__(self, store: Store, policy: Policy, env: Env) -> None:
        self._store, self._policy, self._env = store, policy, env

    async def listed(self, caller: Caller, uuid: str, text: str) -> dict[str, Any]:
        """The reply to GET of all."""
        asked = query.parse(BINDING, text)
        port = await self._readable(caller, uuid)
        passes = query.predicate(BINDING, asked)
        return {"bindings": [query.selected(v, asked.fields) for v in self._views(port) if passes(v)]}

    async def show(self, caller: Caller, uuid: str, host: str, text: str) -> dict[str, Any]:
        """The reply to GET of one."""
        asked = query.parse(BINDING, text)
        port = await self._readable(caller, uuid)
        return {"binding": query.selected(self._one(port, host), asked.fields)}

    async def _readable(self, caller: Caller, uuid: str) -> Port:
        await self._store.refresh()
        judge = self._policy.judge(caller)
        port = _port(self._store.replica, judge, uuid)
        judge.require("get_port_binding", target_of(self._store.replica, port))
        return port

    def _views(self, port: Port) -> list[View]:
        others = sorted(self._store.replica.index(PortBinding, "port").find(port.uuid), key=lambda row: row.host)
        own = [own_binding(port)] if port.binding_host_id else []
        return [_view(row, port, ACTIVE if n < len(own) else INACTIVE) for n, row in enumerate([*own, *others])]

    def _one(self, port: Port, host: str) -> View:
        for found in self._views(port):
            if found["host"] == host:
                return found
        raise n_exc.PortBindingNotFound(port_id=port.uuid, host=host)

    async def create(self, caller: Caller, uuid: str, body: Any) -> dict[str, Any]:
        """The reply to POST: a further binding, inactive; of a port that is on no host, its own."""
        items, bulk = bodies.items_for_create(BINDING, body)
        if bulk:
            raise bad_request("Bindings are made one by one")
        parsed = bodies.for_create(BINDING, items[0], caller)
        host = parsed["host"]
        if not isinstance(host, str) or not 0 < len(host) <= MAX_HOST:
            raise bad_request(f"Invalid input for host. Reason: it must be a text of 1 to {MAX_HOST} characters.")

        def plan(draft: Draft, port: Port) -> None:
            if host == port.binding_host_id or _other(draft, port, host) is not None:
                raise n_exc.PortBindingAlreadyExists(port_id=port.uuid, host=host)
            made = self._bound(draft, port, PortBinding(port=port.uuid, host=host), parsed)
            draft.touch(port)
            if port.binding_host_id:
                draft.insert(made)
            else:
                _take(draft, port, made)

        return await self._change(caller, uuid, host, "create_port_binding", plan)

    async def update(self, caller: Caller, uuid: str, host: str, body: Any) -> dict[str, Any]:
        """The reply to PUT: changes what a binding says, not its host."""
        parsed = bodies.for_update(BINDING, bodies.item_for_update(BINDING, body))
        if parsed.get("host", host) != host:
            raise bad_request("Invalid input for host. Reason: a binding stays on its host.")

        def plan(draft: Draft, port: Port) -> None:
            draft.touch(port)
            if host == port.binding_host_id:
                _take(draft, port, self._bound(draft, port, own_binding(port), parsed))
                return
            row = _require(draft, port, host)
            made = self._bound(draft, port, row, parsed)
            draft.update(row, **{name: getattr(made, name) for name in _CHANGING})

        return await self._change(caller, uuid, host, "update_port_binding", plan)

    async def activate(self, caller: Caller, uuid: str, host: str) -> dict[str, Any]:
        """The reply to PUT of `activate`: the port is on that host from now on."""

        def plan(draft: Draft, port: Port) -> None:
            if host == port.binding_host_id:
                raise n_exc.PortBindingAlreadyActive(port_id=port.uuid, host=host)
            row = _require(draft, port, host)
            draft.delete(row)
            if port.binding_host_id:
                draft.insert(own_binding(port))
            _take(draft, port, row)

        return await self._change(caller, uuid, host, "activate", plan)

    async def delete(self, caller: Caller, uuid: str, host: str) -> None:
        """DELETE of an inactive binding; the active one goes by the port's `binding:host_id`."""

        def plan(draft: Draft, port: Port) -> None:
            if host == port.binding_host_id:
                raise n_exc.PortBindingAlreadyActive(port_id=port.uuid, host=host)
            draft.touch(port)
            draft.delete(_require(draft, port, host))

        await self._commit(caller, uuid, "delete_port_binding", plan)

    async def _change(
        self, caller: Caller, uuid: str, host: str, rule: str, plan: Callable[[Draft, Port], None]
    ) -> dict[str, Any]:
        await self._commit(caller, uuid, rule, plan)
        port = self._store.replica.get(Port, Uuid(uuid))
        if port is None:
            raise not_found(PORT, uuid)
        return {"binding": self._one(port, host)}

    async def _commit(self, caller: Caller, uuid: str, rule: str, plan: Callable[[Draft, Port], None]) -> None:
        judge = self._policy.judge(caller)

        def whole(draft: Draft) -> None:
            port = _port(draft, judge, uuid)
            judge.require(rule, target_of(draft, port))
            if not port.device_owner.startswith(constants.DEVICE_OWNER_COMPUTE_PREFIX):
                message = f"Invalid port {uuid}. Operation only valid on compute ports"
                raise n_exc.BadRequest(resource="port", msg=message)
            plan(draft, port)

        await self._store.refresh()
        await self._store.commit(whole)

    def _bound(self, draft: Draft, port: Port, row: PortBinding, parsed: dict[str, Any]) -> PortBinding:
        """A binding with what a request says of it. Raises PortBindingError if the host can't take the port."""
        vnic_type = parsed.get("vnic_type", row.vnic_type)
        profile = parsed.get("profile", UNSET)
        text = row.profile if profile is UNSET else orjson.dumps(profile or {}, option=orjson.OPT_SORT_KEYS).decode()
        if len(text) > MAX_PROFILE:
            raise bad_request("Invalid input for profile. Reason: it is too large.")
        network = draft.get(Network, port.network)
        if network is None:
            raise n_exc.NetworkNotFound(net_id=port.network)
        bridge = self._env.config.integration_bridge
        kind, details = binding.bind(self._env.hosts(), row.host, network, vnic_type, bridge)
        if kind == binding.FAILED:
            raise n_exc.PortBindingError(port_id=port.uuid, host=row.host)
        return PortBinding(
            port=port.uuid,
            host=row.host,
            vnic_type=vnic_type,
            profile=text,
            vif_type=kind,
            vif_details=orjson.dumps(details, option=orjson.OPT_SORT_KEYS).decode(),
        )


def own_binding(port: Port) -> PortBinding:
    """A port's own binding, as a row like the others."""
    return PortBinding(
        port=port.uuid,
        host=port.binding_host_id,
        vnic_type=port.binding_vnic_type,
        profile=port.binding_profile,
        vif_type=port.binding_vif_type,
        vif_details=port.binding_vif_details,
    )


def _take(draft: Draft, port: Port, row: PortBinding) -> None:
    """Makes a binding the port's own."""
    draft.update(
        port,
        binding_host_id=row.host,
        binding_vnic_type=row.vnic_type,
        binding_profile=row.profile,
        binding_vif_type=row.vif_type,
        binding_vif_details=row.vif_details,
    )


def _view(row: PortBinding, port: Port, status: str) -> View:
    return {
        "host": row.host,
        "vif_type": row.vif_type,
        "vif_details": orjson.loads(row.vif_details),
        "vnic_type": row.vnic_type,
        "profile": orjson.loads(row.profile),
        "status": status,
        "project_id": port.project_id,
    }


def _port(reader: Replica | Draft, judge: Judge, uuid: str) -> Port:
    port = reader.get(Port, Uuid(uuid))
    if port is None or not judge.sees(PORT, target_of(reader, port)):
        raise not_found(PORT, uuid)
    return port


def _other(draft: Draft, port: Port, host: str) -> PortBinding | None:
    """An inactive binding."""
    return next((row for row in draft.find(PortBinding, "port", port.uuid) if row.host == host), None)


def _require(draft: Draft, port: Port, host: str) -> PortBinding:
    row = _other(draft, port, host)
    if row is None:
        raise n_exc.PortBindingNotFound(port_id=port.uuid, host=host)
    return row


def drop_all_of(draft: Draft, port: Port) -> None:
    """A port that goes takes its bindings with it."""
    for row in list(draft.find(PortBinding, "port", port.uuid)):
        draft.delete(row)


def settle(draft: Draft, port: Port, host: str) -> None:
    """A port that is put on a host by other means has no inactive binding there; one on no host has none at all."""
    for row in list(draft.find(PortBinding, "port", port.uuid)):
        if host in ("", row.host):
            draft.delete(row)
