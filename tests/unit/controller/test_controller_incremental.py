"""A change runs what it touches and nothing else; two that agree are no failure."""

from __future__ import annotations

from ovine.controller.flows import FLOWS
from ovine.model import sb, vs
from ovine.model.base import StrMap
from support.controller_world import World, uuid_of


def network(number: int, world: World) -> None:
    name = f"sw{number}"
    world.datapath(name, number)
    for port in (1, 2, 3):
        world.port(f"{name}p{port}", name, port)
        world.flow(name, "ingress", 0, port, f'inport == "{name}p{port}"', "next;")
    world.flow(name, "ingress", 1, 0, "ip4.src == $as", "next;")
    world.group("flood", name, 32768, f"{name}p1", f"{name}p2")
    world.interface(f"{name}p1", 10 * number)


def two_networks() -> World:
    world = World()
    world.addresses("as", "10.0.0.1")
    network(1, world)
    network(2, world)
    world.run()
    world.engine.log = []
    return world


def ran(world: World) -> set[str]:
    world.run()
    assert world.engine.log is not None
    return {f"{name.rpartition('.')[2]} {key}" for name, key in world.engine.log}


def rules_run(world: World) -> set[str]:
    return {entry.split()[0] for entry in ran(world)}


def test_a_column_that_nobody_reads_runs_nothing() -> None:
    world = two_networks()
    world.change(sb.PortBinding, uuid_of("port", "sw1p1"), up=True)
    world.change(sb.PortBinding, uuid_of("port", "sw1p1"), external_ids=StrMap({"x": "y"}))
    assert ran(world) == set()


def test_marks_that_we_write_ourselves_lead_to_no_flow_work() -> None:
    world = two_networks()
    marked = StrMap({"iface-id": "sw1p1", "ovn-installed": "true", "ovn-installed-ts": "1"})
    world.change(vs.Interface, uuid_of("interface", "if-sw1p1"), external_ids=marked)
    assert rules_run(world) <= {"claim", "interface_claim"}


def test_a_new_port_of_one_network_runs_nothing_of_another() -> None:
    world = two_networks()
    world.port("sw1p4", "sw1", 4)
    world.flow("sw1", "ingress", 0, 4, 'inport == "sw1p4"', "next;")
    world.run()
    assert world.engine.log
    assert not any(uuid_of("datapath", "sw2") in repr(entry) for entry in world.engine.log)
    assert not any(uuid_of("port", "sw2p1") in repr(entry) for entry in world.engine.log)


def test_a_further_address_runs_itself_and_no_flow_that_names_its_set() -> None:
    world = two_networks()
    before = set(world.flows())
    world.engine.log = []
    world.addresses("as", "10.0.0.1", "10.0.0.2")
    world.run()
    rules = {(name.rpartition(".")[2], key) for name, key in world.engine.log}
    assert {key for name, key in rules if name.endswith("flows")} == {("as", "10.0.0.2")}
    assert not {name for name, _ in rules} & {"logical_flow", "planned_flow", "plan"}
    assert len(set(world.flows()) - before) == 1 and before < set(world.flows()), "one flow for both networks"


def test_two_flows_that_say_the_same_are_no_failure_and_the_same_one_holds_whichever_came_first() -> None:
    def made(order: tuple[str, ...]) -> World:
        world = two_networks()
        for actions in order:
            world.flow("sw1", "ingress", 5, 7, "ip4", actions)
        return world

    alike = made(("next;", "next; "))
    assert alike.failures() == [] and len(alike.flows("table=13")) == 1
    one, other = made(("next;", "output;")), made(("output;", "next;"))
    assert one.flows("table=13") == other.flows("table=13")
    assert [error.partition(":")[0] for error in one.failures()] == ["rules want different actions"]
    assert one.run().engine.rows(FLOWS) == other.run().engine.rows(FLOWS)


def test_the_flows_of_a_network_without_ports_here_are_gone() -> None:
    world = two_networks()
    world.remove(vs.Interface, uuid_of("interface", "if-sw1p1"))
    assert world.flows("metadata=1") == [] and world.flows("metadata=2") != []
