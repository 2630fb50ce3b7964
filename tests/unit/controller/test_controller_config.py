"""The settings of a host."""

from __future__ import annotations

from typing import Any

import pytest

from ovine.controller.config import Config, Startup, parse


def settings(startup: Startup | None = None, **external_ids: str) -> Config:
    given = {key.replace("_", "-"): value for key, value in external_ids.items()}
    found = parse({"system-id": "hv1", **given}, startup or Startup(None, "machine"))
    assert found is not None
    return found


def test_a_chassis_without_a_name_has_no_settings() -> None:
    assert parse({}, Startup()) is None


def test_the_command_line_names_the_chassis_whatever_the_database_says() -> None:
    assert settings(Startup("other", "machine")).chassis == "other"


def test_a_key_with_the_chassis_name_behind_it_wins() -> None:
    found = settings(ovn_remote="tcp:a", **{"ovn-remote-hv1": "tcp:b", "ovn-remote-hv2": "tcp:c"})
    assert found.remote == "tcp:b"


def test_the_defaults_are_those_of_ovn_controller() -> None:
    found = settings()
    assert (found.bridge, found.monitor_all, found.csum, found.probe_interval) == ("br-int", False, True, 5.0)
    assert found.hostname == "machine" and found.cleanup_on_exit and not found.problems


@pytest.mark.parametrize(
    ("key", "value", "attribute", "expected"),
    [
        ("ovn-encap-type", "vxlan,geneve", "encap_types", ("geneve", "vxlan")),
        ("ovn-encap-ip", "10.0.0.1, 10.0.0.2", "encap_ips", ("10.0.0.1", "10.0.0.2")),
        ("ovn-bridge-mappings", "b:br-b,a:br-a", "bridge_mappings", (("a", "br-a"), ("b", "br-b"))),
        ("ovn-monitor-all", "true", "monitor_all", True),
        ("ovn-transport-zones", "tz2,tz1", "transport_zones", ("tz1", "tz2")),
        ("ovn-remote-probe-interval", "0", "probe_interval", 0.0),
        ("ovn-remote-probe-interval", "100", "probe_interval", 1.0),
        ("ovn-cleanup-on-exit", "false", "cleanup_on_exit", False),
        ("ovn-bridge", "br-other", "bridge", "br-other"),
    ],
)
def test_each_key_is_read(key: str, value: str, attribute: str, expected: Any) -> None:
    assert getattr(settings(**{key: value}), attribute) == expected


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("ovn-encap-type", "gre", "ovn-encap-type: 'gre' is none of geneve, stt, vxlan"),
        ("ovn-bridge-mappings", "phys", "ovn-bridge-mappings: 'phys' is not of the form NETWORK:BRIDGE"),
        ("ovn-encap-ip-default", "1.1.1.1", "ovn-encap-ip-default: 1.1.1.1 is not in ovn-encap-ip"),
        ("ovn-remote-probe-interval", "soon", "ovn-remote-probe-interval: 'soon' is no number of milliseconds"),
    ],
)
def test_nonsense_is_told_and_counts_as_absent(key: str, value: str, problem: str) -> None:
    assert settings(**{key: value}).problems == (problem,)


def test_of_several_addresses_the_first_is_the_default() -> None:
    assert settings(ovn_encap_ip="10.0.0.1,10.0.0.2").default_ip == "10.0.0.1"
    assert settings(ovn_encap_ip="10.0.0.1,10.0.0.2", **{"ovn-encap-ip-default": "10.0.0.2"}).default_ip == "10.0.0.2"
