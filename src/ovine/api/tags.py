"""The tags sub-resource of every resource: `/v2.0/COLLECTION/ID/tags[/TAG]`.

Tests: tests/api/test_api_standard.py.
"""

from __future__ import annotations

from typing import Any, cast

from neutron_lib.api import validators

from ovine.api.draft import Draft
from ovine.api.errors import TagNotFound, bad_request
from ovine.api.resources import MAX_TAG
from ovine.model.base import Row
from ovine.model.cloud import Network


def parse(body: Any) -> tuple[str, ...]:
    """The tags of a PUT body. Raises HttpError."""
    if not isinstance(body, dict) or "tags" not in body:
        raise bad_request("Invalid tags body")
    reason = validators.validate_list_of_unique_strings(body["tags"], MAX_TAG)
    if reason:
        raise bad_request(f"Invalid input for tags. Reason: {reason}.")
    return tuple(sorted(body["tags"]))


def check(tag: str) -> str:
    """One tag of a path. Raises HttpError."""
    if not tag or len(tag) > MAX_TAG or "," in tag or "\0" in tag:
        raise bad_request(f"Invalid input for tags. Reason: '{tag[:60]}' is not a tag of at most {MAX_TAG} characters.")
    return tag


def of(row: Row) -> tuple[str, ...]:
    return cast(Network, row).tags


def replace(draft: Draft, row: Row, tags: tuple[str, ...]) -> None:
    draft.update(row, tags=tags)


def add(draft: Draft, row: Row, tag: str) -> None:
    if tag not in of(row):
        replace(draft, row, tuple(sorted({*of(row), tag})))


def require(row: Row, tag: str) -> None:
    """Raises TagNotFound."""
    if tag not in of(row):
        raise TagNotFound(tag=tag)


def remove(draft: Draft, row: Row, tag: str) -> None:
    require(row, tag)
    replace(draft, row, tuple(t for t in of(row) if t != tag))
