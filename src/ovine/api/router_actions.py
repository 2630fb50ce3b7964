"""What a PUT of `/v2.0/routers/ID/ACTION` does: interfaces, extra routes, several gateways.

Each action is a plan on a draft, as those of `ovine.api.routers`; those of interfaces tell what they joined or parted.

Tests: tests/api/test_api_routers.py, tests/api/test_api_router_gateways.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neutron_lib import exceptions as n_exc
from neutron_lib.api import validators
from neutron_lib.exceptions import l3 as l3_exc
from neutron_lib.exceptions import l3_ext_gw_multihoming as gw_exc

from ovine.api import extra_routes, ipam, router_ports
from ovine.api.bodies import convert
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import bad_request
from ovine.api.metadata import unused_mac
from ovine.api.policy import Judge, not_found, target_of
from ovine.api.resources import PORT, ROUTER, SUBNET
from ovine.api.router_ports import INTERFACE, bad
from ovine.model.base import Map, Uuid
from ovine.model.cloud import FloatingIP, IPAllocation, Network, Port, PortForwarding, Router, Subnet

Result = dict[str, Any] | None
"""What an action tells; None where the reply shows the router."""
Action = Callable[[Draft, Env, Judge, Router], Result]


def parse(name: str, body: Any) -> Action:
    """The action that a request asks for. Raises HttpError, and KeyError if there is no such action."""
    if name in extra_routes.ACTIONS:
        change, routes = extra_routes.ACTIONS[name], extra_routes.parse(body)

        def act(draft: Draft, env: Env, judge: Judge, router: Router) -> Result:
            change(draft, env, router, routes)
            return None

        return act
    if name in _GATEWAYS:
        given = _parse_gateways(body)

        def act_on_gateways(draft: Draft, env: Env, judge: Judge, router: Router) -> Result:
            judge.require_parts(f"{name}:external_gateways", given, target_of(draft, router))
            return _GATEWAYS[name](draft, env, judge, router, given)

        return act_on_gateways
    joined = _parse_interface(body)
    return lambda draft, env, judge, router: _INTERFACES[name](draft, env, judge, router, *joined)


# --- interfaces -------------------------------------------------------------------------------------------------------


def _parse_interface(body: Any) -> tuple[Uuid | None, Uuid | None]:
    """The port and the subnet that a body names: one of them, or both when an interface is removed."""
    if not isinstance(body, dict):
        raise bad_request("Invalid request body: it needs subnet_id or port_id")
    found: list[Uuid | None] = []
    for name in ("port_id", "subnet_id"):
        value = body.get(name)
        if value is not None and (reason := validators.validate_uuid(value)):
            raise bad_request(f"Invalid input for {name}. Reason: {reason}.")
        found.append(value)
    if not any(found):
        raise bad("Either subnet_id or port_id must be specified")
    return found[0], found[1]


def _info(router: Router, port: Port, subnets: list[Uuid]) -> Result:
    return {
        "id": router.uuid,
        "project_id": router.project_id,
        "port_id": port.uuid,
        "network_id": port.network,
        "subnet_id": subnets[-1],
        "subnet_ids": subnets,
    }


def _add_interface(
    draft: Draft, env: Env, judge: Judge, router: Router, port_id: Uuid | None, subnet_id: Uuid | None
) -> Result:
    if port_id and subnet_id:
        raise bad("Cannot specify both subnet-id and port-id")
    if port_id:
        return _join_port(draft, judge, router, port_id)
    subnet = draft.get(Subnet, subnet_id or "")
    if subnet is None or not judge.sees(SUBNET, target_of(draft, subnet)):
        raise not_found(SUBNET, subnet_id or "")
    return _join_subnet(draft, env, router, subnet)


def _join_port(draft: Draft, judge: Judge, router: Router, port_id: Uuid) -> Result:
    port = draft.get(Port, port_id)
    if port is None or not judge.sees(PORT, target_of(draft, port)):
        raise not_found(PORT, port_id)
    if port.device_id:
        raise n_exc.PortInUse(net_id=port.network, port_id=port.uuid, device_id=port.device_id)
    subnets = router_ports.subnets_of(draft, [port])
    if not subnets:
        raise bad("Router port must have at least one fixed IP")
    if sum(address.subnet in _of_version(subnets, 4) for address in draft.addresses_of(port)) > 1:
        raise bad("Cannot have multiple IPv4 subnets on router port")
    router_ports.check_apart(draft, router, subnets)
    other = _ipv6_interface(draft, router, port.network)
    if other is not None and _of_version(subnets, 6):
        raise bad(
            f"Router already contains IPv6 port {other.uuid} belonging to network id {port.network}. "
            "Only one IPv6 port from the same network subnet can be connected to a router"
        )
    for subnet in subnets:
        _check_advertised(subnet)
    draft.update(port, device_id=router.uuid, device_owner=INTERFACE)
    draft.update(router, interfaces=tuple(sorted((*router.interfaces, port.uuid))))
    return _info(router, port, [subnet.uuid for subnet in subnets])


def _of_version(subnets: list[Subnet], version: int) -> set[Uuid]:
    return {subnet.uuid for subnet in subnets if subnet.ip_version == version}


def _ipv6_interface(draft: Draft, router: Router, network: Uuid) -> Port | None:
    """The one interface by which a router has all its IPv6 subnets of a network."""
    for port in router_ports.interfaces(draft, router):
        if port.network == network and _of_version(router_ports.subnets_of(draft, [port]), 6):
            return port
    return None


def _check_advertised(subnet: Subnet) -> None:
    """Two routers would advertise themselves if hosts already get advertisements from elsewhere."""
    if subnet.ip_version == 6 and subnet.ipv6_address_mode and not subnet.ipv6_ra_mode:
        raise bad(
            f"IPv6 subnet {subnet.uuid} configured to receive RAs from an external router cannot be added to "
            "Neutron Router"
        )


def _join_subnet(draft: Draft, env: Env, router: Router, subnet: Subnet) -> Result:
    if not subnet.gateway_ip:
        raise bad("Subnet for router interface must have a gateway IP")
    _check_advertised(subnet)
    router_ports.check_apart(draft, router, [subnet])
    network = draft.get(Network, subnet.network)
    if network is None:
        raise n_exc.NetworkNotFound(net_id=subnet.network)
    wanted = [{"subnet_id": subnet.uuid, "ip_address": subnet.gateway_ip}]
    port = _ipv6_interface(draft, router, network.uuid) if subnet.ip_version == 6 else None
    if port is not None:
        held = draft.addresses_of(port)
        asked = [{"subnet_id": row.subnet, "ip_address": row.ip_address} for row in held] + wanted
        claim = ipam.Claim(network, port.mac_address, INTERFACE, held)
        port = draft.update(port, fixed_ips=ipam.store(draft, ipam.assign(draft, env, claim, asked), held))
        draft.touch(router)
        return _info(router, port, [subnet.uuid])
    mac = unused_mac(draft, env, network)
    claim = ipam.Claim(network, mac, INTERFACE)
    port = draft.insert_resource(
        Port(
            network=network.uuid,
            project_id=router.project_id,
            mac_address=mac,
            device_id=router.uuid,
            device_owner=INTERFACE,
            port_security_enabled=False,
            fixed_ips=ipam.store(draft, ipam.assign(draft, env, claim, wanted)),
        ),
        revision=1,
    )
    draft.update(router, interfaces=tuple(sorted((*router.interfaces, port.uuid))))
    return _info(router, port, [subnet.uuid])


def _remove_interface(
    draft: Draft, env: Env, judge: Judge, router: Router, port_id: Uuid | None, subnet_id: Uuid | None
) -> Result:
    ports = router_ports.interfaces(draft, router)
    if port_id:
        port = next((p for p in ports if p.uuid == port_id), None)
        if port is None:
            raise l3_exc.RouterInterfaceNotFound(router_id=router.uuid, port_id=port_id)
        subnets = router_ports.subnets_of(draft, [port])
        if subnet_id and all(subnet.uuid != subnet_id for subnet in subnets):
            raise n_exc.SubnetMismatchForPort(port_id=port_id, subnet_id=subnet_id)
        return _part(draft, router, port, subnets)
    for port in ports:
        subnets = router_ports.subnets_of(draft, [port])
        parting = [subnet for subnet in subnets if subnet.uuid == subnet_id]
        if parting:
            return _part(draft, router, port, parting)
    if draft.get(Subnet, subnet_id or "") is None:
        raise not_found(SUBNET, subnet_id or "")
    raise l3_exc.RouterInterfaceNotFoundForSubnet(router_id=router.uuid, subnet_id=subnet_id)


def _part(draft: Draft, router: Router, port: Port, subnets: list[Subnet]) -> Result:
    """Takes a router out of subnets; its port goes with the last of the port's."""
    parting = {subnet.uuid for subnet in subnets}
    router_ports.check_no_routes(draft, router, subnets)
    for floating in draft.find(FloatingIP, "router", router.uuid):
        inside = draft.get(IPAllocation, floating.fixed_ip or "")
        if inside is not None and floating.interface == port.uuid and inside.subnet in parting:
            raise l3_exc.RouterInterfaceInUseByFloatingIP(router_id=router.uuid, subnet_id=subnets[0].uuid)
    for forwarding in draft.find(PortForwarding, "interface", port.uuid):
        inside = draft.get(IPAllocation, forwarding.fixed_ip)
        if inside is not None and inside.subnet in parting:
            raise l3_exc.RouterInterfaceInUseByFloatingIP(router_id=router.uuid, subnet_id=subnets[0].uuid)
    held = draft.addresses_of(port)
    kept = [ipam.Address(row.subnet, row.ip_address) for row in held if row.subnet not in parting]
    if kept:
        draft.update(port, fixed_ips=ipam.store(draft, kept, held))
        draft.touch(router)
    else:
        draft.update(router, interfaces=tuple(uuid for uuid in router.interfaces if uuid != port.uuid))
        draft.delete(port)
    return _info(router, port, [subnet.uuid for subnet in subnets])


