"""The settings of this host: `external_ids:ovn-*` of the local Open_vSwitch row (ovn-controller(8), "Configuration").

Each key may have the suffix `-CHASSIS`, which wins. Settings are followed at run time: `config` is a query, so
whatever depends on one that changed runs again.

Tests: tests/unit/controller/test_controller_config.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ovine.engine import Reader, query
from ovine.model import vs

ENCAPS: Final = ("geneve", "stt", "vxlan")
"""Tunnel types, best first."""


@dataclass(frozen=True)
class Startup:
    """What the process was started with: `system_id` from -n or the override file (None: the database says)."""

    system_id: str | None = None
    hostname: str = ""


@dataclass(frozen=True)
class Config:
    """Every setting, parsed. `problems` says, a sentence each, which settings make no sense; they count as absent."""

    chassis: str
    hostname: str
    bridge: str = "br-int"
    datapath_type: str | None = None
    remote: str = ""
    encap_types: tuple[str, ...] = ()
    encap_ips: tuple[str, ...] = ()
    default_ip: str = ""
    csum: bool = True
    tos: str | None = None
    df_default: str | None = None
    set_local_ip: bool = False
    bridge_mappings: tuple[tuple[str, str], ...] = ()
    """(physical network, bridge) pairs."""
    monitor_all: bool = False
    transport_zones: tuple[str, ...] = ()
    cleanup_on_exit: bool = True
    probe_interval: float = 5.0
    """Of the southbound connection, in seconds; 0 for none."""
    is_interconn: bool = False
    cms_options: str = ""
    mac_mappings: str = ""
    garp_max_timeout: float = 0.0
    """Seconds; announcements are repeated for ever, at most this far apart. 0: they end."""
    problems: tuple[str, ...] = ()

    @property
    def bridges(self) -> Mapping[str, str]:
        """Bridge by physical network."""
        return dict(self.bridge_mappings)


def parse(external_ids: Mapping[str, str], startup: Startup) -> Config | None:
    """The settings; None while the chassis has no name."""
    chassis = startup.system_id or external_ids.get("system-id", "")
    if not chassis:
        return None

    def get(name: str, default: str = "") -> str:
        return external_ids.get(f"{name}-{chassis}", external_ids.get(name, default))

    problems: list[str] = []
    ips = _words(get("ovn-encap-ip"))
    return Config(
        chassis=chassis,
        hostname=get("hostname") or startup.hostname,
        bridge=get("ovn-bridge") or "br-int",
        datapath_type=get("ovn-bridge-datapath-type") or None,
        remote=get("ovn-remote"),
        encap_types=_encap_types(get("ovn-encap-type"), problems),
        encap_ips=ips,
        default_ip=_default_ip(get("ovn-encap-ip-default"), ips, problems),
        csum=get("ovn-encap-csum") != "false",
        tos=get("ovn-encap-tos") or None,
        df_default=get("ovn-encap-df_default") or None,
        set_local_ip=get("ovn-set-local-ip") == "true",
        bridge_mappings=_mappings(get("ovn-bridge-mappings"), problems),
        monitor_all=get("ovn-monitor-all") == "true",
        transport_zones=tuple(sorted(set(_words(get("ovn-transport-zones"))))),
        cleanup_on_exit=get("ovn-cleanup-on-exit") != "false",
        probe_interval=_probe(get("ovn-remote-probe-interval"), problems),
        is_interconn=get("ovn-is-interconn") == "true",
        cms_options=get("ovn-cms-options"),
        mac_mappings=get("ovn-chassis-mac-mappings"),
        garp_max_timeout=_seconds(get("garp-max-timeout-sec"), "garp-max-timeout-sec", problems),
        problems=tuple(problems),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _encap_types(text: str, problems: list[str]) -> tuple[str, ...]:
    words = _words(text)
    problems += [f"ovn-encap-type: {word!r} is none of {', '.join(ENCAPS)}" for word in words if word not in ENCAPS]
    return tuple(kind for kind in ENCAPS if kind in words)


def _default_ip(wanted: str, ips: tuple[str, ...], problems: list[str]) -> str:
    if wanted and wanted not in ips:
        problems.append(f"ovn-encap-ip-default: {wanted} is not in ovn-encap-ip")
    return wanted if wanted in ips else ips[0] if ips else ""


def _mappings(text: str, problems: list[str]) -> tuple[tuple[str, str], ...]:
    found = {}
    for word in _words(text):
        network, colon, bridge = word.partition(":")
        if not (network and colon and bridge):
            problems.append(f"ovn-bridge-mappings: {word!r} is not of the form NETWORK:BRIDGE")
        else:
            found[network] = bridge
    return tuple(sorted(found.items()))


def _probe(text: str, problems: list[str]) -> float:
    if text and not text.isdigit():
        problems.append(f"ovn-remote-probe-interval: {text!r} is no number of milliseconds")
        return 5.0
    return 0.0 if text == "0" else max(1.0, int(text) / 1000) if text else 5.0


def _seconds(text: str, name: str, problems: list[str]) -> float:
    if text and not text.isdigit():
        problems.append(f"{name}: {text!r} is no number of seconds")
        return 0.0
    return float(text or 0)


@query
def config(q: Reader) -> Config | None:
    """The settings in force; None while there is no Open_vSwitch row or no name for the chassis."""
    startup = q.value(Startup, ())
    for uuid in q.keys(vs.OpenVSwitch):
        external_ids = q.row(vs.OpenVSwitch, uuid).external_ids
        return parse(external_ids, startup if isinstance(startup, Startup) else Startup())
    return None
