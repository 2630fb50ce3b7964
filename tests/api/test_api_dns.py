"""DNS names of ports, domains of networks, and what is only noted at floating IPs."""

from __future__ import annotations

from typing import Any

import pytest

from support.api_server import Caller
from support.routed import inside, outside, refused


def names(port: Any) -> list[tuple[str, str]]:
    return [(a["hostname"], a["fqdn"]) for a in port["dns_assignment"]]


def test_each_address_of_a_port_has_a_name(alice: Caller) -> None:
    network, _ = inside(alice, "10.20.0.0/24")
    port = alice.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.20.0.9"}])
    assert (port["dns_name"], port["dns_domain"]) == ("", "")
    assert names(port) == [("host-10-20-0-9", "host-10-20-0-9.openstacklocal.")]
    named = alice.change("port", port["id"], dns_name="Web")
    assert named["dns_name"] == "web"
    assert names(named) == [("web", "web.openstacklocal.")]
    alice.change("network", network["id"], dns_domain="Net.example.")
    assert names(alice.show("port", port["id"])) == [("web", "web.net.example.")]
    absolute = alice.change("port", port["id"], dns_name="www.net.example.")
    assert names(absolute) == [("www", "www.net.example.")]
    moved = alice.change("port", port["id"], dns_name="web", dns_domain="port.example.")
    assert names(moved) == [("web", "web.port.example.")]
    assert names(alice.change("port", port["id"], fixed_ips=[])) == []
    assert alice.change("port", port["id"], dns_name="")["dns_name"] == ""


@pytest.mark.parametrize(
    "attributes",
    [
        {"dns_name": "-web"},
        {"dns_name": "we b"},
        {"dns_name": "a..b"},
        {"dns_name": "a" * 64},
        {"dns_name": "a.123"},
        {"dns_name": 7},
        {"dns_name": ["web"]},
        {"dns_name": None},
        {"dns_name": "web.elsewhere."},
        {"dns_name": "openstacklocal."},
        {"dns_name": ".".join(["a" * 60] * 4)},
        {"dns_domain": "example.org"},
        {"dns_domain": {}},
        {"dns_assignment": []},
    ],
)
def test_a_name_that_cannot_be_is_refused(alice: Caller, attributes: dict[str, Any]) -> None:
    network = alice.make("network")
    assert alice.post("/v2.0/ports", {"port": {"network_id": network["id"], **attributes}})[0] == 400
    port = alice.make("port", network_id=network["id"])
    assert alice.put(f"/v2.0/ports/{port['id']}", {"port": attributes})[0] == 400
    assert alice.show("port", port["id"])["revision_number"] == port["revision_number"]


def test_a_networks_domain_ends_with_a_dot(alice: Caller) -> None:
    assert alice.make("network", dns_domain="example.org.")["dns_domain"] == "example.org."
    wrong = {"network": {"dns_domain": "example.org"}}
    assert refused(alice.post("/v2.0/networks", wrong)) == (400, "HTTPBadRequest")


def test_a_floating_ips_name_is_noted(alice: Caller, admin: Caller) -> None:
    public = outside(admin, "198.51.100.0/24")
    floating = alice.make("floatingip", floating_network_id=public.id, dns_name="www", dns_domain="example.org.")
    assert (floating["dns_name"], floating["dns_domain"]) == ("www", "example.org.")
    changed = {"floatingip": {"dns_name": "other"}}
    assert refused(alice.put(f"/v2.0/floatingips/{floating['id']}", changed)) == (400, "HTTPBadRequest")
