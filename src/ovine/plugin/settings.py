"""What an operator may set for the plugin in Ovine's configuration file (TOML).

That is `base_mac`, `agent_down_time`, `[dhcp]` and `[l3]`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any


class SettingsError(ValueError):
    """A setting that makes no sense; its text is one line for the operator."""


@dataclass(frozen=True)
class Settings:
    """`domain` is handed out as the domain name, `dns_servers` where a subnet names none; `lease_time` in seconds.

    `base_mac` is the first three octets of the addresses that the cloud itself uses. With `distributed_floating_ips`,
    the host of a port answers for its floating IPs, not the gateway's chassis. An agent that has said nothing for
    `agent_down_time` seconds is down.
    """

    domain: str = "openstacklocal"
    dns_servers: tuple[str, ...] = ()
    lease_time: int = 43200
    base_mac: str = "fa:16:3e"
    distributed_floating_ips: bool = False
    agent_down_time: int = 75


def load(path: Path | None) -> Settings:
    """Reads the settings; defaults where the file, a table or a key is missing. Raises SettingsError."""
    if path is None:
        return Settings()
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    dhcp: dict[str, Any] = tables.get("dhcp", {})
    known = {"domain", "dns_servers", "lease_time"}
    if not isinstance(dhcp, dict) or dhcp.keys() - known:
        raise SettingsError(f"{path}: the table [dhcp] knows only {', '.join(sorted(known))}")
    l3: dict[str, Any] = tables.get("l3", {})
    if not isinstance(l3, dict) or l3.keys() - {"distributed_floating_ips"}:
        raise SettingsError(f"{path}: the table [l3] knows only distributed_floating_ips")
    settings = Settings(
        domain=str(dhcp.get("domain", Settings.domain)),
        dns_servers=tuple(dhcp.get("dns_servers", ())),
        lease_time=dhcp.get("lease_time", Settings.lease_time),
        base_mac=str(tables.get("base_mac", Settings.base_mac)).lower(),
        distributed_floating_ips=l3.get("distributed_floating_ips", False),
        agent_down_time=tables.get("agent_down_time", Settings.agent_down_time),
    )
    _check(path, settings)
    return settings


def _check(path: Path, settings: Settings) -> None:
    if not isinstance(settings.distributed_floating_ips, bool):
        found = settings.distributed_floating_ips
        raise SettingsError(f"{path}: l3.distributed_floating_ips is true or false, not {found!r}")
    down = settings.agent_down_time
    if not isinstance(down, int) or isinstance(down, bool) or down <= 0:
        raise SettingsError(f"{path}: agent_down_time is a number of seconds, not {down!r}")
    if not isinstance(settings.lease_time, int) or settings.lease_time <= 0:
        raise SettingsError(f"{path}: dhcp.lease_time is a number of seconds, not {settings.lease_time!r}")
    if not re.fullmatch(r"([0-9a-f]{2}:){2}[0-9a-f]{2}", settings.base_mac):
        raise SettingsError(f"{path}: base_mac is the first three octets of a MAC address, not {settings.base_mac!r}")
    for server in settings.dns_servers:
        try:
            ip_address(server)
        except ValueError as error:
            raise SettingsError(f"{path}: dhcp.dns_servers holds {server!r}, which is no IP address") from error
