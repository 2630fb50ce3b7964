"""Sets cost a sum, operations on them cost their members, and flows mean what the logical flows say."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.controller.addresses import CHILDREN, FULL, cover
from ovine.controller.flows import FLOWS, Body, FlowKey
from ovine.language import Conjunction, FlowMatch, Packet, StaticEnvironment, evaluate, flows_match, parse_match
from ovine.language.layout import FIELDS
from ovine.model import sb
from ovine.openflow import Conjunction as Action
from support.controller_world import World, uuid_of

SWITCHES, PORTS, ADDRESSES = 5, 8, 60
ACL = "outport == @pg && ip4 && ip4.src == $pg_ip4"


def cloud(*matches: str) -> World:
    """Five switches with eight ports each, of which two are here; all in one group, with its addresses."""
    world = World()
    names = [f"sw{n}" for n in range(1, SWITCHES + 1)]
    for number, name in enumerate(names, 1):
        world.datapath(name, number)
        for port in range(1, PORTS + 1):
            world.port(f"{name}p{port}", name, port)
        for port in (1, 2):
            world.interface(f"{name}p{port}", 10 * number + port)
        world.members(f"{number}_pg", *(f"{name}p{port}" for port in range(1, PORTS)))
    world.addresses("pg_ip4", *(f"10.0.{n}.1" for n in range(1, ADDRESSES + 1)))
    world.datapath_group("all", *names)
    for match in matches:
        world.flow("all", "egress", 4, 1001, match, "next;", group=True)
    world.run()
    return world


def changed(world: World, operation: Callable[..., object], *arguments: object) -> list[str]:
    """The flows that come and go with an operation; the engine's log says what ran."""
    before = dict(world.engine.rows(FLOWS))
    world.engine.log = []
    operation(*arguments)
    world.run()
    after = world.engine.rows(FLOWS)
    return [repr(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)]


def table_of(world: World) -> dict[FlowKey, Body]:
    world.run()
    return {key: body for key, body in world.engine.rows(FLOWS).items() if key[0] == 68}


def test_a_set_costs_a_sum_over_all_datapaths() -> None:
    assert len(table_of(cloud(ACL))) == 2 * SWITCHES + ADDRESSES + 1
    more = f"{ACL} && ip4.dst == 10.0.0.0/8"
    assert len(table_of(cloud(ACL, more))) == 2 * SWITCHES + ADDRESSES + 1 + 2


def test_logical_flows_with_the_same_sets_share_their_flows() -> None:
    world = cloud(ACL)
    world.flow("all", "egress", 4, 1001, ACL, "output;", group=True)
    assert len(table_of(world)) == 2 * SWITCHES + ADDRESSES + 2


def test_a_member_more_or_less_is_a_handful_of_flows_and_of_work() -> None:
    world = cloud(ACL, "outport == @pg && ip4", "outport == @pg && ip4 && tcp.dst == 80")
    assert len(changed(world, world.addresses, "pg_ip4", *(f"10.0.{n}.1" for n in range(2, ADDRESSES + 1)))) == 1
    assert len(world.engine.log or ()) < 10
    assert len(changed(world, world.members, "1_pg", *(f"sw1p{port}" for port in range(2, PORTS + 1)))) == 1
    assert len(world.engine.log or ()) < 30


def test_a_port_that_is_bound_is_a_handful_of_flows_and_of_work() -> None:
    world = cloud(ACL, "outport == @pg && ip4 && tcp.dst == 80")
    in_table = [key for key in changed(world, world.interface, "sw3p5", 99) if key.startswith("(68,")]
    assert len(in_table) == 1
    assert not {name.rpartition(".")[2] for name, _ in world.engine.log or ()} & {"logical_flow", "address_flows"}


def test_a_switch_more_in_the_datapath_group_touches_no_address() -> None:
    world = cloud(ACL)
    assert len(changed(world, world.datapath_group, "all", "sw1", "sw2", "sw3", "sw4")) == 2
    assert not {name.rpartition(".")[2] for name, _ in world.engine.log or ()} & {"address_flows"}


def test_a_clause_gives_way_to_a_plain_flow_of_its_priority() -> None:
    world = cloud(ACL)
    world.flow("all", "egress", 4, 1001, "outport == @pg", "output;", group=True)
    bodies = [body for key, body in table_of(world).items() if ("metadata", 1, None) in key[2]]
    assert len(bodies) == 2
    assert not any(isinstance(action, Action) for body in bodies for action in body.actions)
    assert world.failures() == []


def test_an_action_that_cannot_be_carried_out_is_said_once_for_all_datapaths() -> None:
    world = cloud()
    uuid = world.flow("all", "egress", 4, 1001, ACL, "mac_cache_use;", group=True)
    (error,) = world.failures()
    assert str(uuid) in error and "'mac_cache_use'" in error
    assert table_of(world) == {}


# --- addresses side by side -------------------------------------------------------------------------------------------


@given(st.integers(0, FULL))
def test_a_block_is_covered_exactly_by_prefixes_that_do_not_overlap(present: int) -> None:
    found = [child for first, bits in cover(present) for child in range(first, first + (CHILDREN >> bits))]
    assert found == [child for child in range(CHILDREN) if present >> child & 1]


def prefixes(world: World, field: str) -> list[str]:
    found = []
    for _, _, match in table_of(world):
        for name, value, mask in match:
            if name == field:
                found.append(str(ip_network((value, mask.bit_count() if mask is not None else 32))))
    return sorted(found)


