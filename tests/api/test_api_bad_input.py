"""Whatever a client sends: an error in Neutron's shape, nothing changed, and the next request is served."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.api_server import Caller, Cloud

UUID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(autouse=True)
def the_server_goes_on(cloud: Cloud) -> Iterator[None]:
    yield
    assert cloud.user("alice").get("/v2.0/networks")[0] == 200
    assert "Traceback" not in cloud.daemons[0].log.read_text()


def raw(cloud: Cloud, content: bytes, path: str = "/v2.0/networks", method: str = "POST") -> tuple[int, Any]:
    caller = cloud.user("alice")
    reply = cloud.http.request(method, caller.base + path, content=content, headers={"X-Auth-Token": caller.token})
    return reply.status_code, reply.json()


def kind_of(reply: tuple[int, Any]) -> tuple[int, str]:
    assert set(reply[1]["NeutronError"]) == {"type", "message", "detail"}
    assert reply[1]["NeutronError"]["message"]
    return reply[0], reply[1]["NeutronError"]["type"]


MALFORMED = {
    "nothing": b"",
    "half": b'{"network": {"name": ',
    "text": b"network",
    "latin-1": '{"network": {"name": "\u00e9"}}'.encode("latin-1"),
    "half a surrogate": b'{"network": {"name": "\\ud800"}}',
    "NUL": b'{"network": {"name": "a\\u0000b"}}',
    "NUL in a key": b'{"network": {"a\\u0000b": 1}}',
    "not a number": b'{"network": {"mtu": NaN}}',
    "very deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_json_is_refused(cloud: Cloud, content: bytes) -> None:
    assert kind_of(raw(cloud, content)) == (400, "MalformedRequestBody")


SHAPES = [
    [],
    1,
    None,
    "network",
    {},
    {"networks": []},
    {"networks": {}},
    {"port": {}},
    {"network": []},
    {"network": None},
]


@pytest.mark.parametrize("body", SHAPES, ids=json.dumps)
def test_json_of_another_shape_is_refused(cloud: Cloud, body: Any) -> None:
    assert kind_of(raw(cloud, json.dumps(body).encode())) == (400, "HTTPBadRequest")
    assert kind_of(raw(cloud, json.dumps(body).encode(), f"/v2.0/networks/{UUID}", "PUT"))[0] in (400, 404)


WRONG = {
    "name is a number": {"name": 7},
    "name is null": {"name": None},
    "name is long": {"name": "x" * 256},
    "state is a word": {"admin_state_up": "perhaps"},
    "state is null": {"admin_state_up": None},
    "state is a list": {"admin_state_up": [True]},
    "mtu is negative": {"mtu": -1},
    "mtu is a word": {"mtu": "large"},
    "mtu is huge": {"mtu": 10**30},
    "mtu is an object": {"mtu": {}},
    "project is a number": {"project_id": 5},
    "projects differ": {"project_id": "a", "tenant_id": "b"},
    "unknown attribute": {"colour": "red"},
    "read-only attribute": {"status": "ACTIVE"},
    "own id": {"id": UUID},
    "attribute of an extension that is not offered": {"propagate_uplink_status": True},
    "tags are a text": {"tags": "a"},
}


@pytest.mark.parametrize("attributes", WRONG.values(), ids=WRONG.keys())
def test_wrong_attributes_are_refused(alice: Caller, attributes: dict[str, Any]) -> None:
    status, _ = kind_of(alice.post("/v2.0/networks", {"network": attributes}))
    assert status == 400


def test_an_attribute_that_is_not_offered_names_its_extension(alice: Caller) -> None:
    _, body = alice.post("/v2.0/ports", {"port": {"network_id": UUID, "device_profile": "p"}})
    assert "extension port-device-profile" in body["NeutronError"]["message"]


def test_a_client_that_sends_ten_megabytes_reads_why_they_are_refused(cloud: Cloud, alice: Caller) -> None:
    resident = memory(cloud)
    reply = alice.post("/v2.0/networks", {"network": {"name": "x" * (10 << 20)}})
    assert kind_of(reply) == (413, "HTTPRequestEntityTooLarge")
    assert memory(cloud) - resident < 5 << 20


def memory(cloud: Cloud) -> int:
    """The most that the daemon has ever held, in bytes."""
    status = Path(f"/proc/{cloud.daemons[0].process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def test_a_body_over_the_limit_is_refused_before_it_comes(cloud: Cloud) -> None:
    address = urlsplit(cloud.daemons[0].network)
    head = (
        "POST /v2.0/networks HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        f"X-Auth-Token: {cloud.user('alice').token}\r\nContent-Length: {10 << 20}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(head.encode())  # and not one byte of the body
        reply = connection.makefile("rb").read().decode()
    assert reply.startswith("HTTP/1.1 413 ")
    assert kind_of((413, json.loads(reply.partition("\r\n\r\n")[2]))) == (413, "HTTPRequestEntityTooLarge")


def test_a_large_body_of_unannounced_length_is_cut_off(cloud: Cloud) -> None:
    caller = cloud.user("alice")

    def pieces() -> Iterator[bytes]:
        yield b'{"network": {"name": "'
        for _ in range(40):
            yield b"x" * (1 << 16)

    reply = cloud.http.post(f"{caller.base}/v2.0/networks", content=pieces(), headers={"X-Auth-Token": caller.token})
    assert (reply.status_code, reply.json()["NeutronError"]["type"]) == (413, "HTTPRequestEntityTooLarge")


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", "\u00e9"])
def test_a_request_without_a_valid_token_is_refused(cloud: Cloud, token: str) -> None:
    headers = {"X-Auth-Token": token.encode()} if token else {}
    reply = cloud.http.get(f"{cloud.daemons[0].network}/v2.0/networks", headers=headers)
    assert (reply.status_code, reply.json()["NeutronError"]["type"]) == (401, "HTTPUnauthorized")
    assert reply.headers["WWW-Authenticate"].startswith("Keystone uri=")


def test_a_host_header_that_is_none_is_refused(cloud: Cloud) -> None:
    for host in ("[", "a b", "[::1", "x:y", "é"):
        headers = {"Host": host.encode(), "X-Auth-Token": cloud.user("alice").token}
        assert cloud.http.get(f"{cloud.daemons[0].network}/v2.0/networks?limit=1", headers=headers).status_code < 500
        assert cloud.http.get(cloud.identity, headers=headers).status_code < 500


def test_odd_characters_in_a_path_are_part_of_it(alice: Caller) -> None:
    network = alice.make("network")
    for tag in ("a?b", "a b", "é", "50%", "x#y"):
        assert alice.put(f"/v2.0/networks/{network['id']}/tags/{quote(tag)}", None)[0] == 201
        assert tag in alice.show("network", network["id"])["tags"]
    alice.remove("network", network["id"])


def test_unknown_paths_and_methods_are_told_apart(alice: Caller) -> None:
    for path in ("/v2.0/zebras", "/v3/networks", f"/v2.0/networks/{UUID}/what", f"/v2.0/networks/{UUID}/tags/a/b"):
        assert kind_of(alice.get(path)) == (404, "HTTPNotFound")
    for method, path in (("DELETE", "/v2.0/networks"), ("POST", f"/v2.0/networks/{UUID}"), ("PATCH", "/v2.0/ports")):
        assert kind_of(alice.call(method, path)) == (405, "HTTPMethodNotAllowed")


def test_what_does_not_exist_is_named(alice: Caller) -> None:
    kinds = {"network": "Network", "subnet": "Subnet", "port": "Port", "router": "Router", "floatingip": "FloatingIP"}
    for kind, name in ((kind, f"{name}NotFound") for kind, name in kinds.items()):
        for uuid in (UUID, "not-a-uuid", "%00", "x" * 300):
            reply = alice.get(f"/v2.0/{kind}s/{uuid}")
            assert kind_of(reply) == (404, name)
    for body in ({"network_id": UUID}, {"network_id": "x"}, {"network_id": None}, {}):
        assert alice.post("/v2.0/ports", {"port": body})[0] in (400, 404)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = [
    "network_id",
    "enable_snat",
    "external_fixed_ips",
    "ip_address",
    "subnet_id",
    "mac_address",
    "opt_name",
    "opt_value",
    "ip_version",
    "start",
    "end",
    "destination",
    "nexthop",
]
PLAUSIBLE = st.sampled_from(
    ["10.0.0.5", "10.0.0.9", "fd00::5", "10.0.0.0/25", "fa:16:3e:00:00:01", UUID, "mtu", "", 4, None]
)
SHAPED = st.lists(st.dictionaries(st.sampled_from(KEYS), PLAUSIBLE | JSON, max_size=3), max_size=3)
LENGTHS = ["min_prefixlen", "max_prefixlen", "default_prefixlen"]
NAMES = {
    "network": ["name", "mtu", "tags", "shared", "provider:network_type", "provider:segmentation_id", "project_id"],
    "subnet": [
        *("cidr", "ip_version", "gateway_ip", "allocation_pools", "host_routes", "dns_nameservers", "service_types"),
        *("enable_dhcp", "ipv6_ra_mode", "ipv6_address_mode", "subnetpool_id", "prefixlen", "use_default_subnetpool"),
    ],
    "port": [
        *("fixed_ips", "mac_address", "allowed_address_pairs", "extra_dhcp_opts", "port_security_enabled"),
        *("binding:host_id", "binding:profile", "binding:vnic_type", "device_id", "device_owner"),
    ],
    "subnetpool": ["name", "prefixes", *LENGTHS, "default_quota", "is_default", "shared", "tags"],
    "router": ["external_gateway_info", "routes", "ha", "enable_default_route_bfd", "admin_state_up"],
    "floatingip": ["port_id", "fixed_ip_address", "floating_ip_address", "subnet_id", "description"],
}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(sorted(NAMES)), data=st.data())
def test_no_value_of_any_attribute_is_a_server_error(cloud: Cloud, kind: str, data: st.DataObject) -> None:
    admin = cloud.user("admin")
    networks = admin.list("network", "name=fuzz")
    if not networks:
        networks = [admin.make("network", name="fuzz")]
        admin.make("subnet", network_id=networks[0]["id"], ip_version=4, cidr="10.0.0.0/24")
    network_id = networks[0]["id"]
    external = admin.list("network", "name=fuzz-outside")
    if not external:
        external = [admin.make("network", name="fuzz-outside", **{"router:external": True})]
        admin.make("subnet", network_id=external[0]["id"], ip_version=4, cidr="172.24.0.0/16")
    base = {
        "subnet": {"network_id": network_id, "cidr": "10.1.0.0/24", "ip_version": 4},
        "port": {"network_id": network_id},
        "subnetpool": {"name": "fuzz", "prefixes": ["10.0.0.0/16"]},
        "floatingip": {"floating_network_id": external[0]["id"]},
    }
    info = st.dictionaries(st.sampled_from(KEYS), PLAUSIBLE | JSON | SHAPED, max_size=3)
    info = info.map(lambda items: {"network_id": external[0]["id"], **items})
    values = st.dictionaries(st.sampled_from(NAMES[kind]), PLAUSIBLE | JSON | SHAPED | info, max_size=3)
    body, change = data.draw(values), data.draw(values)
    status, reply = admin.post(f"/v2.0/{kind}s", {kind: base.get(kind, {}) | body})
    assert status < 500, (body, reply)
    if status != 201:
        status, reply = admin.post(f"/v2.0/{kind}s", {kind: base.get(kind, {})})
        assert status == 201, reply
    path = f"/v2.0/{kind}s/{reply[kind]['id']}"
    status, changed = admin.put(path, {kind: change})
    assert admin.delete(path)[0] == 204
    assert status < 500, (change, changed)
