"""Quotas: how many resources of each kind a project may have, and the calls that show and set it.

What a request asks for by name is refused if it would exceed the limit; what services make for it (metadata and router
ports, default security groups) counts, but is not refused. `Quota_Usage` has the number of a project's resources of a
kind, changed by every transaction that makes or deletes some; a transaction that makes some goes through only if the
limit holds there, so that any number of API processes may make them at once, without one waiting for another. A number
that is wrong (after a change by hand) is put right by the next transaction.

Tests: tests/api/test_api_quotas.py.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from neutron_lib import exceptions as n_exc

from ovine.api.config import Config
from ovine.api.draft import Draft
from ovine.api.errors import HttpError, bad_request
from ovine.model.base import Row
from ovine.model.cloud import (
    FloatingIP,
    Network,
    Port,
    Quota,
    QuotaUsage,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    SubnetPool,
)
from ovine.ovsdb import Replica, Transaction

COUNTED: dict[str, type[Row]] = {
    "network": Network,
    "subnet": Subnet,
    "subnetpool": SubnetPool,
    "port": Port,
    "router": Router,
    "floatingip": FloatingIP,
    "security_group": SecurityGroup,
    "security_group_rule": SecurityGroupRule,
}
_NAMES = {table: name for name, table in COUNTED.items()}
_MOST = 2**31 - 1
_HOW = ("check_limit", "force")
"""What a PUT may say besides limits: whether the present usage is compared with them."""


# --- keeping limits ---------------------------------------------------------------------------------------------------


def charge(config: Config, draft: Draft, replica: Replica, txn: Transaction) -> None:
    """Adds to a transaction what keeps account of it. Raises OverQuota."""
    change: Counter[tuple[str, str]] = Counter()
    asked: Counter[tuple[str, str]] = Counter()
    for rows, sign in ((draft.inserted, 1), (draft.deleted, -1)):
        for row in rows:
            name = _NAMES.get(type(row))
            project = cast(Network, row).project_id if name else ""
            if name and project:
                change[project, name] += sign
                asked[project, name] += row.uuid in draft.asked
    over = []
    for (project, name), delta in sorted(change.items()):
        limit = limit_of(config, replica, project, name)
        bounded = limit >= 0 and bool(asked[project, name])
        if bounded and used(replica, project, name) + delta > limit:
            over.append(name)
        elif delta:
            _record(replica, txn, (project, name), delta, limit, bounded=bounded)
    if over:
        raise n_exc.OverQuota(overs=over)


def _record(replica: Replica, txn: Transaction, key: tuple[str, str], delta: int, limit: int, *, bounded: bool) -> None:
    project, name = key
    row = replica.index(QuotaUsage, "project_id", "resource").one(project, name)
    if limit < 0:
        if row is not None:
            txn.mutate(QuotaUsage, row.uuid, "used", "+=", delta)
        return
    count = used(replica, project, name)
    if row is None:
        txn.insert(QuotaUsage(project_id=project, resource=name, used=count + delta))
    elif row.used != count:
        txn.wait_row(row, "used")
        txn.update(QuotaUsage, row.uuid, used=count + delta)
    else:
        if bounded:
            room = [("_uuid", "==", row.uuid), ("used", "<=", limit - delta)]
            txn.wait(QuotaUsage, room, ["resource"], [{"resource": name}])
        txn.mutate(QuotaUsage, row.uuid, "used", "+=", delta)


def used(replica: Replica, project: str, name: str) -> int:
    """How many resources of a kind a project has."""
    return len(replica.index(COUNTED[name], "project_id").find(project))


def limit_of(config: Config, replica: Replica, project: str, name: str) -> int:
    """How many it may have; -1 for any number."""
    row = replica.index(Quota, "project_id", "resource").one(project, name)
    return row.limit if row is not None else default(config, name)


def default(config: Config, name: str) -> int:
    found: int = getattr(config.quota, name)
    return found


# --- showing and setting them -----------------------------------------------------------------------------------------


def view(config: Config, replica: Replica, project: str) -> dict[str, int]:
    """A project's limits."""
    return {name: limit_of(config, replica, project, name) for name in COUNTED}


def defaults(config: Config) -> dict[str, int]:
    return {name: default(config, name) for name in COUNTED}


def details(config: Config, replica: Replica, project: str) -> dict[str, dict[str, int]]:
    """A project's limits, and what it uses of them."""
    limits = view(config, replica, project)
    return {
        name: {"used": used(replica, project, name), "limit": limit, "reserved": 0} for name, limit in limits.items()
    }


def listed(config: Config, replica: Replica) -> list[dict[str, Any]]:
    """The limits of the projects for which some have been set."""
    projects = sorted({row.project_id for row in replica.rows(Quota).values()})
    return [view(config, replica, p) | {"project_id": p, "tenant_id": p} for p in projects]


def parse(body: Any) -> tuple[dict[str, int], bool]:
    """The limits of a PUT body, and whether they are to be compared with the present usage. Raises HttpError."""
    given = body.get("quota") if isinstance(body, dict) else None
    if not isinstance(given, dict):
        raise bad_request("Unable to find 'quota' in request body")
    unknown = sorted(set(given) - set(COUNTED) - set(_HOW) - {"tenant_id", "project_id"})
    if unknown:
        raise bad_request(f"Unrecognized attribute(s) '{', '.join(unknown)}'")
    limits = {name: _limit(name, given[name]) for name in COUNTED if name in given}
    return limits, given.get("force") is not True


def _limit(name: str, value: Any) -> int:
    try:
        limit = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
    except ValueError:
        limit = None
    if limit is None or not -1 <= limit <= _MOST:
        shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:59] + "…"
        raise bad_request(f"Invalid input for {name}. Reason: {shown} is not a number from -1 to {_MOST}.")
    return limit


def put(draft: Draft, replica: Replica, project: str, limits: dict[str, int], *, compare: bool) -> None:
    """Sets a project's limits. Raises HttpError if it uses more already, and that is to be compared."""
    exceeded = [name for name, limit in limits.items() if 0 <= limit < used(replica, project, name)]
    if compare and exceeded:
        raise HttpError(400, "InvalidQuotaValue", str(n_exc.InvalidQuotaValue(unders=exceeded)))
    for name, limit in limits.items():
        row = replica.index(Quota, "project_id", "resource").one(project, name)
        if row is None:
            draft.insert(Quota(project_id=project, resource=name, limit=limit))
        else:
            draft.update(row, limit=limit)


def reset(draft: Draft, replica: Replica, project: str) -> None:
    """Gives a project the default limits again. Raises ProjectQuotaNotFound if it has no others."""
    rows = replica.index(Quota, "project_id").find(project)
    if not rows:
        raise n_exc.ProjectQuotaNotFound(project_id=project)
    for row in rows:
        draft.delete(row)
