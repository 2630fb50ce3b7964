"""How this host presents itself southbound: rows of Chassis, Encap and Chassis_Private, as they should be.

The keys of `other_config` are those that ovn-northd and other controllers look for; keys of others in that column are
left alone.

Tests: tests/interop/controller/test_controller_daemon.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ovine.controller.config import Config, config
from ovine.controller.local import bridge
from ovine.engine import Emit, Reader, Relation, query, rule
from ovine.model import vs
from ovine.model.base import StrMap

FEATURES: Final = StrMap(
    {
        "port-up-notif": "true",
        "mac-binding-timestamp": "true",
        "ct-no-masked-label": "true",
        "ovn-ct-lb-related": "true",
    }
)
"""What ovn-northd may count on: we set Port_Binding.up, timestamps of MAC_Binding, and know the words ct_mark and
ct_lb_mark."""


class Presence(NamedTuple):
    """The Chassis row. `encaps` are (type, address) pairs, `encap_options` is the same for all."""

    name: str
    hostname: str
    encaps: tuple[tuple[str, str], ...]
    encap_options: StrMap
    other_config: StrMap
    transport_zones: tuple[str, ...]


PRESENCE: Relation[tuple[()], Presence] = Relation("our chassis")


SETTINGS_SENSIBLE: Relation[tuple[()], bool] = Relation("settings make sense")


class IncompleteSettings(ValueError):
    """Settings without which the host cannot take part; the text says which."""


@query
def _switch(q: Reader) -> tuple[tuple[str, ...], str]:
    """(interface types, datapath type of the integration bridge)."""
    types: tuple[str, ...] = ()
    for uuid in q.keys(vs.OpenVSwitch):
        types = q.row(vs.OpenVSwitch, uuid).iface_types
    integration = bridge(q)
    kind = q.row(vs.Bridge, integration).datapath_type if integration is not None else ""
    return types, kind


@rule(writes=(PRESENCE,))
def presence(q: Reader, _key: tuple[()]) -> Iterator[Emit]:
    """Our rows, once the settings say what must be known."""
    settings = config(q)
    if settings is None:
        raise IncompleteSettings("external_ids:system-id of the Open_vSwitch table is not set")
    lacking = [
        f"ovn-{name}"
        for name, value in (("encap-type", settings.encap_types), ("encap-ip", settings.encap_ips))
        if not value
    ]
    if lacking:
        raise IncompleteSettings(f"external_ids of the Open_vSwitch table lack {' and '.join(lacking)}")
    encaps = tuple((kind, ip) for kind in settings.encap_types for ip in settings.encap_ips)
    types, kind = _switch(q)
    options = {"csum": "true" if settings.csum else "false"}
    if len(settings.encap_ips) > 1:
        options["default-encap-ip"] = settings.default_ip
    yield PRESENCE(
        (),
        Presence(
            settings.chassis,
            settings.hostname,
            encaps,
            StrMap(options),
            _other_config(settings, types, kind),
            settings.transport_zones,
        ),
    )


def _other_config(settings: Config, types: tuple[str, ...], datapath_type: str) -> StrMap:
    mappings = ",".join(f"{network}:{name}" for network, name in settings.bridge_mappings)
    return StrMap(
        FEATURES
        | {
            "ovn-bridge-mappings": mappings,
            "datapath-type": datapath_type or "system",
            "iface-types": ",".join(types),
            "ovn-monitor-all": "true" if settings.monitor_all else "false",
            "is-interconn": "true" if settings.is_interconn else "false",
            "ovn-cms-options": settings.cms_options,
            "ovn-chassis-mac-mappings": settings.mac_mappings,
        }
    )


@rule(writes=(SETTINGS_SENSIBLE,))
def settings_problems(q: Reader, _key: tuple[()]) -> Iterator[Emit]:
    """Makes a failure of settings that make no sense."""
    settings = config(q)
    if settings is not None and settings.problems:
        raise IncompleteSettings("; ".join(settings.problems))
    yield SETTINGS_SENSIBLE((), True)


RULES = (presence, settings_problems)
