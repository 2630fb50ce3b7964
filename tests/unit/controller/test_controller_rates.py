"""Which queues the interfaces have by which packets leave a host."""

from __future__ import annotations

from ovine.controller.rates import SHAPED
from ovine.model import vs
from ovine.model.base import StrMap
from support.controller_world import World, uuid_of

EGRESS = StrMap({"ovn-egress-iface": "true"})


def world() -> World:
    """Ports a and b are here, c is elsewhere; a provider network and a tunnel leave by interfaces of their own."""
    made = World()
    made.setting("ovn-bridge-mappings", "phys:br-ex")
    made.datapath("sw", 1)
    rates = {"options:qos_max_rate": "1000000", "options:qos_burst": "5000"}
    made.port("a", "sw", 1, **rates, **{"options:qdisc_queue_id": "3"})
    made.port("b", "sw", 2)
    made.port("c", "sw", 3, chassis="hv2", **rates, **{"options:qdisc_queue_id": "3"})
    made.port(
        *("net", "sw", 9),
        type="localnet",
        **{
            "options:network_name": "phys",
            "options:qos_min_rate": "7",
            "options:qdisc_queue_id": "50000",
        },
    )
    made.interface("a", 10)
    made.interface("b", 11)
    for bridge, name in (("br-ex", "eth1"), ("br-tun", "eth2")):
        port, interface = uuid_of("vport", name), uuid_of("nic", name)
        made.put(vs.Interface(uuid=interface, name=name, external_ids=EGRESS))
        made.put(vs.Port(uuid=port, name=name, interfaces=(interface,)))
        made.put(vs.Bridge(uuid=uuid_of("bridge", bridge), name=bridge, ports=(port,)))
    return made


def queues(made: World) -> dict[str, dict[int, tuple[str, dict[str, str]]]]:
    names = {uuid_of("vport", name): name for name in ("eth1", "eth2")}
    return {
        names[port]: {number: (queue.logical_port, dict(queue.settings)) for number, queue in found.items()}
        for port, found in made.wanted(SHAPED).items()
    }


A = ("a", {"max-rate": "1000000", "burst": "5000"})
NET = ("net", {"min-rate": "7"})


def test_each_egress_interface_has_the_ports_that_are_here_and_the_localnet_ports_of_its_bridge() -> None:
    assert queues(world()) == {"eth1": {3: A, 50000: NET}, "eth2": {3: A}}


def test_queues_follow_ports_and_interfaces() -> None:
    made = world()
    made.remove(vs.Interface, uuid_of("interface", "if-a"))
    assert queues(made) == {"eth1": {50000: NET}}
    made.remove(vs.Interface, uuid_of("interface", "if-b"))
    assert queues(made) == {}
    made = world()
    made.change(vs.Interface, uuid_of("nic", "eth1"), external_ids=StrMap())
    assert queues(made) == {"eth2": {3: A}}
    assert made.failures() == []
    made.change(vs.Interface, uuid_of("nic", "eth2"), external_ids=StrMap())
    assert queues(made) == {}
    (failure,) = made.failures()
    assert "so nothing limits a, net" in failure