_INTERFACES = {"add_router_interface": _add_interface, "remove_router_interface": _remove_interface}


# --- gateways ---------------------------------------------------------------------------------------------------------


def _parse_gateways(body: Any) -> list[dict[str, Any]]:
    """The gateways of a body. Raises HttpError and neutron-lib's errors."""
    router = body.get("router") if isinstance(body, dict) else None
    if not isinstance(router, dict) or set(router) != {"external_gateways"}:
        raise bad_request("Invalid request body: it needs a router with external_gateways, a list")
    items = router["external_gateways"]
    if items is None or items == {}:
        return []
    if not isinstance(items, list):
        raise bad_request("Invalid input for external_gateways. Reason: it must be a list.")
    return [_parse_gateway(item) for item in items]


def _parse_gateway(item: Any) -> dict[str, Any]:
    attributes = {"external_gateway_info": item}
    convert(ROUTER, attributes, "external_gateway_info")
    found: dict[str, Any] = attributes["external_gateway_info"]
    if not found:
        raise bad_request("Invalid input for external_gateways. Reason: each needs a network_id.")
    return found


def _snat(env: Env, given: list[dict[str, Any]], router: Router) -> bool:
    """Translation is the router's, so that all that say something about it must agree."""
    said = {bool(gateway["enable_snat"]) for gateway in given if "enable_snat" in gateway}
    if len(said) > 1:
        raise bad("enable_snat must be the same for all gateways of a router")
    if said:
        return said.pop()
    return router.enable_snat if router.gateways else env.config.enable_snat_by_default


