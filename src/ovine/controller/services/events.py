"""`trigger_event`: tells whoever manages the cloud that a packet came for a load balancer without backends.

The event is a row of Controller_Event, of which there is one at a time for each thing that can happen on a host: who
has seen it deletes it, and the next packet makes another. Its number grows with time, so that two rows about one thing
can be told apart.

Source: ovn-sb(5), table Controller_Event, trigger_event. Tests: tests/unit/controller/services/test_events.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from ovine.controller.services import Opcode, Service, Userdata, World
from ovine.engine import Reader
from ovine.language.actions import TriggerEvent
from ovine.model import sb
from ovine.model.base import StrMap
from ovine.openflow import PacketIn


def payload(q: Reader, action: TriggerEvent) -> bytes:
    """What has happened, and to whom."""
    del q
    return json.dumps([action.event, {option.name: str(option.values[0]) for option in action.options}]).encode()


def told(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[sb.ControllerEvent]:
    """The row for an event; nothing while this host has no row of its own."""
    del packet
    ours = world.southbound.index(sb.Chassis, "name").one(world.chassis)
    if ours is None:
        return
    event, about = json.loads(userdata.payload)
    number = int(world.now() * 1000)
    yield sb.ControllerEvent(event_type=event, event_info=StrMap(about), chassis=ours.uuid, seq_num=number)


SERVICE: Final = Service(Opcode.TRIGGER_EVENT, told, payload)
