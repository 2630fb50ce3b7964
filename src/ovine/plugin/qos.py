"""QoS: one row for each port and direction for which the port's policy, or else its network's, has rules.

The ports of network services are left alone. A row marks what a port sends (`from-lport`) with a DSCP, and bounds its
rate in kbit/s, with a burst in kbit.

Tests: tests/unit/plugin/test_plugin_qos.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import cloud, nb
from ovine.model.base import EMPTY, Map, Uuid
from ovine.projection import ref

PRIORITY = 2002
OWNER = "neutron:port_id"
_NETWORK_SERVICE = "network:"


class QosKey(NamedTuple):
    """A row: whose it is, and for which direction."""

    port: str
    direction: str


class Effect(NamedTuple):
    """What a policy does in one direction: a DSCP, a rate in kbit/s and a burst in kbit; None or 0 for nothing."""

    direction: str
    dscp: int | None
    rate: int
    burst: int


QOS: Relation[QosKey, nb.QoS] = Relation("QoS")
QOS_OF_PORT: Relation[Uuid, Uuid] = Relation("switch of a QoS row")
"""By reference to a QoS row: the network of its port."""
QOS_OF_NETWORK: Index[Uuid] = Index(QOS_OF_PORT, lambda network: (network,), "QoS rows by network")
LIMITS_OF_POLICY: Index[cloud.QoSBandwidthLimitRule] = Index(
    cloud.QoSBandwidthLimitRule, lambda rule: (rule.policy,), "bandwidth limits by policy"
)
MARKS_OF_POLICY: Index[cloud.QoSDSCPMarkingRule] = Index(
    cloud.QoSDSCPMarkingRule, lambda rule: (rule.policy,), "DSCP marks by policy"
)


@query
def effects(q: Reader, policy: Uuid) -> tuple[Effect, ...]:
    """What a policy does to a port."""
    marks = [q.row(cloud.QoSDSCPMarkingRule, key).dscp_mark for key in q.find(MARKS_OF_POLICY, policy)]
    limits = [q.row(cloud.QoSBandwidthLimitRule, key) for key in q.find(LIMITS_OF_POLICY, policy)]
    found = []
    for neutrons, direction in (("egress", "from-lport"), ("ingress", "to-lport")):
        dscp = min(marks, default=None) if neutrons == "egress" else None
        bounds = min(((r.max_kbps, r.max_burst_kbps) for r in limits if r.direction == neutrons), default=(0, 0))
        if dscp is not None or bounds[0]:
            found.append(Effect(direction, dscp, *bounds))
    return tuple(found)


@rule(over=cloud.Port, writes=(QOS, QOS_OF_PORT))
def qos(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The rows of a port."""
    port = q.row(cloud.Port, key)
    policy = port.qos_policy or q.row(cloud.Network, port.network).qos_policy
    if policy is None or port.device_owner.startswith(_NETWORK_SERVICE):
        return
    for direction, dscp, rate, burst in effects(q, policy):
        name = QosKey(key, direction)
        side = "inport" if direction == "from-lport" else "outport"
        bandwidth = {"rate": rate} if rate else {}
        yield QOS_OF_PORT(ref(QOS, name), port.network)
        yield QOS(
            name,
            nb.QoS(
                priority=PRIORITY,
                direction=direction,
                match=f'{side} == "{key}"',
                action=EMPTY if dscp is None else Map({"dscp": dscp}),
                bandwidth=Map(bandwidth | ({"burst": burst} if rate and burst else {})),
                external_ids=Map({OWNER: key}),
            ),
        )
