"""QoS policies in, QoS rows out."""

from __future__ import annotations

from typing import Any

import pytest

from ovine.engine import Engine
from ovine.model import cloud, nb
from ovine.model.base import Map, Uuid
from ovine.plugin.networks import SWITCHES
from ovine.plugin.qos import QOS, QosKey
from ovine.plugin.settings import Settings
from ovine.projection import ref
from support.plugin_engine import feed, new_engine


def uuid(kind: int, number: int) -> Uuid:
    return Uuid(f"{kind:08d}-0000-4000-8000-{number:012d}")


NET, PORT, GOLD, SILVER = uuid(1, 1), uuid(2, 1), uuid(3, 1), uuid(3, 2)
OUT, IN = QosKey(PORT, "from-lport"), QosKey(PORT, "to-lport")


def limit(number: int, policy: Uuid, direction: str, rate: int, burst: int = 0) -> cloud.QoSBandwidthLimitRule:
    return cloud.QoSBandwidthLimitRule(
        uuid=uuid(4, number), policy=policy, direction=direction, max_kbps=rate, max_burst_kbps=burst
    )


def port(**columns: Any) -> cloud.Port:
    return cloud.Port(uuid=PORT, network=NET, mac_address="m", **columns)


@pytest.fixture
def engine() -> Engine:
    made = new_engine()
    feed(
        made,
        cloud.Network(uuid=NET, mtu=1442),
        cloud.QoSPolicy(uuid=GOLD, place=GOLD),
        cloud.QoSPolicy(uuid=SILVER, place=SILVER),
        cloud.QoSDSCPMarkingRule(uuid=uuid(5, 1), policy=GOLD, dscp_mark=26),
        limit(1, GOLD, "egress", 3000, 300),
        limit(2, SILVER, "ingress", 1000),
        port(),
    )
    return made


def rows(engine: Engine) -> dict[QosKey, nb.QoS]:
    found = dict(engine.rows(QOS))
    assert set(engine.rows(SWITCHES)[NET].qos_rules) == {ref(QOS, key) for key in found}
    return found


def test_a_port_without_a_policy_has_no_row(engine: Engine) -> None:
    assert rows(engine) == {}


def test_a_ports_policy_is_one_row_for_each_direction(engine: Engine) -> None:
    feed(engine, port(qos_policy=GOLD))
    sent = nb.QoS(
        priority=2002,
        direction="from-lport",
        match=f'inport == "{PORT}"',
        action=Map({"dscp": 26}),
        bandwidth=Map({"rate": 3000, "burst": 300}),
        external_ids=Map({"neutron:port_id": PORT}),
    )
    assert rows(engine) == {OUT: sent}
    feed(engine, limit(3, GOLD, "ingress", 7))
    got = rows(engine)[IN]
    assert (got.match, got.action, got.bandwidth) == (f'outport == "{PORT}"', {}, {"rate": 7})


def test_a_ports_own_policy_goes_before_its_networks(engine: Engine) -> None:
    feed(engine, cloud.Network(uuid=NET, mtu=1442, qos_policy=SILVER))
    assert set(rows(engine)) == {IN}
    feed(engine, port(qos_policy=GOLD))
    assert set(rows(engine)) == {OUT}
    feed(engine, port(device_owner="network:dhcp"))
    assert rows(engine) == {}


def test_a_change_of_a_policy_reaches_its_ports_and_no_others(engine: Engine) -> None:
    feed(engine, port(qos_policy=GOLD))
    engine.log = []
    feed(engine, limit(2, SILVER, "ingress", 2000))
    assert engine.log == []
    feed(engine, limit(1, GOLD, "egress", 4000))
    assert engine.log == [("effects", (GOLD,)), ("plugin.qos.qos", PORT)]
    assert rows(engine)[OUT].bandwidth == {"rate": 4000}


# --- floating IPs -----------------------------------------------------------------------------------------------------

OUTSIDE, GATEWAY, FLOATING, ROUTER = uuid(1, 2), uuid(2, 2), uuid(6, 1), uuid(7, 1)


def floating(**columns: Any) -> cloud.FloatingIP:
    made = {"port": PORT, "router": ROUTER, "gateway": GATEWAY, "qos_policy": GOLD} | columns
    return cloud.FloatingIP(
        uuid=FLOATING, floating_network=OUTSIDE, floating_ip_address="203.0.113.9", interface=made["port"], **made
    )


@pytest.fixture
def routed(engine: Engine) -> Engine:
    feed(
        engine,
        cloud.Network(uuid=OUTSIDE, mtu=1500, external=True),
        limit(3, GOLD, "ingress", 2000),
        floating(),
    )
    return engine


def matches(engine: Engine) -> dict[str, str]:
    """The matches of the floating IP's rows by direction."""
    found = {key: row for key, row in engine.rows(QOS).items() if key.owner == FLOATING}
    assert set(engine.rows(SWITCHES)[OUTSIDE].qos_rules) == {ref(QOS, key) for key in found}
    return {key.direction: row.match for key, row in found.items()}


def test_a_floating_ip_is_bounded_at_its_routers_gateway(routed: Engine) -> None:
    here = f'is_chassis_resident("cr-lrp-{GATEWAY}")'
    assert matches(routed) == {
        "from-lport": f'inport == "{GATEWAY}" && ip4.src == 203.0.113.9 && {here}',
        "to-lport": f'outport == "{GATEWAY}" && ip4.dst == 203.0.113.9 && {here}',
    }
    row = routed.rows(QOS)[QosKey(FLOATING, "from-lport")]
    assert (row.priority, row.action, row.bandwidth) == (2010, Map({"dscp": 26}), Map({"rate": 3000, "burst": 300}))
    assert row.external_ids == Map({"neutron:fip_id": FLOATING})


def test_a_distributed_one_where_its_port_is(routed: Engine) -> None:
    routed.feed(Settings, (), Settings(distributed_floating_ips=True))
    feed(routed, nb.LogicalSwitchPort(uuid=uuid(8, 1), name=PORT, up=False))
    assert f'"cr-lrp-{GATEWAY}")' in matches(routed)["to-lport"], "until then it is answered for by the gateway"
    feed(routed, nb.LogicalSwitchPort(uuid=uuid(8, 1), name=PORT, up=True))
    assert matches(routed)["to-lport"].endswith(f'&& is_chassis_resident("{PORT}")')


@pytest.mark.parametrize("unused", [{"qos_policy": None}, {"port": None, "router": None, "gateway": None}])
def test_without_a_policy_or_a_way_it_is_not(routed: Engine, unused: dict[str, Any]) -> None:
    feed(routed, floating(**unused))
    assert matches(routed) == {}


def test_one_that_forwards_ports_is_too(routed: Engine) -> None:
    feed(routed, floating(port=None))
    assert set(matches(routed)) == {"from-lport", "to-lport"}


def test_the_external_networks_policy_is_that_of_floating_ips_without_one(routed: Engine) -> None:
    feed(routed, cloud.Network(uuid=OUTSIDE, mtu=1500, external=True, qos_policy=SILVER), floating(qos_policy=None))
    assert set(matches(routed)) == {"to-lport"}
    feed(routed, floating())
    assert set(matches(routed)) == {"from-lport", "to-lport"}
