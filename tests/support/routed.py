"""What tests of routers start from: an external network, a tenant's network, and routers between them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from support.api_server import Caller

_NUMBERS = itertools.count(1)


@dataclass
class Outside:
    """An external network with one IPv4 subnet."""

    network: Any
    subnet: Any

    @property
    def id(self) -> str:
        return str(self.network["id"])


def outside(admin: Caller, cidr: str = "172.24.5.0/24") -> Outside:
    number = next(_NUMBERS)
    segment = {"network_type": "vlan", "physical_network": "physnet1", "segmentation_id": 1000 + number}
    provider = {f"provider:{name}": value for name, value in segment.items()}
    network = admin.make("network", name=f"outside{number}", **{"router:external": True}, **provider)
    subnet = admin.make("subnet", network_id=network["id"], ip_version=4, cidr=cidr, enable_dhcp=False)
    return Outside(network, subnet)


def inside(caller: Caller, cidr: str = "10.0.0.0/24", **attributes: Any) -> tuple[Any, Any]:
    """A network and its subnet."""
    network = caller.make("network")
    version = 6 if ":" in cidr else 4
    return network, caller.make("subnet", network_id=network["id"], ip_version=version, cidr=cidr, **attributes)


def another_than(port: Any) -> str:
    """An address of the same /24 that the port, whose address was chosen at random, does not have."""
    own = ip_address(port["fixed_ips"][0]["ip_address"])
    return str(own + 1 if own.packed[-1] < 200 else own - 1)


def act(caller: Caller, router: Any, action: str, **body: Any) -> tuple[int, Any]:
    """A PUT of one of a router's actions: its status, and its body or the type of its error."""
    status, reply = caller.put(f"/v2.0/routers/{router['id']}/{action}", body)
    return status, reply["NeutronError"]["type"] if status >= 300 else reply


def join(caller: Caller, router: Any, subnet: Any) -> Any:
    status, reply = act(caller, router, "add_router_interface", subnet_id=subnet["id"])
    assert status == 200, reply
    return reply


def part(caller: Caller, router: Any, subnet: Any) -> tuple[int, Any]:
    return act(caller, router, "remove_router_interface", subnet_id=subnet["id"])


def refused(reply: tuple[int, Any]) -> tuple[int, str]:
    """Status and type of an error."""
    status, body = reply
    assert status >= 300, body
    return status, body["NeutronError"]["type"]


def gateway(network: Outside, *addresses: str, **more: Any) -> dict[str, Any]:
    """An external_gateway_info."""
    info: dict[str, Any] = {"network_id": network.id, **more}
    if addresses:
        info["external_fixed_ips"] = [{"subnet_id": network.subnet["id"], "ip_address": a} for a in addresses]
    return info
