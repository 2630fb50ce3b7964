"""Which ports are claimed, and what follows from that."""

from __future__ import annotations

from ovine.controller.interest import INTEREST
from ovine.controller.local import CLAIMS, LOCAL_DATAPATHS, Yielded
from ovine.controller.patches import PATCHES
from ovine.controller.tunnels import TUNNELS, TunnelKey
from ovine.controller.zones import ZONES, stored
from ovine.model import sb, vs
from ovine.model.base import StrMap
from support.controller_world import World, uuid_of


def claimed(world: World) -> set[str]:
    return {claim.logical_port for claim in world.wanted(CLAIMS).values()}


def one_port() -> World:
    world = World()
    world.datapath("sw0", 1)
    world.port("a", "sw0", 1)
    return world


def test_a_port_is_claimed_once_an_interface_with_an_openflow_port_names_it() -> None:
    world = one_port()
    assert claimed(world) == set()
    world.interface("a", 0)
    assert claimed(world) == set()
    world.interface("a", 10)
    assert claimed(world) == {"a"}
    assert world.wanted(LOCAL_DATAPATHS) == {uuid_of("datapath", "sw0"): 1}


def test_an_interface_of_another_bridge_claims_nothing() -> None:
    world = one_port()
    world.interface("a", 10)
    world.change(vs.Bridge, uuid_of("bridge", "br-int"), ports=())
    assert claimed(world) == set()


def test_a_port_that_is_unplugged_is_claimed_no_more_and_its_datapath_is_not_local() -> None:
    world = one_port()
    interface = world.interface("a", 10)
    assert claimed(world) == {"a"}
    world.remove(vs.Interface, interface)
    assert claimed(world) == set() and world.wanted(LOCAL_DATAPATHS) == {} and world.wanted(ZONES) == {}


def test_a_port_reserved_for_us_by_name_or_by_reference_is_claimed_and_others_are_not() -> None:
    world = one_port()
    world.interface("a", 10)
    world.chassis("hv2", "geneve", "10.9.0.2")
    for wanted, ours in (("hv2", False), ("hv1", True), ("host-of-hv1", True), ("hv1,hv2", True), ("gone", False)):
        world.port("a", "sw0", 1, **{"options:requested-chassis": wanted})
        assert (claimed(world) == {"a"}) is ours, wanted
    world.port("a", "sw0", 1, requested_chassis="hv1", **{"options:requested-chassis": "alias"})
    assert claimed(world) == {"a"}


def test_a_port_that_was_taken_over_is_left_alone_until_it_is_plugged_again() -> None:
    world = one_port()
    interface = world.interface("a", 10)
    world.engine.feed(Yielded, "a", Yielded(interface))
    assert claimed(world) == set()
    world.engine.feed(Yielded, "a", Yielded(uuid_of("interface", "the one before")))
    assert claimed(world) == {"a"}


def test_a_reserved_port_is_ours_even_after_somebody_took_it() -> None:
    world = one_port()
    interface = world.interface("a", 10)
    world.engine.feed(Yielded, "a", Yielded(interface))
    world.port("a", "sw0", 1, **{"options:requested-chassis": "hv1"})
    assert claimed(world) == {"a"}


def test_a_nested_port_is_claimed_with_its_parent() -> None:
    world = one_port()
    world.datapath("sw1", 8)
    world.port("nested", "sw1", 2, parent_port="a", tag=5)
    world.port("untagged", "sw1", 3, parent_port="a")
    assert claimed(world) == set()
    world.interface("a", 10)
    assert claimed(world) == {"a", "nested"}
    world.port("nested", "sw1", 2, parent_port="a", tag=5, **{"options:requested-chassis": "hv2"})
    assert claimed(world) == {"a"}
    world.port("nested", "sw1", 2, parent_port="a", tag=5)
    world.remove(sb.PortBinding, uuid_of("port", "a"))
    assert claimed(world) == set()


def test_an_interface_must_have_the_version_that_the_port_asks_for() -> None:
    world = one_port()
    world.port("a", "sw0", 1, **{"options:iface-id-ver": "2"})
    interface = world.interface("a", 10)
    assert claimed(world) == set()
    row = world.row(vs.Interface, interface)
    for version, expected in (("1", set()), ("2", {"a"})):
        world.change(vs.Interface, interface, external_ids=StrMap({**row.external_ids, "iface-id-ver": version}))
        assert claimed(world) == expected


def test_a_datapath_is_local_before_its_port_moves_here() -> None:
    world = one_port()
    interface = world.interface("a", 10)
    world.port("a", "sw0", 1, **{"options:requested-chassis": "hv2"})
    assert claimed(world) == set() and set(world.wanted(LOCAL_DATAPATHS)) == {uuid_of("datapath", "sw0")}
    world.remove(vs.Interface, interface)
    assert world.wanted(LOCAL_DATAPATHS) == {}


def test_the_first_requested_chassis_is_the_main_one_and_the_others_are_additional() -> None:
    world = one_port()
    world.interface("a", 10)
    port = uuid_of("port", "a")
    for wanted, additional in (("hv1,hv2", False), ("hv2,hv1", True), ("hv2, host-of-hv1", True)):
        world.port("a", "sw0", 1, **{"options:requested-chassis": wanted})
        assert world.wanted(CLAIMS)[port].additional == additional, wanted
    world.port("a", "sw0", 1, **{"options:requested-chassis": "hv2,hv3"})
    assert claimed(world) == set()


