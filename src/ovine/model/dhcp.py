"""DHCP options by the names that Neutron's users give them, and by those of OVN's DHCP_Options.

`extra_dhcp_opts` of a port takes dnsmasq's names and option numbers; the northbound has names of its own (ovn-nb(5),
DHCP_Options). The API refuses what is in neither table, so that no option is accepted and then dropped.
"""

from __future__ import annotations

import json

from ovine.model.dhcp_options import V4, V6, rendered

DHCPV4: dict[str, str] = {
    "arp-timeout": "arp_cache_timeout",
    "bootfile-name": "bootfile_name",
    "broadcast-address": "broadcast_address",
    "classless-static-route": "classless_static_route",
    "default-ttl": "default_ttl",
    "dns-server": "dns_server",
    "domain-name": "domain_name",
    "domain-search": "domain_search_list",
    "ethernet-encap": "ethernet_encap",
    "hostname": "hostname",
    "ip-forward-enable": "ip_forward_enable",
    "lease-time": "lease_time",
    "log-server": "log_server",
    "lpr-server": "lpr_server",
    "mtu": "mtu",
    "ms-classless-static-route": "ms_classless_static_route",
    "netbios-name-server": "netbios_name_server",
    "netbios-node-type": "netbios_node_type",
    "netmask": "netmask",
    "nis-server": "nis_server",
    "ntp-server": "ntp_server",
    "path-prefix": "path_prefix",
    "policy-filter": "policy_filter",
    "router": "router",
    "router-discovery": "router_discovery",
    "router-solicitation": "router_solicitation",
    "server-id": "server_id",
    "server-ip-address": "tftp_server_address",
    "swap-server": "swap_server",
    "T1": "T1",
    "T2": "T2",
    "tcp-keepalive": "tcp_keepalive_interval",
    "tcp-ttl": "tcp_ttl",
    "tftp-server": "tftp_server",
    "tftp-server-address": "tftp_server_address",
    "wpad": "wpad",
}
"""Neutron's name to OVN's, for DHCPv4."""

DHCPV4_NUMBERS: dict[str, str] = {
    "1": "netmask",
    "3": "router",
    "6": "dns_server",
    "7": "log_server",
    "9": "lpr_server",
    "12": "hostname",
    "15": "domain_name",
    "16": "swap_server",
    "19": "ip_forward_enable",
    "21": "policy_filter",
    "23": "default_ttl",
    "26": "mtu",
    "28": "broadcast_address",
    "31": "router_discovery",
    "32": "router_solicitation",
    "35": "arp_cache_timeout",
    "36": "ethernet_encap",
    "37": "tcp_ttl",
    "38": "tcp_keepalive_interval",
    "41": "nis_server",
    "42": "ntp_server",
    "44": "netbios_name_server",
    "46": "netbios_node_type",
    "51": "lease_time",
    "54": "server_id",
    "58": "T1",
    "59": "T2",
    "66": "tftp_server",
    "67": "bootfile_name",
    "119": "domain_search_list",
    "121": "classless_static_route",
    "150": "tftp_server_address",
    "210": "path_prefix",
    "249": "ms_classless_static_route",
    "252": "wpad",
}
"""Option numbers (RFC 2132 and later) to OVN's names, for DHCPv4."""

DHCPV6: dict[str, str] = {
    "dns-server": "dns_server",
    "domain-search": "domain_search",
    "ia-addr": "ia_addr",
    "server-id": "server_id",
    "2": "server_id",
    "5": "ia_addr",
    "23": "dns_server",
    "24": "domain_search",
}
"""Names and numbers (RFC 8415 and later) to OVN's names, for DHCPv6."""

DISABLED = "dhcp_disabled"
"""Neutron's extra option that turns DHCP of its version off for a port when it is "true"."""


def quoted(ip_version: int, ovn: str, value: str) -> str:
    """A value as it stands in DHCP_Options.options: text in quotation marks, all else as it is."""
    kind = (V6 if ip_version == 6 else V4)[ovn][1]
    is_text = kind in ("str", "domains", "host_id") and not (value.startswith('"') and value.endswith('"'))
    return json.dumps(value, ensure_ascii=False) if is_text else value


def problem(ip_version: int, name: str, value: str) -> str | None:
    """Why an extra DHCP option cannot be handed out, in the user's terms; None if it can be."""
    ovn = ovn_name(ip_version, name)
    if ovn is None:
        return f"DHCPv{ip_version} has no option {name!r}"
    try:
        rendered(V6 if ip_version == 6 else V4, ovn, quoted(ip_version, ovn, value))
    except ValueError as error:
        return str(error)
    return None


def ovn_name(ip_version: int, name: str) -> str | None:
    """OVN's name for an extra DHCP option; None for one that cannot be handed out."""
    if ip_version == 6:
        return DHCPV6.get(name)
    return DHCPV4.get(name) or DHCPV4_NUMBERS.get(name)
