"""OVN_Northbound: the logical network as its owner asked for it (ovn-nb(5))."""

from __future__ import annotations

from typing import Annotated

from ovine.model.base import (
    EMPTY,
    EPHEMERAL,
    UNLIMITED,
    Map,
    MaxLength,
    OneOf,
    Range,
    Row,
    Size,
    StrMap,
    Strong,
    Uuid,
    Weak,
    database,
    table,
)


@table("NB_Global", max_rows=1)
class NBGlobal(Row, frozen=True, kw_only=True):
    name: str = ""
    nb_cfg: int = 0
    nb_cfg_timestamp: int = 0
    sb_cfg: int = 0
    sb_cfg_timestamp: int = 0
    hv_cfg: int = 0
    hv_cfg_timestamp: int = 0
    external_ids: StrMap = EMPTY
    connections: Annotated[tuple[Uuid, ...], Strong("Connection")] = ()
    ssl: Annotated[Uuid | None, Strong("SSL")] = None
    options: StrMap = EMPTY
    ipsec: bool = False


@table("Copp", indexes=(("name",),))
class Copp(Row, frozen=True, kw_only=True):
    name: str = ""
    meters: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("Logical_Switch")
class LogicalSwitch(Row, frozen=True, kw_only=True):
    name: str = ""
    ports: Annotated[tuple[Uuid, ...], Strong("Logical_Switch_Port")] = ()
    acls: Annotated[tuple[Uuid, ...], Strong("ACL")] = ()
    qos_rules: Annotated[tuple[Uuid, ...], Strong("QoS")] = ()
    load_balancer: Annotated[tuple[Uuid, ...], Weak("Load_Balancer")] = ()
    load_balancer_group: Annotated[tuple[Uuid, ...], Strong("Load_Balancer_Group")] = ()
    dns_records: Annotated[tuple[Uuid, ...], Weak("DNS")] = ()
    copp: Annotated[Uuid | None, Weak("Copp")] = None
    other_config: StrMap = EMPTY
    external_ids: StrMap = EMPTY
    forwarding_groups: Annotated[tuple[Uuid, ...], Strong("Forwarding_Group")] = ()


@table("Logical_Switch_Port", root=False, indexes=(("name",),))
class LogicalSwitchPort(Row, frozen=True, kw_only=True):
    name: str = ""
    type: str = ""
    options: StrMap = EMPTY
    parent_name: str | None = None
    tag_request: Annotated[int | None, Range(0, 4095)] = None
    tag: Annotated[int | None, Range(1, 4095)] = None
    addresses: tuple[str, ...] = ()
    dynamic_addresses: str | None = None
    port_security: tuple[str, ...] = ()
    up: bool | None = None
    enabled: bool | None = None
    dhcpv4_options: Annotated[Uuid | None, Weak("DHCP_Options")] = None
    dhcpv6_options: Annotated[Uuid | None, Weak("DHCP_Options")] = None
    mirror_rules: Annotated[tuple[Uuid, ...], Weak("Mirror")] = ()
    ha_chassis_group: Annotated[Uuid | None, Strong("HA_Chassis_Group")] = None
    external_ids: StrMap = EMPTY


@table("Forwarding_Group", root=False)
class ForwardingGroup(Row, frozen=True, kw_only=True):
    name: str = ""
    vip: str = ""
    vmac: str = ""
    liveness: bool = False
    external_ids: StrMap = EMPTY
    child_port: Annotated[tuple[str, ...], Size(1, UNLIMITED)] = ()


@table("Address_Set", indexes=(("name",),))
class AddressSet(Row, frozen=True, kw_only=True):
    name: str = ""
    addresses: tuple[str, ...] = ()
    external_ids: StrMap = EMPTY


@table("Port_Group", indexes=(("name",),))
class PortGroup(Row, frozen=True, kw_only=True):
    name: str = ""
    ports: Annotated[tuple[Uuid, ...], Weak("Logical_Switch_Port")] = ()
    acls: Annotated[tuple[Uuid, ...], Strong("ACL")] = ()
    external_ids: StrMap = EMPTY


@table("Load_Balancer")
class LoadBalancer(Row, frozen=True, kw_only=True):
    name: str = ""
    vips: StrMap = EMPTY
    protocol: Annotated[str | None, OneOf("tcp", "udp", "sctp")] = None
    health_check: Annotated[tuple[Uuid, ...], Strong("Load_Balancer_Health_Check")] = ()
    ip_port_mappings: StrMap = EMPTY
    selection_fields: Annotated[
        tuple[str, ...], OneOf("eth_src", "eth_dst", "ip_src", "ip_dst", "tp_src", "tp_dst")
    ] = ()
    options: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("Load_Balancer_Group", indexes=(("name",),))
class LoadBalancerGroup(Row, frozen=True, kw_only=True):
    name: str = ""
    load_balancer: Annotated[tuple[Uuid, ...], Weak("Load_Balancer")] = ()


@table("Load_Balancer_Health_Check", root=False)
class LoadBalancerHealthCheck(Row, frozen=True, kw_only=True):
    vip: str = ""
    options: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("ACL", root=False)
