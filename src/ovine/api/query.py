"""Lists: filters, fields, sorting and paging of `GET /v2.0/COLLECTION?…`, on the resources' representations. Pure.

A filter named several times means any of its values; different filters must all hold. What a caller may not see has
already been taken out of the representations, so it never matches.

Tests: tests/unit/api/test_api_query.py (among them: pages put together are the whole list, whatever their size).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import netaddr
from neutron_lib import exceptions as n_exc
from neutron_lib.api import converters

from ovine.api.errors import bad_request, invalid_input
from ovine.api.resources import Resource
from ovine.api.views import View

Predicate = Callable[[View], bool]
_TAG_FILTERS = ("tags", "tags-any", "not-tags", "not-tags-any")
_CONVERSIONS = {"alive": converters.convert_to_boolean, "ip_version": converters.convert_to_int}
"""Filters of values whose attributes say no conversion because no request sets them."""
_TEXTS = ("min_prefixlen", "max_prefixlen", "default_prefixlen")
"""Numbers that are shown as texts."""
_CONTROLS = ("fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir")


@dataclass(frozen=True)
class Query:
    """A parsed query string. `limit` is in items, 0 for all; `sort` holds (attribute, descending)."""

    filters: Mapping[str, tuple[str, ...]]
    fields: tuple[str, ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()
    limit: int = 0
    limited: bool = False
    marker: str | None = None
    reverse: bool = False


def parse(resource: Resource, text: str, page_limit: int = 0) -> Query:
    """A query string to a Query. Raises HttpError and neutron-lib's errors for what it can't mean."""
    values: dict[str, list[str]] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        if "\0" in value:
            raise bad_request(f"Invalid input for {key}. Reason: a text holds a NUL character.")
        values.setdefault(key, []).append(value)
    filters = {key: tuple(found) for key, found in values.items() if key not in _CONTROLS}
    unknown = [key for key in filters if not _is_filter(resource, key)]
    if unknown:
        raise bad_request(f"{unknown} is invalid attribute for filtering")
    if "tenant_id" in filters and "project_id" in filters:
        raise n_exc.TenantIdProjectIdFilterConflict()
    limit, limited = _limit(values.get("limit", [""])[-1], page_limit)
    return Query(
        filters,
        tuple(field for field in values.get("fields", []) if field),
        _sort(resource, values.get("sort_key", []), values.get("sort_dir", [])),
        limit,
        limited,
        values["marker"][-1] if values.get("marker") else None,
        bool(values.get("page_reverse")) and _boolean("page_reverse", values["page_reverse"][-1]),
    )


def _is_filter(resource: Resource, key: str) -> bool:
    if key in _TAG_FILTERS:
        return resource.is_taggable
    if key == "changed_since":
        return "updated_at" in resource.attributes
    return bool(resource.attributes.get(key, {}).get("is_filter"))


def _limit(text: str, page_limit: int) -> tuple[int, bool]:
    if not text:
        return page_limit, bool(page_limit)
    if not text.isascii() or not text.isdigit():
        raise bad_request(f"Limit must be an integer 0 or greater and not '{text}'")
    limit = int(text) or page_limit
    return (min(limit, page_limit) if page_limit else limit), bool(limit)


def _boolean(name: str, text: str) -> bool:
    try:
        return bool(converters.convert_to_boolean(text))
    except n_exc.InvalidInput as error:
        raise bad_request(f"Invalid input for {name}. Reason: '{text}' is not a boolean.") from error


def _sort(resource: Resource, keys: list[str], directions: list[str]) -> tuple[tuple[str, bool], ...]:
    if directions and len(directions) != len(keys):
        raise bad_request("The number of sort_keys and sort_dirs must be same")
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise bad_request(f"{direction} is invalid value for sort_dirs, valid value is 'asc' and 'desc'")
    unknown = [key for key in keys if not resource.attributes.get(key, {}).get("is_sort_key")]
    if unknown:
        raise bad_request(f"{unknown} is invalid attribute for sort_keys")
    return tuple(
        (key, direction == "desc") for key, direction in zip(keys, directions or ["asc"] * len(keys), strict=True)
    )


# --- filters --------------------------------------------------------------------------------------------------------


def predicate(resource: Resource, query: Query) -> Predicate:
    """Whether a representation passes all filters."""
    tests = [_test(resource, key, values) for key, values in query.filters.items()]
    return lambda view: all(test(view) for test in tests)


def _test(resource: Resource, key: str, values: tuple[str, ...]) -> Predicate:
    if key in _TAG_FILTERS:
        return _tag_test(key, values)
    if key == "changed_since":
        since = max(_moment(value) for value in values)
        return lambda view: str(view["updated_at"]) >= since
    if key == "fixed_ips":
        return _fixed_ips_test(values)
    if key == "security_groups":
        groups = frozenset(values)
        return lambda view: not groups.isdisjoint(view[key])
    wanted = frozenset(_converted(resource, key, value) for value in values)
    return lambda view: view.get(key) in wanted


def _converted(resource: Resource, key: str, value: str) -> Any:
    if key in _TEXTS:
        return value
    convert = _CONVERSIONS.get(key) or resource.attributes[key].get("convert_to")
    if convert is None:
        return int(value) if key == "revision_number" and value.isdigit() else value
    try:
        return convert(value)
    except n_exc.NeutronException:
        raise
    except (TypeError, ValueError, netaddr.AddrFormatError):
        raise bad_request(f"Invalid input for {key}. Reason: '{value}' is not a valid value.") from None


def _tag_test(key: str, values: tuple[str, ...]) -> Predicate:
    wanted = frozenset(tag for value in values for tag in value.split(","))
    if key.endswith("-any"):
        found: Predicate = lambda view: not wanted.isdisjoint(view["tags"])  # noqa: E731
    else:
        found = lambda view: wanted.issubset(view["tags"])  # noqa: E731
    return (lambda view: not found(view)) if key.startswith("not-") else found


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise invalid_input(
            f"The input changed_since must be in the following format: YYYY-MM-DDTHH:MM:SS, not {text}"
        ) from None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _fixed_ips_test(values: tuple[str, ...]) -> Predicate:
    wanted: dict[str, set[str]] = {}
    for value in values:
        key, sign, text = value.partition("=")
        if not sign or key not in ("ip_address", "subnet_id", "ip_address_substr"):
            raise bad_request(
                f"Invalid input for fixed_ips. Reason: {value} names no ip_address=, subnet_id= or ip_address_substr=."
            )
        wanted.setdefault(key, set()).add(
            converters.convert_ip_to_canonical_format(text) if key == "ip_address" else text
        )

    def matches(address: Mapping[str, str]) -> bool:
        parts = wanted.get("ip_address_substr")
        return all(address[key] in wanted[key] for key in ("ip_address", "subnet_id") if key in wanted) and (
            parts is None or any(part in address["ip_address"] for part in parts)
        )

    return lambda view: any(matches(address) for address in view["fixed_ips"])


# --- order and pages --------------------------------------------------------------------------------------------------


def page(views: Iterable[View], query: Query, missing: Callable[[str], Exception]) -> list[View]:
    """The page that a query asks for, in order; `missing` makes the error for a marker that is not in the list."""
    ordered = sorted(views, key=lambda view: str(view["id"]))
    for key, descending in reversed(query.sort):
        ordered.sort(key=lambda view, key=key: _orderable(view.get(key)), reverse=descending)  # type: ignore[misc]
    start, stop = 0, len(ordered)
    if query.marker is not None:
        position = next((i for i, view in enumerate(ordered) if view["id"] == query.marker), None)
        if position is None:
            raise missing(query.marker)
        start, stop = (0, position) if query.reverse else (position + 1, stop)
    if query.limit:
        start, stop = (max(start, stop - query.limit), stop) if query.reverse else (start, start + query.limit)
    return ordered[start:stop]


def _orderable(value: Any) -> tuple[bool, Any]:
    return value is not None, str(value) if isinstance(value, list | dict) else value if value is not None else 0


def links(collection: str, url: str, text: str, query: Query, items: list[View]) -> dict[str, Any]:
    """The `COLLECTION_links` of a limited list. `url` is without its query string `text`.

    Only the page that is known to be the last of its direction has no link onward; beyond an empty page is the other
    end of the list.
    """
    if not query.limited:
        return {}
    kept = [
        (key, value) for key, value in parse_qsl(text, keep_blank_values=True) if key not in ("marker", "page_reverse")
    ]
    full = len(items) >= query.limit
    first, last = ([("marker", item["id"])] for item in (items[0], items[-1])) if items else ([], [])
    found = []
    if full or query.reverse:
        found.append({"rel": "next", "href": f"{url}?{urlencode(kept + last)}"})
    if full or not query.reverse:
        back = [*first, ("page_reverse", "True")]
        found.append({"rel": "previous", "href": f"{url}?{urlencode(kept + back)}"})
    return {f"{collection}_links": found} if found else {}


def selected(view: View, fields: tuple[str, ...]) -> View:
    """A representation with only the fields asked for; asking for one name of the project gives both."""
    if not fields:
        return view
    wanted = set(fields)
    if wanted & {"tenant_id", "project_id"}:
        wanted |= {"tenant_id", "project_id"}
    return {key: value for key, value in view.items() if key in wanted}
