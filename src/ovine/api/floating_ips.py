"""Floating IPs: planning of create, update and delete, and what keeps or frees them.

A floating IP has a port of its own on the external network (`network:floatingip`), which holds its address and MAC. It
is *associated* when it stands for a fixed address of a port; then it refers to all that it needs for that, so that none
of it can go in the same moment.

Tests: tests/api/test_api_floating_ips.py, tests/api/test_api_router_race.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from neutron_lib import exceptions as n_exc
from neutron_lib.exceptions import l3 as l3_exc

from ovine.api import ipam, qos_policies, router_ports
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import FipInUseByPortForwarding, PortHasPortForwarding
from ovine.api.metadata import unused_mac
from ovine.api.networks import visible
from ovine.api.policy import Judge, Target, not_found, target_of
from ovine.api.resources import FLOATING_IP, PORT, UNSET
from ovine.api.router_ports import FLOATING
from ovine.model.base import Uuid
from ovine.model.cloud import FloatingIP, IPAllocation, Network, Port, PortForwarding, Router, Subnet


def create(draft: Draft, env: Env, judge: Judge, given: dict[str, Any], parsed: dict[str, Any]) -> FloatingIP:
    """A new floating IP, associated if the request names a port."""
    project = parsed["project_id"]
    judge.require_create(FLOATING_IP, given, parsed, Target(project, project, False, False))
    network = visible(draft, judge, parsed["floating_network_id"])
    if not network.external:
        raise _bad(f"Network {network.uuid} is not a valid external network")
    uuid = draft.new_uuid()
    port, address = _floating_port(draft, env, network, uuid, parsed)
    floating = draft.insert_resource(
        FloatingIP(
            uuid=uuid,
            floating_network=network.uuid,
            floating_port=port.uuid,
            floating_ip_address=address,
            project_id=project,
            description=parsed["description"],
            dns_name=parsed["dns_name"],
            dns_domain=parsed["dns_domain"],
            association=uuid,
            qos_policy=qos_policies.chosen(draft, judge, parsed),
            tags=() if parsed["tags"] is UNSET else tuple(sorted(parsed["tags"])),
        ),
        revision=0,
    )
    if parsed["port_id"] is not None or parsed["fixed_ip_address"] is not None:
        floating = _associate(draft, judge, floating, parsed["port_id"], parsed["fixed_ip_address"])
    return floating


def update(draft: Draft, env: Env, judge: Judge, floating: FloatingIP, parsed: dict[str, Any]) -> None:
    """Changes a description, a policy, or for whom the floating IP stands."""
    judge.require_update(FLOATING_IP, parsed, target_of(draft, floating))
    columns = {"description": parsed["description"]} if "description" in parsed else {}
    floating = draft.update(
        floating, qos_policy=qos_policies.chosen(draft, judge, parsed, floating.qos_policy), **columns
    )
    if not parsed:
        parsed = {"port_id": None}  # of old, a floating IP had nothing else to change: nothing said is nobody named
    if "port_id" not in parsed and "fixed_ip_address" not in parsed:
        return
    port, fixed = parsed.get("port_id", floating.port), parsed.get("fixed_ip_address")
    if port is None and fixed is None and floating.port is not None:
        _free(draft, floating)
    elif port is not None or fixed is not None:
        _associate(draft, judge, floating, port, fixed)


def delete(draft: Draft, env: Env, judge: Judge, floating: FloatingIP) -> None:
    """Deletes a floating IP; its address is free again."""
    judge.require("delete_floatingip", target_of(draft, floating))
    check_forwards_nothing(draft, floating)
    port = draft.get(Port, floating.floating_port)
    draft.delete(floating)
    if port is not None:
        draft.delete(port)


# --- for ports --------------------------------------------------------------------------------------------------------


def free_all_of(draft: Draft, port: Port) -> None:
    """A port that goes leaves its floating IPs unassociated."""
    for floating in draft.find(FloatingIP, "port", port.uuid):
        _free(draft, floating)


def check_kept(draft: Draft, port: Port, fixed_ips: Iterable[Uuid | None]) -> None:
    """A port keeps the addresses for which floating IPs stand. Raises BadRequest."""
    for floating in draft.find(FloatingIP, "port", port.uuid):
        if floating.fixed_ip not in fixed_ips:
            raise n_exc.BadRequest(
                resource="port",
                msg=f"Cannot update the fixed IPs of port {port.uuid}: floating IP {floating.floating_ip_address} "
                "stands for one that would go",
            )


def is_floating_port(draft: Draft, port: Port) -> bool:
    return any(draft.find(FloatingIP, "floating_port", port.uuid))


# --- the address ------------------------------------------------------------------------------------------------------


def _bad(message: str) -> Exception:
    error: Exception = n_exc.BadRequest(resource="floatingip", msg=message)
    return error


def _floating_port(draft: Draft, env: Env, network: Network, owner: Uuid, parsed: dict[str, Any]) -> tuple[Port, str]:
    subnets = [subnet for subnet in draft.subnets_of(network.uuid) if subnet.ip_version == 4]
    if not subnets:
        raise n_exc.ExternalIpAddressExhausted(net_id=network.uuid)
    wanted: dict[str, str] = {}
    if parsed["subnet_id"] is not None:
        wanted["subnet_id"] = parsed["subnet_id"]
    if parsed["floating_ip_address"] is not None:
        wanted["ip_address"] = parsed["floating_ip_address"]
        if ipaddress.ip_address(wanted["ip_address"]).version != 4:
            raise _bad(f"{wanted['ip_address']} is not an IPv4 address, and floating IPs are IPv4 only")
    mac = unused_mac(draft, env, network)
    claim = ipam.Claim(network, mac, FLOATING)
    draft.rely(network)
    address = ipam.one_address(draft, env, claim, subnets, wanted)
    port = draft.insert_resource(
        Port(
            network=network.uuid,
            mac_address=mac,
            device_id=owner,
            device_owner=FLOATING,
            port_security_enabled=False,
            fixed_ips=ipam.store(draft, [address]),
        ),
        revision=1,
    )
    return port, address.ip


# --- for whom it stands -----------------------------------------------------------------------------------------------


def _free(draft: Draft, floating: FloatingIP) -> None:
    draft.update(
        floating, port=None, fixed_ip=None, router=None, interface=None, gateway=None, association=floating.uuid
    )


def _associate(draft: Draft, judge: Judge, floating: FloatingIP, port_id: Uuid | None, fixed: str | None) -> FloatingIP:
    if port_id is None:
        raise _bad("fixed_ip_address cannot be specified without a port_id")
    check_forwards_nothing(draft, floating)
    port = port_inside(draft, judge, floating, port_id)
    inside = address_inside(draft, port, fixed)
    if any(row.fixed_ip == inside.uuid for row in draft.find(PortForwarding, "port", port.uuid)):
        raise PortHasPortForwarding(
            floating_ip_address=floating.floating_ip_address,
            fip_id=floating.uuid,
            port_id=port.uuid,
            fixed_ip=inside.ip_address,
        )
    association = f"{floating.floating_network} {inside.uuid}"
    holder = next(draft.find(FloatingIP, "association", association), None)
    if holder is not None and holder.uuid != floating.uuid:
        raise l3_exc.FloatingIPPortAlreadyAssociated(
            port_id=port.uuid,
            fip_id=floating.uuid,
            floating_ip_address=floating.floating_ip_address,
            fixed_ip=inside.ip_address,
            net_id=floating.floating_network,
        )
    router, interface, gateway = way(draft, floating, port, inside)
    return draft.update(
        floating,
        port=port.uuid,
        fixed_ip=inside.uuid,
        router=router.uuid,
        interface=interface.uuid,
        gateway=gateway.uuid,
        association=association,
    )


def check_forwards_nothing(draft: Draft, floating: FloatingIP) -> None:
    """Raises FipInUseByPortForwarding."""
    if any(draft.find(PortForwarding, "floating_ip", floating.uuid)):
        raise FipInUseByPortForwarding(id=floating.uuid)


def port_inside(draft: Draft, judge: Judge, floating: FloatingIP, port_id: Uuid) -> Port:
    """A port that a floating IP may stand for. Raises PortNotFound, BadRequest."""
    port = draft.get(Port, port_id)
    if port is None or not judge.sees(PORT, target_of(draft, port)):
        raise not_found(PORT, port_id)
    if port.project_id != floating.project_id and not judge.caller.is_admin:
        raise _bad(
            f"Cannot process floating IP association with Port {port_id}, since that port is owned by a different "
            "project"
        )
    if router_ports.router_of(draft, port) is not None or port.device_owner == FLOATING:
        raise _bad(f"Cannot associate a floating IP with port {port_id}, since it is a port of a router")
    return port


def address_inside(draft: Draft, port: Port, fixed: str | None) -> IPAllocation:
    """The address that a floating IP is to stand for."""
    held = [row for row in draft.addresses_of(port) if ipaddress.ip_address(row.ip_address).version == 4]
    if fixed is not None:
        found = next((row for row in held if row.ip_address == fixed), None)
        if found is None:
            raise _bad(f"Port {port.uuid} does not have fixed ip {fixed}")
        return found
    if not held:
        raise _bad(f"Cannot add floating IP to port {port.uuid} that has no fixed IPv4 addresses")
    if len(held) > 1:
        raise _bad(
            f"Port {port.uuid} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when "
            "assigning a floating IP"
        )
    return held[0]


def way(draft: Draft, floating: FloatingIP, port: Port, inside: IPAllocation) -> tuple[Router, Port, Port]:
    """The router between a port and the external network; the one that is the subnet's gateway goes before others.

    A floating IP that forwards ports keeps to the router that it has. Raises ExternalGatewayForFloatingIPNotFound.
    """
    only = floating.router if floating.port is None else None
    subnet = draft.get(Subnet, inside.subnet)
    ways = []
    for interface in draft.router_interfaces(port.network):
        router = router_ports.router_of(draft, interface)
        address = router_ports.allocation_in(draft, interface, inside.subnet)
        if router is None or address is None or (only is not None and router.uuid != only):
            continue
        for gateway in router_ports.gateways(draft, router):
            if gateway.network == floating.floating_network:
                is_gateway = subnet is not None and address.ip_address == subnet.gateway_ip
                ways.append((not is_gateway, router.created_at, router.uuid, (router, interface, gateway)))
                break
    if not ways:
        raise l3_exc.ExternalGatewayForFloatingIPNotFound(
            subnet_id=inside.subnet, external_network_id=floating.floating_network, port_id=port.uuid
        )
    return min(ways, key=lambda way: way[:3])[3]
