"""The configuration file."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ovine.api.config import Config, ConfigError, from_dict, load


def test_a_file_is_read_and_what_it_leaves_out_is_default(tmp_path: Path) -> None:
    path = tmp_path / "ovine.toml"
    path.write_text(
        'tenant_network_types = ["vxlan", "geneve"]\nflat_networks = ["public"]\n'
        '[vlan_ranges]\nphysnet1 = ["100:199", "300"]\n[mtu]\nphysical = 9000\n'
        '[dhcp]\ndomain = "example.org"\nlease_time = 60\n'
    )
    config = load(path)
    assert config.tenant_network_types == ("vxlan", "geneve")
    assert config.vlans() == {"physnet1": ((100, 199), (300, 300))}
    assert config.dhcp.domain == "example.org"
    assert config.max_body_bytes == Config().max_body_bytes
    assert load(None) == Config()


@pytest.mark.parametrize(
    "mtu, kind, physical, most",
    [
        ({}, "geneve", "", 1442),
        ({}, "vxlan", "", 1442),
        ({"vxlan_header": 30}, "vxlan", "", 1450),
        ({}, "flat", "public", 1500),
        ({"overlay_ip_version": 6}, "geneve", "", 1422),
        ({"physical": 9000}, "geneve", "", 8942),
        ({"physical": 9000, "path": 1600}, "vxlan", "", 1542),
        ({"physical": 1500, "path": 9000}, "vxlan", "", 1442),
        ({"physical_networks": {"public": 1400}}, "vlan", "public", 1400),
        ({"physical_networks": {"public": 1400}}, "vlan", "other", 1500),
    ],
)
def test_the_largest_mtu_leaves_room_for_the_tunnel(mtu: dict[str, Any], kind: str, physical: str, most: int) -> None:
    assert from_dict({"mtu": mtu}).max_mtu(kind, physical) == most


@pytest.mark.parametrize(
    "data, told",
    [
        ({"colour": 1}, "colour"),
        ({"mtu": {"colour": 1}}, "colour"),
        ({"mtu": 1500}, "mtu"),
        ({"tenant_network_types": ["gre"]}, "gre"),
        ({"tenant_network_types": ["flat"]}, "flat"),
        ({"tenant_network_types": "geneve"}, "tenant_network_types"),
        ({"geneve_vni_ranges": ["9:1"]}, "9:1"),
        ({"vxlan_vni_ranges": ["1:16777216"]}, "16777215"),
        ({"vlan_ranges": {"p": ["1:4095"]}}, "4094"),
        ({"vlan_ranges": {"p": ["all"]}}, "all"),
        ({"mtu": {"overlay_ip_version": 5}}, "overlay_ip_version"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(data: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        from_dict(data)


def test_the_settings_in_the_documentation_are_the_defaults_or_examples_that_work() -> None:
    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    config = from_dict(tomllib.loads(blocks[0]))
    examples = {"vlan_ranges": Config().vlan_ranges, "mtu": Config().mtu}
    assert dataclasses.replace(config, **examples) == Config()
    shown = set(tomllib.loads(blocks[0])) | {"keystone"}
    assert shown == {field.name for field in dataclasses.fields(Config)}
    assert from_dict(tomllib.loads(blocks[1])).keystone is not None


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path / "none.toml")
    path = tmp_path / "bad.toml"
    path.write_text("= 5")
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        load(path)
