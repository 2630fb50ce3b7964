"""Ports that are bound here without an interface."""

from __future__ import annotations

from ovine.controller.local import CLAIMS
from ovine.controller.patches import PATCHES
from ovine.controller.zones import ZONES
from ovine.model import sb, vs
from ovine.model.base import StrMap
from support.controller_world import World, uuid_of


def claimed(world: World) -> set[str]:
    return {claim.logical_port for claim in world.wanted(CLAIMS).values()}


def one_network() -> World:
    world = World()
    world.datapath("sw0", 1)
    world.port("a", "sw0", 1)
    return world


def test_ports_of_gateways_are_claimed_by_the_chassis_that_their_options_name() -> None:
    world = one_network()
    for kind in ("l3gateway", "l2gateway"):
        world.port("g", "sw0", 2, type=kind, **{f"options:{kind}-chassis": "hv2"})
        assert claimed(world) == set()
        world.port("g", "sw0", 2, type=kind, **{f"options:{kind}-chassis": "hv1"})
        assert claimed(world) == {"g"}
        assert "g" in world.wanted(ZONES)


def test_an_external_port_is_claimed_by_the_active_chassis_of_its_group() -> None:
    world = one_network()
    world.ha_group("out", hv1=1)
    world.port("ext", "sw0", 2, type="external", ha_chassis_group="out")
    assert claimed(world) == {"ext"}
    world.port("ext", "sw0", 2, type="external")
    assert claimed(world) == set()


def test_a_virtual_port_is_claimed_where_its_parent_is() -> None:
    world = one_network()
    world.port("vip", "sw0", 2, type="virtual", virtual_parent="a")
    assert claimed(world) == set()
    world.interface("a", 10)
    assert claimed(world) == {"a", "vip"}
    world.port("vip", "sw0", 2, type="virtual", virtual_parent="b")
    assert claimed(world) == {"a"}
    world.port("vip", "sw0", 2, type="virtual", virtual_parent="vip")
    assert claimed(world) == {"a"}


def test_a_layer_2_gateway_has_patch_ports_on_its_chassis_alone() -> None:
    world = one_network()
    world.setting("ovn-bridge-mappings", "phys:br-ex")
    world.bridge("br-ex")
    options = {"options:network_name": "phys", "options:l2gateway-chassis": "hv1"}
    world.port("l2", "sw0", 2, type="l2gateway", **options)
    assert set(world.wanted(PATCHES)) == {"patch-br-int-to-l2", "patch-l2-to-br-int"}
    assert {patch.mark for patch in world.wanted(PATCHES).values()} == {"ovn-l2gateway-port"}
    world.interface("a", 10)
    world.port("l2", "sw0", 2, type="l2gateway", **options | {"options:l2gateway-chassis": "hv2"})
    assert world.wanted(PATCHES) == {}


def test_a_routers_wish_for_its_snat_zone_is_met_and_zero_is_the_kernels() -> None:
    world = one_network()
    world.interface("a", 10)
    snat = f"{uuid_of('datapath', 'sw0')}_snat"
    free = world.wanted(ZONES)[snat]
    for wish, granted in (("700", 700), ("0", 0), ("65536", free), ("all", free)):
        ids = StrMap({"logical-switch": uuid_of("sw0"), "name": "sw0", "snat-ct-zone": wish})
        world.change(sb.DatapathBinding, uuid_of("datapath", "sw0"), external_ids=ids)
        assert world.wanted(ZONES).get(snat, 0) == granted, wish
        loaded = f"set_field:{granted:#x}->reg12" if granted > 9 else f"set_field:{granted}->reg12"
        assert loaded in world.flows("table=49", "reg15=1")[0]
    world.remove(vs.Interface, uuid_of("interface", "if-a"))
    assert world.wanted(ZONES) == {}
