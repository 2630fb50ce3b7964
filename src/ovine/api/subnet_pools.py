"""Subnet pools: planning of create, update and delete, and of adding and removing prefixes.

A pool's prefixes are kept merged: each address is in one at most, and none could be written shorter. Of each IP version
one pool may be the cloud's default, which the place in the index `Subnet_Pool.place` decides.

Tests: tests/api/test_api_subnet_pools.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import netaddr
from neutron_lib import exceptions as n_exc
from neutron_lib.api import validators

from ovine.api.addressing import BITS
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import bad_request, invalid_input
from ovine.api.policy import Judge, Target, target_of
from ovine.api.resources import SUBNET_POOL, UNSET
from ovine.model.cloud import Subnet, SubnetPool

_LEAST = {4: 8, 6: 64}
"""`min_prefixlen` by IP version, if none is given."""
_LENGTHS = ("min_prefixlen", "max_prefixlen", "default_prefixlen")
_PLAIN = ("name", "description")
_LARGEST = 2**31 - 1


def create(draft: Draft, env: Env, judge: Judge, given: dict[str, Any], parsed: dict[str, Any]) -> SubnetPool:
    """A new pool."""
    project = parsed["project_id"]
    judge.require_create(SUBNET_POOL, given, parsed, Target(project, project, parsed["shared"], False))
    prefixes = _merged(parsed["prefixes"])
    version = _version(prefixes)
    uuid = draft.new_uuid()
    pool = SubnetPool(
        uuid=uuid,
        project_id=project,
        name=parsed["name"],
        description=parsed["description"],
        ip_version=version,
        prefixes=_texts(prefixes),
        default_quota=_quota(parsed),
        shared=parsed["shared"],
        place=_place(draft, version) if parsed["is_default"] else uuid,
        tags=() if parsed["tags"] is UNSET else tuple(sorted(parsed["tags"])),
        **_lengths(version, {name: parsed[name] for name in _LENGTHS if parsed[name] is not UNSET}),
    )
    return draft.insert_resource(pool, revision=0)


def update(draft: Draft, env: Env, judge: Judge, pool: SubnetPool, parsed: dict[str, Any]) -> None:
    """Changes a pool; by a PUT its prefixes can only grow. What has been allocated stays."""
    judge.require_update(SUBNET_POOL, parsed, target_of(draft, pool))
    columns: dict[str, Any] = {name: parsed[name] for name in _PLAIN if name in parsed}
    if "default_quota" in parsed:
        columns["default_quota"] = _quota(parsed)
    if "prefixes" in parsed:
        wanted = _merged(parsed["prefixes"])
        _check_version(pool, wanted)
        if not netaddr.IPSet(pool.prefixes).issubset(wanted):
            raise n_exc.IllegalSubnetPoolPrefixUpdate(msg="Existing prefixes must be a subset of the new prefixes")
        columns["prefixes"] = _texts(wanted)
    lengths = {name: getattr(pool, name) for name in _LENGTHS}
    columns |= _lengths(pool.ip_version, lengths | {name: parsed[name] for name in _LENGTHS if name in parsed})
    if "is_default" in parsed and parsed["is_default"] != is_default(pool):
        columns["place"] = _place(draft, pool.ip_version) if parsed["is_default"] else pool.uuid
    draft.update(pool, **columns)


def delete(draft: Draft, env: Env, judge: Judge, pool: SubnetPool) -> None:
    """Deletes a pool from which no subnet is."""
    judge.require("delete_subnetpool", target_of(draft, pool))
    if any(draft.find(Subnet, "subnet_pool", pool.uuid)):
        raise n_exc.SubnetPoolDeleteError(reason="Subnet pool has existing allocations")
    draft.delete(pool)


# --- defaults ---------------------------------------------------------------------------------------------------------


def is_default(pool: SubnetPool) -> bool:
    """Whether it is the default pool of its IP version."""
    return pool.place == _default_place(pool.ip_version)


def default_of(draft: Draft, version: int) -> SubnetPool | None:
    """The default pool of an IP version."""
    return next(draft.find(SubnetPool, "place", _default_place(version)), None)


def _default_place(version: int) -> str:
    return f"default of IPv{version}"


def _place(draft: Draft, version: int) -> str:
    if default_of(draft, version) is not None:
        raise invalid_input(
            "A default subnetpool for this IP family has already been set. Only one default may exist per IP family"
        )
    return _default_place(version)


# --- what a pool may be -----------------------------------------------------------------------------------------------


def _merged(prefixes: Iterable[str]) -> netaddr.IPSet:
    """Raises EmptySubnetPoolPrefixList and PrefixVersionMismatch."""
    nets = [netaddr.IPNetwork(prefix).cidr for prefix in prefixes]
    if not nets:
        raise n_exc.EmptySubnetPoolPrefixList()
    if len({net.version for net in nets}) > 1:
        raise n_exc.PrefixVersionMismatch()
    return netaddr.IPSet(nets)


def _version(prefixes: netaddr.IPSet) -> int:
    return int(next(iter(prefixes.iter_cidrs())).version)


def _check_version(pool: SubnetPool, prefixes: netaddr.IPSet) -> None:
    if _version(prefixes) != pool.ip_version:
        raise n_exc.PrefixVersionMismatch()


def _texts(prefixes: netaddr.IPSet) -> tuple[str, ...]:
    return tuple(sorted(str(net) for net in prefixes.iter_cidrs()))


def _quota(parsed: dict[str, Any]) -> int | None:
    quota = parsed["default_quota"]
    if quota is UNSET:
        return None
    if quota > _LARGEST:
        raise invalid_input(f"default_quota {quota} is more than {_LARGEST}")
    return int(quota)


def _lengths(version: int, given: dict[str, int]) -> dict[str, Any]:
    """All three lengths; what is not given is what the IP version allows, and the default the shortest prefix."""
    most = BITS[version]
    longest = given.get("max_prefixlen", most)
    least = given.get("min_prefixlen", _LEAST[version])
    default = given.get("default_prefixlen", least)
    _check_bounds("min_prefixlen", least, "max_prefixlen", longest, fine=least <= longest)
    _check_bounds("max_prefixlen", longest, "ip_version_max", most, fine=longest <= most)
    _check_bounds("default_prefixlen", default, "min_prefixlen", least, fine=default >= least)
    _check_bounds("default_prefixlen", default, "max_prefixlen", longest, fine=default <= longest)
    return {"min_prefixlen": least, "max_prefixlen": longest, "default_prefixlen": default}


def _check_bounds(name: str, length: int, base: str, bound: int, *, fine: bool) -> None:
    if not fine:
        raise n_exc.IllegalSubnetPoolPrefixBounds(
            prefix_type=name, prefixlen=length, base_prefix_type=base, base_prefixlen=bound
        )


# --- adding and removing prefixes -------------------------------------------------------------------------------------


def parse(body: Any) -> tuple[str, ...]:
    """The prefixes of an `add_prefixes` or `remove_prefixes` body. Raises HttpError and InvalidInput."""
    if not isinstance(body, dict) or "prefixes" not in body:
        raise bad_request("Invalid request body: it needs prefixes, a list")
    reason = validators.validate_subnet_list(body["prefixes"])
    if reason:
        raise invalid_input(str(reason).rstrip("."))
    return tuple(body["prefixes"])


def add(draft: Draft, pool: SubnetPool, prefixes: tuple[str, ...]) -> None:
    """Adds prefixes; what is there already stays there."""
    more = _merged(prefixes)
    _check_version(pool, more)
    draft.update(pool, prefixes=_texts(netaddr.IPSet(pool.prefixes) | more))


def remove(draft: Draft, pool: SubnetPool, prefixes: tuple[str, ...]) -> None:
    """Removes prefixes. Raises IllegalSubnetPoolPrefixUpdate if a subnet is in them, or nothing would be left."""
    less = _merged(prefixes)
    _check_version(pool, less)
    for subnet in draft.find(Subnet, "subnet_pool", pool.uuid):
        if not netaddr.IPSet([subnet.cidr]).isdisjoint(less):
            raise n_exc.IllegalSubnetPoolPrefixUpdate(msg=f"subnet {subnet.uuid} has {subnet.cidr} of them")
    left = netaddr.IPSet(pool.prefixes) - less
    if not left:
        raise n_exc.EmptySubnetPoolPrefixList()
    draft.update(pool, prefixes=_texts(left))


ACTIONS = {"add_prefixes": add, "remove_prefixes": remove}
"""What a PUT of `/v2.0/subnetpools/ID/ACTION` does."""
