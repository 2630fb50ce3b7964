"""Address groups: planning of create, update, delete, and of adding and removing addresses.

Tests: tests/api/test_api_address_groups.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import netaddr
from neutron_lib.api import validators
from neutron_lib.exceptions import address_group as ag_exc

from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import bad_request, invalid_input
from ovine.api.policy import Judge, Target, target_of
from ovine.api.resources import ADDRESS_GROUP, UNSET
from ovine.model.cloud import AddressGroup, SecurityGroupRule


def create(draft: Draft, env: Env, judge: Judge, given: dict[str, Any], parsed: dict[str, Any]) -> AddressGroup:
    """A new address group."""
    project = parsed["project_id"]
    judge.require_create(ADDRESS_GROUP, given, parsed, Target(project, project, False, False))
    addresses = () if parsed["addresses"] is UNSET else _canonical(parsed["addresses"])
    row = AddressGroup(project_id=project, name=parsed["name"], description=parsed["description"], addresses=addresses)
    return draft.insert_resource(row, revision=len(addresses))


def update(draft: Draft, env: Env, judge: Judge, group: AddressGroup, parsed: dict[str, Any]) -> None:
    """Changes name or description."""
    judge.require_update(ADDRESS_GROUP, parsed, target_of(draft, group))
    draft.update(group, **{name: parsed[name] for name in ("name", "description") if name in parsed})


def delete(draft: Draft, env: Env, judge: Judge, group: AddressGroup) -> None:
    """Deletes a group that no rule names."""
    judge.require("delete_address_group", target_of(draft, group))
    if any(draft.find(SecurityGroupRule, "remote_address_group", group.uuid)):
        raise ag_exc.AddressGroupInUse(address_group_id=group.uuid)
    draft.delete(group)


def parse(body: Any) -> tuple[str, ...]:
    """The networks of an `add_addresses` or `remove_addresses` body; an address alone is the network of just itself.

    Raises HttpError and InvalidInput.
    """
    if not isinstance(body, dict) or "addresses" not in body:
        raise bad_request("Invalid request body: it needs addresses, a list")
    asked = body["addresses"]
    networks = [_as_network(address) for address in asked] if isinstance(asked, list) else asked
    reason = validators.validate_subnet_list(networks)
    if reason:
        raise invalid_input(str(reason).rstrip("."))
    return _canonical(networks)


def _as_network(address: Any) -> Any:
    alone = isinstance(address, str) and validators.validate_ip_address(address) is None
    return str(netaddr.IPNetwork(address)) if alone else address


def _canonical(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({str(netaddr.IPNetwork(address).cidr) for address in addresses}))


def add(draft: Draft, group: AddressGroup, addresses: tuple[str, ...]) -> None:
    """Raises AddressesAlreadyExist if any of them is there."""
    present = sorted(set(addresses) & set(group.addresses))
    if present:
        raise ag_exc.AddressesAlreadyExist(addresses=present, address_group_id=group.uuid)
    draft.update(group, addresses=tuple(sorted({*group.addresses, *addresses})))


def remove(draft: Draft, group: AddressGroup, addresses: tuple[str, ...]) -> None:
    """Raises AddressesNotFound if any of them is not there."""
    missing = sorted(set(addresses) - set(group.addresses))
    if missing:
        raise ag_exc.AddressesNotFound(addresses=missing, address_group_id=group.uuid)
    draft.update(group, addresses=tuple(a for a in group.addresses if a not in addresses))


ACTIONS = {"add_addresses": add, "remove_addresses": remove}
"""What a PUT of `/v2.0/address-groups/ID/ACTION` does."""
