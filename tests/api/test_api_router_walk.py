"""Random histories of routers and floating IPs through two API processes, the plugin and northd.

After each: no call failed unexpectedly, the resources fit together, the northbound is what they say, northd refuses
none of it, and the incremental state of both is what they compute from nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ovine.api.addressing import network_of
from ovine.model import nb
from support.api_server import Caller
from support.cloud_column import Column, nth, running_column
from support.ovsdb import until
from support.routed import Outside, act, outside

CIDRS = ("10.0.0.0/24", "10.0.0.0/16", "10.1.0.0/24", "10.2.0.0/24")
HOPS = ("10.0.0.77", "10.1.0.77", "172.24.5.77")
pick = st.integers(0, 3)
STEP = st.one_of(
    st.tuples(st.just("router"), st.booleans()),
    st.tuples(st.just("gateway"), pick, st.none() | st.integers(0, 1), st.booleans()),
    st.tuples(st.just("more gateways"), pick, st.integers(0, 1)),
    st.tuples(st.just("join"), pick, pick),
    st.tuples(st.just("part"), pick, pick),
    st.tuples(st.just("route"), pick, st.sampled_from(["add", "remove"]), st.sampled_from(HOPS)),
    st.tuples(st.just("port"), pick),
    st.tuples(st.just("floating"), st.integers(0, 1), st.none() | pick),
    st.tuples(st.just("associate"), pick, st.none() | pick),
    st.tuples(st.just("forward"), pick, pick, st.sampled_from([80, 81]), st.sampled_from(["tcp", "udp"])),
    st.tuples(st.just("end"), pick, pick),
    st.tuples(st.just("policy"), pick, st.booleans()),
    st.tuples(st.just("network policy"), st.integers(0, 1), st.booleans()),
    st.tuples(st.just("delete"), st.sampled_from(["router", "floatingip", "port"]), pick),
)


@dataclass
class World:
    """Two external networks, four of tenants, and a policy for both directions."""

    column: Column
    outside: list[Outside]
    subnets: list[Any]
    policy: str

    def caller(self, daemon: int = 0) -> Caller:
        return self.column.cloud.user("admin", daemon=daemon)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_column(tmp_path_factory.mktemp("walk"), workers=(1, 1), northd=True) as column:
        options = {"ovn_cms_options": "enable-chassis-as-gw", "ovn_bridge_mappings": "physnet1:br-ex"}
        for number in range(2):
            column.cloud.register_chassis(f"hv{number}", f"host{number}", **options)
        admin = column.cloud.user("admin")
        subnets = []
        for cidr in CIDRS:
            network = admin.make("network")
            subnets.append(admin.make("subnet", network_id=network["id"], ip_version=4, cidr=cidr))
        policy = admin.post("/v2.0/qos/policies", {"policy": {"name": "walk"}})[1]["policy"]["id"]
        for direction in ("egress", "ingress"):
            body = {"bandwidth_limit_rule": {"max_kbps": 1000, "direction": direction}}
            assert admin.post(f"/v2.0/qos/policies/{policy}/bandwidth_limit_rules", body)[0] == 201
        external = [outside(admin), outside(admin, "203.0.113.0/24")]
        yield World(column, external, subnets, policy)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 1), STEP), min_size=10, max_size=40))
async def test_after_any_history_the_northbound_is_what_the_resources_say(
    world: World, steps: list[tuple[int, Any]]
) -> None:
    try:
        for daemon, step in steps:
            status, body = perform(world, world.caller(daemon), step)
            assert status < 500, (step, body)
        check(world.caller())
        await check_northbound(world)
    finally:
        clear(world, world.caller())


def perform(world: World, caller: Caller, step: Any) -> tuple[int, Any]:
    """Makes one step; (0, None) if there is nothing to make it with."""
    match step:
        case ("router", with_gateway):
            info = {"network_id": world.outside[0].id} if with_gateway else None
            return caller.post("/v2.0/routers", {"router": {"external_gateway_info": info}})
        case ("port", which):
            return caller.post("/v2.0/ports", {"port": {"network_id": world.subnets[which]["network_id"]}})
        case ("floating", network, index):
            port = None if index is None else nth(machines(caller), index)
            body = {"floating_network_id": world.outside[network].id, "port_id": port and port["id"]}
            return caller.post("/v2.0/floatingips", {"floatingip": body})
        case ("associate", index, of):
            floating, port = nth(caller.list("floatingip"), index), nth(machines(caller), of or 0)
            if floating is None:
                return 0, None
            body = {"port_id": port["id"] if port is not None and of is not None else None}
            return caller.put(f"/v2.0/floatingips/{floating['id']}", {"floatingip": body})
        case ("forward", index, of, number, protocol):
            floating, port = nth(caller.list("floatingip"), index), nth(machines(caller), of)
            if floating is None or port is None:
                return 0, None
            inside = {"internal_port_id": port["id"], "internal_ip_address": port["fixed_ips"][0]["ip_address"]}
            body = {**inside, "internal_port": number + 8000, "external_port": number, "protocol": protocol}
            path = f"/v2.0/floatingips/{floating['id']}/port_forwardings"
            return caller.post(path, {"port_forwarding": body})
        case ("end", index, which):
            floating = nth(caller.list("floatingip"), index)
            forwarding = nth(floating["port_forwardings"], which) if floating is not None else None
            if forwarding is None:
                return 0, None
            return caller.delete(f"/v2.0/floatingips/{floating['id']}/port_forwardings/{forwarding['id']}")
        case ("policy", index, wanted):
            floating = nth(caller.list("floatingip"), index)
            body = {"qos_policy_id": world.policy if wanted else None}
            path = f"/v2.0/floatingips/{floating and floating['id']}"
            return caller.put(path, {"floatingip": body}) if floating is not None else (0, None)
        case ("network policy", index, wanted):
            body = {"qos_policy_id": world.policy if wanted else None}
            return caller.put(f"/v2.0/networks/{world.outside[index].id}", {"network": body})
        case ("delete", kind, index):
            found = nth(machines(caller) if kind == "port" else caller.list(kind), index)
            return caller.delete(f"/v2.0/{kind}s/{found['id']}") if found is not None else (0, None)
    return on_router(world, caller, step)


def on_router(world: World, caller: Caller, step: Any) -> tuple[int, Any]:
    router = nth(caller.list("router"), step[1])
    if router is None:
        return 0, None
    path = f"/v2.0/routers/{router['id']}"
    match step:
        case ("gateway", _, network, snat):
            info = {} if network is None else {"network_id": world.outside[network].id, "enable_snat": snat}
            return caller.put(path, {"router": {"external_gateway_info": info}})
        case ("more gateways", _, network):
            more = {"external_gateways": [{"network_id": world.outside[network].id}]}
            return caller.put(f"{path}/add_external_gateways", {"router": more})
        case ("join" | "part" as action, _, which):
            name = {"join": "add_router_interface", "part": "remove_router_interface"}[action]
            return act(caller, router, name, subnet_id=world.subnets[which]["id"])
        case ("route", _, action, hop):
            routes = [{"destination": "192.168.0.0/16", "nexthop": hop}]
            return caller.put(f"{path}/{action}_extraroutes", {"router": {"routes": routes}})
    raise AssertionError(step)


def machines(caller: Caller) -> list[Any]:
    return [port for port in caller.list("port") if not port["device_owner"]]


def check(caller: Caller) -> None:
    """The resources fit together."""
    ports = {port["id"]: port for port in caller.list("port")}
    subnets = {subnet["id"]: subnet for subnet in caller.list("subnet")}
    routers = {router["id"]: router for router in caller.list("router")}
    owned = [p for p in ports.values() if p["device_owner"] in ("network:router_interface", "network:router_gateway")]
    assert all(port["device_id"] in routers for port in owned)
    for router in routers.values():
        mine = [port for port in owned if port["device_id"] == router["id"]]
        gateways = [port for port in mine if port["device_owner"] == "network:router_gateway"]
        assert len(gateways) == len(router["external_gateways"])
        nets = [network_of(subnets[a["subnet_id"]]["cidr"]) for port in mine for a in port["fixed_ips"]]
        assert not any(one.overlaps(two) for one, two in itertools.combinations(nets, 2))
        for route in router["routes"]:
            assert any(network_of(route["nexthop"]).subnet_of(net) for net in nets)  # type: ignore[arg-type]
    for floating in caller.list("floatingip"):
        if floating["port_id"] is None:
            assert (floating["router_id"] is None) == (floating["port_forwardings"] == [])
            for forwarding in floating["port_forwardings"]:
                held = {a["ip_address"] for a in ports[forwarding["internal_port_id"]]["fixed_ips"]}
                assert forwarding["internal_ip_address"] in held
            continue
        assert floating["port_forwardings"] == []
        held = {a["ip_address"]: a["subnet_id"] for a in ports[floating["port_id"]]["fixed_ips"]}
        ways = [port for port in owned if port["device_id"] == floating["router_id"]]
        assert held[floating["fixed_ip_address"]] in {a["subnet_id"] for port in ways for a in port["fixed_ips"]}
        assert floating["floating_network_id"] in {port["network_id"] for port in ways}


async def check_northbound(world: World) -> None:
    """The northbound has each router, port, route and translation, and nothing besides."""
    caller = world.caller()
    routers, floating = caller.list("router"), caller.list("floatingip")
    used = {f["id"]: (f["floating_ip_address"], f["fixed_ip_address"]) for f in floating if f["port_id"]}
    forwarded: dict[tuple[str, str], dict[str, str]] = {}
    for f in floating:
        for one in f["port_forwardings"]:
            vips = forwarded.setdefault((f["id"], one["protocol"]), {})
            outer = f"{f['floating_ip_address']}:{one['external_port']}"
            vips[outer] = f"{one['internal_ip_address']}:{one['internal_port']}"
    bounded = {f["id"] for f in floating if f["router_id"] and (f["qos_policy_id"] or f["qos_network_policy_id"])}
    gateways = {r["id"]: r["external_gateways"] for r in routers}
    translated = [g for r in routers if r["enable_snat"] for g in r["external_gateways"]]
    addresses = {a["ip_address"] for g in translated for a in g["external_fixed_ips"]}
    owners = ("network:router_interface", "network:router_gateway")
    ports = {f"lrp-{p['id']}" for p in caller.list("port") if p["device_owner"] in owners}
    async with world.column.northbound() as client:
        rows = client.replica.rows

        def agrees() -> bool:
            nats, balancers, limits = (rows(table).values() for table in (nb.NAT, nb.LoadBalancer, nb.QoS))
            return (
                {row.name for row in rows(nb.LogicalRouter).values()} == {f"neutron-{r['id']}" for r in routers}
                and {row.name for row in rows(nb.LogicalRouterPort).values()} == ports
                and {n.uuid: (n.external_ip, n.logical_ip) for n in nats if n.type == "dnat_and_snat"} == used
                and {n.external_ip for n in nats if n.type == "snat"} == addresses
                and len(rows(nb.GatewayChassis)) == 2 * sum(len(found) for found in gateways.values())
                and {f["id"] for f in caller.list("floatingip", "status=ACTIVE")}
                == used.keys() | {owner for owner, _ in forwarded}
                and {(b.external_ids["neutron:fip_id"], b.protocol): dict(b.vips) for b in balancers} == forwarded
                and sorted(row.external_ids["neutron:fip_id"] for row in limits) == sorted([*bounded, *bounded])
            )

        await until(agrees, "the northbound that the resources ask for")
        assert all(len(row.gateway_chassis) in (0, 2) for row in rows(nb.LogicalRouterPort).values())
    world.column.assert_sound()


def clear(world: World, caller: Caller) -> None:
    for external in world.outside:
        caller.change("network", external.id, qos_policy_id=None)
    for floating in caller.list("floatingip"):
        for forwarding in floating["port_forwardings"]:
            path = f"/v2.0/floatingips/{floating['id']}/port_forwardings/{forwarding['id']}"
            assert caller.delete(path) == (204, None)
        caller.remove("floatingip", floating["id"])
    for router in caller.list("router"):
        caller.change("router", router["id"], routes=[])
        for port in caller.list("port", f"device_id={router['id']}&device_owner=network:router_interface"):
            assert act(caller, router, "remove_router_interface", port_id=port["id"])[0] == 200
        caller.remove("router", router["id"])
    for port in machines(caller):
        caller.remove("port", port["id"])
