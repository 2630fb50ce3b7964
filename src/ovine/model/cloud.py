"""Cloud: the tenants' resources, one table per kind of Neutron resource. The one truth that all else is compiled from.

A row's uuid is the resource's Neutron id. Attribute names, defaults and meanings are those of the Neutron API v2.0;
here is only what the database adds:

- What must never be shared is a unique index, so that no two API processes can hand out the same thing: an address in
  a subnet (`IP_Allocation`), a MAC in a network (`Port`), a segment (`Network`), the place of a project's default group
  (`Security_Group`) or policy (`QoS_Policy`), or of the default pool of an IP version (`Subnet_Pool`), a VLAN tag of a
  trunk (`Sub_Port`), the floating IP of a fixed one on an external network (`Floating_IP`).
- What is bounded is counted: see `Quota_Usage`.
- What must not be deleted while in use is a strong reference: a network by its subnets and ports, a subnet by its
  allocations, a security group by its ports and rules, a router's ports by the router, and what a floating IP needs
  (its own port, the port it is for, the router and the two router ports in between) by the floating IP.
  `IP_Allocation` rows live exactly as long as the port that holds them.
- Lists whose order the API keeps are maps from position to value (`Map[int, str]`); times are RFC 3339 text in UTC;
  free-form objects (`binding:profile`) are JSON text.
- `Port.status`, `Port.active_host` and `FloatingIP.status` are state that flows up: the plugin writes them, the API
  only reads them. So are agents, but for two columns.
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
    qos_policy: Annotated[Uuid | None, Strong("QoS_Policy")] = None
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
    subnet_pool: Annotated[Uuid | None, Strong("Subnet_Pool"), IMMUTABLE] = None
    segment_id: str | None = None
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@table("Subnet_Pool", indexes=(("place",),))
class SubnetPool(Row, frozen=True, kw_only=True):
    """Prefixes from which subnets get their ranges. A subnet that gets one changes the pool's revision, too.

    `prefixes` are merged and in canonical form. `place` is "default of IPv4" or "default of IPv6" for the default pool
    of that version, else the own uuid. `default_quota` is in addresses, or /64s of IPv6, per project.
    """

    project_id: str = ""
    name: str = ""
    description: str = ""
    ip_version: Annotated[int, OneOf(4, 6), IMMUTABLE] = 4
    prefixes: tuple[str, ...] = ()
    min_prefixlen: Annotated[int, Range(0, 128)] = 8
    max_prefixlen: Annotated[int, Range(0, 128)] = 32
    default_prefixlen: Annotated[int, Range(0, 128)] = 8
    default_quota: int | None = None
    shared: bool = False
    place: str = ""
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@table("Port", indexes=(("network", "mac_address"),))
class Port(Row, frozen=True, kw_only=True):
    """A port. `fixed_ips` are its addresses by `IP_Allocation.position`.

    `allowed_address_pairs` holds "IP-OR-CIDR MAC"; `extra_dhcp_opts` maps "IP_VERSION:NAME" to a value;
    `binding_profile` and `binding_vif_details` are JSON objects as text. `active_host` is where a router's gateway port
    is now.
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
    security_groups: Annotated[tuple[Uuid, ...], Strong("Security_Group")] = ()
    allowed_address_pairs: tuple[str, ...] = ()
    extra_dhcp_opts: StrMap = EMPTY
    binding_host_id: str = ""
    binding_vnic_type: str = "normal"
    binding_profile: str = "{}"
    binding_vif_type: str = "unbound"
    binding_vif_details: str = "{}"
    dns_name: str = ""
    dns_domain: str = ""
    qos_policy: Annotated[Uuid | None, Strong("QoS_Policy")] = None
    propagate_uplink_status: bool = True
    status: Annotated[str, OneOf("DOWN", "BUILD", "ACTIVE", "ERROR")] = "DOWN"
    active_host: str = ""
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@table("Port_Binding", indexes=(("port", "host"),))
class PortBinding(Row, frozen=True, kw_only=True):
    """A host on which a port may come up besides the one that it is on. A change changes the port's revision, too."""

    port: Annotated[Uuid, Strong("Port"), IMMUTABLE] = NO_UUID
    host: Annotated[str, IMMUTABLE] = ""
    vnic_type: str = "normal"
    profile: str = "{}"
    vif_type: str = "unbound"
    vif_details: str = "{}"


@table("IP_Allocation", root=False, indexes=(("subnet", "ip_address"),))
class IPAllocation(Row, frozen=True, kw_only=True):
    """One address of a port. `ip_address` is in canonical form; `position` keeps the API's order of fixed_ips."""

    subnet: Annotated[Uuid, Strong("Subnet"), IMMUTABLE] = NO_UUID
    ip_address: Annotated[str, IMMUTABLE] = ""
    position: int = 0


