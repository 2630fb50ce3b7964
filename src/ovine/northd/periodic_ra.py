"""Periodic IPv6 router advertisements: hosts send them, told how by the options of the router port's binding.

The options begin with `ipv6_ra_`; ovn-sb(5) leaves them out, their forms are those that OVN's daemons share. The limits
on intervals are RFC 4861's (section 6.2.1), the least MTU is RFC 8200's (section 5).

Pure functions of a row; the rules are in `ovine.northd.router_bindings`. Tests: tests/unit/northd/test_periodic_ra.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ovine.northd.addresses import link_local

MODES = ("slaac", "dhcpv6_stateful", "dhcpv6_stateless")
PREFERENCES = ("HIGH", "MEDIUM", "LOW")
LEAST_MTU = 1280
LONGEST, SHORTEST = 1800, 4
"""Bounds of the maximum interval, in seconds."""
DEFAULT_INTERVAL = 600


def sends(configs: Mapping[str, str]) -> bool:
    """Whether a router port advertises by itself: it is to, and a mode of addressing is chosen."""
    return configs.get("send_periodic", "").lower() == "true" and configs.get("address_mode", "") in MODES


def problems(configs: Mapping[str, str]) -> list[str]:
    """What is wrong with ipv6_ra_configs; what is named here has its default, or no effect."""
    found = []
    mode = configs.get("address_mode")
    if mode is not None and mode not in MODES:
        found.append(f"address_mode {mode!r} is none of {', '.join(MODES)}; nothing is advertised")
    preference = configs.get("router_preference")
    if preference is not None and preference not in PREFERENCES:
        found.append(f"router_preference {preference!r} is none of {', '.join(PREFERENCES)}; MEDIUM is taken")
    numbers = ("max_interval", "min_interval", "mtu")
    return found + [
        f"{name} {configs[name]!r} is not a number"
        for name in numbers
        if name in configs and _number(configs, name) is None
    ]


def options(mac: str, prefixes: Iterable[str], configs: Mapping[str, str]) -> dict[str, str]:
    """The options of the binding of a port with these IPv6 networks; none if it does not advertise."""
    if not sends(configs):
        return {}
    longest, least = intervals(configs)
    made = {
        "ipv6_ra_send_periodic": "true",
        "ipv6_ra_address_mode": configs["address_mode"],
        "ipv6_ra_max_interval": str(longest),
        "ipv6_ra_min_interval": str(least),
        "ipv6_ra_prefixes": " ".join(prefixes),
        "ipv6_ra_src_eth": mac,
        "ipv6_ra_src_addr": link_local(mac),
        "ipv6_ra_prf": _preference(configs),
    }
    if (_number(configs, "mtu") or 0) >= LEAST_MTU:
        made["ipv6_ra_mtu"] = configs["mtu"].strip()
    for name in ("route_info", "rdnss", "dnssl"):
        if value := configs.get(name):
            made[f"ipv6_ra_{name}"] = value
    return made


def intervals(configs: Mapping[str, str]) -> tuple[int, int]:
    """The longest and the least time between two advertisements, in seconds."""
    wanted = _number(configs, "max_interval")
    longest = min(max(DEFAULT_INTERVAL if wanted is None else wanted, SHORTEST), LONGEST)
    most = longest * 3 // 4
    least = _number(configs, "min_interval")
    if least is None:
        least = longest // 3 if longest >= 9 else most
    return longest, min(max(least, 3), most)


def _preference(configs: Mapping[str, str]) -> str:
    wanted = configs.get("router_preference", "MEDIUM")
    return wanted if wanted in PREFERENCES else "MEDIUM"


def _number(configs: Mapping[str, str], name: str) -> int | None:
    text = configs.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() else None
