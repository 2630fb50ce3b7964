"""Open_vSwitch: one host's switch configuration (ovs-vswitchd.conf.db(5))."""

from __future__ import annotations

from typing import Annotated

from ovine.model.base import (
    EMPTY,
    EPHEMERAL,
    IMMUTABLE,
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


@table("Open_vSwitch", max_rows=1)
class OpenVSwitch(Row, frozen=True, kw_only=True):
    datapaths: Map[str, Annotated[Uuid, Strong("Datapath")]] = EMPTY
    bridges: Annotated[tuple[Uuid, ...], Strong("Bridge")] = ()
    manager_options: Annotated[tuple[Uuid, ...], Strong("Manager")] = ()
    ssl: Annotated[Uuid | None, Strong("SSL")] = None
    other_config: StrMap = EMPTY
    external_ids: StrMap = EMPTY
    next_cfg: int = 0
    cur_cfg: int = 0
    statistics: Annotated[StrMap, EPHEMERAL] = EMPTY
    ovs_version: str | None = None
    db_version: str | None = None
    system_type: str | None = None
    system_version: str | None = None
    datapath_types: tuple[str, ...] = ()
    iface_types: tuple[str, ...] = ()
    dpdk_initialized: bool = False
    dpdk_version: str | None = None


@table("Bridge", root=False, indexes=(("name",),))
class Bridge(Row, frozen=True, kw_only=True):
    name: Annotated[str, IMMUTABLE] = ""
    datapath_type: str = ""
    datapath_version: str = ""
    datapath_id: Annotated[str | None, EPHEMERAL] = None
    stp_enable: bool = False
    rstp_enable: bool = False
    mcast_snooping_enable: bool = False
    ports: Annotated[tuple[Uuid, ...], Strong("Port")] = ()
    mirrors: Annotated[tuple[Uuid, ...], Strong("Mirror")] = ()
    netflow: Annotated[Uuid | None, Strong("NetFlow")] = None
    sflow: Annotated[Uuid | None, Strong("sFlow")] = None
    ipfix: Annotated[Uuid | None, Strong("IPFIX")] = None
    controller: Annotated[tuple[Uuid, ...], Strong("Controller")] = ()
    protocols: Annotated[
        tuple[str, ...], OneOf("OpenFlow10", "OpenFlow11", "OpenFlow12", "OpenFlow13", "OpenFlow14", "OpenFlow15")
    ] = ()
    fail_mode: Annotated[str | None, OneOf("standalone", "secure")] = None
    status: Annotated[StrMap, EPHEMERAL] = EMPTY
    rstp_status: Annotated[StrMap, EPHEMERAL] = EMPTY
    other_config: StrMap = EMPTY
    external_ids: StrMap = EMPTY
    flood_vlans: Annotated[tuple[int, ...], Range(0, 4095), Size(0, 4096)] = ()
    flow_tables: Map[Annotated[int, Range(0, 254)], Annotated[Uuid, Strong("Flow_Table")]] = EMPTY
    auto_attach: Annotated[Uuid | None, Strong("AutoAttach")] = None


@table("Port", root=False, indexes=(("name",),))
class Port(Row, frozen=True, kw_only=True):
    name: Annotated[str, IMMUTABLE] = ""
    interfaces: Annotated[tuple[Uuid, ...], Strong("Interface"), Size(1, UNLIMITED)] = ()
    trunks: Annotated[tuple[int, ...], Range(0, 4095), Size(0, 4096)] = ()
    cvlans: Annotated[tuple[int, ...], Range(0, 4095), Size(0, 4096)] = ()
    tag: Annotated[int | None, Range(0, 4095)] = None
    vlan_mode: Annotated[str | None, OneOf("trunk", "access", "native-tagged", "native-untagged", "dot1q-tunnel")] = (
        None
    )
    qos: Annotated[Uuid | None, Strong("QoS")] = None
    mac: str | None = None
    bond_mode: Annotated[str | None, OneOf("balance-tcp", "balance-slb", "active-backup")] = None
    lacp: Annotated[str | None, OneOf("active", "passive", "off")] = None
    bond_updelay: int = 0
    bond_downdelay: int = 0
    bond_active_slave: str | None = None
    bond_fake_iface: bool = False
    fake_bridge: bool = False
    status: Annotated[StrMap, EPHEMERAL] = EMPTY
    rstp_status: Annotated[StrMap, EPHEMERAL] = EMPTY
    rstp_statistics: Annotated[Map[str, int], EPHEMERAL] = EMPTY
    statistics: Annotated[Map[str, int], EPHEMERAL] = EMPTY
    protected: bool = False
    other_config: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("Interface", root=False, indexes=(("name",),))
class Interface(Row, frozen=True, kw_only=True):
    name: Annotated[str, IMMUTABLE] = ""
    type: str = ""
    options: StrMap = EMPTY
    ingress_policing_rate: Annotated[int, Range(0, None)] = 0
    ingress_policing_burst: Annotated[int, Range(0, None)] = 0
    ingress_policing_kpkts_rate: Annotated[int, Range(0, None)] = 0
    ingress_policing_kpkts_burst: Annotated[int, Range(0, None)] = 0
    mac_in_use: Annotated[str | None, EPHEMERAL] = None
    mac: str | None = None
    ifindex: Annotated[int | None, Range(0, 4294967295), EPHEMERAL] = None
    external_ids: StrMap = EMPTY
    ofport: int | None = None
    ofport_request: Annotated[int | None, Range(1, 65279)] = None
    bfd: StrMap = EMPTY
    bfd_status: Annotated[StrMap, EPHEMERAL] = EMPTY
    cfm_mpid: int | None = None
    cfm_remote_mpids: Annotated[tuple[int, ...], EPHEMERAL] = ()
    cfm_flap_count: int | None = None
    cfm_fault: Annotated[bool | None, EPHEMERAL] = None
    cfm_fault_status: Annotated[tuple[str, ...], EPHEMERAL] = ()
    cfm_remote_opstate: Annotated[str | None, OneOf("up", "down"), EPHEMERAL] = None
    cfm_health: Annotated[int | None, Range(0, 100), EPHEMERAL] = None
    lacp_current: Annotated[bool | None, EPHEMERAL] = None
    lldp: StrMap = EMPTY
    other_config: StrMap = EMPTY
    statistics: Annotated[Map[str, int], EPHEMERAL] = EMPTY
    status: Annotated[StrMap, EPHEMERAL] = EMPTY
    admin_state: Annotated[str | None, OneOf("up", "down"), EPHEMERAL] = None
    link_state: Annotated[str | None, OneOf("up", "down"), EPHEMERAL] = None
    link_resets: Annotated[int | None, EPHEMERAL] = None
    link_speed: Annotated[int | None, EPHEMERAL] = None
    duplex: Annotated[str | None, OneOf("half", "full"), EPHEMERAL] = None
    mtu: Annotated[int | None, EPHEMERAL] = None
    mtu_request: Annotated[int | None, Range(1, None)] = None
    error: str | None = None


@table("Flow_Table", root=False)
class FlowTable(Row, frozen=True, kw_only=True):
    name: str | None = None
    flow_limit: Annotated[int | None, Range(0, None)] = None
    overflow_policy: Annotated[str | None, OneOf("refuse", "evict")] = None
    groups: tuple[str, ...] = ()
    prefixes: Annotated[tuple[str, ...], Size(0, 3)] = ()
    external_ids: StrMap = EMPTY


@table("QoS")
class QoS(Row, frozen=True, kw_only=True):
    type: str = ""
    queues: Map[Annotated[int, Range(0, 4294967295)], Annotated[Uuid, Strong("Queue")]] = EMPTY
    other_config: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("Queue")
class Queue(Row, frozen=True, kw_only=True):
    dscp: Annotated[int | None, Range(0, 63)] = None
    other_config: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("Mirror", root=False)
class Mirror(Row, frozen=True, kw_only=True):
    name: str = ""
    select_all: bool = False
    select_src_port: Annotated[tuple[Uuid, ...], Weak("Port")] = ()
    select_dst_port: Annotated[tuple[Uuid, ...], Weak("Port")] = ()
    select_vlan: Annotated[tuple[int, ...], Range(0, 4095), Size(0, 4096)] = ()
    output_port: Annotated[Uuid | None, Weak("Port")] = None
    output_vlan: Annotated[int | None, Range(1, 4095)] = None
    snaplen: Annotated[int | None, Range(14, 65535)] = None
    statistics: Annotated[Map[str, int], EPHEMERAL] = EMPTY
    external_ids: StrMap = EMPTY


@table("NetFlow", root=False)
class NetFlow(Row, frozen=True, kw_only=True):
    targets: Annotated[tuple[str, ...], Size(1, UNLIMITED)] = ()
    engine_type: Annotated[int | None, Range(0, 255)] = None
    engine_id: Annotated[int | None, Range(0, 255)] = None
    add_id_to_interface: bool = False
    active_timeout: Annotated[int, Range(-1, None)] = 0
    external_ids: StrMap = EMPTY


@table("sFlow", root=False)
class sFlow(Row, frozen=True, kw_only=True):
    targets: Annotated[tuple[str, ...], Size(1, UNLIMITED)] = ()
    sampling: int | None = None
    polling: int | None = None
    header: int | None = None
    agent: str | None = None
    external_ids: StrMap = EMPTY


@table("IPFIX", root=False)
class IPFIX(Row, frozen=True, kw_only=True):
    targets: tuple[str, ...] = ()
    sampling: Annotated[int | None, Range(1, 4294967295)] = None
    obs_domain_id: Annotated[int | None, Range(0, 4294967295)] = None
    obs_point_id: Annotated[int | None, Range(0, 4294967295)] = None
    cache_active_timeout: Annotated[int | None, Range(0, 4200)] = None
    cache_max_flows: Annotated[int | None, Range(0, 4294967295)] = None
    other_config: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table(
    "Flow_Sample_Collector_Set",
    indexes=(
        (
            "id",
            "bridge",
        ),
    ),
)
class FlowSampleCollectorSet(Row, frozen=True, kw_only=True):
    id: Annotated[int, Range(0, 4294967295)] = 0
    bridge: Annotated[Uuid, Strong("Bridge")] = NO_UUID
    ipfix: Annotated[Uuid | None, Strong("IPFIX")] = None
    external_ids: StrMap = EMPTY


@table("Controller", root=False)
class Controller(Row, frozen=True, kw_only=True):
    type: Annotated[str | None, OneOf("primary", "service")] = None
    target: str = ""
    max_backoff: Annotated[int | None, Range(1000, None)] = None
    inactivity_probe: int | None = None
    connection_mode: Annotated[str | None, OneOf("in-band", "out-of-band")] = None
    local_ip: str | None = None
    local_netmask: str | None = None
    local_gateway: str | None = None
    enable_async_messages: bool | None = None
    controller_queue_size: Annotated[int | None, Range(1, 512)] = None
    controller_rate_limit: Annotated[int | None, Range(100, None)] = None
    controller_burst_limit: Annotated[int | None, Range(25, None)] = None
    other_config: StrMap = EMPTY
    external_ids: StrMap = EMPTY
    is_connected: Annotated[bool, EPHEMERAL] = False
    role: Annotated[str | None, OneOf("other", "master", "slave"), EPHEMERAL] = None
    status: Annotated[StrMap, EPHEMERAL] = EMPTY


@table("Manager", root=False, indexes=(("target",),))
class Manager(Row, frozen=True, kw_only=True):
    target: str = ""
    max_backoff: Annotated[int | None, Range(1000, None)] = None
    inactivity_probe: int | None = None
    connection_mode: Annotated[str | None, OneOf("in-band", "out-of-band")] = None
    other_config: StrMap = EMPTY
    external_ids: StrMap = EMPTY
    is_connected: Annotated[bool, EPHEMERAL] = False
    status: Annotated[StrMap, EPHEMERAL] = EMPTY


@table("Datapath", root=False)
class Datapath(Row, frozen=True, kw_only=True):
    datapath_version: str = ""
    ct_zones: Map[Annotated[int, Range(0, 65535)], Annotated[Uuid, Strong("CT_Zone")]] = EMPTY
    capabilities: StrMap = EMPTY
    external_ids: StrMap = EMPTY


@table("CT_Zone", root=False)
class CTZone(Row, frozen=True, kw_only=True):
    timeout_policy: Annotated[Uuid | None, Strong("CT_Timeout_Policy")] = None
    external_ids: StrMap = EMPTY


@table("CT_Timeout_Policy", root=False)
class CTTimeoutPolicy(Row, frozen=True, kw_only=True):
    timeouts: Map[
        Annotated[
            str,
            OneOf(
                "tcp_syn_sent",
                "tcp_syn_recv",
                "tcp_established",
                "tcp_fin_wait",
                "tcp_close_wait",
                "tcp_last_ack",
                "tcp_time_wait",
                "tcp_close",
                "tcp_syn_sent2",
                "tcp_retransmit",
                "tcp_unack",
                "udp_first",
                "udp_single",
                "udp_multiple",
                "icmp_first",
                "icmp_reply",
            ),
        ],
        Annotated[int, Range(0, 4294967295)],
    ] = EMPTY
    external_ids: StrMap = EMPTY


@table("SSL", root=False, max_rows=1)
class SSL(Row, frozen=True, kw_only=True):
    private_key: str = ""
    certificate: str = ""
    ca_cert: str = ""
    bootstrap_ca_cert: bool = False
    external_ids: StrMap = EMPTY


@table("AutoAttach", root=False)
class AutoAttach(Row, frozen=True, kw_only=True):
    system_name: str = ""
    system_description: str = ""
    mappings: Map[Annotated[int, Range(0, 16777215)], Annotated[int, Range(0, 4095)]] = EMPTY


DATABASE = database("Open_vSwitch", "8.3.1", globals())
