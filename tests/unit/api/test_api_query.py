"""Filters, order and pages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.api import query
from ovine.api.errors import HttpError
from ovine.api.resources import NETWORK, PORT


def missing(marker: str) -> Exception:
    return KeyError(marker)


def views(count: int) -> list[dict[str, Any]]:
    return [{"id": f"{n:04}", "name": f"n{n % 3}", "mtu": n % 5, "subnets": []} for n in range(count)]


@given(
    count=st.integers(0, 25), limit=st.integers(1, 9), reverse=st.booleans(), key=st.sampled_from(["", "name", "mtu"])
)
def test_pages_put_together_are_the_whole_list_in_order(count: int, limit: int, reverse: bool, key: str) -> None:
    sort = f"&sort_key={key}&sort_dir=desc" if key else ""
    whole = query.page(views(count), query.parse(NETWORK, sort.removeprefix("&")), missing)
    text, pages = f"limit={limit}{sort}{'&page_reverse=True' if reverse else ''}", []
    for _ in range(count + 2):
        asked = query.parse(NETWORK, text)
        page = query.page(views(count), asked, missing)
        pages.append(page)
        links = query.links("networks", "http://h/networks", text, asked, page).get("networks_links", [])
        following = [link["href"] for link in links if link["rel"] == ("previous" if reverse else "next")]
        if not following:
            break
        text = following[0].partition("?")[2]
    ordered = [view for page in (reversed(pages) if reverse else pages) for view in page]
    assert ordered == whole


def links(text: str, count: int) -> dict[str, str]:
    """Where the links of a page of so many networks lead, by their names."""
    asked = query.parse(NETWORK, text)
    items = query.page(views(count), asked, missing)
    return {link["rel"]: link["href"] for link in query.links("networks", "u", text, asked, items)["networks_links"]}


def test_a_page_that_is_not_full_links_only_back() -> None:
    assert set(links("limit=2", 3)) == {"next", "previous"}
    assert links("limit=2&marker=0001", 3) == {"previous": "u?limit=2&marker=0002&page_reverse=True"}
    assert links("limit=2&marker=0002&page_reverse=True", 3).keys() == {"next", "previous"}
    assert links("limit=2&marker=0001&page_reverse=True", 3) == {"next": "u?limit=2&marker=0000"}


@pytest.mark.parametrize("count", [0, 1, 4, 5])
def test_links_lead_through_the_whole_list_and_back(count: int) -> None:
    def walk(text: str, rel: str) -> list[str]:
        found = []
        while True:
            page = query.page(views(count), query.parse(NETWORK, text), missing)
            found += [view["id"] for view in (page if rel == "next" else reversed(page))]
            onward = links(text, count).get(rel)
            if onward is None:
                ends.append(links(text, count))
                return found
            text = onward.removeprefix("u?")

    ends: list[dict[str, str]] = []
    there = walk("limit=2", "next")
    back = walk(ends[0]["previous"].removeprefix("u?"), "previous")
    assert there == [view["id"] for view in views(count)]
    assert back == there[: count - count % 2][::-1]


def test_a_configured_page_size_is_the_most_that_is_given() -> None:
    assert query.parse(NETWORK, "", page_limit=10).limit == 10
    assert query.parse(NETWORK, "limit=0", page_limit=10).limit == 10
    assert query.parse(NETWORK, "limit=50", page_limit=10).limit == 10
    assert query.parse(NETWORK, "limit=5", page_limit=10).limit == 5
    assert not query.parse(NETWORK, "limit=0").limited


def test_an_attribute_that_was_hidden_never_matches() -> None:
    passes = query.predicate(NETWORK, query.parse(NETWORK, "provider:network_type=geneve"))
    assert passes({"provider:network_type": "geneve"})
    assert not passes({})


def test_mac_addresses_and_addresses_match_in_any_spelling() -> None:
    passes = query.predicate(PORT, query.parse(PORT, "mac_address=FA-16-3E-00-00-01"))
    assert passes({"mac_address": "fa:16:3e:00:00:01"})
    passes = query.predicate(PORT, query.parse(PORT, "fixed_ips=ip_address%3DFD00:0::1"))
    assert passes({"fixed_ips": [{"ip_address": "fd00::1", "subnet_id": "s"}]})


@pytest.mark.parametrize("text", ["nonsense=1", "subnets=1", "limit=x", "limit=²", "sort_key=subnets"])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(HttpError):
        query.parse(NETWORK, text)
