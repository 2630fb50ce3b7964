"""The cloud of the demo, made by the real `openstack` client as an administrator and two tenants would.

    public 203.0.113.0/24 ─ red-router ─┬─ red-net 10.0.0.0/24 (red1, red2)
                                        └─ red-db  10.0.1.0/24 (db1)
    blue-net 10.0.0.0/24 (blue1, blue2), for itself

Tests: tests/lab/test_demo.py.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ovine.lab.central import ADMIN_CLOUD
from ovine.lab.endpoint import Endpoint
from ovine.lab.errors import LabError
from ovine.lab.instance import Instance
from ovine.lab.lab import Lab
from ovine.lab.tools import run

RANGE, DB_RANGE, PUBLIC_RANGE = "10.0.0.0/24", "10.0.1.0/24", "203.0.113.0/24"
OUTSIDE = "203.0.113.1"
NAME_SERVER = "203.0.113.53"
"""Nobody is there: each host answers for the names of its networks itself, whatever server is asked."""
CLIENT_TIMEOUT = 60.0


@dataclass(frozen=True)
class Guest:
    """An instance of the demo. Both tenants use the same range, and one address is used twice."""

    name: str
    tenant: str
    network: str
    host: str
    address: str


RED1 = Guest("red1", "red", "red-net", "h1", "10.0.0.11")
RED2 = Guest("red2", "red", "red-net", "h2", "10.0.0.12")
DB1 = Guest("db1", "red", "red-db", "h3", "10.0.1.21")
BLUE1 = Guest("blue1", "blue", "blue-net", "h1", "10.0.0.11")
BLUE2 = Guest("blue2", "blue", "blue-net", "h3", "10.0.0.13")
GUESTS = (RED1, RED2, DB1, BLUE1, BLUE2)


@dataclass(frozen=True)
class Client:
    """The real `openstack` client, as a tenant or an administrator would call it."""

    clouds_file: Path

    def __call__(self, cloud: str, *words: str) -> str:
        program = shutil.which("openstack", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if program is None:
            raise LabError("the openstack client is not installed: pip install 'ovine[lab]'")
        environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(self.clouds_file)}
        return run([program, "--os-cloud", cloud, *words], timeout=CLIENT_TIMEOUT, env=environment)


@dataclass
class DemoCloud:
    """What was made, and who plays in it."""

    lab: Lab
    openstack: Client
    instances: dict[Guest, Instance]
    internet: Endpoint
    floating_ip: str
    """red1's address outside."""


def make(lab: Lab) -> DemoCloud:
    """Makes networks, routers and instances; what does not depend on each other, side by side."""
    openstack = Client(lab.spec.clouds_file)
    with side_by_side(3) as pool:
        red_net = pool.submit(make_network, openstack, "red", "red-net", RANGE)
        made = [
            pool.submit(make_network, openstack, "red", "red-db", DB_RANGE),
            pool.submit(make_network, openstack, "blue", "blue-net", RANGE),
        ]
        public = pool.submit(make_public, openstack)
        internet = lab.outside("internet", f"{OUTSIDE}/24")
        public.result()
        red_net.result()
        made[0].result()
        router = pool.submit(make_router, openstack)
        made[1].result()
        instances = dict(zip(GUESTS, pool.map(lambda guest: boot(lab, guest), GUESTS), strict=True))
        router.result()
    port = instances[RED1].record.port_id
    floating_ip = openstack(
        "red", "floating", "ip", "create", "public", "--port", port, "-f", "value", "-c", "floating_ip_address"
    ).strip()
    lab.sync()
    return DemoCloud(lab, openstack, instances, internet, floating_ip)


@contextlib.contextmanager
def side_by_side(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for things to be done; after an error or Ctrl-C what has not begun is left undone."""
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def make_public(openstack: Client) -> None:
    """The provider network that routers of all tenants may use."""
    provider = ("--provider-network-type", "flat", "--provider-physical-network", "physnet1")
    openstack(ADMIN_CLOUD, "network", "create", "public", "--external", *provider)
    where = ("--subnet-range", PUBLIC_RANGE, "--gateway", OUTSIDE, "--no-dhcp")
    openstack(ADMIN_CLOUD, "subnet", "create", "public-subnet", "--network", "public", *where)


def make_network(openstack: Client, tenant: str, name: str, cidr: str) -> None:
    openstack(tenant, "network", "create", name)
    where = ("--network", name, "--subnet-range", cidr, "--dns-nameserver", NAME_SERVER)
    openstack(tenant, "subnet", "create", f"{name}-v4", *where)


def make_router(openstack: Client) -> None:
    openstack("red", "router", "create", "red-router", "--external-gateway", "public")
    for subnet in ("red-net-v4", "red-db-v4"):
        openstack("red", "router", "add", "subnet", "red-router", subnet)


def boot(lab: Lab, guest: Guest) -> Instance:
    return lab.boot(guest.name, network=guest.network, host=guest.host, address=guest.address)
