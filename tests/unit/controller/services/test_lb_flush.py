"""Which connections end as load balancers and their backends come and go."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from ovine.controller.services.lb_flush import BALANCED, Balanced, Way, lost
from ovine.controller.services.lb_hairpin import End
from ovine.daemons.controller.connections import zones_of
from ovine.model import sb
from ovine.model.base import StrMap, Uuid
from ovine.openflow import CtFlush, CtTuple
from support.controller_world import World, uuid_of

ONE, TWO = Uuid("one"), Uuid("two")
S1, S2 = uuid_of("datapath", "s1"), uuid_of("datapath", "s2")


def way(vip: str, backend: str, protocol: int = 6, ports: tuple[int, int] | None = (80, 8080)) -> Way:
    to, at = ports or (None, None)
    return Way(protocol, End(ip_address(vip), to), End(ip_address(backend), at))


A, B = way("10.9.9.9", "10.0.0.1"), way("10.9.9.9", "10.0.0.2")
FLUSH_A = CtFlush(6, CtTuple(dst=A.vip.ip, dport=80), CtTuple(src=A.backend.ip, sport=8080))


def balanced(*ways: Way, on: tuple[Uuid, ...] = (S1,), ending: bool = True) -> Balanced:
    return Balanced(frozenset(ways), frozenset(on), ending)


def ended(before: dict[Uuid, Balanced], now: dict[Uuid, Balanced]) -> list[CtFlush]:
    zones = {S1: [11, 12], S2: [21]}
    return lost(before, now, lambda datapaths: [zone for datapath in datapaths for zone in zones[datapath]])


def test_nothing_ends_at_the_start_or_as_backends_come() -> None:
    assert ended({}, {ONE: balanced(A)}) == []
    assert ended({ONE: balanced(A)}, {ONE: balanced(A, B)}) == []
    assert ended({ONE: balanced(A)}, {ONE: balanced(A, on=(S1, S2))}) == []


def test_connections_end_with_the_backend_the_row_or_the_last_datapath_that_it_had() -> None:
    before = {ONE: balanced(A, B)}
    assert ended(before, {ONE: balanced(B)}) == [FLUSH_A]
    assert len(ended(before, {})) == 2
    assert ended({ONE: balanced(A)}, {}) == [FLUSH_A]


def test_only_load_balancers_that_want_it_end_connections() -> None:
    plain = balanced(A, B, ending=False)
    assert ended({ONE: plain}, {ONE: balanced(B, ending=False)}) == []
    assert ended({ONE: plain}, {}) == []
    assert ended({ONE: plain}, {ONE: balanced(B)}) == [FLUSH_A]
    assert ended({ONE: balanced(A, B)}, {ONE: balanced(B, ending=False)}) == []


def test_what_is_balanced_alike_elsewhere_goes_on_there() -> None:
    before = {ONE: balanced(A), TWO: balanced(A, on=(S2,), ending=False)}
    zoned = [CtFlush(6, FLUSH_A.first, FLUSH_A.answers, zone) for zone in (11, 12)]
    assert ended(before, {TWO: before[TWO]}) == zoned
    assert ended({ONE: balanced(A, on=(S1, S2))}, {ONE: balanced(A, on=(S2,))}) == zoned


def test_what_another_load_balancer_of_the_datapath_does_alike_goes_on() -> None:
    assert ended({ONE: balanced(A), TWO: balanced(A)}, {TWO: balanced(A)}) == []


def test_without_ports_every_protocol_is_meant() -> None:
    every = way("fd00::9", "fd00::1", 0, None)
    (message,) = ended({ONE: balanced(every)}, {})
    assert message == CtFlush(0, CtTuple(dst=every.vip.ip), CtTuple(src=every.backend.ip))


WAYS = st.frozensets(st.sampled_from([A, B, way("10.9.9.8", "10.0.0.1"), way("10.9.9.9", "10.0.0.1", 17)]))
STATES = st.dictionaries(
    st.sampled_from([ONE, TWO]),
    st.builds(Balanced, WAYS, st.frozensets(st.sampled_from([S1, S2]), min_size=1), st.booleans()),
)


@given(STATES, STATES)
def test_nothing_that_still_holds_is_ended_where_it_holds(
    before: dict[Uuid, Balanced], now: dict[Uuid, Balanced]
) -> None:
    zones = {11: S1, 12: S1, 21: S2}
    for message in ended(before, now):
        for one in now.values():
            alike = {(each.protocol, each.vip.ip, each.backend.ip) for each in one.ways}
            if (message.protocol, message.first.dst, message.answers.src) in alike:
                assert message.zone is not None and zones[message.zone] not in one.datapaths


# --- the rule ---------------------------------------------------------------------------------------------------------


def world() -> World:
    made = World()
    made.datapath("s1", 1)
    made.port("a", "s1", 1)
    made.interface("a", 10)
    return made


def found(made: World) -> dict[Uuid, Balanced]:
    made.engine.run()
    return dict(made.engine.rows(BALANCED))


def test_only_what_is_local_counts() -> None:
    made = world()
    here = made.balancer("here", "10.9.9.9:80", "10.0.0.1:8080,10.0.0.2:8080", "s1", "s9", ct_flush="true")
    made.balancer("away", "10.9.9.9:80", "10.0.0.1:8080", "s9", ct_flush="true")
    assert found(made) == {here: balanced(A, B)}


def test_what_makes_no_sense_is_left_out_and_told_once() -> None:
    made = world()
    bad = made.balancer("bad", "10.9.9.9:80", "10.0.0.1:8080,nonsense,fd00::1", "s1", protocol="udp", ct_flush="no")
    assert found(made) == {bad: balanced(A._replace(protocol=17), ending=False)}
    assert len(made.failures()) == 1


def test_templates_are_filled_in() -> None:
    made = world()
    row = made.balancer("template", "^vip:80", "^backends", "s1")
    assert found(made) == {row: balanced(ending=False)}
    variables = StrMap({"vip": "10.9.9.9", "backends": "10.0.0.1:8080,10.0.0.2:8080"})
    made.put(sb.ChassisTemplateVar(uuid=uuid_of("vars"), chassis="hv1", variables=variables))
    assert found(made) == {row: balanced(A, B, ending=False)}


def test_the_zones_of_a_datapath_are_its_own_and_those_of_its_ports_here() -> None:
    made = world()
    made.datapath("s2", 2)
    made.port("b", "s2", 1)
    made.interface("b", 11)
    made.engine.run()
    first, second = zones_of(made.engine, [S1]), zones_of(made.engine, [S2])
    assert len(first) == len(second) == 3 and not first & second
    assert zones_of(made.engine, [S1, S2]) == first | second and zones_of(made.engine, []) == set()
