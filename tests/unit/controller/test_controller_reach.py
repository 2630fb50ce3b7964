"""Which datapaths are local: what a port here reaches, and no more; and what the monitor asks for on the way there."""

from __future__ import annotations

from ovine.controller.interest import INTEREST
from ovine.controller.local import LOCAL_DATAPATHS
from ovine.model import sb, vs
from support.controller_world import World, uuid_of


def local(world: World) -> set[str]:
    names = {uuid: row.external_ids["name"] for (table, uuid), row in world.rows.items() if table is sb.DatapathBinding}
    return {names[uuid] for uuid in world.wanted(LOCAL_DATAPATHS)}


def asked_by_name(world: World) -> set[str]:
    return {clause[2] for table, clause in world.wanted(INTEREST) if clause[0] == "logical_port"}


def chain(length: int = 4) -> World:
    """Networks sw0, sw1 … with a router between each and the next: lr0 links sw0 and sw1."""
    world = World()
    for number in range(length):
        world.datapath(f"sw{number}", number + 1)
        world.port(f"p{number}", f"sw{number}", 9)
    for number in range(length - 1):
        world.datapath(f"lr{number}", 100 + number, "router")
        world.link(f"sw{number}", 1, f"lr{number}", 1)
        world.link(f"sw{number + 1}", 2, f"lr{number}", 2)
    return world


EVERYTHING = {"sw0", "sw1", "sw2", "sw3", "lr0", "lr1", "lr2"}


def test_all_that_a_port_here_can_reach_is_local_however_far() -> None:
    world = chain()
    assert local(world) == set()
    world.interface("p2", 10)
    assert local(world) == EVERYTHING


def test_datapaths_that_hold_only_each_other_are_not_local() -> None:
    world = chain()
    interface = world.interface("p2", 10)
    assert local(world) == EVERYTHING
    world.remove(vs.Interface, interface)
    assert local(world) == set()


def test_what_is_cut_off_is_local_no_more() -> None:
    world = chain()
    world.interface("p0", 10)
    assert local(world) == EVERYTHING
    world.remove(sb.PortBinding, uuid_of("port", "lr1-sw1"))
    assert local(world) == {"sw0", "lr0", "sw1"}
    world.interface("p3", 11)
    assert local(world) == EVERYTHING, "from both sides of the cut"


def test_the_other_end_of_a_link_is_asked_for_by_name_until_its_datapath_is_local() -> None:
    world = chain(2)
    world.interface("p0", 10)
    assert asked_by_name(world) == set()
    there = world.row(sb.PortBinding, uuid_of("port", "lr0-sw0"))
    world.remove(sb.PortBinding, there.uuid)
    assert asked_by_name(world) == {"lr0-sw0"} and local(world) == {"sw0"}
    world.put(there)
    assert asked_by_name(world) == set() and local(world) == {"sw0", "lr0", "sw1"}


def test_nothing_is_asked_for_beyond_datapaths_that_do_not_concern_this_host() -> None:
    world = chain(2)
    world.remove(sb.PortBinding, uuid_of("port", "lr0-sw0"))
    assert asked_by_name(world) == set()


def test_a_gateway_router_is_reached_on_its_own_chassis_only() -> None:
    world = World()
    world.datapath("sw0", 1)
    world.datapath("gr", 2, "router")
    world.port("a", "sw0", 9)
    world.interface("a", 10)
    world.link("sw0", 1, "gr", 1, type="l3gateway", **{"options:l3gateway-chassis": "hv2"})
    assert local(world) == {"sw0"}
    world.link("sw0", 1, "gr", 1, type="l3gateway", **{"options:l3gateway-chassis": "hv1"})
    assert local(world) == {"sw0", "gr"}
    world.remove(vs.Interface, uuid_of("interface", "if-a"))
    assert local(world) == {"sw0", "gr"}


def gateway(always: bool) -> World:
    """A router between sw0, with a port here, and pub, by a distributed gateway port."""
    world = World()
    for name, key, kind in (("sw0", 1, "switch"), ("lr0", 2, "router"), ("pub", 3, "switch")):
        world.datapath(name, key, kind)
    world.port("a", "sw0", 9)
    world.link("sw0", 1, "lr0", 1)
    world.link("pub", 1, "lr0", 2, **{"options:chassis-redirect-port": "cr"})
    for name in ("hv2", "hv3"):
        world.chassis(name, "geneve", f"10.9.0.{name[2:]}")
    world.ha_group("gw", hv2=2, hv3=1)
    options = {"options:distributed-port": "lr0-pub"} | ({"options:always-redirect": "true"} if always else {})
    world.port("cr", "lr0", 3, type="chassisredirect", ha_chassis_group="gw", **options)
    return world


def test_the_network_behind_a_gateway_port_is_local_where_packets_may_go_straight_there() -> None:
    for always, expected in ((False, {"sw0", "lr0", "pub"}), (True, {"sw0", "lr0"})):
        world = gateway(always)
        world.interface("a", 10)
        assert local(world) == expected


def test_who_may_have_to_serve_a_gateway_port_has_all_behind_it_though_no_port_is_there() -> None:
    world = gateway(always=True)
    assert local(world) == set()
    world.ha_group("gw", hv1=1, hv2=2)
    assert local(world) == {"sw0", "lr0", "pub"}
    assert ("Port_Binding", ("ha_chassis_group", "==", uuid_of("ha group", "gw"))) in world.wanted(INTEREST)
    world.ha_group("gw", hv2=2)
    assert local(world) == set()


def test_a_further_port_or_network_at_a_router_that_is_here_searches_nothing() -> None:
    world = chain(2)
    world.interface("p0", 10)
    world.run()
    world.engine.log = []
    world.interface("p1", 11)
    world.port("more", "sw0", 10)
    world.interface("more", 12)
    world.run()
    assert not [name for name, _ in world.engine.log if name.endswith((".search", ".links", ".steps"))]