# --- conditions -------------------------------------------------------------------------------------------------------


def test_conditions_follow_interfaces_and_local_datapaths() -> None:
    world = World()
    world.interface("a", 10)
    before = set(world.wanted(INTEREST))
    assert ("Port_Binding", ("logical_port", "==", "a")) in before
    world.datapath("sw0", 7)
    world.port("a", "sw0", 1)
    datapath = uuid_of("datapath", "sw0")
    assert set(world.wanted(INTEREST)) - before == {
        ("Logical_Flow", ("logical_datapath", "==", datapath)),
        ("Port_Binding", ("datapath", "==", datapath)),
        ("Multicast_Group", ("datapath", "==", datapath)),
        ("MAC_Binding", ("datapath", "==", datapath)),
        ("Static_MAC_Binding", ("datapath", "==", datapath)),
        ("FDB", ("dp_key", "==", 7)),
        ("IP_Multicast", ("datapath", "==", datapath)),
        ("DNS", ("datapaths", "includes", (datapath,))),
        ("Load_Balancer", ("datapaths", "includes", (datapath,))),
    }
    world.remove(vs.Interface, uuid_of("interface", "if-a"))
    assert set(world.wanted(INTEREST)) == before - {("Port_Binding", ("logical_port", "==", "a"))}


def test_nested_ports_are_asked_for_unless_there_are_none() -> None:
    world = World()
    world.interface("a", 10)
    asked = ("Port_Binding", ("parent_port", "==", "a"))
    assert asked not in world.wanted(INTEREST)
    for options, expected in (({}, True), ({"nested_ports": "false"}, False), ({"nested_ports": "true"}, True)):
        world.put(sb.SBGlobal(uuid=uuid_of("global"), options=StrMap(options)))
        assert (asked in world.wanted(INTEREST)) == expected


# --- tunnels, patch ports, zones --------------------------------------------------------------------------------------


def test_a_tunnel_is_wanted_to_every_other_chassis_by_the_best_type_that_both_have() -> None:
    world = World()
    world.chassis("hv2", "geneve", "10.9.0.2")
    world.chassis("hv3", "vxlan", "10.9.0.3")
    options = {"csum": "true", "key": "flow"}
    assert world.wanted(TUNNELS) == {
        TunnelKey("hv2", "10.9.0.2", "", "geneve"): StrMap(options | {"remote_ip": "10.9.0.2"}),
        TunnelKey("hv3", "10.9.0.3", "", "vxlan"): StrMap(options | {"remote_ip": "10.9.0.3"}),
    }


def test_with_several_addresses_there_is_a_tunnel_from_each() -> None:
    world = World()
    world.chassis("hv2", "geneve", "10.9.0.2")
    world.setting("ovn-encap-ip", "10.9.0.1,10.8.0.1")
    found = world.wanted(TUNNELS)
    assert {key.local_ip: options["local_ip"] for key, options in found.items()} == {
        "10.9.0.1": "10.9.0.1",
        "10.8.0.1": "10.8.0.1",
    }


def test_chassis_without_a_common_transport_zone_have_no_tunnel() -> None:
    world = World()
    world.chassis("hv2", "geneve", "10.9.0.2")
    world.setting("ovn-transport-zones", "tz1")
    assert world.wanted(TUNNELS) == {}
    world.change(sb.Chassis, uuid_of("chassis", "hv2"), transport_zones=("tz0", "tz1"))
    assert len(world.wanted(TUNNELS)) == 1


def test_tunnels_that_are_to_be_encrypted_name_both_ends() -> None:
    world = World()
    world.chassis("hv2", "geneve", "10.9.0.2")
    world.put(sb.SBGlobal(uuid=uuid_of("global"), ipsec=True))
    (options,) = world.wanted(TUNNELS).values()
    assert (options["remote_name"], options["local_ip"]) == ("hv2", "10.9.0.1")
    world.change(sb.SBGlobal, uuid_of("global"), ipsec=False)
    (options,) = world.wanted(TUNNELS).values()
    assert not {"remote_name", "local_ip"} & options.keys()


def test_a_mapped_localnet_port_of_a_local_datapath_wants_a_pair_of_patch_ports() -> None:
    world = one_port()
    world.port("net", "sw0", 9, type="localnet", **{"options:network_name": "phys"})
    world.setting("ovn-bridge-mappings", "phys:br-ex")
    world.bridge("br-ex")
    assert world.wanted(PATCHES) == {}
    world.interface("a", 10)
    assert world.wanted(PATCHES) == {
        "patch-br-int-to-net": ("br-int", "patch-net-to-br-int", "net", "ovn-localnet-port"),
        "patch-net-to-br-int": ("br-ex", "patch-br-int-to-net", "net", "ovn-localnet-port"),
    }


def test_zones_that_were_in_use_are_kept() -> None:
    world = one_port()
    world.engine.seed(ZONES, stored({"ct-zone-a": "77", "ct-zone-b": "nonsense", "other": "1"}))
    world.interface("a", 10)
    assert world.wanted(ZONES)["a"] == 77
