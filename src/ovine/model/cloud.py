"""Cloud: the tenants' resources, one table per kind of Neutron resource. The one truth that all else is compiled from.

A row's uuid is the resource's Neutron id. Attribute names, defaults and meanings are those of the Neutron API v2.0;
here is only what the database adds:

- What must never be shared is a unique index, so that no two API processes can hand out the same thing: an address in
  a subnet (`IP_Allocation`), a MAC in a network (`Port`), a segment (`Network`).
- What must not be deleted while in use is a strong reference: a network by its subnets and ports, a subnet by its
  allocations. `IP_Allocation` rows live exactly as long as the port that holds them.
- Lists whose order the API keeps are maps from position to value (`Map[int, str]`); times are RFC 3339 text in UTC;
  free-form objects (`binding:profile`) are JSON text.
- `Port.status` is state that flows up: the plugin writes it, the API only reads it.
- A project exists in the identity service; `project_id` is a bare name here.
"""

from __future__ import annotations

from typing import Annotated

from ovine.model.base import (
    EMPTY,
    IMMUTABLE,
    NO_UUID,
    Map,
    OneOf,
    Range,
    Row,
    StrMap,
    Strong,
    Uuid,
    database,
    table,
)


@table("Network", indexes=(("network_type", "physical_network", "segmentation_id"),))
class Network(Row, frozen=True, kw_only=True):
    """A network and its one segment. A type without physical network or segment number has "" or 0 there."""

    project_id: str = ""
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    shared: bool = False
    external: bool = False
    is_default: bool = False
    mtu: int = 0
    port_security_enabled: bool = True
    dns_domain: str = ""
    availability_zone_hints: Map[int, str] = EMPTY
    network_type: Annotated[str, OneOf("geneve", "vxlan", "vlan", "flat")] = "geneve"
    physical_network: str = ""
    segmentation_id: Annotated[int, Range(0, 16777215)] = 0
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@table("Subnet")
class Subnet(Row, frozen=True, kw_only=True):
    """An address range of a network. `allocation_pools` holds "FIRST-LAST", `host_routes` "DESTINATION,NEXTHOP"."""

    network: Annotated[Uuid, Strong("Network"), IMMUTABLE] = NO_UUID
    project_id: str = ""
    name: str = ""
    description: str = ""
    ip_version: Annotated[int, Range(4, 6)] = 4
    cidr: str = ""
    gateway_ip: str | None = None
    allocation_pools: tuple[str, ...] = ()
    dns_nameservers: Map[int, str] = EMPTY
    host_routes: tuple[str, ...] = ()
    enable_dhcp: bool = True
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None
    dns_publish_fixed_ip: bool = False
    service_types: tuple[str, ...] = ()
    subnetpool_id: str | None = None
    segment_id: str | None = None
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@table("Port", indexes=(("network", "mac_address"),))
class Port(Row, frozen=True, kw_only=True):
    """A port. `fixed_ips` are its addresses by `IP_Allocation.position`.

    `allowed_address_pairs` holds "IP-OR-CIDR MAC"; `extra_dhcp_opts` maps "IP_VERSION:NAME" to a value;
    `binding_profile` and `binding_vif_details` are JSON objects as text.
    """

    network: Annotated[Uuid, Strong("Network"), IMMUTABLE] = NO_UUID
    project_id: str = ""
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    mac_address: str = ""
    fixed_ips: Annotated[tuple[Uuid, ...], Strong("IP_Allocation")] = ()
    device_id: str = ""
    device_owner: str = ""
    port_security_enabled: bool = True
    allowed_address_pairs: tuple[str, ...] = ()
    extra_dhcp_opts: StrMap = EMPTY
    binding_host_id: str = ""
    binding_vnic_type: str = "normal"
    binding_profile: str = "{}"
    binding_vif_type: str = "unbound"
    binding_vif_details: str = "{}"
    dns_name: str = ""
    dns_domain: str = ""
    propagate_uplink_status: bool = True
    status: Annotated[str, OneOf("DOWN", "BUILD", "ACTIVE", "ERROR")] = "DOWN"
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@table("IP_Allocation", root=False, indexes=(("subnet", "ip_address"),))
class IPAllocation(Row, frozen=True, kw_only=True):
    """One address of a port. `ip_address` is in canonical form; `position` keeps the API's order of fixed_ips."""

    subnet: Annotated[Uuid, Strong("Subnet"), IMMUTABLE] = NO_UUID
    ip_address: Annotated[str, IMMUTABLE] = ""
    position: int = 0


DATABASE = database("Ovine_Cloud", "0.1.0", globals())
