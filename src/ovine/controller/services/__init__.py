"""Packet services: what a packet that reaches the controller makes it do.

How a service plugs in. An action of the language that needs the controller has an `Opcode`. A `Service` says for one
opcode

- `payload(q, action)`: what the flow's userdata carries beside opcode and result bit. It runs inside the rule that
  compiles the logical flow, reads databases only through the Reader `q`, and raises `UnsupportedAction` or ValueError
  to refuse the flow. For a block (`arp { … }`), the encoder has put the encoded OpenFlow actions of the block there
  itself and `payload` is not asked.
- `handle(packet_in, userdata, world)`: yields what follows: OpenFlow messages (`Resume`, `PacketOut`), and southbound
  rows (`sb.FDB`, `sb.MACBinding`) that were learned, which the daemon merges with those that are there; also changes of
  rows, and events for services that act by the clock (`ovine.controller.services.timed`). It is pure but for reading
  `world`; an exception costs this packet only and is counted under the opcode.

An action with a result (`reg0[3] = put_dhcp_opts(…)`) pauses the packet: `handle` must yield exactly one `Resume`,
with the bit `userdata.result` in `changes` when it set 1. A packet whose handler fails is resumed unchanged, with
result 0. A block's packet goes out by `PacketOut("CONTROLLER", decoded actions, data, metadata=packet_in.match)`.

A service that is tables rather than packets (port security, FDB and neighbour look-ups) is a rule that yields to
`ovine.controller.flows.FLOWS` in its table of `ovine.controller.tables`; list it in `RULES`. Rules find what is local
with `ovine.controller.local`. The tables that the action encoder calls, and what they must leave behind:

| table | called with | leaves |
|---|---|---|
| GET_FDB | metadata, eth_dst; reg15 = 0 | reg15 = the port's key |
| LOOKUP_FDB | metadata, reg14, eth_src; reg10[8] = 0 | reg10[8] = 1 if that binding is known |
| GET_MAC, GET_MAC6 | metadata, reg15, reg0 or xxreg0; eth_dst = 0 | eth_dst; reg10[6] = 1 if it is known |
| LOOKUP_MAC, LOOKUP_MAC6 | metadata, reg14, reg0 or xxreg0, eth_src; reg10[6] = 0 | reg10[6] = 1 if it is known |
| IN_PORT_SEC | metadata, reg14, the packet; reg10[12] = 0 | reg10[12] = 1 if it must be dropped |
| OUT_PORT_SEC | metadata, reg15, the packet; reg10[12] = 0 | reg10[12] = 1 if it must be dropped |

Tests: tests/unit/controller/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ovine.controller.services.userdata import Opcode, Userdata, decode
from ovine.engine import Reader, Relation, Rule
from ovine.openflow import PacketIn
from ovine.ovsdb import Replica


class UnsupportedAction(ValueError):
    """An action that this controller does not carry out; the text names it. Only its logical flow is missing."""


class World(Protocol):
    """What a handler may look at."""

    @property
    def chassis(self) -> str:
        """The name of this chassis."""

    @property
    def southbound(self) -> Replica:
        """The southbound rows that this host replicates."""

    def now(self) -> float:
        """Seconds since the epoch."""


Payload = Callable[[Reader, Any], bytes]
Handle = Callable[[PacketIn, Userdata, World], Iterable[Any]]
"""Yields OpenFlow messages, rows that were learned, and events and changes for `ovine.controller.services.timed`."""


def no_payload(q: Reader, action: Any) -> bytes:
    """For actions that say all by their opcode."""
    del q, action
    return b""


@dataclass(frozen=True)
class Service:
    """What belongs to one opcode; see the module."""

    opcode: Opcode
    handle: Handle
    payload: Payload = no_payload


def services() -> Mapping[Opcode, Service]:
    """Every service there is, by opcode."""
    from ovine.controller.services.registry import SERVICES

    return {service.opcode: service for service in SERVICES}


def rules() -> tuple[Rule, ...]:
    """The rules of all services."""
    from ovine.controller.services.registry import RULES

    return RULES


def wants() -> tuple[Relation[Any, Any], ...]:
    """What services that act by the clock are told."""
    from ovine.controller.services.registry import WANTS

    return WANTS


__all__ = [
    "Handle",
    "Opcode",
    "Payload",
    "Service",
    "UnsupportedAction",
    "Userdata",
    "World",
    "decode",
    "no_payload",
    "rules",
    "wants",
    "services",
]
