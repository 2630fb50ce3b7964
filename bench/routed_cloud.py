"""A routed cloud in a lab: two networks, a router, a provider network with a machine outside, a floating IP.

    red 10.1.0.0/24 (red1 on h1, with a floating IP) ─┐
                                                     router ── public 203.0.113.0/24 ── internet (203.0.113.1)
    blue 10.2.0.0/24 (blue1, on the spare gateway) ──┘          on physnet1, flat

Two of the three hosts may be gateways: h2 and h3. All of it is made through the API, as tenants and an administrator
would; benches and tests/lab/test_lab_routing.py share it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ovine.lab import Instance, Lab
from ovine.lab.endpoint import Endpoint
from ovine.lab.traffic import Ping
from ovine.lab.waiting import wait_for

GATEWAYS = ("h2", "h3")
INTERNET = "203.0.113.1"
RED, BLUE, PUBLIC = "10.1.0.0/24", "10.2.0.0/24", "203.0.113.0/24"


@dataclass
class RoutedCloud:
    """The parts, by the API's ids, and who plays in it."""

    lab: Lab
    router: dict[str, Any]
    public: dict[str, Any]
    internet: Endpoint
    red1: Instance
    blue1: Instance
    floating_ip: str

    @property
    def gateway(self) -> str:
        """The host that has the router's gateway port."""
        return gateway_of(self.lab)

    @property
    def spare(self) -> str:
        """The gateway that takes over when the other one is gone."""
        return next(host for host in GATEWAYS if host != self.gateway)

    @property
    def snat_address(self) -> str:
        """The address that instances without a floating IP have outside."""
        router = self.lab.cloud.get(f"routers/{self.router['id']}")["router"]
        return str(router["external_gateway_info"]["external_fixed_ips"][0]["ip_address"])


def allow_gateways(lab: Lab) -> None:
    """Says which hosts may have routers' gateway ports."""
    for host in GATEWAYS:
        lab.vsctl(host, "set", "Open_vSwitch", ".", "external_ids:ovn-cms-options=enable-chassis-as-gw")
    for host in GATEWAYS:

        def told(host: str = host) -> bool:
            return "enable-chassis-as-gw" in lab.sbctl("get", "Chassis", host, "other_config")

        wait_for(told, f"{host} saying that it may be a gateway", 15.0)


def gateway_of(lab: Lab) -> str:
    """The host that has the (one) gateway port."""

    def bound() -> str:
        chassis = lab.sbctl("--bare", "--columns=chassis", "find", "Port_Binding", "type=chassisredirect").strip()
        return lab.sbctl("get", "Chassis", chassis, "name").strip().strip('"') if chassis else ""

    return wait_for(bound, "a host that has the gateway port", 30.0)


def make(lab: Lab, *, mtu: int | None = None) -> RoutedCloud:
    """Makes the cloud in a lab of three hosts. `mtu` is that of the public network."""
    allow_gateways(lab)
    cloud = lab.cloud
    public = external_network(lab, mtu)
    internet = lab.outside("internet", f"{INTERNET}/24")
    internet.add_route(RED, f"{INTERNET[:-1]}254")
    subnets = [tenant_subnet(lab, name, cidr) for name, cidr in (("red", RED), ("blue", BLUE))]
    router = cloud.post("routers", {"router": {"name": "r1", "external_gateway_info": {"network_id": public["id"]}}})
    router = router["router"]
    for subnet in subnets:
        cloud.put(f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    open_up(lab, router["project_id"])
    gateway = gateway_of(lab)
    red1 = lab.boot("red1", network="red", host="h1")
    blue1 = lab.boot("blue1", network="blue", host=next(host for host in GATEWAYS if host != gateway))
    wanted = {"floating_network_id": public["id"], "port_id": red1.record.port_id}
    floating = cloud.post("floatingips", {"floatingip": wanted})["floatingip"]
    lab.sync()
    return RoutedCloud(lab, router, public, internet, red1, blue1, floating["floating_ip_address"])


def external_network(lab: Lab, mtu: int | None = None) -> dict[str, Any]:
    """The provider network, flat on physnet1, whose gateway is the machine outside."""
    body: dict[str, Any] = {
        "name": "public",
        "router:external": True,
        "provider:network_type": "flat",
        "provider:physical_network": "physnet1",
    }
    network = lab.cloud.post("networks", {"network": body | ({"mtu": mtu} if mtu else {})})["network"]
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": PUBLIC, "gateway_ip": INTERNET}
    lab.cloud.post("subnets", {"subnet": {**subnet, "enable_dhcp": False}})
    return dict(network)


def tenant_subnet(lab: Lab, name: str, cidr: str) -> dict[str, Any]:
    """A network with one subnet."""
    network = lab.cloud.post("networks", {"network": {"name": name}})["network"]
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": cidr}
    return dict(lab.cloud.post("subnets", {"subnet": subnet})["subnet"])


def open_up(lab: Lab, project: str) -> None:
    """Lets everybody ping the project's instances and connect to them."""
    groups = lab.cloud.get("security-groups", project_id=project)["security_groups"]
    group = next(group for group in groups if group["name"] == "default")
    for protocol in ("icmp", "tcp"):
        rule = {"security_group_id": group["id"], "direction": "ingress", "protocol": protocol}
        lab.cloud.post("security-group-rules", {"security_group_rule": rule})


# --- traffic ----------------------------------------------------------------------------------------------------------


KINDS = ("routed", "floating IP", "SNAT")


def pings(
    cloud: RoutedCloud, happening: Callable[[], object], interval: float = 0.01, patience: float = 30.0
) -> dict[str, Ping]:
    """Pings of all kinds of traffic while something happens and until answers come again, by kind.

    *routed*: from an instance to one of another network on another host; *floating IP*: from outside to an instance;
    *SNAT*: from an instance to outside.
    """
    ways = {
        "routed": (cloud.red1, cloud.blue1.addresses[0].split("/")[0]),
        "floating IP": (cloud.internet, cloud.floating_ip),
        "SNAT": (cloud.blue1, INTERNET),
    }
    for sender, target in ways.values():
        sender.wait_reaches(target, timeout=patience)
    started = {kind: sender.ping_in_background(target, interval=interval) for kind, (sender, target) in ways.items()}
    try:
        happening()
    finally:
        outcomes = {kind: ping.stop(patience) for kind, ping in started.items()}
    return outcomes


@dataclass
class Outage:
    """What a ping lost while something happened."""

    sent: int
    lost: int


def lost_during(
    sender: Endpoint, target: str, happening: Callable[[], object], interval: float = 0.01, patience: float = 20.0
) -> Outage:
    """Pings while something happens and until answers come again; what was lost in between."""
    sender.wait_reaches(target)
    pinging = sender.ping_in_background(target, interval=interval)
    try:
        happening()
    finally:
        outcome = pinging.stop(patience)
    return Outage(outcome.sent, outcome.sent - outcome.received)
