"""DHCP relay: `R = dhcp_relay_req_chk(relay, server)` and `R = dhcp_relay_resp_chk(relay, server)`.

A client's request that no relay has had before gets the relay's address (giaddr) and one hop more; the logical flow
that looks at the result sends it to the server. A server's reply to that address is sent on to the client: the frame's
and the packet's destination are those at which the client can hear it. Everything else goes on unchanged with result 0,
and the flows drop it:

- requests of another relay (giaddr is set already), with too many hops, or with a relay's information, which only a
  relay can know (RFC 3046 §2.1);
- replies for another relay or of another server (option 54), or for a client that has no Ethernet address;
- what is no DHCP message over Ethernet, and fragments.

Sources: RFC 1542 §4.1, RFC 2131 §4.1, RFC 3046; ovn-sb(5) of OVN 24.09.
Tests: tests/unit/controller/services/test_dhcp_relay.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from ovine.controller.services import Opcode, Service, Userdata, World
from ovine.controller.services.answers import resume
from ovine.controller.services.dhcp4 import COOKIE, FIXED, options_of
from ovine.controller.services.frames import Malformed, ethernet, ipv4, make_udp, readdressed, udp
from ovine.engine import Reader
from ovine.language.actions import DhcpRelayReqChk, DhcpRelayRespChk
from ovine.openflow import Message, PacketIn

MAX_HOPS: Final = 16
"""No message leaves with more (RFC 1542 §4.1.1)."""

_REQUEST, _REPLY = 1, 2
_BROADCAST: Final = 0x8000
_KIND, _SERVER, _RELAY_INFORMATION = 53, 54, 82
_NOBODY, _EVERYBODY = bytes(4), b"\xff" * 4
_ALL_MACS: Final = b"\xff" * 6


def checked_request(frame: bytes, relay: bytes) -> bytes | None:
    """A client's frame with the relay's address in it; None if it is not to be relayed.

    Malformed if it is no DHCP request. `relay` has four bytes.
    """
    outer = ethernet(frame)
    packet = ipv4(outer)
    datagram = udp(packet)
    message = datagram.payload
    options = _options(message, _REQUEST)
    if message[24:28] != _NOBODY or message[3] >= MAX_HOPS or _RELAY_INFORMATION in options:
        return None
    message = message[:3] + bytes((message[3] + 1,)) + message[4:24] + relay + message[28:]
    segment = make_udp(packet.src, packet.dst, (datagram.src, datagram.dst), message)
    return outer._replace(payload=readdressed(packet, packet.dst, segment)).encode()


def checked_reply(frame: bytes, relay: bytes, server: bytes) -> bytes | None:
    """A server's frame, addressed to the client; None if it is not for a client of this relay.

    Malformed if it is no DHCP reply. `relay` and `server` have four bytes.
    """
    outer = ethernet(frame)
    packet = ipv4(outer)
    datagram = udp(packet)
    message = datagram.payload
    options = _options(message, _REPLY)
    client = message[28:34]
    if message[24:28] != relay or options.get(_SERVER) != server or client[0] & 1 or client == bytes(6):
        return None
    mac, address = _listening(message)
    segment = make_udp(packet.src, address, (datagram.src, datagram.dst), message)
    return outer._replace(dst=mac, payload=readdressed(packet, address, segment)).encode()


def _options(message: bytes, operation: int) -> dict[int, bytes]:
    """The options of a DHCP message over Ethernet; Malformed if it is none, or goes the other way."""
    head = bytes((operation, 1, 6))
    if len(message) < FIXED or message[:3] != head or message[FIXED - len(COOKIE) : FIXED] != COOKIE:
        raise Malformed("not a DHCP message of this direction")
    options = options_of(message)
    if len(options.get(_KIND, b"")) != 1:
        raise Malformed("a DHCP message without a message type")
    return options


def _listening(message: bytes) -> tuple[bytes, bytes]:
    """Ethernet and IP address at which a client hears a reply: its own, unless it cannot have that yet."""
    flags, yours = int.from_bytes(message[10:12]), message[16:20]
    return (_ALL_MACS, _EVERYBODY) if flags & _BROADCAST or yours == _NOBODY else (message[28:34], yours)


def request_payload(q: Reader, action: DhcpRelayReqChk) -> bytes:
    """The relay's address."""
    del q
    return action.relay.value.to_bytes(4)


def reply_payload(q: Reader, action: DhcpRelayRespChk) -> bytes:
    """The relay's address and the server's."""
    del q
    return action.relay.value.to_bytes(4) + action.server.value.to_bytes(4)


def _handler(checked: Callable[[bytes, bytes], bytes | None]) -> Callable[[PacketIn, Userdata, World], Any]:
    def handle(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[Message]:
        del world
        try:
            new = checked(packet.packet, userdata.payload)
        except Malformed:
            new = None
        yield resume(packet, userdata, new)

    return handle


SERVICES: Final = (
    Service(Opcode.DHCP_RELAY_REQ_CHK, _handler(checked_request), request_payload),
    Service(
        Opcode.DHCP_RELAY_RESP_CHK,
        _handler(lambda frame, payload: checked_reply(frame, payload[:4], payload[4:])),
        reply_payload,
    ),
)
