"""Values of fields as people read them, and packets in one line. Tests: tests/unit/trace/test_trace_microflow.py."""

from __future__ import annotations

from typing import Final

from ovine.language import Packet, Subfield, evaluate, parse_match, quote, whole
from ovine.language.layout import place_of
from ovine.language.values import Constant, Style
from ovine.model.base import Uuid
from ovine.trace.world import World

_STYLES: Final[dict[str, Style]] = {
    **dict.fromkeys(("eth.src", "eth.dst", "arp.sha", "arp.tha", "rarp.sha", "rarp.tha", "nd.sll", "nd.tll"), "mac"),
    **dict.fromkeys(("ip4.src", "ip4.dst", "arp.spa", "arp.tpa", "rarp.spa", "rarp.tpa"), "ip4"),
    **dict.fromkeys(("ip6.src", "ip6.dst", "nd.target"), "ip6"),
    **dict.fromkeys(("eth.type", "vlan.tci"), "hex"),
}
_METADATA: Final = ("inport", "outport", "remote_outport", "flags", "ct", "reg", "xreg", "xxreg", "pkt.mark", "__")
_LOAD: Final = (
    ("arp", ("arp.op", "arp.spa", "arp.tpa", "arp.sha", "arp.tha")),
    ("rarp", ("rarp.op", "rarp.spa", "rarp.tpa", "rarp.sha", "rarp.tha")),
    ("ip4", ("ip4.src", "ip4.dst")),
    ("ip6", ("ip6.src", "ip6.dst")),
    ("ip", ("ip.proto", "ip.ttl")),
    ("icmp4", ("icmp4.type", "icmp4.code")),
    ("icmp6", ("icmp6.type", "icmp6.code")),
    ("nd", ("nd.target",)),
    ("nd_ns", ("nd.sll",)),
    ("nd_na", ("nd.tll",)),
    *((protocol, (f"{protocol}.src", f"{protocol}.dst")) for protocol in ("tcp", "udp", "sctp")),
)


def is_data(field: str) -> bool:
    """True for what is in the packet on the wire, false for registers and the like."""
    return not field.startswith(_METADATA)


def style_of(field: Subfield) -> Style:
    """How the values of a field are written."""
    return _STYLES.get(field.name, "dec") if field.whole else "dec"


def text_of(field: Subfield, packet: Packet, world: World, datapath: Uuid, style: Style = "dec") -> str:
    """The value of a field in a packet, as the language writes it; ports by name.

    `style` is for fields that have none of their own, such as registers.
    """
    number = packet.get(field)
    if field.name in ("inport", "outport", "remote_outport"):
        return quote(world.port_name(datapath, number))
    own = style_of(field)
    style = own if own != "dec" else style
    if style == "dec" and field.width > 16:
        style = "hex"
    fits = number < 1 << {"ip4": 32, "mac": 48}.get(style, 128)
    return str(Constant(number, None, style if fits else "hex")) if number or style != "hex" else "0"


def data_of(packet: Packet, world: World, datapath: Uuid) -> tuple[tuple[str, str], ...]:
    """What is in a packet, as fields and values; of the kinds of packet that it is."""
    names = ["eth.src", "eth.dst"]
    if packet.get("vlan.tci"):
        names.append("vlan.tci")
    loads = [name for kind, fields in _LOAD if evaluate(parse_match(kind), packet) for name in fields]
    if not loads and packet.get("eth.type"):
        names.append("eth.type")
    return tuple((name, text_of(whole(name), packet, world, datapath)) for name in (*names, *loads))


def describe(packet: Packet, world: World, datapath: Uuid) -> str:
    """A packet in one line."""
    return ", ".join(f"{name}={value}" for name, value in data_of(packet, world, datapath))


def with_openflow(packet: Packet, **values: int) -> Packet:
    """A packet with fields set that have a name in ovs-fields(7), whether they have a symbol or not."""
    bits = packet.bits
    for name, value in values.items():
        place = place_of(name)
        bits = bits & ~place.mask | value << place.offset
    return Packet(bits)
