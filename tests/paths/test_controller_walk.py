"""Random histories of ports, interfaces, hosts, groups, sets and logical flows: incremental equals recompute.

Names come from small sets, so that histories collide: a port is moved between hosts and networks, plugged before it
exists, left behind by its datapath.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ovine.controller.flows import FLOWS
from ovine.controller.local import Yielded
from ovine.model import sb, vs
from ovine.model.base import StrMap
from support.controller_world import World, uuid_of

PORTS = st.sampled_from(["a", "b", "c", "d"])
SWITCHES = st.sampled_from(["sw1", "sw2"])
HOSTS = st.sampled_from(["hv2", "hv3"])
MATCHES = st.sampled_from(
    [
        "1",
        'inport == "a"',
        "inport == @pg && ip4.src == $set1",
        "ip4.src == $set1 && ip4.dst == $set2",
        "ip4.src == $set1 && ip4.dst == $set2 && ip4",
        "outport == @pg && ip4",
        "outport == @pg && ip4 && ip4.src == $set1",
        "outport == @pg && ip4.src == $set1 && tcp.dst >= 80 && tcp.dst < 86",
        "inport == @other && ip4.dst == {$set1, $set2, 10.9.9.9}",
        "ip4.src != $set1",
        "nonsense ==",
    ]
)
ACTIONS = st.sampled_from(["next;", 'outport = "b"; output;', "ct_next;", "igmp;", 'outport = "flood"; output;'])
ADDRESSES = st.lists(
    st.sampled_from([*(f"10.0.0.{n}" for n in range(1, 8)), "0.0.0.0/0", "fd00::1"]), max_size=6, unique=True
)


class ControllerWalk(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.setting("ovn-bridge-mappings", "phys:br-ex")
        self.world.bridge("br-ex")
        self.world.patch("patch-br-int-to-d", 40)
        for key, name in enumerate(("sw1", "sw2"), 1):
            self.world.datapath(name, key)

    @rule(
        name=PORTS, switch=SWITCHES, host=st.none() | HOSTS, key=st.integers(1, 4), queue=st.none() | st.integers(1, 2)
    )
    def bind(self, name: str, switch: str, host: str | None, key: int, queue: int | None) -> None:
        rates = {"options:qos_max_rate": "1000", "options:qdisc_queue_id": str(queue)} if queue else {}
        self.world.port(name, switch, key, **({"chassis": host} if host else {}), **rates)

    @rule(marked=st.booleans())
    def egress(self, marked: bool) -> None:
        marks = StrMap({"ovn-egress-iface": "true"} if marked else {})
        self.world.put(vs.Interface(uuid=uuid_of("nic"), name="eth1", external_ids=marks))
        self.world.put(vs.Port(uuid=uuid_of("vport"), name="eth1", interfaces=(uuid_of("nic"),)))

    @rule(name=st.sampled_from(["c", "d"]), switch=SWITCHES, kind=st.sampled_from(["localport", "localnet", "patch"]))
    def special(self, name: str, switch: str, kind: str) -> None:
        options = {"options:network_name": "phys", "options:qos_min_rate": "10", "options:qdisc_queue_id": "50000"}
        self.world.port(name, switch, 5, type=kind, **options)

    @rule(name=PORTS)
    def unbind(self, name: str) -> None:
        self.world.remove(sb.PortBinding, uuid_of("port", name))

    @rule(name=PORTS, ofport=st.integers(0, 12))
    def plug(self, name: str, ofport: int) -> None:
        self.world.interface(name, ofport)

    @rule(name=PORTS)
    def unplug(self, name: str) -> None:
        self.world.remove(vs.Interface, uuid_of("interface", f"if-{name}"))

    @rule(name=PORTS, yielded=st.booleans())
    def yield_port(self, name: str, yielded: bool) -> None:
        mark = Yielded(uuid_of("interface", f"if-{name}")) if yielded else None
        self.world.engine.feed(Yielded, name, mark)

    @rule(name=HOSTS, kind=st.sampled_from(["geneve", "vxlan"]), ofport=st.integers(20, 22))
    def host(self, name: str, kind: str, ofport: int) -> None:
        self.world.chassis(name, kind, f"10.9.0.{ofport}", ofport)

    @rule(name=HOSTS)
    def host_gone(self, name: str) -> None:
        self.world.remove(sb.Chassis, uuid_of("chassis", name))

    @rule(switch=SWITCHES, ports=st.lists(PORTS, unique=True))
    def group(self, switch: str, ports: list[str]) -> None:
        self.world.group("flood", switch, 32768, *ports)

    @rule(switch=SWITCHES, key=st.integers(1, 5000))
    def rekey(self, switch: str, key: int) -> None:
        self.world.datapath(switch, key)

    @rule(switch=SWITCHES)
    def datapath_gone(self, switch: str) -> None:
        self.world.remove(sb.DatapathBinding, uuid_of("datapath", switch))

    @rule(
        switch=SWITCHES,
        table=st.integers(0, 1),
        match=MATCHES,
        actions=ACTIONS,
        port=st.just("") | PORTS,
        there=st.booleans(),
    )
    def flow(self, switch: str, table: int, match: str, actions: str, port: str, there: bool) -> None:
        uuid = self.world.flow(switch, "ingress", table, 100, match, actions, port=port)
        if not there:
            self.world.remove(sb.LogicalFlow, uuid)

    @rule(members=st.sets(SWITCHES))
    def datapath_group(self, members: set[str]) -> None:
        self.world.datapath_group("all", *sorted(members))

    @rule(pipeline=st.sampled_from(["ingress", "egress"]), match=MATCHES, actions=ACTIONS, there=st.booleans())
    def grouped_flow(self, pipeline: str, match: str, actions: str, there: bool) -> None:
        uuid = self.world.flow("all", pipeline, 0, 50, match, actions, group=True)
        if not there:
            self.world.remove(sb.LogicalFlow, uuid)

    @rule(name=st.sampled_from(["set1", "set2"]), addresses=ADDRESSES)
    def addresses(self, name: str, addresses: list[str]) -> None:
        self.world.addresses(name, *addresses)

    @rule(name=st.sampled_from(["set1", "set2"]))
    def addresses_gone(self, name: str) -> None:
        self.world.remove(sb.AddressSet, uuid_of("addresses", name))

    @rule(name=st.sampled_from(["pg", "1_pg", "2_pg", "1_other", "other"]), ports=st.lists(PORTS, unique=True))
    def members(self, name: str, ports: list[str]) -> None:
        self.world.members(name, *ports)

    @rule(name=st.sampled_from(["pg", "1_pg", "2_other"]))
    def members_gone(self, name: str) -> None:
        self.world.remove(sb.PortGroup, uuid_of("members", name))

    @rule(mappings=st.sampled_from(["phys:br-ex", "", "phys:br-none"]))
    def mappings(self, mappings: str) -> None:
        self.world.setting("ovn-bridge-mappings", mappings)

    @rule()
    def settle(self) -> None:
        self.world.run()

    def teardown(self) -> None:
        assert self.world.engine.audit() == []
        assert self.world.engine.rows(FLOWS)


ControllerWalk.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestControllerWalk = ControllerWalk.TestCase
