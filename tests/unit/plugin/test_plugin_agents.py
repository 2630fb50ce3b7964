"""Agents: what hosts announce, when they respond, what their rows remember, and how they are forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from ovine.engine import Engine
from ovine.model import cloud, sb
from ovine.model.base import Map, Uuid
from ovine.model.chassis import METADATA_ID, METADATA_SB_CFG
from ovine.plugin import RULES
from ovine.plugin.agents import AGENTS, CONTROLLER, GATEWAY_CONTROLLER, METADATA, REMOVALS, agent_id

CHECK = Uuid("00000000-0000-4000-8000-000000000001")
HV1 = "11111111-0000-4000-8000-000000000001"
MD1 = "22222222-0000-4000-8000-000000000001"


def at(number: int) -> str:
    return f"2026-01-01T00:{number:02d}:00Z"


class Bed:
    """An engine whose agents' rows come back as the Cloud's, as in a running cloud."""

    def __init__(self) -> None:
        self.engine = Engine(RULES, watch=[AGENTS, REMOVALS])
        self._written: dict[Uuid, cloud.Agent] = {}

    def rounds(self, *numbers: int) -> None:
        row = cloud.AgentCheck(uuid=CHECK, asked=Map({number: at(number) for number in numbers}))
        self.engine.feed(cloud.AgentCheck, CHECK, row)

    def host(self, name: str, nb_cfg: int = 0, marks: dict[str, str] | None = None, **settings: str) -> None:
        options = Map({key.replace("_", "-"): value for key, value in settings.items()})
        chassis = sb.Chassis(uuid=Uuid(f"c-{name}"), name=name, hostname=f"host-{name}", other_config=options)
        self.engine.feed(sb.Chassis, chassis.uuid, chassis)
        private = sb.ChassisPrivate(
            uuid=Uuid(f"p-{name}"), name=name, chassis=chassis.uuid, nb_cfg=nb_cfg, external_ids=Map(marks or {})
        )
        self.engine.feed(sb.ChassisPrivate, private.uuid, private)

    def wish(self, agent: str, **columns: Any) -> None:
        """What the API writes."""
        row = self._written[Uuid(agent)]
        made = cloud.Agent(**{name: getattr(row, name) for name in row.__struct_fields__} | columns)
        self._written[made.uuid] = made
        self.engine.feed(cloud.Agent, made.uuid, made)

    def settle(self) -> dict[Uuid, cloud.Agent]:
        """Writes until nothing changes."""
        for _ in range(5):
            self.engine.run()
            wanted = dict(self.engine.rows(AGENTS))
            if self._written == wanted:
                return wanted
            for key in self._written.keys() | wanted.keys():
                if self._written.get(key) != wanted.get(key):
                    self.engine.feed(cloud.Agent, key, wanted.get(key))
            self._written = wanted
        raise AssertionError("agents do not come to rest")


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_a_host_has_a_controller_and_the_metadata_service_that_it_announces(bed: Bed) -> None:
    bed.rounds(1)
    bed.host(HV1, 1, {METADATA_ID: MD1, METADATA_SB_CFG: "1"}, ovn_bridge_mappings="public:br-ex")
    found = bed.settle()
    controller, metadata = found[Uuid(HV1)], found[Uuid(MD1)]
    assert (controller.agent_type, controller.binary) == (CONTROLLER, "ovn-controller")
    assert (metadata.agent_type, metadata.binary) == (METADATA, "neutron-ovn-metadata-agent")
    for agent in (controller, metadata):
        assert (agent.host, agent.chassis, agent.bridge_mappings) == (f"host-{HV1}", HV1, "public:br-ex")
        assert agent.responding
        assert agent.created_at == agent.started_at == at(1)


def test_a_gateway_says_so_and_tells_its_zones(bed: Bed) -> None:
    bed.host(HV1, ovn_cms_options="enable-chassis-as-gw,availability-zones=two:one")
    agent = bed.settle()[Uuid(HV1)]
    assert (agent.agent_type, agent.availability_zones) == (GATEWAY_CONTROLLER, ("one", "two"))


def test_a_host_whose_name_is_no_uuid_has_an_id_made_from_it(bed: Bed) -> None:
    bed.host("hv1")
    assert set(bed.settle()) == {agent_id(CONTROLLER, "hv1", "hv1")}
    assert agent_id(CONTROLLER, "hv1", "hv1") != agent_id(METADATA, "hv1", "hv1") != agent_id(METADATA, "hv2", "hv2")


def test_an_agent_responds_until_it_has_missed_a_whole_interval(bed: Bed) -> None:
    bed.rounds(1, 2)
    bed.host(HV1, 2)
    before = bed.settle()
    bed.rounds(1, 2, 3)
    assert bed.settle() == before, "nothing is written while an agent responds"
    bed.rounds(1, 2, 3, 4)
    agent = bed.settle()[Uuid(HV1)]
    assert (agent.responding, agent.heartbeat_at, agent.started_at) == (False, at(2), at(2))
    bed.rounds(3, 4, 5)
    assert bed.settle()[Uuid(HV1)] == agent, "its last answer is remembered longer than the rounds are"
    bed.host(HV1, 5)
    agent = bed.settle()[Uuid(HV1)]
    assert (agent.responding, agent.created_at, agent.started_at) == (True, at(2), at(5))


def test_one_answer_runs_the_rule_of_one_host(bed: Bed) -> None:
    bed.rounds(1, 2)
    for number in range(5):
        bed.host(f"hv{number}", 2)
    bed.settle()
    before = bed.engine.counts()["plugin.agents.agents"]
    bed.host("hv3", 3)
    bed.settle()
    assert bed.engine.counts()["plugin.agents.agents"] == before + 1


@pytest.mark.parametrize("said", ["", "soon", "-5", "²"])
def test_a_metadata_service_that_says_no_number_has_not_answered(bed: Bed, said: str) -> None:
    bed.rounds(1)
    bed.host(HV1, 1, {METADATA_ID: MD1, METADATA_SB_CFG: said})
    assert not bed.settle()[Uuid(MD1)].responding
    assert bed.engine.failures() == []


def test_what_is_to_be_forgotten_is_unless_it_answers_again(bed: Bed) -> None:
    bed.rounds(1, 2, 3)
    bed.host(HV1, 1)
    bed.settle()
    bed.wish(HV1, removal=True)
    assert bed.settle()[Uuid(HV1)].removal
    assert list(bed.engine.rows(REMOVALS)) == [(Uuid(f"p-{HV1}"), True)]
    bed.host(HV1, 3)
    assert not bed.settle()[Uuid(HV1)].removal
    assert not bed.engine.rows(REMOVALS)
