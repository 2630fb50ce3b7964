"""The DHCP options that may stand in DHCP_Options.options (ovn-nb(5)), with their codes and types, as data.

Codes are those of RFC 2132 and its successors, RFC 8415 and RFC 3646. Codes 253 and 254 are no options on the wire:
hosts know them as the `siaddr` field and as the boot file for clients without a boot loader.
Also how a value is written in an action; a value of the wrong form is refused here, where it can be reported, since a
host could only drop the whole flow. The API asks the same, so that what it takes can be handed out.
Tests: tests/unit/northd/test_northd_text.py, tests/api/test_api_ports.py.
"""

from __future__ import annotations

import ipaddress
import json
import re

V4: dict[str, tuple[int, str]] = {
    "offerip": (0, "ipv4"),
    "netmask": (1, "ipv4"),
    "router": (3, "ipv4"),
    "dns_server": (6, "ipv4"),
    "log_server": (7, "ipv4"),
    "lpr_server": (9, "ipv4"),
    "hostname": (12, "str"),
    "domain_name": (15, "str"),
    "swap_server": (16, "ipv4"),
    "ip_forward_enable": (19, "bool"),
    "policy_filter": (21, "ipv4"),
    "default_ttl": (23, "uint8"),
    "mtu": (26, "uint16"),
    "broadcast_address": (28, "ipv4"),
    "router_discovery": (31, "bool"),
    "router_solicitation": (32, "ipv4"),
    "arp_cache_timeout": (35, "uint32"),
    "ethernet_encap": (36, "bool"),
    "tcp_ttl": (37, "uint8"),
    "tcp_keepalive_interval": (38, "uint32"),
    "nis_server": (41, "ipv4"),
    "ntp_server": (42, "ipv4"),
    "netbios_name_server": (44, "ipv4"),
    "netbios_node_type": (46, "uint8"),
    "lease_time": (51, "uint32"),
    "server_id": (54, "ipv4"),
    "T1": (58, "uint32"),
    "T2": (59, "uint32"),
    "tftp_server": (66, "host_id"),
    "bootfile_name": (67, "str"),
    "domain_search_list": (119, "domains"),
    "classless_static_route": (121, "static_routes"),
    "tftp_server_address": (150, "ipv4"),
    "path_prefix": (210, "str"),
    "ms_classless_static_route": (249, "static_routes"),
    "wpad": (252, "str"),
    "next_server": (253, "ipv4"),
    "bootfile_name_alt": (254, "str"),
}

V6: dict[str, tuple[int, str]] = {
    "server_id": (2, "mac"),
    "ia_addr": (5, "ipv6"),
    "dns_server": (23, "ipv6"),
    "domain_search": (24, "str"),
}

_MAC = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}")
_LIMITS = {"bool": 1, "uint8": 2**8 - 1, "uint16": 2**16 - 1, "uint32": 2**32 - 1}


def rendered(options: dict[str, tuple[int, str]], name: str, value: str) -> str:
    """`name = value` as it stands in put_dhcp_opts() or put_dhcpv6_opts(). Raises ValueError in the user's terms."""
    if name not in options:
        raise ValueError(f"there is no option {name!r}")
    kind = options[name][1]
    try:
        return f"{name} = {_value(kind, value.strip())}"
    except ValueError:
        raise ValueError(f"option {name}: {value!r} is not of type {kind}") from None


def _value(kind: str, text: str) -> str:
    if kind in _LIMITS:
        return _number(text, _LIMITS[kind])
    if kind in ("str", "domains"):
        return _string(text)
    if kind == "host_id":
        return text if _is_ip4(text) else _string(text)
    if kind == "mac":
        if not _MAC.fullmatch(text):
            raise ValueError(text)
        return text
    return _addresses(kind, text)


def _number(text: str, limit: int) -> str:
    if kind := {"true": "1", "false": "0"}.get(text.lower()) if limit == 1 else None:
        return kind
    if not text.isascii() or not text.isdigit() or int(text) > limit:
        raise ValueError(text)
    return text


def _string(text: str) -> str:
    """With quotation marks, whether the user wrote them or not."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = json.loads(text)
    return json.dumps(text, ensure_ascii=False)


def _is_ip4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _addresses(kind: str, text: str) -> str:
    """One address, or several in braces; a route's destination may have a prefix length."""
    inner = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    words = inner.replace(",", " ").split()
    if not words or (kind == "static_routes" and len(words) % 2):
        raise ValueError(text)
    for n, word in enumerate(words):
        if kind == "static_routes" and n % 2 == 0:
            ipaddress.IPv4Interface(word)
        elif kind == "ipv6":
            ipaddress.IPv6Address(word)
        else:
            ipaddress.IPv4Address(word)
    return words[0] if len(words) == 1 else "{" + ", ".join(words) + "}"
