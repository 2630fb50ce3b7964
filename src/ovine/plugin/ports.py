"""A port is a logical switch port, named by its id; a network's metadata port is a `localport`, a router's a `router`.

A subport of a trunk names its parent and has a tag. A port whose address others may use is `virtual`: it is where the
one is that announces the address.

The port that holds a floating IP's address has no row: the router answers for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Reader, rule
from ovine.model import cloud, nb
from ovine.model.base import Map, Uuid
from ovine.plugin import addresses as columns
from ovine.plugin.dhcp import DHCP_OPTIONS, options_of_port
from ovine.plugin.inputs import BINDINGS_OF_PORT, DISTRIBUTED, Address, addresses, nested, virtual
from ovine.plugin.nat import FLOATING_IPS_OF_PORT, FLOATING_PORTS
from ovine.plugin.networks import MEMBERS, SWITCH_PORTS, switch_name
from ovine.plugin.router_places import Place, lrp_name, place
from ovine.plugin.security import groups_of
from ovine.projection import ref


@rule(over=cloud.Port, writes=(SWITCH_PORTS, MEMBERS))
def switch_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A logical switch port for each port."""
    if q.find(FLOATING_PORTS, key):
        return
    where = place(q, key)
    if where is not None:
        yield from _router_side(q, key, where)
        return
    port = q.row(cloud.Port, key)
    fixed = addresses(q, key)
    ips = [address.ip for address in fixed]
    pairs = columns.pairs_of(port.allowed_address_pairs)
    distributed = port.device_owner == DISTRIBUTED
    secure = port.port_security_enabled and not port.device_owner.startswith("network:")
    options = _requested(q, key)
    inside, taken = nested(q, key), virtual(q, key)
    if taken is not None:
        options |= {"virtual-ip": taken.ip, "virtual-parents": ",".join(taken.parents)}
    served = {version: options_of_port(q, key, version) for version in (4, 6)}
    yield MEMBERS(ref(SWITCH_PORTS, key), port.network)
    yield SWITCH_PORTS(
        key,
        nb.LogicalSwitchPort(
            name=key,
            type="localport" if distributed else "virtual" if taken is not None else "",
            parent_name=inside.parent if inside is not None else None,
            tag=inside.tag if inside is not None else None,
            addresses=columns.addresses(port.mac_address, ips, pairs, secure=secure or distributed),
            port_security=columns.port_security(port.mac_address, ips, pairs, secure=secure),
            enabled=port.admin_state_up,
            options=Map(options),
            dhcpv4_options=ref(DHCP_OPTIONS, served[4]) if served[4] else None,
            dhcpv6_options=ref(DHCP_OPTIONS, served[6]) if served[6] else None,
            external_ids=_external_ids(q, key, fixed),
        ),
    )


def _requested(q: Reader, key: Uuid) -> dict[str, str]:
    """Where a port is to be: on its host; while it moves also on the next one, which blocks it until it announces."""
    host = q.row(cloud.Port, key).binding_host_id
    others = sorted(q.row(cloud.PortBinding, found).host for found in q.find(BINDINGS_OF_PORT, key))
    if not host:
        return {}
    moving = {"activation-strategy": "rarp"} if others else {}
    return {"requested-chassis": ",".join((host, *others))} | moving


def _router_side(q: Reader, key: Uuid, where: Place) -> Iterator[Emit]:
    """The switch's end of the link to a router."""
    port = q.row(cloud.Port, key)
    options = {"router-port": lrp_name(key)}
    if where.is_gateway:
        options |= {"exclude-lb-vips-from-garp": "true", "nat-addresses": "router"}
    yield MEMBERS(ref(SWITCH_PORTS, key), port.network)
    yield SWITCH_PORTS(
        key,
        nb.LogicalSwitchPort(
            name=key,
            type="router",
            addresses=("router",),
            enabled=port.admin_state_up,
            options=Map(options),
            external_ids=_external_ids(q, key, addresses(q, key)),
        ),
    )


def _external_ids(q: Reader, key: Uuid, fixed: tuple[Address, ...]) -> Map[str, str]:
    port = q.row(cloud.Port, key)
    distributed = port.device_owner == DISTRIBUTED
    floating = sorted(q.row(cloud.FloatingIP, f).floating_ip_address for f in q.find(FLOATING_IPS_OF_PORT, key))
    marks = {"neutron:port_fip": " ".join(floating)} if floating else {}
    return Map(
        marks
        | {
            "neutron:cidrs": " ".join(_cidr(q, address) for address in fixed),
            "neutron:device_id": port.device_id,
            "neutron:device_owner": port.device_owner,
            "neutron:mtu": str(q.row(cloud.Network, port.network).mtu) if distributed else "",
            "neutron:network_name": switch_name(port.network),
            "neutron:port_capabilities": "",
            "neutron:port_name": port.name,
            "neutron:project_id": port.project_id,
            "neutron:revision_number": str(port.revision_number),
            "neutron:security_group_ids": " ".join(groups_of(q, key)),
            "neutron:subnet_pool_addr_scope4": "",
            "neutron:subnet_pool_addr_scope6": "",
            "neutron:vnic_type": port.binding_vnic_type,
        }
    )


def _cidr(q: Reader, address: Address) -> str:
    _, _, length = q.row(cloud.Subnet, address.subnet).cidr.partition("/")
    return f"{address.ip}/{length}"
