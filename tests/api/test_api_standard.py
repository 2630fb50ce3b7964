"""What all resources share: tags, revisions, times, filters, fields, order, pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.api_server import Caller, Cloud


def error(reply: tuple[int, Any]) -> tuple[int, str]:
    return reply[0], reply[1]["NeutronError"]["type"]


@pytest.fixture
def network(alice: Caller) -> Iterator[Any]:
    made = alice.make("network", name="standard", description="d", tags=["b", "a"])
    yield made
    for port in alice.list("port", f"network_id={made['id']}"):
        if port["device_owner"] != "network:distributed":
            alice.remove("port", port["id"])
    alice.remove("network", made["id"])


def test_tags_are_read_replaced_added_and_removed(alice: Caller, network: Any) -> None:
    path = f"/v2.0/networks/{network['id']}/tags"
    assert network["tags"] == ["a", "b"]
    assert alice.get(path) == (200, {"tags": ["a", "b"]})
    assert alice.put(path, {"tags": ["x", "y"]}) == (200, {"tags": ["x", "y"]})
    assert alice.put(f"{path}/z", None)[0] == 201
    assert alice.get(f"{path}/z")[0] == 204
    assert alice.delete(f"{path}/x")[0] == 204
    assert error(alice.delete(f"{path}/x")) == (404, "TagNotFound")
    assert error(alice.get(f"{path}/x")) == (404, "TagNotFound")
    assert alice.show("network", network["id"])["tags"] == ["y", "z"]
    assert alice.delete(path)[0] == 204
    assert alice.get(path) == (200, {"tags": []})
    for bad in ({"tags": ["a", "a"]}, {"tags": "a"}, {"tags": [1]}, {"tags": ["x" * 300]}, {}):
        assert error(alice.put(path, bad)) == (400, "HTTPBadRequest")


def test_ports_and_subnets_are_tagged_when_made(alice: Caller, network: Any) -> None:
    ports = alice.post("/v2.0/ports", {"ports": [{"network_id": network["id"], "tags": ["t"]}] * 2})[1]["ports"]
    assert [port["tags"] for port in ports] == [["t"], ["t"]]
    assert len(alice.list("port", f"network_id={network['id']}&tags=t")) == 2
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.9.0.0/24", "tags": ["s"]}
    assert alice.make("subnet", **subnet)["tags"] == ["s"]


def test_if_match_refuses_a_change_of_another_revision(alice: Caller, network: Any) -> None:
    path, body = f"/v2.0/networks/{network['id']}", {"network": {"name": "standard"}}
    seen = network["revision_number"]
    wrong = alice.put(path, body, If_Match=f"revision_number={seen + 1}")
    assert error(wrong) == (412, "RevisionNumberConstraintFailed")
    assert alice.put(path, body, If_Match=f"revision_number={seen}")[0] == 200
    assert error(alice.put(path, body, If_Match="revision=1")) == (400, "HTTPBadRequest")
    status, _ = alice.call("DELETE", path, None, If_Match="revision_number=999")
    assert status == 412


def test_a_put_that_changes_nothing_is_no_new_revision(alice: Caller, network: Any) -> None:
    assert alice.change("network", network["id"], name="standard", description="d") == network
    assert alice.put(f"/v2.0/networks/{network['id']}", {"network": {}})[0] == 200
    assert alice.show("network", network["id"]) == network


FILTERS = {
    "name=standard": True,
    "name=other&name=standard": True,
    "name=other": False,
    "name=": False,
    "description=d": True,
    "admin_state_up=True&name=standard": True,
    "admin_state_up=1&name=standard": True,
    "admin_state_up=false&name=standard": False,
    "shared=False&name=standard": True,
    "router:external=true&name=standard": False,
    "status=ACTIVE&name=standard": True,
    "mtu=1442&name=standard": True,
    "mtu=9000&name=standard": False,
    "tags=a": True,
    "tags=a,b": True,
    "tags=a,c": False,
    "tags-any=a,c": True,
    "not-tags=a,b": False,
    "not-tags=a,c&name=standard": True,
    "not-tags-any=a,c": False,
    "revision_number=1&name=standard": True,
    "changed_since=2020-01-01T00:00:00&name=standard": True,
    "changed_since=2990-01-01T00:00:00Z&name=standard": False,
    "provider:network_type=geneve&name=standard": False,
}


@pytest.mark.parametrize("text, found", FILTERS.items())
def test_a_list_is_filtered(alice: Caller, network: Any, text: str, found: bool) -> None:
    assert (network["id"] in [n["id"] for n in alice.list("network", text)]) == found


def test_ports_are_filtered_by_their_addresses(alice: Caller, network: Any) -> None:
    subnet = alice.make("subnet", network_id=network["id"], ip_version=4, cidr="10.8.0.0/24")
    first, second = (
        alice.make("port", network_id=network["id"], fixed_ips=[{"ip_address": ip}])
        for ip in ("10.8.0.21", "10.8.0.121")
    )

    def found(*texts: str) -> set[str]:
        query = "&".join(f"fixed_ips={text}" for text in texts)
        listed = alice.list("port", f"{query}&network_id={network['id']}")
        return {port["id"] for port in listed if port["device_owner"] == ""}

    assert found("ip_address=10.8.0.21") == {first["id"]}
    assert found("ip_address=10.8.0.21", "ip_address=10.8.0.121") == {first["id"], second["id"]}
    assert found(f"subnet_id={subnet['id']}") == {first["id"], second["id"]}
    assert found(f"subnet_id={subnet['id']}", "ip_address=10.8.0.121") == {second["id"]}
    assert found("ip_address_substr=.12") == {second["id"]}
    assert found("ip_address=10.8.0.99") == set()
    assert error(alice.get("/v2.0/ports?fixed_ips=10.8.0.21")) == (400, "HTTPBadRequest")


REFUSED = {
    "colour=red": "HTTPBadRequest",
    "name=x&colour=red": "HTTPBadRequest",
    "admin_state_up=perhaps": "InvalidInput",
    "mtu=big": "InvalidInput",
    "sort_key=colour": "HTTPBadRequest",
    "sort_key=name&sort_dir=up": "HTTPBadRequest",
    "sort_key=name&sort_key=id&sort_dir=asc": "HTTPBadRequest",
    "limit=-1": "HTTPBadRequest",
    "limit=ten": "HTTPBadRequest",
    "page_reverse=perhaps&limit=1": "HTTPBadRequest",
    "tenant_id=a&project_id=b": "TenantIdProjectIdFilterConflict",
    "changed_since=yesterday": "InvalidInput",
    "name=%00": "HTTPBadRequest",
}


@pytest.mark.parametrize("text, kind", REFUSED.items())
def test_a_query_that_means_nothing_is_refused(alice: Caller, text: str, kind: str) -> None:
    assert error(alice.get(f"/v2.0/networks?{text}")) == (400, kind)


def test_an_unknown_marker_is_not_found(alice: Caller) -> None:
    assert error(alice.get("/v2.0/networks?limit=1&marker=nothing")) == (404, "NetworkNotFound")


def test_fields_select_attributes(alice: Caller, network: Any) -> None:
    shown = alice.get(f"/v2.0/networks/{network['id']}?fields=name&fields=id")[1]["network"]
    assert shown == {"name": "standard", "id": network["id"]}
    listed = alice.list("network", f"id={network['id']}&fields=project_id&fields=nonsense")
    assert listed == [{"project_id": network["project_id"], "tenant_id": network["project_id"]}]


def test_a_list_is_ordered_and_paged_in_both_directions(cloud: Cloud, alice: Caller, network: Any) -> None:
    names = ["c", "a", "b", "e", "d"]
    alice.post("/v2.0/ports", {"ports": [{"network_id": network["id"], "name": name} for name in names]})
    base = f"/v2.0/ports?network_id={network['id']}&device_owner=&sort_key=name"
    assert [p["name"] for p in alice.get(f"{base}&sort_dir=desc")[1]["ports"]] == ["e", "d", "c", "b", "a"]

    def pages(path: str | None, relation: str) -> list[list[str]]:
        found = []
        while path:
            body = alice.get(path)[1]
            found.append([port["name"] for port in body["ports"]])
            links = {link["rel"]: urlsplit(link["href"]) for link in body.get("ports_links", [])}
            path = f"{links[relation].path}?{links[relation].query}" if relation in links else None
        return found

    assert pages(f"{base}&limit=2", "next") == [["a", "b"], ["c", "d"], ["e"]]
    assert pages(f"{base}&limit=2&page_reverse=True", "previous") == [["d", "e"], ["b", "c"], ["a"]]
    assert "ports_links" not in alice.get(base)[1]
