"""QoS: one row for each port and direction for which the port's policy, or else its network's, has rules.

The ports of network services are left alone. A row marks what a port sends (`from-lport`) with a DSCP, and bounds its
rate in kbit/s, with a burst in kbit.

Floating IPs in use have rows of the same kind, on the external network's switch: for packets from and to the floating
IP at the router's gateway, on the host where that is, or for a distributed one on the host of its port.

Tests: tests/unit/plugin/test_plugin_qos.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import cloud, nb
from ovine.model.base import EMPTY, Map, Uuid
from ovine.plugin.nat import FLOATING_IP, is_distributed
from ovine.plugin.router_places import lrp_name
from ovine.projection import ref

PRIORITY, FLOATING_PRIORITY = 2002, 2010
"""Of rows of ports and of floating IPs, as Neutron has them."""
OWNER = "neutron:port_id"
_NETWORK_SERVICE = "network:"


class QosKey(NamedTuple):
    """A row: of which port or floating IP it is, and for which direction."""

    owner: str
    direction: str


class Effect(NamedTuple):
    """What a policy does in one direction: a DSCP, a rate in kbit/s and a burst in kbit; None or 0 for nothing."""

    direction: str
    dscp: int | None
    rate: int
    burst: int


QOS: Relation[QosKey, nb.QoS] = Relation("QoS")
SWITCH_OF_QOS: Relation[Uuid, Uuid] = Relation("switch of a QoS row")
"""By reference to a QoS row: the network of its port, or outside of the router."""
QOS_OF_NETWORK: Index[Uuid] = Index(SWITCH_OF_QOS, lambda network: (network,), "QoS rows by network")
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


@rule(over=cloud.Port, writes=(QOS, SWITCH_OF_QOS))
def qos(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The rows of a port."""
    port = q.row(cloud.Port, key)
    policy = port.qos_policy or q.row(cloud.Network, port.network).qos_policy
    if policy is None or port.device_owner.startswith(_NETWORK_SERVICE):
        return
    for effect in effects(q, policy):
        name = QosKey(key, effect.direction)
        match = f'{_side(effect)} == "{key}"'
        yield SWITCH_OF_QOS(ref(QOS, name), port.network)
        yield QOS(name, _row(effect, PRIORITY, match, {OWNER: key}))


@rule(over=cloud.FloatingIP, writes=(QOS, SWITCH_OF_QOS))
def floating_ip_qos(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The rows of a floating IP that is in use, by its own policy or else the external network's."""
    floating = q.row(cloud.FloatingIP, key)
    outside = q.get(cloud.Network, floating.floating_network)
    policy = floating.qos_policy or (outside.qos_policy if outside is not None else None)
    if policy is None or floating.router is None or floating.gateway is None:
        return
    at = floating.port if is_distributed(q, key) else f"cr-{lrp_name(floating.gateway)}"
    for effect in effects(q, policy):
        name = QosKey(key, effect.direction)
        end = "src" if effect.direction == "from-lport" else "dst"
        match = (
            f'{_side(effect)} == "{floating.gateway}" && ip4.{end} == {floating.floating_ip_address} && '
            f'is_chassis_resident("{at}")'
        )
        yield SWITCH_OF_QOS(ref(QOS, name), floating.floating_network)
        yield QOS(name, _row(effect, FLOATING_PRIORITY, match, {FLOATING_IP: key}))


def _side(effect: Effect) -> str:
    return "inport" if effect.direction == "from-lport" else "outport"


def _row(effect: Effect, priority: int, match: str, ids: dict[str, str]) -> nb.QoS:
    bandwidth = {"rate": effect.rate} if effect.rate else {}
    return nb.QoS(
        priority=priority,
        direction=effect.direction,
        match=match,
        action=EMPTY if effect.dscp is None else Map({"dscp": effect.dscp}),
        bandwidth=Map(bandwidth | ({"burst": effect.burst} if effect.rate and effect.burst else {})),
        external_ids=Map(ids),
    )
