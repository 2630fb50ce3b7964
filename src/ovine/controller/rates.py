"""Rates of ports: the queues of the interfaces by which packets leave this host.

A port with rates has a number (`options:qdisc_queue_id`), and its packets say it (`set_queue`). An *egress interface*
is one that bears `external_ids:ovn-egress-iface=true`: it gets a QoS row with a queue for each port here, and for each
localnet port of its bridge. So a port's packets are limited where they leave the host, in tunnels or not, and not
between ports of one host. `ovine.controller.vswitch` writes the rows.

Source: ovn-sb(5), Port_Binding options:qos_max_rate and following; ovs-vswitchd.conf.db(5), tables QoS and Queue.
Tests: tests/unit/controller/test_controller_rates.py, tests/interop/controller/test_controller_plans.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ovine.controller.config import config
from ovine.controller.local import BRIDGE_OF_PORT, CLAIMS, LOCAL_DATAPATHS, PORT_OF_INTERFACE
from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import sb, vs
from ovine.model.base import Map, StrMap, Uuid

MARK: Final = "ovn-owned"
"""In external_ids of the QoS and Queue rows that we made: "true"."""
NUMBER: Final = "qdisc_queue_id"
SETTINGS: Final = {"qos_max_rate": "max-rate", "qos_min_rate": "min-rate", "qos_burst": "burst"}
"""What the options of a port are called in a Queue; both in bits, per second or altogether."""
FASTEST: Final = 8 * (2**32 - 1)
"""Bits per second. What tc can count in 32 bits of bytes; without it the switch assumes that a link may be slow."""


class Queue(NamedTuple):
    """A queue of a port here. `network`: the physical network of a localnet port, for whose bridge it is."""

    number: int
    logical_port: str
    settings: StrMap
    network: str | None = None


class Unlimited(ValueError):
    """Ports have rates that do not hold anywhere."""


QUEUES: Relation[Uuid, Queue] = Relation("queue")
"""By Port_Binding."""
SHAPED: Relation[Uuid, Map[int, Queue]] = Relation("QoS of egress interfaces")
"""Queues by number, by Port of the local database."""

RATED: Final = Index(sb.PortBinding, lambda port: (port.uuid,) if NUMBER in port.options else (), "ports with rates")
EGRESS: Final = Index(
    vs.Interface,
    lambda row: (row.uuid,) if row.external_ids.get("ovn-egress-iface", "").lower() == "true" else (),
    "egress interfaces",
)
ANY_EGRESS: Final = Index(
    vs.Interface,
    lambda row: ((),) if row.external_ids.get("ovn-egress-iface", "").lower() == "true" else (),
    "whether there are egress interfaces",
)
ALL_QUEUES: Final = Index(QUEUES, lambda queue: ((),), "all queues")


@rule(over=RATED, writes=(QUEUES,))
def queues(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The queue of a port that is bound here, or of a localnet port of a local datapath."""
    port = q.row(sb.PortBinding, uuid)
    number = port.options[NUMBER]
    settings = {name: port.options[key] for key, name in SETTINGS.items() if key in port.options}
    if not settings or not number.isdigit():
        return
    if port.type == "localnet":
        if q.get(LOCAL_DATAPATHS, port.datapath) is not None:
            network = port.options.get("network_name", "")
            yield QUEUES(uuid, Queue(int(number), port.logical_port, StrMap(settings), network))
    elif q.get(CLAIMS, uuid) is not None:
        yield QUEUES(uuid, Queue(int(number), port.logical_port, StrMap(settings)))


@rule(over=EGRESS, writes=(SHAPED,))
def shaped(q: Reader, interface: Uuid) -> Iterator[Emit]:
    """The queues of an egress interface; without any, it has no QoS of ours."""
    settings = config(q)
    if settings is None:
        return
    for port in q.find(PORT_OF_INTERFACE, interface):
        bridges = {q.row(vs.Bridge, bridge).name for bridge in q.find(BRIDGE_OF_PORT, port)}
        every = [one for one in (q.value(QUEUES, key) for key in q.find(ALL_QUEUES, ())) if one is not None]
        found = [one for one in every if one.network is None or settings.bridges.get(one.network) in bridges]
        if found:
            yield SHAPED(port, Map({one.number: one for one in sorted(found, key=lambda one: one[:2])}))


@rule(over=ALL_QUEUES, writes=())
def unlimited(q: Reader, every: tuple[()]) -> Iterator[Emit]:
    """Reports ports with rates on a host where no interface is named for them."""
    if not q.find(ANY_EGRESS, ()):
        names = ", ".join(sorted(queue.logical_port for queue in q.find_rows(ALL_QUEUES, every)))
        raise Unlimited(f"no interface has external_ids:ovn-egress-iface=true, so nothing limits {names}")
    yield from ()  # what makes it a generator


RULES: Final = (queues, shaped, unlimited)