@table("Security_Group", indexes=(("project_id", "place"),))
class SecurityGroup(Row, frozen=True, kw_only=True):
    """A set of ports and of rules for them. `place` is "default" for the project's default group, else the own uuid."""

    project_id: str = ""
    name: str = ""
    description: str = ""
    stateful: bool = True
    place: Annotated[str, IMMUTABLE] = ""
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@table("Security_Group_Rule")
class SecurityGroupRule(Row, frozen=True, kw_only=True):
    """What a group's ports may send or receive. At most one `remote_…` is set; without one it holds for all peers.

    `protocol` is a name of IANA's or a number as text. The ports are type and code where it is ICMP.
    """

    security_group: Annotated[Uuid, Strong("Security_Group"), IMMUTABLE] = NO_UUID
    project_id: str = ""
    description: str | None = None
    direction: Annotated[str, OneOf("ingress", "egress"), IMMUTABLE] = "ingress"
    ethertype: Annotated[str, OneOf("IPv4", "IPv6"), IMMUTABLE] = "IPv4"
    protocol: Annotated[str | None, IMMUTABLE] = None
    port_range_min: Annotated[int | None, Range(0, 65535), IMMUTABLE] = None
    port_range_max: Annotated[int | None, Range(0, 65535), IMMUTABLE] = None
    remote_ip_prefix: Annotated[str | None, IMMUTABLE] = None
    remote_group: Annotated[Uuid | None, Strong("Security_Group"), IMMUTABLE] = None
    remote_address_group: Annotated[Uuid | None, Strong("Address_Group"), IMMUTABLE] = None
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@table("Address_Group")
class AddressGroup(Row, frozen=True, kw_only=True):
    """A named set of CIDRs, in canonical form, that rules name as their peers."""

    project_id: str = ""
    name: str = ""
    description: str = ""
    addresses: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@table("Router")
class Router(Row, frozen=True, kw_only=True):
    """A router. `gateways` are its ports on external networks, of which position 0 is `external_gateway_info`.

    `interfaces` are its other ports. What a port's device_id says makes no port a router's. `routes` holds
    "DESTINATION,NEXTHOP". A change of its ports changes its revision, too.
    """

    project_id: str = ""
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    enable_snat: bool = True
    gateways: Map[int, Annotated[Uuid, Strong("Port")]] = EMPTY
    interfaces: Annotated[tuple[Uuid, ...], Strong("Port")] = ()
    routes: tuple[str, ...] = ()
    availability_zone_hints: Map[int, str] = EMPTY
    enable_default_route_ecmp: bool = False
    enable_default_route_bfd: bool = False
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@table("Floating_IP", indexes=(("association",),))
class FloatingIP(Row, frozen=True, kw_only=True):
    """An address of an external network that stands for a port's.

    `floating_port` holds the address and a MAC. `port` and `fixed_ip` say for whom it stands, `router` and its ports
    `interface` and `gateway` by which way; all five are set or none; of one that forwards ports only
    `router` and `gateway` are. `association` is "NETWORK ALLOCATION" then, and
    the floating IP's own id otherwise, so that it is unique.
    """

    floating_network: Annotated[Uuid, Strong("Network"), IMMUTABLE] = NO_UUID
    floating_port: Annotated[Uuid, Strong("Port"), IMMUTABLE] = NO_UUID
    floating_ip_address: Annotated[str, IMMUTABLE] = ""
    project_id: str = ""
    description: str = ""
    port: Annotated[Uuid | None, Strong("Port")] = None
    fixed_ip: Annotated[Uuid | None, Strong("IP_Allocation")] = None
    router: Annotated[Uuid | None, Strong("Router")] = None
    interface: Annotated[Uuid | None, Strong("Port")] = None
    gateway: Annotated[Uuid | None, Strong("Port")] = None
    association: str = ""
    qos_policy: Annotated[Uuid | None, Strong("QoS_Policy")] = None
    dns_name: str = ""
    dns_domain: str = ""
    status: Annotated[str, OneOf("DOWN", "ACTIVE", "ERROR")] = "DOWN"
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@table("Port_Forwarding", indexes=(("floating_ip", "protocol", "external_ports"),))
class PortForwarding(Row, frozen=True, kw_only=True):
    """Ports of a floating IP that stand for ports of a fixed address; both are "FIRST:LAST".

    The ways to it are as in `FloatingIP`. A change changes the floating IP's revision, too.
    """

    floating_ip: Annotated[Uuid, Strong("Floating_IP"), IMMUTABLE] = NO_UUID
    description: str = ""
    protocol: Annotated[str, OneOf("tcp", "udp", "sctp")] = "tcp"
    external_ports: str = ""
    internal_ports: str = ""
    port: Annotated[Uuid, Strong("Port")] = NO_UUID
    fixed_ip: Annotated[Uuid, Strong("IP_Allocation")] = NO_UUID
    router: Annotated[Uuid, Strong("Router")] = NO_UUID
    interface: Annotated[Uuid, Strong("Port")] = NO_UUID
    gateway: Annotated[Uuid, Strong("Port")] = NO_UUID


