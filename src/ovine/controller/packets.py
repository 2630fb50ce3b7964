"""Packets that reach the controller: each goes to the service that its userdata names.

A service answers with messages and with rows that it learned. One that fails costs its own packet only: the failure
is counted under the opcode and shown by `ovine/failures`, and a packet that was paused goes on with result 0.

Tests: tests/unit/controller/test_controller_packets.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping

from ovine.controller.services import Opcode, Service, World, decode, services
from ovine.controller.services.timed import Change, Effect, Event, Fact, Gone, Inquiry
from ovine.engine import Failure
from ovine.model import sb
from ovine.model.ages import FDB_KEY
from ovine.model.base import Row
from ovine.openflow import Message, PacketIn, Resume
from ovine.ovsdb import Replica, Transaction


class PacketServices:
    """Dispatches packet-ins. `learned` are rows that are to be merged into the southbound database."""

    def __init__(self, world: World, registered: Mapping[Opcode, Service] | None = None) -> None:
        self.handled: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.last_error: dict[str, str] = {}
        self.learned: dict[tuple[str, ...], Row | Change | Gone] = {}
        self.facts: list[Fact] = []
        """What the engine has not been told yet."""
        self.events: list[Event] = []
        """What timed services have not heard yet."""
        self.inquiries: list[Inquiry] = []
        """What the switch has not been asked yet."""
        self._world = world
        self._services = services() if registered is None else registered

    def handle(self, packet: PacketIn) -> list[Message]:
        """What is to be sent for a packet-in; rows that were learned are kept for `add_learned`."""
        word = "unknown"
        try:
            userdata = decode(packet.userdata)
            word = userdata.opcode.name.lower()
            service = self._services.get(userdata.opcode)
            if service is None:
                raise ValueError("no service is there for it")
            answer = list(service.handle(packet, userdata, self._world))
        except Exception as error:
            self.failed[word] += 1
            self.last_error[word] = f"{type(error).__name__}: {error}"
            return [Resume(packet)] if packet.continuation else []
        self.handled[word] += 1
        return self.carry_out(answer)

    def carry_out(self, effects: Iterable[Effect | Event]) -> list[Message]:
        """Keeps what was learned and what is to be heard; returns what is to be sent."""
        messages: list[Message] = []
        for effect in effects:
            if isinstance(effect, Row):
                self.learned[_key(effect)] = effect
            elif isinstance(effect, Change):
                self.learned["change", effect.uuid, *(name for name, _ in effect.columns)] = effect
            elif isinstance(effect, Gone):
                self.learned["gone", effect.uuid] = effect
            elif isinstance(effect, Fact):
                self.facts.append(effect)
            elif isinstance(effect, Event):
                self.events.append(effect)
            elif isinstance(effect, Inquiry):
                self.inquiries.append(effect)
            else:
                messages.append(effect)
        return messages

    def add_learned(self, txn: Transaction, replica: Replica) -> None:
        """Adds to a transaction what was learned and is not there yet; call it once for each transaction."""
        learned, self.learned = self.learned, {}
        for item in learned.values():
            if isinstance(item, Change):
                _change(txn, replica, item)
            elif isinstance(item, Gone):
                if replica.get(item.table, item.uuid) is not None:
                    txn.delete(item.table, item.uuid)
            else:
                _merge(txn, replica, item)

    def failures(self) -> list[Failure]:
        """The opcodes whose services failed, with how often and the last reason."""
        return [
            Failure("packet service", word, f"{count} times, last {self.last_error[word]}")
            for word, count in sorted(self.failed.items())
        ]


def _identity(row: Row) -> Iterator[tuple[str, Hashable]]:
    if isinstance(row, sb.FDB):
        yield from (("mac", row.mac), ("dp_key", row.dp_key))
    elif isinstance(row, sb.MACBinding):
        yield from (("logical_port", row.logical_port), ("ip", row.ip))
    elif isinstance(row, sb.IGMPGroup):
        yield from (("address", row.address), ("datapath", row.datapath or ""), ("chassis", row.chassis or ""))
    elif isinstance(row, sb.ControllerEvent):
        yield from (("event_type", row.event_type), ("event_info", row.event_info), ("chassis", row.chassis or ""))
    else:
        raise TypeError(f"{type(row).__name__} is no table that services may write to")


def _key(row: Row) -> tuple[str, ...]:
    return (type(row).spec.name, *(str(value) for _, value in _identity(row)))


def _merge(txn: Transaction, replica: Replica, row: Row) -> None:
    columns = dict(_identity(row))
    there = replica.index(type(row), *columns).one(*columns.values())
    if there is None:
        txn.insert(row)
    elif isinstance(row, sb.FDB) and there.port_key != row.port_key:  # type: ignore[attr-defined]
        txn.update(sb.FDB, there.uuid, port_key=row.port_key, **_seen(replica, row))
    elif isinstance(row, sb.MACBinding) and (there.mac, there.timestamp) != (row.mac, row.timestamp):  # type: ignore[attr-defined]
        txn.update(sb.MACBinding, there.uuid, mac=row.mac, timestamp=row.timestamp)
    elif isinstance(row, sb.IGMPGroup) and there.ports != row.ports:  # type: ignore[attr-defined]
        txn.update(sb.IGMPGroup, there.uuid, ports=row.ports)


def _seen(replica: Replica, row: sb.FDB) -> dict[str, int]:
    """When a machine was seen that has moved, where that matters; roles of OVN 23.03 may not write it."""
    datapath = replica.index(sb.DatapathBinding, "tunnel_key").one(row.dp_key)
    ages = datapath is not None and FDB_KEY in datapath.external_ids
    return {"timestamp": row.timestamp} if ages and row.timestamp else {}


def _change(txn: Transaction, replica: Replica, change: Change) -> None:
    row = replica.get(change.table, change.uuid)
    different = {name: value for name, value in change.columns if row is not None and getattr(row, name) != value}
    if different:
        txn.update(change.table, change.uuid, **different)
