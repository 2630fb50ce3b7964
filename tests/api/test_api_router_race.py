"""Several API processes at once: routers and floating IPs never end up in a state that one process would refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.api_server import Caller, Cloud, running_cloud
from support.routed import act, inside, join, outside, part

ROUNDS = 6


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    directory: Path = tmp_path_factory.mktemp("two")
    with running_cloud(directory, daemons=(1, 1)) as running:
        yield running


@pytest.fixture
def callers(two_processes: Cloud) -> list[Caller]:
    return [two_processes.user("admin", daemon=number % 2) for number in range(4)]


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_one_of_many_floating_ips_gets_the_port(callers: list[Caller]) -> None:
    admin = callers[0]
    public = outside(admin)
    network, subnet = inside(admin, "10.0.0.0/24")
    join(admin, admin.make("router", external_gateway_info={"network_id": public.id}), subnet)
    for _ in range(ROUNDS):
        port = admin.make("port", network_id=network["id"])
        made = [admin.make("floatingip", floating_network_id=public.id) for _ in callers]
        body = {"floatingip": {"port_id": port["id"]}}

        def take(caller: Caller, floating: Any, body: Any = body) -> int:
            return caller.put(f"/v2.0/floatingips/{floating['id']}", body)[0]

        calls = [lambda c=c, f=f, t=take: t(c, f) for c, f in zip(callers, made, strict=True)]
        assert sorted(at_once(*calls)) == [200, 409, 409, 409]
        assert len(admin.list("floatingip", f"port_id={port['id']}")) == 1


def test_an_association_and_the_end_of_what_it_needs_do_not_both_happen(callers: list[Caller]) -> None:
    admin, one, two, _ = callers
    public = outside(admin)
    network, subnet = inside(admin, "10.0.0.0/24")
    for turn in range(ROUNDS):
        router = admin.make("router", external_gateway_info={"network_id": public.id})
        join(admin, router, subnet)
        port = admin.make("port", network_id=network["id"])
        floating = admin.make("floatingip", floating_network_id=public.id)

        def associate(floating: Any = floating, port: Any = port) -> int:
            return one.put(f"/v2.0/floatingips/{floating['id']}", {"floatingip": {"port_id": port["id"]}})[0]

        def end(turn: int = turn, router: Any = router) -> int:
            if turn % 2:
                return part(two, router, subnet)[0]
            gone = {"router": {"external_gateway_info": None}}
            return two.put(f"/v2.0/routers/{router['id']}", gone)[0]

        assert sorted(at_once(associate, end)) in ([200, 404], [200, 409])
        shown = admin.show("floatingip", floating["id"])
        assert (shown["router_id"] is None) == (shown["port_id"] is None)
        admin.remove("floatingip", floating["id"])
        part(admin, router, subnet)
        admin.remove("router", router["id"])


def test_a_port_deleted_while_it_is_given_a_floating_ip_leaves_a_free_one(callers: list[Caller]) -> None:
    admin, one, two, _ = callers
    public = outside(admin)
    network, subnet = inside(admin, "10.0.0.0/24")
    join(admin, admin.make("router", external_gateway_info={"network_id": public.id}), subnet)
    for _ in range(ROUNDS):
        port = admin.make("port", network_id=network["id"])
        floating = admin.make("floatingip", floating_network_id=public.id)
        path, body = f"/v2.0/floatingips/{floating['id']}", {"floatingip": {"port_id": port["id"]}}
        associated, deleted = at_once(
            lambda path=path, body=body: one.put(path, body)[0],
            lambda port=port: two.delete(f"/v2.0/ports/{port['id']}")[0],
        )
        assert deleted == 204
        assert associated in (200, 404)
        assert admin.show("floatingip", floating["id"])["port_id"] is None


def test_overlapping_subnets_joined_at_once_become_one(callers: list[Caller]) -> None:
    admin = callers[0]
    subnets = [inside(admin, cidr)[1] for cidr in ("10.0.0.0/16", "10.0.1.0/24", "10.0.2.0/24", "10.0.0.0/17")]
    for _ in range(ROUNDS):
        router = admin.make("router")

        def add(caller: Caller, subnet: Any, router: Any = router) -> int:
            return act(caller, router, "add_router_interface", subnet_id=subnet["id"])[0]

        calls = [lambda c=c, s=s, a=add: a(c, s) for c, s in zip(callers, subnets, strict=True)]
        results = at_once(*calls)
        joined = [subnet for subnet, status in zip(subnets, results, strict=True) if status == 200]
        assert set(results) == {200, 400}
        assert len(joined) == 1 or {s["cidr"] for s in joined} == {"10.0.1.0/24", "10.0.2.0/24"}
        ports = admin.list("port", f"device_id={router['id']}")
        assert {p["fixed_ips"][0]["subnet_id"] for p in ports} == {s["id"] for s in joined}
        for subnet in joined:
            part(admin, router, subnet)
        admin.remove("router", router["id"])
