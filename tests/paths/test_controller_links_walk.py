"""Random histories of routers, gateways and their chassis: incremental equals recompute, and what is local is reached.

Names come from small sets, so that links are made, bent to another end, cut at one end only, and left behind.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ovine.controller.local import LOCAL_DATAPATHS
from ovine.controller.reach import SEEDS, STEPS
from ovine.model import sb, vs
from ovine.model.base import StrMap
from support.controller_world import World, uuid_of

SWITCHES = st.sampled_from(["sw1", "sw2", "pub"])
ROUTERS = st.sampled_from(["lr1", "lr2"])
HOSTS = st.sampled_from(["hv2", "hv3"])
ALL_HOSTS = st.sampled_from(["hv1", "hv2", "hv3"])
PRIORITIES = st.dictionaries(ALL_HOSTS, st.integers(0, 2), max_size=3)
DATAPATHS = {"sw1": 1, "sw2": 2, "pub": 3, "lr1": 4, "lr2": 5}


class LinksWalk(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.setting("ovn-bridge-mappings", "phys:br-ex")
        self.world.bridge("br-ex")
        self.world.patch("patch-br-int-to-net", 40)
        for name, key in DATAPATHS.items():
            self.world.datapath(name, key, "router" if name.startswith("lr") else "switch")
        for number, name in enumerate(("hv2", "hv3"), 20):
            self.world.chassis(name, "geneve", f"10.9.0.{number}", number)
        self.world.interface("a", 10)

    @rule(switch=SWITCHES, there=st.booleans())
    def port(self, switch: str, there: bool) -> None:
        self.world.port("a", switch, 9)
        if not there:
            self.world.remove(sb.PortBinding, uuid_of("port", "a"))

    @rule(switch=SWITCHES, router=ROUTERS, redirected=st.booleans())
    def link(self, switch: str, router: str, redirected: bool) -> None:
        options = {"options:chassis-redirect-port": f"cr-{router}"} if redirected else {}
        self.world.link(switch, DATAPATHS[router], router, DATAPATHS[switch], **options)

    @rule(switch=SWITCHES, router=ROUTERS, host=st.sampled_from(["hv1", "hv2"]))
    def gateway_link(self, switch: str, router: str, host: str) -> None:
        options = {"options:l3gateway-chassis": host}
        self.world.link(switch, DATAPATHS[router], router, DATAPATHS[switch], type="l3gateway", **options)

    @rule(switch=SWITCHES, router=ROUTERS, end=st.booleans())
    def cut(self, switch: str, router: str, end: bool) -> None:
        name = f"{switch}-{router}" if end else f"{router}-{switch}"
        self.world.remove(sb.PortBinding, uuid_of("port", name))

    @rule(
        router=ROUTERS,
        behind=SWITCHES,
        always=st.sampled_from(["true", "false"]),
        kind=st.sampled_from(["bridged", "overlay"]),
        grouped=st.booleans(),
    )
    def redirect(self, router: str, behind: str, always: str, kind: str, grouped: bool) -> None:
        options = {
            "options:distributed-port": f"{router}-{behind}",
            "options:always-redirect": always,
            "options:redirect-type": kind,
        }
        group = {"ha_chassis_group": "gw"} if grouped else {"chassis": "hv3"}
        self.world.port(f"cr-{router}", router, 10, type="chassisredirect", **group, **options)

    @rule(priorities=PRIORITIES, refs=st.sets(ALL_HOSTS))
    def members(self, priorities: dict[str, int], refs: set[str]) -> None:
        self.world.ha_group("gw", refs=tuple(refs), **priorities)

    @rule(host=HOSTS, state=st.sampled_from(["up", "down"]))
    def bfd(self, host: str, state: str) -> None:
        self.world.bfd(host, state)

    @rule(host=HOSTS, there=st.booleans())
    def host(self, host: str, there: bool) -> None:
        number = int(host[2:]) + 18
        self.world.chassis(host, "geneve", f"10.9.0.{number}", number)
        if not there:
            self.world.remove(sb.Chassis, uuid_of("chassis", host))

    @rule(switch=SWITCHES, kind=st.sampled_from(["localnet", "l2gateway"]), tag=st.sampled_from([0, 7]))
    def provider(self, switch: str, kind: str, tag: int) -> None:
        options = {"options:network_name": "phys", "options:l2gateway-chassis": "hv1"}
        self.world.port("net", switch, 11, type=kind, **({"tag": tag} if tag else {}), **options)

    @rule(router=ROUTERS, threshold=st.sampled_from(["", "10", "10.0.0.0/8:0;5"]))
    def ages(self, router: str, threshold: str) -> None:
        ids = {"logical-router": uuid_of(router), "name": router, "mac_binding_age_threshold": threshold}
        self.world.change(sb.DatapathBinding, uuid_of("datapath", router), external_ids=StrMap(ids))

    @rule(
        router=ROUTERS,
        switch=SWITCHES,
        ip=st.sampled_from(["10.0.0.9", "fd00::9"]),
        when=st.integers(0, 2),
        there=st.booleans(),
    )
    def learns(self, router: str, switch: str, ip: str, when: int, there: bool) -> None:
        row = sb.MACBinding(
            uuid=uuid_of("binding", router, ip),
            logical_port=f"{router}-{switch}",
            ip=ip,
            mac="02:00:00:00:00:77",
            timestamp=when,
            datapath=uuid_of("datapath", router),
        )
        self.world.put(row)
        if not there:
            self.world.remove(sb.MACBinding, row.uuid)

    @rule(switch=SWITCHES, grouped=st.booleans())
    def external(self, switch: str, grouped: bool) -> None:
        group = {"ha_chassis_group": "gw"} if grouped else {}
        self.world.port("ext", switch, 12, type="external", **group)

    @rule(switch=SWITCHES, parent=st.sampled_from(["a", "net", "vip"]))
    def virtual(self, switch: str, parent: str) -> None:
        self.world.port("vip", switch, 13, type="virtual", virtual_parent=parent)

    @rule(ours=st.sampled_from(["", "phys:aa:00:00:00:00:01"]), theirs=st.sampled_from(["", "phys:aa:00:00:00:00:02"]))
    def macs(self, ours: str, theirs: str) -> None:
        self.world.setting("ovn-chassis-mac-mappings", ours)
        if (sb.Chassis, uuid_of("chassis", "hv2")) in self.world.rows:
            self.world.macs("hv2", theirs)

    @rule(switch=SWITCHES, ports=st.sets(st.sampled_from(["a", "net", "ext", "sw1-lr1", "pub-lr1", "pub-lr2"])))
    def group(self, switch: str, ports: set[str]) -> None:
        self.world.group("flood", switch, 32768, *ports)

    @rule(plugged=st.booleans())
    def plug(self, plugged: bool) -> None:
        self.world.interface("a", 10)
        if not plugged:
            self.world.remove(vs.Interface, uuid_of("interface", "if-a"))

    @rule()
    def settle(self) -> None:
        self.world.run()
        links = {(step.source, step.target) for step in self.world.engine.rows(STEPS).values()}
        expected = set(self.world.engine.rows(SEEDS))
        while more := {target for source, target in links if source in expected} - expected:
            expected |= more
        assert set(self.world.engine.rows(LOCAL_DATAPATHS)) == expected

    def teardown(self) -> None:
        assert self.world.engine.audit() == []
        assert self.world.failures() == []


LinksWalk.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLinksWalk = LinksWalk.TestCase
