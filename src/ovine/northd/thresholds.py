"""How old learned addresses may grow: what routers, switches and NB_Global say, and what of it hosts are told.

Hosts find the thresholds in the datapath's external_ids, so that they refresh what they use (`ovine.model.ages`).
What grows old is in `ovine.northd.expiry`.
Tests: tests/unit/northd/test_northd_ageing.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ovine.engine import Emit, Index, Reader, query, rule
from ovine.model import ages, nb
from ovine.model.base import Uuid


def _router_ages(row: nb.LogicalRouter) -> ages.Thresholds:
    try:
        return ages.of_router(row.options)
    except ValueError:
        return ages.NEVER


def _switch_age(row: nb.LogicalSwitch) -> int:
    try:
        return ages.of_switch(row.other_config)
    except ValueError:
        return 0


@query
def binding_ages(q: Reader, router: Uuid) -> ages.Thresholds:
    """How old the bindings of a router may be; those of one whose option makes no sense do not age."""
    row = q.get(nb.LogicalRouter, router)
    return _router_ages(row) if row is not None else ages.NEVER


@query
def fdb_age(q: Reader, switch: Uuid) -> int:
    """How old the addresses that a switch has learned may be, in seconds; 0 where they do not age."""
    row = q.get(nb.LogicalSwitch, switch)
    return _switch_age(row) if row is not None else 0


def told_of_router(q: Reader, router: Uuid) -> dict[str, str]:
    """What hosts are told of a router's thresholds; nothing where nothing ages."""
    if not binding_ages(q, router).least:
        return {}
    return {ages.BINDINGS_KEY: q.row(nb.LogicalRouter, router).options[ages.BINDINGS_KEY]}


def told_of_switch(q: Reader, switch: Uuid) -> dict[str, str]:
    """What hosts are told of a switch's threshold; nothing where nothing ages."""
    age = fdb_age(q, switch)
    return {ages.FDB_KEY: str(age)} if age else {}


# --- settings that make no sense --------------------------------------------------------------------------------------


def _is_bad_router(row: nb.LogicalRouter) -> bool:
    try:
        ages.of_router(row.options)
    except ValueError:
        return True
    return False


def _is_bad_switch(row: nb.LogicalSwitch) -> bool:
    try:
        ages.of_switch(row.other_config)
    except ValueError:
        return True
    return False


BAD_ROUTERS = Index(
    nb.LogicalRouter, lambda row: (row.uuid,) if _is_bad_router(row) else (), "routers with bad thresholds"
)
BAD_SWITCHES = Index(
    nb.LogicalSwitch, lambda row: (row.uuid,) if _is_bad_switch(row) else (), "switches with bad thresholds"
)


@rule(over=BAD_ROUTERS, writes=())
def router_readable(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reports a router's threshold that makes no sense."""
    row = q.row(nb.LogicalRouter, key)
    try:
        ages.of_router(row.options)
    except ValueError as error:
        raise ValueError(f"router {row.name}: {ages.BINDINGS_KEY}: {error}; its bindings do not age") from None
    yield from ()  # what makes it a generator


@rule(over=BAD_SWITCHES, writes=())
def switch_readable(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reports a switch's threshold that makes no sense."""
    row = q.row(nb.LogicalSwitch, key)
    try:
        ages.of_switch(row.other_config)
    except ValueError as error:
        raise ValueError(f"switch {row.name}: {ages.FDB_KEY}: {error}; what it learns does not age") from None
    yield from ()  # what makes it a generator


def removal_limit(options: Mapping[str, str]) -> int:
    """NB_Global options:mac_binding_removal_limit, 0 where there is none."""
    return _limit(options, "mac_binding_removal_limit")


def fdb_removal_limit(options: Mapping[str, str]) -> int:
    """NB_Global options:fdb_removal_limit, 0 where there is none."""
    return _limit(options, "fdb_removal_limit")


def _limit(options: Mapping[str, str], name: str) -> int:
    text = options.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


RULES = (router_readable, switch_readable)
