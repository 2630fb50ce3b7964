"""The API server's configuration: a TOML file to one frozen value.

A missing key has the default written here; an unknown key, a wrong type or an impossible range is a ConfigError that
names the key. docs/api.md shows a whole file.

Terms: the *underlay* is the physical network that carries tunnels; a *physical network* is a name that hosts map to a
bridge (`ovn-bridge-mappings`).

Tests: tests/unit/api/test_api_config.py.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

TUNNEL_TYPES = ("geneve", "vxlan")
NETWORK_TYPES = (*TUNNEL_TYPES, "vlan", "flat")
OTHERS_TABLES = ("l3",)
"""Parts of the same file that only the plugin reads."""


class ConfigError(ValueError):
    """The configuration file is unusable; the text says which key, and why."""


@dataclass(frozen=True)
class Mtu:
    """Sizes in bytes. `path` is what tunnels may use of the underlay, 0 for the same as `physical`."""

    physical: int = 1500
    path: int = 0
    overlay_ip_version: int = 4
    geneve_header: int = 38
    """Outer UDP, Geneve with OVN's option, and inner Ethernet: what remains of the overhead beside the outer IP."""
    vxlan_header: int = 38
    """The same for networks of type vxlan. VXLAN's own are 30, but hosts that speak Geneve too carry them in Geneve."""
    physical_networks: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Quotas:
    """How many resources a project may have for which no limit has been set; -1 for any number."""

    network: int = 100
    subnet: int = 100
    subnetpool: int = -1
    port: int = 500
    router: int = 10
    floatingip: int = 50
    security_group: int = 10
    security_group_rule: int = 100


@dataclass(frozen=True)
class Dhcp:
    """What the API shares with the plugin's part of the file: the domain of ports for which nobody names another."""

    domain: str = "openstacklocal"


@dataclass(frozen=True)
class KeystoneConfig:
    """A Keystone that is asked about tokens, instead of the local identity. `url` ends in /v3."""

    url: str
    username: str
    password: str
    project_name: str = "service"
    user_domain_id: str = "default"
    project_domain_id: str = "default"
    cache_seconds: float = 60.0


@dataclass(frozen=True)
class Config:
    """Everything that an operator may choose. Ranges are inclusive "FIRST:LAST" texts in the file."""

    tenant_network_types: tuple[str, ...] = ("geneve",)
    geneve_vni_ranges: tuple[str, ...] = ("1:65536",)
    vxlan_vni_ranges: tuple[str, ...] = ("1:4095",)
    vlan_ranges: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Physical network to the VLAN ids that tenants' networks may get; an empty list allows only explicit ids."""
    flat_networks: tuple[str, ...] = ("*",)
    """Physical networks that may carry a flat network; "*" for any."""
    mtu: Mtu = field(default_factory=Mtu)
    quota: Quotas = field(default_factory=Quotas)
    dhcp: Dhcp = field(default_factory=Dhcp)
    base_mac: str = "fa:16:3e"
    max_dns_nameservers: int = 5
    max_host_routes: int = 20
    max_allowed_address_pairs: int = 10
    max_routes: int = 30
    """Extra routes of a router."""
    enable_snat_by_default: bool = True
    """Whether a router's gateway translates addresses if the request does not say."""
    max_body_bytes: int = 1 << 20
    page_limit: int = 0
    """The largest page of a list, in items; 0 for no limit."""
    agent_down_time: int = 75
    """Seconds after its last sign of life from which an agent is shown as down."""
    metadata_ports: bool = True
    """Whether each network gets a `network:distributed` port."""
    integration_bridge: str = "br-int"
    policy_file: str = ""
    keystone: KeystoneConfig | None = None

    def ranges(self, kind: str) -> tuple[tuple[int, int], ...]:
        """The segment numbers that tenants' networks of a tunnel type may get."""
        return tuple(parse_range(text) for text in getattr(self, f"{kind}_vni_ranges"))

    def vlans(self) -> dict[str, tuple[tuple[int, int], ...]]:
        return {name: tuple(parse_range(text) for text in texts) for name, texts in self.vlan_ranges.items()}

    def max_mtu(self, kind: str, physical_network: str) -> int:
        """The largest MTU of a network of that type, in bytes."""
        mtu = self.mtu
        if kind not in TUNNEL_TYPES:
            return mtu.physical_networks.get(physical_network, mtu.physical)
        outer = 20 if mtu.overlay_ip_version == 4 else 40
        header = mtu.geneve_header if kind == "geneve" else mtu.vxlan_header
        return min(mtu.path or mtu.physical, mtu.physical) - outer - header


def parse_range(text: str) -> tuple[int, int]:
    """ "FIRST:LAST" or "ONE" to inclusive bounds. Raises ConfigError."""
    first, _, last = text.partition(":")
    try:
        low, high = int(first), int(last or first)
    except ValueError:
        raise ConfigError(f"{text!r} is not a range: write FIRST:LAST") from None
    if not 0 < low <= high:
        raise ConfigError(f"{text!r} is not a range of positive numbers")
    return low, high


def load(path: Path | None) -> Config:
    """The configuration in a file, or the defaults. Raises ConfigError."""
    if path is None:
        return Config()
    try:
        with path.open("rb") as stream:
            return from_dict(tomllib.load(stream))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error


def from_dict(data: dict[str, Any]) -> Config:
    """A configuration from plain values. Raises ConfigError."""
    data = {key: value for key, value in data.items() if key not in OTHERS_TABLES}
    if isinstance(data.get("dhcp"), dict):
        data["dhcp"] = {key: value for key, value in data["dhcp"].items() if key in Dhcp.__dataclass_fields__}
    sections = (
        (data, Config),
        *((data.get(name, {}), kind) for name, kind in (("mtu", Mtu), ("quota", Quotas), ("keystone", KeystoneConfig))),
    )
    for section, kind in sections:
        known = kind.__dataclass_fields__
        unknown = sorted(set(section) - set(known)) if isinstance(section, dict) else []
        if unknown:
            raise ConfigError(f"unknown key {unknown[0]!r}; known are: {', '.join(sorted(known))}")
    try:
        config = msgspec.convert(data, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from error
    return _checked(config)


def _checked(config: Config) -> Config:
    for kind in config.tenant_network_types:
        if kind not in NETWORK_TYPES:
            raise ConfigError(f"tenant_network_types: {kind!r} is none of {', '.join(NETWORK_TYPES)}")
        if kind == "flat":
            raise ConfigError("tenant_network_types: a flat network is made by an administrator, name by name")
    if config.agent_down_time <= 0:
        raise ConfigError(f"agent_down_time: {config.agent_down_time} is no number of seconds")
    for kind in TUNNEL_TYPES:
        for low, high in config.ranges(kind):
            if high > 0xFFFFFF:
                raise ConfigError(f"{kind}_vni_ranges: {low}:{high} is beyond 16777215")
    for name, ranges in config.vlans().items():
        for low, high in ranges:
            if high > 4094:
                raise ConfigError(f"vlan_ranges: {low}:{high} of {name!r} is beyond 4094")
    for name, limit in asdict(config.quota).items():
        if limit < -1:
            raise ConfigError(f"quota.{name}: {limit} is no limit; -1 is for any number")
    if config.mtu.overlay_ip_version not in (4, 6):
        raise ConfigError("mtu.overlay_ip_version: 4 or 6")
    return config