@table("Trunk", indexes=(("port",),))
class Trunk(Row, frozen=True, kw_only=True):
    """A port that carries those of others. A change of its subports changes its revision, too."""

    project_id: str = ""
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    port: Annotated[Uuid, Strong("Port"), IMMUTABLE] = NO_UUID
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@table("Sub_Port", indexes=(("port",), ("trunk", "segmentation_id")))
class SubPort(Row, frozen=True, kw_only=True):
    """A port whose packets go in and out of a trunk's port with a VLAN tag."""

    trunk: Annotated[Uuid, Strong("Trunk"), IMMUTABLE] = NO_UUID
    port: Annotated[Uuid, Strong("Port"), IMMUTABLE] = NO_UUID
    segmentation_id: Annotated[int, Range(1, 4094), IMMUTABLE] = 1


@table("QoS_Policy", indexes=(("project_id", "place"),))
class QoSPolicy(Row, frozen=True, kw_only=True):
    """How the traffic of ports is marked and bounded. `place` is "default" for a project's default, else the uuid."""

    project_id: str = ""
    name: str = ""
    description: str = ""
    shared: bool = False
    place: str = ""
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@table("QoS_Bandwidth_Limit_Rule", indexes=(("policy", "direction"),))
class QoSBandwidthLimitRule(Row, frozen=True, kw_only=True):
    """The most that a port may send (egress) or get (ingress), in kbit/s, with a burst in kbit (0 for any)."""

    policy: Annotated[Uuid, Strong("QoS_Policy"), IMMUTABLE] = NO_UUID
    direction: Annotated[str, OneOf("ingress", "egress")] = "egress"
    max_kbps: Annotated[int, Range(1, None)] = 1
    max_burst_kbps: Annotated[int, Range(0, None)] = 0


@table("QoS_DSCP_Marking_Rule", indexes=(("policy",),))
class QoSDSCPMarkingRule(Row, frozen=True, kw_only=True):
    """The DSCP of what a port sends."""

    policy: Annotated[Uuid, Strong("QoS_Policy"), IMMUTABLE] = NO_UUID
    dscp_mark: Annotated[int, Range(0, 63)] = 0


@table("Agent")
class Agent(Row, frozen=True, kw_only=True):
    """A program on a host, as operators see it; the uuid is its id. See `ovine.plugin.agents` for when it responds.

    Times are RFC 3339. `heartbeat_at` is its last answer before it fell silent, `started_at` since when it responds.
    The API writes `description` and `removal`, a wish that the host be forgotten; all else is the plugin's.
    """

    agent_type: str = ""
    binary: str = ""
    host: str = ""
    chassis: str = ""
    bridge_mappings: str = ""
    availability_zones: tuple[str, ...] = ()
    responding: bool = False
    heartbeat_at: str = ""
    created_at: str = ""
    started_at: str = ""
    description: str | None = None
    removal: bool = False


@table("Agent_Check", max_rows=1)
class AgentCheck(Row, frozen=True, kw_only=True):
    """When agents were asked for a sign of life lately: time by the value of NB_Global.nb_cfg that they were to see."""

    asked: Map[int, str] = EMPTY


@table("Quota", indexes=(("project_id", "resource"),))
class Quota(Row, frozen=True, kw_only=True):
    """How many resources of a kind a project may have, where that is not the default; -1 for any number."""

    project_id: Annotated[str, IMMUTABLE] = ""
    resource: Annotated[str, IMMUTABLE] = ""
    limit: Annotated[int, Range(-1, None)] = 0


@table("Quota_Usage", indexes=(("project_id", "resource"),))
class QuotaUsage(Row, frozen=True, kw_only=True):
    """How many it has. Each transaction that makes or deletes some changes it."""

    project_id: Annotated[str, IMMUTABLE] = ""
    resource: Annotated[str, IMMUTABLE] = ""
    used: int = 0


DATABASE = database("Ovine_Cloud", "0.11.0", globals())