class ACL(Row, frozen=True, kw_only=True):
    name: Annotated[str | None, MaxLength(63)] = None
    priority: Annotated[int, Range(0, 32767)] = 0
    direction: Annotated[str, OneOf("from-lport", "to-lport")] = ""
    match: str = ""
    action: Annotated[str, OneOf("allow", "allow-related", "allow-stateless", "drop", "reject", "pass")] = ""
    tier: Annotated[int, Range(0, 3)] = 0
    log: bool = False
    severity: Annotated[str | None, OneOf("alert", "warning", "notice", "info", "debug")] = None
    meter: str | None = None
    label: Annotated[int, Range(0, 4294967295)] = 0
    sample_new: Annotated[Uuid | None, Strong("Sample")] = None
    sample_est: Annotated[Uuid | None, Strong("Sample")] = None
    options: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("Sample_Collector")
class SampleCollector(Row, frozen=True, kw_only=True):
    """Where samples go (OVN 24.09)."""

    id: Annotated[int, Range(1, 255)] = 1
    name: str = ""
    probability: Annotated[int, Range(0, 65535)] = 0
    set_id: Annotated[int, Range(1, 4294967295)] = 1
    external_ids: StrMap = EMPTY


@table("Sample", indexes=(("metadata",),))
class Sample(Row, frozen=True, kw_only=True):
    """A number that samples carry, and where they go (OVN 24.09)."""

    collectors: Annotated[tuple[Uuid, ...], Strong("Sample_Collector")] = ()
    metadata: Annotated[int, Range(1, 4294967295)] = 1


@table("Sampling_App", indexes=(("type",),))
class SamplingApp(Row, frozen=True, kw_only=True):
    """What the observation domain is of samples that are taken for a purpose (OVN 24.09)."""

    type: Annotated[str, OneOf("drop", "acl-new", "acl-est")] = "drop"
    id: Annotated[int, Range(1, 255)] = 1
    external_ids: StrMap = EMPTY


@table("QoS", root=False)
class QoS(Row, frozen=True, kw_only=True):
    priority: Annotated[int, Range(0, 32767)] = 0
    direction: Annotated[str, OneOf("from-lport", "to-lport")] = ""
    match: str = ""
    action: Map[Annotated[str, OneOf("dscp")], Annotated[int, Range(0, 63)]] = EMPTY
    bandwidth: Map[Annotated[str, OneOf("rate", "burst")], Annotated[int, Range(1, 4294967295)]] = EMPTY
    external_ids: StrMap = EMPTY


@table("Mirror", indexes=(("name",),))
class Mirror(Row, frozen=True, kw_only=True):
    name: str = ""
    filter: Annotated[str, OneOf("from-lport", "to-lport")] = ""
    sink: str = ""
    type: Annotated[str, OneOf("gre", "erspan")] = ""
    index: int = 0
    external_ids: StrMap = EMPTY


@table("Meter", indexes=(("name",),))
class Meter(Row, frozen=True, kw_only=True):
    name: str = ""
    unit: Annotated[str, OneOf("kbps", "pktps")] = ""
    bands: Annotated[tuple[Uuid, ...], Strong("Meter_Band"), Size(1, UNLIMITED)] = ()
    fair: bool | None = None
    external_ids: StrMap = EMPTY


@table("Meter_Band", root=False)
class MeterBand(Row, frozen=True, kw_only=True):
    action: Annotated[str, OneOf("drop")] = ""
    rate: Annotated[int, Range(1, 4294967295)] = 0
    burst_size: Annotated[int, Range(0, 4294967295)] = 0
    external_ids: StrMap = EMPTY


@table("Logical_Router")
class LogicalRouter(Row, frozen=True, kw_only=True):
    name: str = ""
    ports: Annotated[tuple[Uuid, ...], Strong("Logical_Router_Port")] = ()
    static_routes: Annotated[tuple[Uuid, ...], Strong("Logical_Router_Static_Route")] = ()
    policies: Annotated[tuple[Uuid, ...], Strong("Logical_Router_Policy")] = ()
    enabled: bool | None = None
    nat: Annotated[tuple[Uuid, ...], Strong("NAT")] = ()
    load_balancer: Annotated[tuple[Uuid, ...], Weak("Load_Balancer")] = ()
    load_balancer_group: Annotated[tuple[Uuid, ...], Strong("Load_Balancer_Group")] = ()
    copp: Annotated[Uuid | None, Weak("Copp")] = None
    options: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("Logical_Router_Port", root=False, indexes=(("name",),))
class LogicalRouterPort(Row, frozen=True, kw_only=True):
    name: str = ""
    gateway_chassis: Annotated[tuple[Uuid, ...], Strong("Gateway_Chassis")] = ()
    ha_chassis_group: Annotated[Uuid | None, Strong("HA_Chassis_Group")] = None
    options: StrMap = EMPTY
    networks: Annotated[tuple[str, ...], Size(1, UNLIMITED)] = ()
    mac: str = ""
    peer: str | None = None
    enabled: bool | None = None
    ipv6_ra_configs: StrMap = EMPTY
    ipv6_prefix: tuple[str, ...] = ()
    dhcp_relay: Annotated[Uuid | None, Weak("DHCP_Relay")] = None
    external_ids: StrMap = EMPTY