@pytest.mark.parametrize("count", [16, 256, 4096])
def test_a_full_block_is_one_flow_and_a_hole_in_it_costs_few(count: int) -> None:
    everything = [str(IPv4Address(0x0A000000 + n)) for n in range(count)]
    world = cloud(ACL)
    world.addresses("pg_ip4", *everything)
    assert prefixes(world, "ip_src") == [f"10.0.0.0/{32 - count.bit_length() + 1}"]
    assert len(changed(world, world.addresses, "pg_ip4", *everything[1:])) == count.bit_length()
    assert len(world.engine.log or ()) < 100
    assert world.engine.audit() == []


def test_blocks_do_not_grow_beyond_what_is_kept_together() -> None:
    world = cloud(ACL)
    world.addresses("pg_ip4", *(str(IPv4Address(0x0A000000 + n)) for n in range(2 * 4096)))
    assert prefixes(world, "ip_src") == ["10.0.0.0/20", "10.0.16.0/20"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 40), unique=True), min_size=1, max_size=4))
def test_whatever_comes_and_goes_the_prefixes_have_the_addresses_of_the_set(history: list[list[int]]) -> None:
    world = cloud(ACL)
    for present in history:
        world.addresses("pg_ip4", *(str(IPv4Address(0x0A0000F0 + n)) for n in present))
        covered = [int(each) - 0x0A0000F0 for text in prefixes(world, "ip_src") for each in ip_network(text)]
        assert sorted(covered) == sorted(present)


# --- against the evaluator --------------------------------------------------------------------------------------------

TERMS = st.lists(
    st.sampled_from(
        [
            "inport == @pg",
            "inport == @other",
            "ip4.src == $as1",
            "ip4.dst == $as2",
            "ip4.src == {$as1, $as2, 10.0.0.7}",
            "ip4.dst != $as1",
            "ip4.dst == {$as2, $unknown}",
            "(ip4 || arp)",
            "(tcp.dst == {80, 443, 53} || udp.dst == 53)",
            "tcp.dst == {80, 443}",
            'inport == "sw1p1"',
            "ip4.src == 10.0.0.0/30",
        ]
    ),
    min_size=1,
    max_size=4,
    unique=True,
)
SETS = st.lists(
    st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.6", "10.0.0.4/30", "0.0.0.0/0", "fd00::1", "x"]), unique=True
)
NAMES = [f"sw{s}p{p}" for s in (1, 2) for p in (1, 2, 3)]
MEMBERS = st.lists(st.sampled_from(NAMES), unique=True)


def as_match(key: FlowKey, body: Body) -> FlowMatch:
    fields = tuple((name, value, (1 << 128) - 1 if mask is None else mask) for name, value, mask in key[2])
    clauses = (Conjunction(a.id, a.clause, a.n_clauses) for a in body.actions if isinstance(a, Action))
    return FlowMatch(fields, tuple(clauses))


@settings(max_examples=150, deadline=None)
@given(
    terms=TERMS, as1=SETS, as2=SETS, pg=MEMBERS, other=MEMBERS, cut=st.booleans(), grouped=st.sampled_from([0, 1, 2])
)
def test_flows_match_what_the_logical_flow_says(
    terms: list[str], as1: list[str], as2: list[str], pg: list[str], other: list[str], cut: bool, grouped: int
) -> None:
    world = World()
    for number in (1, 2):
        world.datapath(f"sw{number}", number)
    for number, name in enumerate(NAMES):
        world.port(name, name[:3], int(name[4]))
        if not name.endswith("3"):
            world.interface(name, 10 + number)
    world.addresses("as1", *as1)
    world.addresses("as2", *as2)
    for group, ports in (("pg", pg), ("other", other)):
        if cut:
            for number in (1, 2):
                world.members(f"{number}_{group}", *(port for port in ports if port.startswith(f"sw{number}")))
        else:
            world.members(group, *ports)
    world.datapath_group("all", *(["sw1", "sw2"][:grouped]))
    text = " && ".join(terms)
    world.flow("all" if grouped else "sw1", "ingress", 0, 50, text, "next;", group=bool(grouped))
    world.run()
    flows = [as_match(key, body) for key, body in world.engine.rows(FLOWS).items() if key[0] == 8]
    assert world.failures() == []
    for name in NAMES:
        if name.endswith("3"):
            continue  # not here: no packet can have come in by it
        datapath = int(name[2])
        env = StaticEnvironment(
            {"as1": as1, "as2": as2},
            {"pg": pg, "other": other},
            {port: int(port[4]) for port in NAMES if port.startswith(name[:3])},
        )
        for source in (1, 5, 6, 9):
            for port in (80, 81):
                values = {"eth.type": 0x800, "ip.proto": 6, "tcp.dst": port, "ip4.dst": "10.0.0.2"}
                packet = Packet.of({**values, "ip4.src": 0x0A000000 + source, "inport": name}, env)
                there = datapath == 1 or grouped == 2
                expected = there and evaluate(parse_match(text), packet, env)
                assert flows_match(flows, with_metadata(packet, datapath)) == expected, (name, source, port)
    assert world.engine.audit() == []


def with_metadata(packet: Packet, datapath: int) -> Packet:
    return Packet(packet.bits | datapath << FIELDS["metadata"].offset)


def test_the_last_local_port_of_a_group_takes_the_addresses_along() -> None:
    world = cloud(ACL)
    for number in range(1, SWITCHES + 1):
        world.remove(sb.PortGroup, uuid_of("members", f"{number}_pg"))
    assert table_of(world) == {}


def test_acls_whose_ranges_have_a_piece_in_common_all_hold() -> None:
    lone = "outport == @pg && ip4 && tcp.dst == 7001"
    wide = "outport == @pg && ip4 && tcp.dst >= 7001 && tcp.dst <= 7002"
    world = cloud(lone, wide)
    assert world.engine.failures() == []
    assert len(table_of(world)) == 2 * SWITCHES + 2 + 2, "7001 is a piece of both"
    assert world.engine.audit() == []
