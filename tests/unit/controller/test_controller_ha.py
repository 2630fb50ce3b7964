"""Which chassis of a group is active, and which tunnels BFD watches for it."""

from __future__ import annotations

from ovine.controller.bfd import BFD
from ovine.controller.ha import LIVE
from ovine.controller.local import CLAIMS
from ovine.model import sb, vs
from ovine.model.base import StrMap
from support.controller_world import World, uuid_of


def cloud() -> World:
    """Four hosts, of which hv1 is ours, and a router with a redirecting port in group gw."""
    world = World()
    for number in (2, 3, 4):
        world.chassis(f"hv{number}", "geneve", f"10.9.0.{number}", ofport=number)
    world.datapath("lr0", 1, "router")
    world.port("cr", "lr0", 1, type="chassisredirect", ha_chassis_group="gw")
    return world


def is_active(world: World) -> bool:
    return {claim.logical_port for claim in world.wanted(CLAIMS).values()} == {"cr"}


def test_the_first_live_member_is_active() -> None:
    world = cloud()
    world.ha_group("gw", hv1=10, hv2=20, hv3=5)
    for live, active in ((["hv2", "hv3"], False), (["hv3"], True), (["hv2"], False), (["hv4"], True)):
        for name in ("hv2", "hv3", "hv4"):
            world.bfd(name, "up" if name in live else "down")
        assert is_active(world) is active, live
        assert set(world.wanted(LIVE)) == set(live)


def test_who_sees_nobody_is_not_active_however_preferred() -> None:
    world = cloud()
    world.ha_group("gw", hv1=30, hv2=20)
    assert not is_active(world)
    world.bfd("hv2", "init")
    assert not is_active(world)
    world.bfd("hv2", "up")
    assert is_active(world)


def test_a_tunnel_whose_bfd_state_is_not_known_counts_as_live() -> None:
    world = cloud()
    world.ha_group("gw", hv1=30, hv2=20)
    world.bfd("hv2", "up")
    assert is_active(world)
    interface = uuid_of("interface", "ovn-hv2-0")
    world.change(vs.Interface, interface, bfd=StrMap({"enable": "true"}), bfd_status=StrMap())
    assert is_active(world)
    world.bfd("hv2", "down")
    assert not is_active(world)


def test_the_only_member_is_active_whatever_it_sees() -> None:
    world = cloud()
    world.ha_group("gw", hv1=1)
    assert is_active(world)
    world.ha_group("gw", hv2=1)
    assert not is_active(world)


def test_among_equals_the_last_name_is_first() -> None:
    world = cloud()
    world.bfd("hv2", "up")
    world.ha_group("gw", hv1=1, hv2=1)
    assert not is_active(world)
    world.ha_group("gw", hv0=1, hv1=1)
    assert is_active(world), "hv0 is not there, and hv2 not in the group"


def test_a_member_that_is_gone_does_not_count() -> None:
    world = cloud()
    world.ha_group("gw", hv1=1, hv2=2)
    world.bfd("hv2", "up")
    assert not is_active(world)
    world.remove(sb.Chassis, uuid_of("chassis", "hv2"))
    assert is_active(world)


def watched(world: World) -> set[str]:
    return set(world.wanted(BFD))


def test_members_watch_each_other_and_who_refers_to_them() -> None:
    world = cloud()
    world.ha_group("gw", hv1=1, hv2=2, refs=("hv3", "hv1"))
    assert watched(world) == {"hv2", "hv3"}


def test_who_refers_to_a_group_watches_its_members() -> None:
    world = cloud()
    world.ha_group("gw", hv2=2, hv3=1, refs=("hv1", "hv4"))
    assert watched(world) == {"hv2", "hv3"}


def test_others_and_groups_of_one_are_not_watched() -> None:
    world = cloud()
    world.ha_group("gw", hv2=2, hv3=1, refs=("hv4",))
    assert watched(world) == set()
    world.ha_group("gw", hv2=2, refs=("hv1",))
    assert watched(world) == set()


def test_times_are_the_clouds() -> None:
    world = cloud()
    world.ha_group("gw", hv1=1, hv2=2)
    assert world.wanted(BFD) == {"hv2": StrMap({"enable": "true", "check_tnl_key": "true"})}
    options = {"bfd-min-rx": "300", "bfd-min-tx": "200", "bfd-mult": "4", "bfd-decay-min-rx": "soon"}
    world.put(sb.SBGlobal(uuid=uuid_of("global"), options=StrMap(options)))
    expected = {"enable": "true", "check_tnl_key": "true", "min_rx": "300", "min_tx": "200", "mult": "4"}
    assert world.wanted(BFD) == {"hv2": StrMap(expected)}
