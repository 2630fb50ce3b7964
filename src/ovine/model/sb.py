"""OVN_Southbound: the compiled logical network, the hosts, and what binds the two (ovn-sb(5))."""

from __future__ import annotations

from typing import Annotated

from ovine.model.base import (
    EMPTY,
    EPHEMERAL,
    NO_UUID,
    UNLIMITED,
    Map,
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


@table("SB_Global", max_rows=1)
class SBGlobal(Row, frozen=True, kw_only=True):
    nb_cfg: int = 0
    external_ids: StrMap = EMPTY
    connections: Annotated[tuple[Uuid, ...], Strong("Connection")] = ()
    ssl: Annotated[Uuid | None, Strong("SSL")] = None
    options: StrMap = EMPTY
    ipsec: bool = False


@table("Chassis", indexes=(("name",),))
class Chassis(Row, frozen=True, kw_only=True):
    name: str = ""
    hostname: str = ""
    encaps: Annotated[tuple[Uuid, ...], Strong("Encap"), Size(1, UNLIMITED)] = ()
    vtep_logical_switches: tuple[str, ...] = ()
    nb_cfg: int = 0
    external_ids: StrMap = EMPTY
    other_config: StrMap = EMPTY
    transport_zones: tuple[str, ...] = ()


@table("Chassis_Private", indexes=(("name",),))
class ChassisPrivate(Row, frozen=True, kw_only=True):
    name: str = ""
    chassis: Annotated[Uuid | None, Weak("Chassis")] = None
    nb_cfg: int = 0
    nb_cfg_timestamp: int = 0
    external_ids: StrMap = EMPTY


@table(
    "Encap",
    root=False,
    indexes=(
        (
            "type",
            "ip",
        ),
    ),
)
class Encap(Row, frozen=True, kw_only=True):
    type: Annotated[str, OneOf("geneve", "stt", "vxlan")] = ""
    options: StrMap = EMPTY
    ip: str = ""
    chassis_name: str = ""


@table("Address_Set", indexes=(("name",),))
class AddressSet(Row, frozen=True, kw_only=True):
    name: str = ""
    addresses: tuple[str, ...] = ()


@table("Port_Group", indexes=(("name",),))
class PortGroup(Row, frozen=True, kw_only=True):
    name: str = ""
    ports: tuple[str, ...] = ()


@table("Logical_Flow")
class LogicalFlow(Row, frozen=True, kw_only=True):
    logical_datapath: Annotated[Uuid | None, Strong("Datapath_Binding")] = None
    logical_dp_group: Annotated[Uuid | None, Strong("Logical_DP_Group")] = None
    pipeline: Annotated[str, OneOf("ingress", "egress")] = ""
    table_id: Annotated[int, Range(0, 32)] = 0
    priority: Annotated[int, Range(0, 65535)] = 0
    match: str = ""
    actions: str = ""
    tags: StrMap = EMPTY
    controller_meter: str | None = None
    external_ids: StrMap = EMPTY


@table("Logical_DP_Group", root=False)
class LogicalDPGroup(Row, frozen=True, kw_only=True):
    datapaths: Annotated[tuple[Uuid, ...], Weak("Datapath_Binding")] = ()


@table(
    "Multicast_Group",
    indexes=(
        (
            "datapath",
            "tunnel_key",
        ),
        (
            "datapath",
            "name",
        ),
    ),
)
class MulticastGroup(Row, frozen=True, kw_only=True):
    datapath: Annotated[Uuid, Strong("Datapath_Binding")] = NO_UUID
    name: str = ""
    tunnel_key: Annotated[int, Range(32768, 65535)] = 0
    ports: Annotated[tuple[Uuid, ...], Weak("Port_Binding")] = ()


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


@table("Meter_Band", root=False)
class MeterBand(Row, frozen=True, kw_only=True):
    action: Annotated[str, OneOf("drop")] = ""
    rate: Annotated[int, Range(1, 4294967295)] = 0
    burst_size: Annotated[int, Range(0, 4294967295)] = 0


@table("Datapath_Binding", indexes=(("tunnel_key",),))
class DatapathBinding(Row, frozen=True, kw_only=True):
    tunnel_key: Annotated[int, Range(1, 16777215)] = 0
    load_balancers: tuple[Uuid, ...] = ()
    external_ids: StrMap = EMPTY


@table(
    "Port_Binding",
    indexes=(
        (
            "datapath",
            "tunnel_key",
        ),
        ("logical_port",),
    ),
)
class PortBinding(Row, frozen=True, kw_only=True):
    logical_port: str = ""
    type: str = ""
    gateway_chassis: Annotated[tuple[Uuid, ...], Strong("Gateway_Chassis")] = ()
    ha_chassis_group: Annotated[Uuid | None, Strong("HA_Chassis_Group")] = None
    options: StrMap = EMPTY
    datapath: Annotated[Uuid, Strong("Datapath_Binding")] = NO_UUID
    tunnel_key: Annotated[int, Range(1, 32767)] = 0
    parent_port: str | None = None
    tag: Annotated[int | None, Range(1, 4095)] = None
    virtual_parent: str | None = None
    chassis: Annotated[Uuid | None, Weak("Chassis")] = None
    additional_chassis: Annotated[tuple[Uuid, ...], Weak("Chassis")] = ()
    encap: Annotated[Uuid | None, Weak("Encap")] = None
    additional_encap: Annotated[tuple[Uuid, ...], Weak("Encap")] = ()
    mirror_rules: Annotated[tuple[Uuid, ...], Weak("Mirror")] = ()
    mac: tuple[str, ...] = ()
    port_security: tuple[str, ...] = ()
    nat_addresses: tuple[str, ...] = ()
    up: bool | None = None
    external_ids: StrMap = EMPTY
    requested_chassis: Annotated[Uuid | None, Weak("Chassis")] = None
    requested_additional_chassis: Annotated[tuple[Uuid, ...], Weak("Chassis")] = ()


@table(
    "MAC_Binding",
    indexes=(
        (
            "logical_port",
            "ip",
        ),
    ),
)
class MACBinding(Row, frozen=True, kw_only=True):
    logical_port: str = ""
    ip: str = ""
    mac: str = ""
    timestamp: int = 0
    datapath: Annotated[Uuid, Strong("Datapath_Binding")] = NO_UUID


@table("DHCP_Options")
class DHCPOptions(Row, frozen=True, kw_only=True):
    name: str = ""
    code: Annotated[int, Range(0, 254)] = 0
    type: Annotated[
        str, OneOf("bool", "uint8", "uint16", "uint32", "ipv4", "static_routes", "str", "host_id", "domains")
    ] = ""


@table("DHCPv6_Options")
class DHCPv6Options(Row, frozen=True, kw_only=True):
    name: str = ""
    code: Annotated[int, Range(0, 254)] = 0
    type: Annotated[str, OneOf("ipv6", "str", "mac")] = ""


@table("Connection", root=False, indexes=(("target",),))
class Connection(Row, frozen=True, kw_only=True):
    target: str = ""
    max_backoff: Annotated[int | None, Range(1000, None)] = None
    inactivity_probe: int | None = None
    read_only: bool = False
    role: str = ""
    other_config: StrMap = EMPTY
    external_ids: StrMap = EMPTY
    is_connected: Annotated[bool, EPHEMERAL] = False
    status: Annotated[StrMap, EPHEMERAL] = EMPTY


@table("SSL", root=False, max_rows=1)
class SSL(Row, frozen=True, kw_only=True):
    private_key: str = ""
    certificate: str = ""
    ca_cert: str = ""
    bootstrap_ca_cert: bool = False
    ssl_protocols: str = ""
    ssl_ciphers: str = ""
    external_ids: StrMap = EMPTY


@table("DNS")
class DNS(Row, frozen=True, kw_only=True):
    records: StrMap = EMPTY
    datapaths: Annotated[tuple[Uuid, ...], Strong("Datapath_Binding"), Size(1, UNLIMITED)] = ()
    external_ids: StrMap = EMPTY


@table("RBAC_Role")
class RBACRole(Row, frozen=True, kw_only=True):
    name: str = ""
    permissions: Map[str, Annotated[Uuid, Weak("RBAC_Permission")]] = EMPTY


@table("RBAC_Permission")
class RBACPermission(Row, frozen=True, kw_only=True):
    table: str = ""
    authorization: tuple[str, ...] = ()
    insert_delete: bool = False
    update: tuple[str, ...] = ()


@table("Gateway_Chassis", root=False, indexes=(("name",),))
class GatewayChassis(Row, frozen=True, kw_only=True):
    name: str = ""
    chassis: Annotated[Uuid | None, Weak("Chassis")] = None
    priority: Annotated[int, Range(0, 32767)] = 0
    external_ids: StrMap = EMPTY
    options: StrMap = EMPTY


@table("HA_Chassis", root=False)
class HAChassis(Row, frozen=True, kw_only=True):
    chassis: Annotated[Uuid | None, Weak("Chassis")] = None
    priority: Annotated[int, Range(0, 32767)] = 0
    external_ids: StrMap = EMPTY


@table("HA_Chassis_Group", indexes=(("name",),))
class HAChassisGroup(Row, frozen=True, kw_only=True):
    name: str = ""
    ha_chassis: Annotated[tuple[Uuid, ...], Strong("HA_Chassis")] = ()
    ref_chassis: Annotated[tuple[Uuid, ...], Weak("Chassis")] = ()
    external_ids: StrMap = EMPTY


@table("Controller_Event")
class ControllerEvent(Row, frozen=True, kw_only=True):
    event_type: Annotated[str, OneOf("empty_lb_backends")] = ""
    event_info: StrMap = EMPTY
    chassis: Annotated[Uuid | None, Weak("Chassis")] = None
    seq_num: int = 0


@table("IP_Multicast", indexes=(("datapath",),))
class IPMulticast(Row, frozen=True, kw_only=True):
    datapath: Annotated[Uuid, Weak("Datapath_Binding")] = NO_UUID
    enabled: bool | None = None
    querier: bool | None = None
    eth_src: str = ""
    ip4_src: str = ""
    ip6_src: str = ""
    table_size: int | None = None
    idle_timeout: int | None = None
    query_interval: int | None = None
    query_max_resp: int | None = None
    seq_no: int = 0


@table(
    "IGMP_Group",
    indexes=(
        (
            "address",
            "datapath",
            "chassis",
        ),
    ),
)
class IGMPGroup(Row, frozen=True, kw_only=True):
    address: str = ""
    datapath: Annotated[Uuid | None, Weak("Datapath_Binding")] = None
    chassis: Annotated[Uuid | None, Weak("Chassis")] = None
    ports: Annotated[tuple[Uuid, ...], Weak("Port_Binding")] = ()


@table(
    "Service_Monitor",
    indexes=(
        (
            "logical_port",
            "ip",
            "port",
            "protocol",
        ),
    ),
)
class ServiceMonitor(Row, frozen=True, kw_only=True):
    ip: str = ""
    protocol: Annotated[str | None, OneOf("tcp", "udp")] = None
    port: Annotated[int, Range(0, 65535)] = 0
    logical_port: str = ""
    src_mac: str = ""
    src_ip: str = ""
    status: Annotated[str | None, OneOf("online", "offline", "error")] = None
    options: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("Load_Balancer")
class LoadBalancer(Row, frozen=True, kw_only=True):
    name: str = ""
    vips: StrMap = EMPTY
    protocol: Annotated[str | None, OneOf("tcp", "udp", "sctp")] = None
    datapaths: Annotated[tuple[Uuid, ...], Strong("Datapath_Binding")] = ()
    datapath_group: Annotated[Uuid | None, Strong("Logical_DP_Group")] = None
    options: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table(
    "BFD",
    indexes=(
        (
            "logical_port",
            "dst_ip",
            "src_port",
            "disc",
        ),
    ),
)
class BFD(Row, frozen=True, kw_only=True):
    src_port: Annotated[int, Range(49152, 65535)] = 0
    disc: int = 0
    logical_port: str = ""
    dst_ip: str = ""
    min_tx: int = 0
    min_rx: int = 0
    detect_mult: int = 0
    status: Annotated[str, OneOf("down", "init", "up", "admin_down")] = ""
    external_ids: StrMap = EMPTY
    options: StrMap = EMPTY


@table(
    "FDB",
    indexes=(
        (
            "mac",
            "dp_key",
        ),
    ),
)
class FDB(Row, frozen=True, kw_only=True):
    mac: str = ""
    dp_key: Annotated[int, Range(1, 16777215)] = 0
    port_key: Annotated[int, Range(1, 16777215)] = 0
    timestamp: int = 0


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
    datapath: Annotated[Uuid, Strong("Datapath_Binding")] = NO_UUID


@table("Chassis_Template_Var", indexes=(("chassis",),))
class ChassisTemplateVar(Row, frozen=True, kw_only=True):
    chassis: str = ""
    variables: StrMap = EMPTY


DATABASE = database("OVN_Southbound", "20.27.0", globals())