def _add_gateways(draft: Draft, env: Env, judge: Judge, router: Router, given: list[dict[str, Any]]) -> Result:
    router = draft.update(router, enable_snat=_snat(env, given, router))
    for info in given:
        wanted = router_ports.asked(draft, judge, info)
        router = router_ports.add_gateway(draft, env, router, wanted, len(router.gateways))
    return None


def _update_gateways(draft: Draft, env: Env, judge: Judge, router: Router, given: list[dict[str, Any]]) -> Result:
    """Makes these all of a router's gateways, in this order: those that match one keep its port, others are made."""
    router = draft.update(router, enable_snat=_snat(env, given, router))
    matched = _matched(draft, router, given)
    for port in router_ports.gateways(draft, router):
        if all(port is not other for other in matched):
            router = router_ports.drop_gateway(draft, router, port)
    order: list[Uuid] = []
    for info, present in zip(given, matched, strict=True):
        wanted = router_ports.asked(draft, judge, info)
        if present is not None:
            router = router_ports.change_gateway(draft, env, router, present, wanted)
            order.append(present.uuid)
        else:
            place = len(router.gateways)
            router = router_ports.add_gateway(draft, env, router, wanted, place)
            order.append(router.gateways[place])
    draft.update(router, gateways=Map(enumerate(order)))
    return None


def _matched(draft: Draft, router: Router, given: list[dict[str, Any]]) -> list[Port | None]:
    """For each gateway asked for, the one that there is on its network; rather one with an address that it names."""
    left = router_ports.gateways(draft, router)
    found: list[Port | None] = []
    for info in given:
        named = _addresses_in(info)
        there = [port for port in left if port.network == info["network_id"]]
        there.sort(key=lambda port: named.isdisjoint(row.ip_address for row in draft.addresses_of(port)))
        found.append(there[0] if there else None)
        left = [port for port in left if port is not found[-1]]
    return found


def _addresses_in(info: dict[str, Any]) -> set[str]:
    return {item["ip_address"] for item in info.get("external_fixed_ips") or () if "ip_address" in item}


def _remove_gateways(draft: Draft, env: Env, judge: Judge, router: Router, given: list[dict[str, Any]]) -> Result:
    """Gives up the gateways named, or all if none is."""
    for port in () if given else router_ports.gateways(draft, router):
        router = router_ports.drop_gateway(draft, router, port)
    for info in given:
        router = router_ports.drop_gateway(draft, router, _named(draft, router, info))
    return None


def _named(draft: Draft, router: Router, info: dict[str, Any]) -> Port:
    """The gateway that a request means: that on the network, with all addresses named. Raises UnableToMatchGateways."""
    named = _addresses_in(info)
    ports = [port for port in router_ports.gateways(draft, router) if port.network == info["network_id"]]
    ports = [port for port in ports if named.issubset(row.ip_address for row in draft.addresses_of(port))]
    if len(ports) != 1:
        raise gw_exc.UnableToMatchGateways(router_id=router.uuid)
    return ports[0]


_GATEWAYS = {
    "add_external_gateways": _add_gateways,
    "update_external_gateways": _update_gateways,
    "remove_external_gateways": _remove_gateways,
}
NAMES = frozenset({*_INTERFACES, *extra_routes.ACTIONS, *_GATEWAYS})
