"""How long POST /v2.0/ports takes, with one client and with four, at growing numbers of ports.

    .venv/bin/python bench/api_port_create.py [--ports 300] [--workers 1]

Real processes: ovsdb-server for the Cloud and the southbound database, the API daemon, one connection per client. Times
are those of the client, in milliseconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import httpx

from support.api_server import Caller, Cloud, running_cloud


def timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def quantile(times: list[float], share: float) -> float:
    return sorted(times)[min(int(len(times) * share), len(times) - 1)]


def clients(cloud: Cloud, count: int) -> list[Caller]:
    """Callers with a connection each."""
    token = cloud.user("admin").token
    base = cloud.daemons[0].network
    return [Caller(base, token, httpx.Client(trust_env=False, timeout=60)) for _ in range(count)]


def create_ports(caller: Caller, network: str, count: int) -> list[float]:
    body = {"port": {"network_id": network}}

    def create() -> None:
        status, reply = caller.post("/v2.0/ports", body)
        assert status == 201, reply

    return [timed(create) for _ in range(count)]


def report(name: str, times: list[float], seconds: float | None = None) -> None:
    rate = "" if seconds is None else f"  {len(times) / seconds:7.0f}/s"
    print(f"{name:<44} p50 {quantile(times, 0.5):7.2f}  p95 {quantile(times, 0.95):7.2f}{rate}", flush=True)


def run(cloud: Cloud, ports: int) -> None:
    admin = cloud.user("admin")
    network = admin.make("network", name="bench")["id"]
    admin.make("subnet", network_id=network, ip_version=4, cidr="10.0.0.0/16")
    modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    admin.make("subnet", network_id=network, ip_version=6, cidr="fd00::/64", **modes)
    create_ports(admin, network, 20)
    for count in (1, 4):
        callers = clients(cloud, count)
        started = time.perf_counter()
        with ThreadPoolExecutor(count) as pool:
            parts = list(pool.map(partial(create_ports, network=network, count=ports // count), callers))
        report(
            f"create a port, {count} client{'s' if count > 1 else ''}",
            [t for part in parts for t in part],
            time.perf_counter() - started,
        )
    hundred = {"ports": [{"network_id": network}] * 100}
    report("create 100 ports in one request", [timed(lambda: admin.post("/v2.0/ports", hundred)) for _ in range(5)])
    made = [port["id"] for port in admin.list("port") if not port["device_owner"]]
    report(f"list {len(made) + 1} ports", [timed(lambda: admin.list("port")) for _ in range(10)])
    report("show a port", [timed(lambda uuid=uuid: admin.show("port", uuid)) for uuid in made[:200]])  # type: ignore[misc]
    report(
        "update a port",
        [timed(lambda uuid=uuid: admin.change("port", uuid, name="new")) for uuid in made[:200]],  # type: ignore[misc]
    )
    report("delete a port", [timed(lambda uuid=uuid: admin.remove("port", uuid)) for uuid in made[:200]])  # type: ignore[misc]
    report("create a network", [timed(lambda: admin.make("network")) for _ in range(50)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ports", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="ovine-bench-") as directory,
        running_cloud(Path(directory), daemons=(arguments.workers,)) as cloud,
    ):
        run(cloud, arguments.ports)


if __name__ == "__main__":
    main()
