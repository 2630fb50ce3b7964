"""Random histories of trunks, bindings, policies and names through two API processes and the plugin.

After each: no call failed unexpectedly, the resources fit together, the northbound is what they say, and nothing is
left behind when all is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ovine.model import nb
from support.api_server import Caller
from support.cloud_column import Column, nth, running_column
from support.ovsdb import until

VIP = "10.0.0.200"
pick = st.integers(0, 3)
HOST = st.sampled_from(["h0", "h1", ""])
CHANGES: list[dict[str, Any]] = [
    {"dns_name": "web"},
    {"dns_name": ""},
    {"allowed_address_pairs": [{"ip_address": VIP}]},
    {"allowed_address_pairs": []},
    {"qos_policy_id": "POLICY"},
    {"qos_policy_id": None},
    {"device_owner": "compute:x", "device_id": "i"},
    {"device_owner": "", "device_id": ""},
]
STEP = st.one_of(
    st.tuples(st.just("port"), st.booleans()),
    st.tuples(st.just("change"), pick, st.sampled_from(CHANGES)),
    st.tuples(st.just("place"), pick, HOST),
    st.tuples(st.just("bind"), pick, HOST),
    st.tuples(st.just("activate"), pick, HOST),
    st.tuples(st.just("unbind"), pick, HOST),
    st.tuples(st.just("trunk"), pick, st.none() | pick),
    st.tuples(st.just("add_subports"), pick, pick, st.integers(1, 2)),
    st.tuples(st.just("remove_subports"), pick, pick, st.just(0)),
    st.tuples(st.just("network policy"), st.booleans()),
    st.tuples(st.just("rule"), st.sampled_from(["egress", "ingress", "dscp"])),
    st.tuples(st.just("delete"), st.sampled_from(["trunk", "port"]), pick),
)


@dataclass
class World:
    """One network, and one policy."""

    column: Column
    network: str
    policy: str

    def caller(self, daemon: int = 0) -> Caller:
        return self.column.cloud.user("nova", daemon=daemon)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_column(tmp_path_factory.mktemp("walk"), workers=(1, 1)) as column:
        for name in ("h0", "h1"):
            column.cloud.register_chassis(name, name)
        caller = column.cloud.user("nova")
        network = caller.make("network")["id"]
        caller.make("subnet", network_id=network, ip_version=4, cidr="10.0.0.0/24")
        policy = caller.post("/v2.0/qos/policies", {"policy": {"name": "walk"}})[1]["policy"]["id"]
        yield World(column, network, policy)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 1), STEP), min_size=10, max_size=40))
async def test_after_any_history_the_northbound_is_what_the_resources_say(
    world: World, steps: list[tuple[int, Any]]
) -> None:
    try:
        for daemon, step in steps:
            status, body = perform(world, world.caller(daemon), step)
            assert status < 500, (step, body)
        check(world)
        await check_northbound(world)
    finally:
        clear(world)
    for table in ("Port_Binding", "Sub_Port", "Trunk", "QoS_Bandwidth_Limit_Rule", "QoS_DSCP_Marking_Rule"):
        assert world.column.cloud.cloud_db.select(table) == [], table


def perform(world: World, caller: Caller, step: Any) -> tuple[int, Any]:
    """Makes one step; (0, None) if there is nothing to make it with."""
    match step:
        case ("port", vip):
            fixed = {"fixed_ips": [{"ip_address": VIP}]} if vip else {}
            return caller.post("/v2.0/ports", {"port": {"network_id": world.network, **fixed}})
        case ("network policy", wanted):
            body = {"qos_policy_id": world.policy if wanted else None}
            return caller.put(f"/v2.0/networks/{world.network}", {"network": body})
        case ("rule", kind):
            base = f"/v2.0/qos/policies/{world.policy}"
            if kind == "dscp":
                return caller.post(f"{base}/dscp_marking_rules", {"dscp_marking_rule": {"dscp_mark": 26}})
            body = {"max_kbps": 1000, "direction": kind}
            return caller.post(f"{base}/bandwidth_limit_rules", {"bandwidth_limit_rule": body})
        case ("delete", kind, index):
            found = nth(ports(caller) if kind == "port" else caller.list(kind), index)
            return caller.delete(f"/v2.0/{kind}s/{found['id']}") if found is not None else (0, None)
        case ("add_subports" | "remove_subports" as action, index, which, tag):
            trunk, port = nth(caller.list("trunk"), index), nth(ports(caller), which)
            if trunk is None or port is None:
                return 0, None
            sub = {"port_id": port["id"], "segmentation_type": "vlan", "segmentation_id": tag or 1}
            return caller.put(f"/v2.0/trunks/{trunk['id']}/{action}", {"sub_ports": [sub]})
    port = nth(ports(caller), step[1])
    return on_port(world, caller, port, step) if port is not None else (0, None)


def on_port(world: World, caller: Caller, port: Any, step: Any) -> tuple[int, Any]:
    path = f"/v2.0/ports/{port['id']}"
    match step:
        case ("change", _, change):
            body = {k: world.policy if v == "POLICY" else v for k, v in change.items()}
            return caller.put(path, {"port": body})
        case ("place", _, host):
            return caller.put(path, {"port": {"binding:host_id": host}})
        case ("bind", _, host):
            return caller.post(f"{path}/bindings", {"binding": {"host": host}})
        case ("activate", _, host):
            return caller.call("PUT", f"{path}/bindings/{host}/activate")
        case ("unbind", _, host):
            return caller.delete(f"{path}/bindings/{host}")
        case ("trunk", _, which):
            child = nth(ports(caller), which) if which is not None else None
            sub = [{"port_id": child["id"], "segmentation_type": "vlan", "segmentation_id": 1}] if child else []
            return caller.post("/v2.0/trunks", {"trunk": {"port_id": port["id"], "sub_ports": sub}})
    raise AssertionError(step)


def ports(caller: Caller) -> list[Any]:
    return [port for port in caller.list("port") if not port["device_owner"].startswith("network:")]


def bindings(caller: Caller, port: Any) -> dict[str, str]:
    found = caller.get(f"/v2.0/ports/{port['id']}/bindings")[1]["bindings"]
    assert len({b["host"] for b in found}) == len(found)
    return {b["host"]: b["status"] for b in found}


def check(world: World) -> None:
    """The resources fit together."""
    caller = world.caller()
    trunks = caller.list("trunk")
    used = [t["port_id"] for t in trunks] + [s["port_id"] for t in trunks for s in t["sub_ports"]]
    assert len(set(used)) == len(used)
    assert set(used) <= {port["id"] for port in ports(caller)}
    for trunk in trunks:
        tags = [s["segmentation_id"] for s in trunk["sub_ports"]]
        assert len(set(tags)) == len(tags)
    for port in ports(caller):
        active = [host for host, status in bindings(caller, port).items() if status == "ACTIVE"]
        assert active == ([port["binding:host_id"]] if port["binding:host_id"] else [])


async def check_northbound(world: World) -> None:
    """The northbound has each port's parent, hosts and address to take over, each policy's row and each name."""
    caller = world.caller()
    found = ports(caller)
    nested = {s["port_id"]: (t["port_id"], s["segmentation_id"]) for t in caller.list("trunk") for s in t["sub_ports"]}
    wanted = {}
    for port in found:
        hosts = sorted(bindings(caller, port).items(), key=lambda item: item[1])
        parents = [
            p["id"] for p in found if p is not port and VIP in {a["ip_address"] for a in p["allowed_address_pairs"]}
        ]
        mine = {a["ip_address"] for a in port["fixed_ips"]}
        virtual = bool(parents) and VIP in mine and not port["binding:host_id"]
        wanted[port["id"]] = (
            nested.get(port["id"], (None, None)),
            ",".join(host for host, _ in hosts),
            ",".join(sorted(parents)) if virtual else "",
        )
    rules = caller.get(f"/v2.0/qos/policies/{world.policy}")[1]["policy"]["rules"]
    directions = {"to-lport" if rule.get("direction") == "ingress" else "from-lport" for rule in rules}
    with_policy = [p["id"] for p in found if p["qos_policy_id"] or p["qos_network_policy_id"]]
    marked = {(port, direction) for port in with_policy for direction in directions}
    addresses = {a["ip_address"] for p in found if p["dns_name"] == "web" and p["device_id"] for a in p["fixed_ips"]}
    async with world.column.northbound() as client:
        table = client.replica.rows

        def agrees() -> bool:
            lsps = [row for row in table(nb.LogicalSwitchPort).values() if row.name in wanted]
            shown = {
                row.name: (
                    (row.parent_name, row.tag),
                    row.options.get("requested-chassis", ""),
                    row.options.get("virtual-parents", "") if row.type == "virtual" else "",
                )
                for row in lsps
            }
            named = {ip for row in table(nb.DNS).values() for ip in row.records.get("web", "").split()}
            rows = {(row.external_ids["neutron:port_id"], row.direction) for row in table(nb.QoS).values()}
            return (shown, named, rows) == (wanted, addresses, marked)

        await until(agrees, "the northbound that the resources ask for")
    world.column.assert_sound()


def clear(world: World) -> None:
    caller = world.caller()
    for trunk in caller.list("trunk"):
        caller.remove("trunk", trunk["id"])
    for port in ports(caller):
        caller.remove("port", port["id"])
    caller.change("network", world.network, qos_policy_id=None)
    base = f"/v2.0/qos/policies/{world.policy}"
    for rule in caller.get(base)[1]["policy"]["rules"]:
        assert caller.delete(f"{base}/{rule['type']}_rules/{rule['id']}") == (204, None)