@table("Logical_Router_Static_Route", root=False)
class LogicalRouterStaticRoute(Row, frozen=True, kw_only=True):
    route_table: str = ""
    ip_prefix: str = ""
    policy: Annotated[str | None, OneOf("src-ip", "dst-ip")] = None
    nexthop: str = ""
    output_port: str | None = None
    bfd: Annotated[Uuid | None, Weak("BFD")] = None
    options: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("Logical_Router_Policy", root=False)
class LogicalRouterPolicy(Row, frozen=True, kw_only=True):
    priority: Annotated[int, Range(0, 32767)] = 0
    match: str = ""
    action: Annotated[str, OneOf("allow", "drop", "jump", "reroute")] = ""
    chain: str = ""
    jump_chain: str = ""
    nexthop: str | None = None
    nexthops: tuple[str, ...] = ()
    options: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("NAT", root=False)
class NAT(Row, frozen=True, kw_only=True):
    external_ip: str = ""
    external_mac: str | None = None
    external_port_range: str = ""
    logical_ip: str = ""
    logical_port: str | None = None
    type: Annotated[str, OneOf("dnat", "snat", "dnat_and_snat")] = ""
    match: str = ""
    priority: Annotated[int, Range(0, 32767)] = 0
    allowed_ext_ips: Annotated[Uuid | None, Strong("Address_Set")] = None
    exempted_ext_ips: Annotated[Uuid | None, Strong("Address_Set")] = None
    gateway_port: Annotated[Uuid | None, Weak("Logical_Router_Port")] = None
    options: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("DHCP_Options")
class DHCPOptions(Row, frozen=True, kw_only=True):
    cidr: str = ""
    options: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("DHCP_Relay")
class DHCPRelay(Row, frozen=True, kw_only=True):
    """Where routers send the DHCP requests of a network that has no server (OVN 24.09)."""

    name: str = ""
    servers: str | None = None
    options: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("Connection", root=False, indexes=(("target",),))
class Connection(Row, frozen=True, kw_only=True):
    target: str = ""
    max_backoff: Annotated[int | None, Range(1000, None)] = None
    inactivity_probe: int | None = None
    other_config: StrMap = EMPTY
    external_ids: StrMap = EMPTY
    is_connected: Annotated[bool, EPHEMERAL] = False
    status: Annotated[StrMap, EPHEMERAL] = EMPTY


@table("DNS")
class DNS(Row, frozen=True, kw_only=True):
    records: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("SSL", root=False, max_rows=1)
class SSL(Row, frozen=True, kw_only=True):
    private_key: str = ""
    certificate: str = ""
    ca_cert: str = ""
    bootstrap_ca_cert: bool = False
    ssl_protocols: str = ""
    ssl_ciphers: str = ""
    external_ids: StrMap = EMPTY


@table("Gateway_Chassis", root=False, indexes=(("name",),))
class GatewayChassis(Row, frozen=True, kw_only=True):
    name: str = ""
    chassis_name: str = ""
    priority: Annotated[int, Range(0, 32767)] = 0
    external_ids: StrMap = EMPTY
    options: StrMap = EMPTY


@table("HA_Chassis", root=False)
class HAChassis(Row, frozen=True, kw_only=True):
    chassis_name: str = ""
    priority: Annotated[int, Range(0, 32767)] = 0
    external_ids: StrMap = EMPTY


@table("HA_Chassis_Group", indexes=(("name",),))
class HAChassisGroup(Row, frozen=True, kw_only=True):
    name: str = ""
    ha_chassis: Annotated[tuple[Uuid, ...], Strong("HA_Chassis")] = ()
    external_ids: StrMap = EMPTY


@table(
    "BFD",
    indexes=(
        (
            "logical_port",
            "dst_ip",
        ),
    ),
)
class BFD(Row, frozen=True, kw_only=True):
    logical_port: str = ""
    dst_ip: str = ""
    min_tx: Annotated[int | None, Range(1, None)] = None
    min_rx: int | None = None
    detect_mult: Annotated[int | None, Range(1, None)] = None
    status: Annotated[str | None, OneOf("down", "init", "up", "admin_down")] = None
    external_ids: StrMap = EMPTY
    options: StrMap = EMPTY


@table(
    "Static_MAC_Binding",
    indexes=(
        (
            "logical_port",
            "ip",
        ),
    ),
)
class StaticMACBinding(Row, frozen=True, kw_only=True):
    logical_port: str = ""
    ip: str = ""
    mac: str = ""
    override_dynamic_mac: bool = False


@table("Chassis_Template_Var", indexes=(("chassis",),))
class ChassisTemplateVar(Row, frozen=True, kw_only=True):
    chassis: str = ""
    variables: StrMap = EMPTY
    external_ids: StrMap = EMPTY


DATABASE = database("OVN_Northbound", "7.11.0", globals())
