"""Trunks: planning of create, update and delete, and of adding and removing subports.

A trunk makes one port the *parent* of others, its *subports*: their packets go in and out of the parent's instance with
a VLAN tag. A port is parent or subport of one trunk at most, and then can't be deleted. Whoever makes it one or the
other changes its revision, so that two requests that could not both have seen that don't both go in.

Tests: tests/api/test_api_trunks.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from neutron_lib import exceptions as n_exc
from neutron_lib.api import validators

from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import bad_request, invalid_input
from ovine.api.policy import Judge, Target, not_found, target_of
from ovine.api.resources import PORT, TRUNK, UNSET
from ovine.api.trunk_errors import (
    DuplicateSubPort,
    PortInUseAsSubPort,
    PortInUseAsTrunkParent,
    SubPortMtuGreaterThanTrunkPortMtu,
    SubPortNotFound,
    TrunkDisabled,
)
from ovine.model.cloud import Network, Port, SubPort, Trunk

VLAN, INHERIT = "vlan", "inherit"
OWNER = "trunk:subport"
"""The `device_owner` of subports."""
MOST = 4094
_PLAIN = ("name", "description", "admin_state_up")
SubPorts = Sequence[dict[str, Any]]


def create(draft: Draft, env: Env, judge: Judge, given: dict[str, Any], parsed: dict[str, Any]) -> Trunk:
    """A new trunk with its subports."""
    project = parsed["project_id"]
    judge.require_create(TRUNK, given, parsed, Target(project, project, False, False))
    parent = _port(draft, judge, parsed["port_id"])
    _check_free(draft, parent)
    draft.touch(parent)
    trunk = draft.insert_resource(
        Trunk(
            project_id=project,
            port=parent.uuid,
            tags=() if parsed["tags"] is UNSET else tuple(sorted(parsed["tags"])),
            **{name: parsed[name] for name in _PLAIN},
        ),
        revision=1,
    )
    _add(draft, judge, trunk, parsed["sub_ports"])
    return trunk


def update(draft: Draft, env: Env, judge: Judge, trunk: Trunk, parsed: dict[str, Any]) -> None:
    """Changes name, description or administrative state."""
    judge.require_update(TRUNK, parsed, target_of(draft, trunk))
    draft.update(trunk, **{name: parsed[name] for name in _PLAIN if name in parsed})


def delete(draft: Draft, env: Env, judge: Judge, trunk: Trunk) -> None:
    """Deletes a trunk; its ports are as others again."""
    judge.require("delete_trunk", target_of(draft, trunk))
    _check_enabled(trunk)
    for row in list(draft.find(SubPort, "trunk", trunk.uuid)):
        _release(draft, row)
    draft.delete(trunk)


def check_no_trunk(draft: Draft, port: Port) -> None:
    """A port of a trunk stays. Raises PortInUseAsTrunkParent, PortInUseAsSubPort."""
    for trunk in draft.find(Trunk, "port", port.uuid):
        raise PortInUseAsTrunkParent(port_id=port.uuid, trunk_id=trunk.uuid)
    for row in draft.find(SubPort, "port", port.uuid):
        raise PortInUseAsSubPort(port_id=port.uuid, trunk_id=row.trunk)


# --- actions ----------------------------------------------------------------------------------------------------------


def parse(body: Any) -> SubPorts:
    """The subports of a body. Raises HttpError and InvalidInput."""
    subports = body.get("sub_ports") if isinstance(body, dict) else None
    if subports is None:
        raise bad_request("Invalid request body: it needs sub_ports, a list")
    reason = validators.validate_subports(subports)
    if reason:
        raise invalid_input(str(reason).rstrip("."))
    found: SubPorts = subports
    return found


def _check_enabled(trunk: Trunk) -> None:
    if not trunk.admin_state_up:
        raise TrunkDisabled(trunk_id=trunk.uuid)


def _add_subports(draft: Draft, judge: Judge, trunk: Trunk, subports: SubPorts) -> None:
    _check_enabled(trunk)
    draft.touch(trunk)
    _add(draft, judge, trunk, subports)


def _remove_subports(draft: Draft, judge: Judge, trunk: Trunk, subports: SubPorts) -> None:
    _check_enabled(trunk)
    draft.touch(trunk)
    for subport in subports:
        port_id = _named(subport)
        row = next((row for row in draft.find(SubPort, "trunk", trunk.uuid) if row.port == port_id), None)
        if row is None:
            raise SubPortNotFound(trunk_id=trunk.uuid, port_id=port_id)
        _release(draft, row)


Action = Callable[[Draft, Judge, Trunk, SubPorts], None]
ACTIONS: dict[str, Action] = {"add_subports": _add_subports, "remove_subports": _remove_subports}
"""What a PUT of `/v2.0/trunks/ID/ACTION` does."""


# --- subports ---------------------------------------------------------------------------------------------------------


def _named(subport: Any) -> str:
    """The id of a subport's port. Raises InvalidInput; neutron-lib's validator looks at none after an `inherit`."""
    uuid = subport.get("port_id") if isinstance(subport, dict) else None
    if not isinstance(uuid, str):
        raise invalid_input(f"Invalid subport {str(subport)[:60]!r}: it needs a port_id")
    return uuid


def _port(draft: Draft, judge: Judge, uuid: str) -> Port:
    port = draft.get(Port, uuid)
    if port is None or not judge.sees(PORT, target_of(draft, port)):
        raise not_found(PORT, uuid)
    judge.require("update_port", target_of(draft, port))
    return port


def _check_free(draft: Draft, port: Port) -> None:
    """Whether a port can be a parent. One that is bound can, too: the hosts look at the northbound all the time."""
    check_no_trunk(draft, port)
    if port.device_owner.startswith("network:"):
        raise n_exc.PortInUse(port_id=port.uuid, net_id=port.network, device_id=port.device_id)


def _add(draft: Draft, judge: Judge, trunk: Trunk, subports: SubPorts) -> None:
    parent = draft.get(Port, trunk.port)
    for subport in subports:
        port = _port(draft, judge, _named(subport))
        _check_free(draft, port)
        if port.device_id:
            raise n_exc.PortInUse(port_id=port.uuid, net_id=port.network, device_id=port.device_id)
        network = draft.get(Network, port.network)
        outer = draft.get(Network, parent.network) if parent is not None else None
        if network is not None and outer is not None and network.mtu > outer.mtu:
            raise SubPortMtuGreaterThanTrunkPortMtu(
                port_mtu=network.mtu, port_id=port.uuid, trunk_mtu=outer.mtu, trunk_id=trunk.port
            )
        number = _segment(subport, network)
        if any(row.segmentation_id == number for row in draft.find(SubPort, "trunk", trunk.uuid)):
            raise DuplicateSubPort(segmentation_type=VLAN, segmentation_id=number, trunk_id=trunk.uuid)
        draft.update(port, device_owner=OWNER)
        draft.insert(SubPort(trunk=trunk.uuid, port=port.uuid, segmentation_id=number))


def _segment(subport: dict[str, Any], network: Network | None) -> int:
    """The VLAN tag of a subport. Raises InvalidInput."""
    kind, number = subport.get("segmentation_type"), subport.get("segmentation_id")
    if kind == INHERIT:
        if network is None or network.network_type != VLAN:
            raise invalid_input(f"Port {subport['port_id']} is on no VLAN whose segmentation_id it could inherit")
        return network.segmentation_id
    if kind != VLAN:
        raise invalid_input(f"Invalid segmentation_type {kind!r} of a subport: it is {VLAN!r} or {INHERIT!r}")
    if not isinstance(number, int | str) or isinstance(number, bool) or not str(number).isdecimal():
        raise invalid_input(f"Invalid segmentation_id {number!r} of a subport: it is a number from 1 to {MOST}")
    if not 1 <= int(number) <= MOST:
        raise invalid_input(f"Invalid segmentation_id {number!r} of a subport: it is a number from 1 to {MOST}")
    return int(number)


def _release(draft: Draft, row: SubPort) -> None:
    port = draft.get(Port, row.port)
    if port is not None:
        draft.update(port, device_owner="")
    draft.delete(row)
