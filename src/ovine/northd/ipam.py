"""Addresses that northd gives out: to ports that ask for one by the word `dynamic`, on switches that have some to give.

other_config:subnet gives IPv4 addresses, ipv6_prefix an IPv6 address made of the Ethernet address, mac_only Ethernet
addresses alone. What a port got is written to Logical_Switch_Port.dynamic_addresses, where it is read back: a port
wishes for what it has, so that it keeps it for as long as it fits, also through a restart and a change of northd.

Not given out are the first address of a subnet, which is usually the router's, exclude_ips, and what other ports and
routers on the switch have. An Ethernet address begins with NB_Global options:mac_prefix; the rest is made of the IPv4
address, or is the lowest that is free.

Terms: an *offset* is an address less the subnet's own.

Source: ovn-nb(5), "IP Address Assignment" and Logical_Switch_Port addresses. Tests: tests/unit/northd/test_ipam.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, Sticky, query, rule
from ovine.model import nb
from ovine.model.base import Map, Uuid
from ovine.northd.addresses import parse_ip4, parse_ip6, parse_mac
from ovine.northd.datapaths import switch_of
from ovine.northd.inputs import nb_option

MOST_EXCLUDED = 2**16
FIRST = 2
"""The lowest offset that is given out."""

ADDRESSES: Sticky[tuple[Uuid, str]] = Sticky("IPv4 addresses given out", FIRST, 2**24 - 2)
"""Offsets by (switch, who), a pool for each switch; who is a port that asks, or `_nobody` for an offset kept back."""
MACS: Sticky[Uuid] = Sticky("Ethernet addresses given out", 1, 2**24 - 1)
"""The last three bytes, by port."""
DYNAMIC: Relation[Uuid, str] = Relation("addresses given to ports")
"""By the northbound port: an entry as in Logical_Switch_Port.addresses."""
PREFIX: Relation[str, str] = Relation("prefix of Ethernet addresses")
"""The prefix, under "", while there is somebody who needs one and NB_Global has none."""


@dataclass(frozen=True)
class Supply:
    """What a switch has to give. `problems` says what of its settings cannot be read."""

    subnet: IPv4Network | None = None
    prefix: IPv6Network | None = None
    mac_only: bool = False
    excluded: frozenset[int] = frozenset()
    problems: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.subnet is not None or self.prefix is not None or self.mac_only

    def offset(self, address: str) -> int | None:
        """The offset of an IPv4 address; None if it is not in the subnet."""
        if self.subnet is None or IPv4Address(address) not in self.subnet:
            return None
        return int(IPv4Address(address)) - int(self.subnet.network_address)


class Ask(NamedTuple):
    """What a port asks for: any address, or one of its choice."""

    mac: str | None = None
    ip4: str | None = None
    ip6: str | None = None


SUPPLYING = Index(
    nb.LogicalSwitch,
    lambda row: (row.uuid,) if row.other_config.keys() & {"subnet", "ipv6_prefix", "mac_only"} else (),
    "switches with addresses to give",
)
ASKING = Index(
    nb.LogicalSwitchPort,
    lambda row: (row.uuid,) if any("dynamic" in entry.split() for entry in row.addresses) else (),
    "ports that ask for addresses",
)
ROUTER_PORT_CALLED = Index(nb.LogicalRouterPort, lambda row: (row.name,), "router ports by name, for addresses")


# --- switches ---------------------------------------------------------------------------------------------------------


@query
def supply(q: Reader, switch: Uuid) -> Supply:
    """What a switch has to give."""
    if not q.find(SUPPLYING, switch):
        return Supply()
    return read_supply(q.row(nb.LogicalSwitch, switch).other_config)


def read_supply(config: Map[str, str]) -> Supply:
    """Reads other_config."""
    problems: list[str] = []
    subnet = _subnet(config.get("subnet"), problems)
    excluded = frozenset(_excluded(subnet, config.get("exclude_ips", ""), problems)) if subnet is not None else ()
    prefix = _prefix(config.get("ipv6_prefix"), problems)
    mac_only = config.get("mac_only", "").lower() == "true"
    return Supply(subnet, prefix, mac_only, frozenset(excluded), tuple(problems))


def _subnet(text: str | None, problems: list[str]) -> IPv4Network | None:
    if text is None:
        return None
    try:
        subnet = IPv4Network(text.strip(), strict=False)
    except ValueError:
        problems.append(f"subnet {text!r} is not an IPv4 network")
        return None
    if not 8 <= subnet.prefixlen <= 30:
        problems.append(f"subnet {text} has a prefix of {subnet.prefixlen} bits, not 8 to 30")
        return None
    return subnet


def _prefix(text: str | None, problems: list[str]) -> IPv6Network | None:
    if text is None:
        return None
    try:
        return IPv6Network((IPv6Address(text.strip().partition("/")[0]), 64), strict=False)
    except ValueError:
        problems.append(f"ipv6_prefix {text!r} is not an IPv6 address")
        return None


def _excluded(subnet: IPv4Network, text: str, problems: list[str]) -> Iterator[int]:
    base, count = int(subnet.network_address), 0
    for word in text.split():
        first, dots, last = word.partition("..")
        try:
            low, high = IPv4Address(first), IPv4Address(last if dots else first)
        except ValueError:
            problems.append(f"exclude_ips: {word!r} is neither an IPv4 address nor a range")
            continue
        if low not in subnet or high not in subnet or low > high:
            problems.append(f"exclude_ips: {word} is not within {subnet}")
            continue
        count += int(high) - int(low) + 1
        if count > MOST_EXCLUDED:
            problems.append(f"exclude_ips: more than {MOST_EXCLUDED} addresses; {word} and what follows is left out")
            return
        yield from range(int(low) - base, int(high) - base + 1)


@rule(over=SUPPLYING, writes=(ADDRESSES,))
def reserved(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """Keeps back what is excluded."""
    for offset in sorted(supply(q, switch).excluded):
        if offset >= FIRST:
            yield ADDRESSES.request((switch, _nobody(offset)), pool=switch, wanted=offset)


@rule(over=SUPPLYING, writes=())
def readable(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """Reports settings that make no sense."""
    problems = supply(q, switch).problems
    if problems:
        raise ValueError(f"switch {q.row(nb.LogicalSwitch, switch).name}: {'; '.join(problems)}")
    yield from ()  # what makes it a generator


@rule(over=nb.LogicalSwitchPort, writes=(ADDRESSES,))
def taken(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Keeps back what ports and routers have without asking."""
    switch = _only_switch(q, key)
    if switch is None or supply(q, switch).subnet is None:
        return
    row = q.row(nb.LogicalSwitchPort, key)
    words = [word for entry in row.addresses if "dynamic" not in entry.split() for word in entry.split()[1:]]
    for port in q.find(ROUTER_PORT_CALLED, row.options.get("router-port", "")):
        words += q.row(nb.LogicalRouterPort, port).networks
    for address in dict.fromkeys(word.partition("/")[0] for word in words):
        offset = _offset(supply(q, switch), address)
        if offset is not None and offset >= FIRST:
            yield ADDRESSES.request((switch, _nobody(offset)), pool=switch, wanted=offset)


def _nobody(offset: int) -> str:
    """Who has an offset that is not to be given out; comes before all ports."""
    return f" {offset}"


@rule(over=ADDRESSES, writes=())
def kept_back(q: Reader, key: tuple[Uuid, str]) -> Iterator[Emit]:
    """Reports an address that a port was given before somebody else came to have it."""
    switch, who = key
    subnet = supply(q, switch).subnet
    if who.startswith(" ") and subnet is not None and who != _nobody(q.get(ADDRESSES, key) or 0):
        raise ValueError(f"{subnet.network_address + int(who)} is kept by the port that was given it")
    yield from ()  # what makes it a generator


def _only_switch(q: Reader, key: Uuid) -> Uuid | None:
    """The switch of a port; None if it has none, or several, which is reported with the port."""
    try:
        return switch_of(q, key)
    except ValueError:
        return None


def _offset(of: Supply, text: str) -> int | None:
    try:
        return of.offset(text)
    except ValueError:
        return None


# --- ports ------------------------------------------------------------------------------------------------------------


def read_ask(addresses: tuple[str, ...]) -> Ask:
    """What the first entry with `dynamic` asks for. Raises ValueError for a word that makes no sense there."""
    words = next(entry.split() for entry in addresses if "dynamic" in entry.split())
    if words[0] != "dynamic":
        if words[1:] != ["dynamic"]:
            raise ValueError(f"{' '.join(words)!r} is neither 'MAC dynamic' nor 'dynamic [IP] …'")
        return Ask(mac=parse_mac(words[0]))
    ask = Ask()
    for word in words[1:]:
        ask = ask._replace(ip6=parse_ip6(word)) if ":" in word else ask._replace(ip4=parse_ip4(word))
    return ask


@query
def _ask(q: Reader, key: Uuid) -> Ask | None:
    """What a port asks for; None if it makes no sense."""
    try:
        return read_ask(q.row(nb.LogicalSwitchPort, key).addresses)
    except ValueError:
        return None


def _has(row: Any) -> tuple[str, str]:
    """The Ethernet and IPv4 address that a port was given before; "" for none."""
    words = (row.dynamic_addresses or "").split()
    return (words[0] if words else "", next((word for word in words[1:] if "." in word), ""))


@rule(over=ASKING, writes=(ADDRESSES,))
def ask_address(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Asks for an IPv4 address: the one of its choice, else the one that it has."""
    switch, ask = _only_switch(q, key), _ask(q, key)
    if switch is None or ask is None or supply(q, switch).subnet is None:
        return
    given = supply(q, switch)
    wanted = _offset(given, ask.ip4 or _has(q.row(nb.LogicalSwitchPort, key))[1])
    if ask.ip4 is not None or wanted not in given.excluded:
        yield ADDRESSES.request((switch, str(key)), pool=switch, wanted=wanted)
    else:
        yield ADDRESSES.request((switch, str(key)), pool=switch)


@query
def mac_prefix(q: Reader) -> str:
    """The first three bytes of Ethernet addresses: NB_Global options:mac_prefix, else some that depend on its uuid."""
    text = nb_option(q, "mac_prefix").lower()
    try:
        parse_mac(f"{text}:00:00:00")
    except ValueError:
        own = next(iter(q.keys(nb.NBGlobal)), "")
        digest = hashlib.blake2b(str(own).encode(), digest_size=2).hexdigest()
        return f"0a:{digest[:2]}:{digest[2:]}"
    return text


@rule(over=ASKING, writes=(MACS,))
def ask_mac(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Asks for an Ethernet address: the one that it has, else one made of its IPv4 address, else any."""
    switch, ask = _only_switch(q, key), _ask(q, key)
    if switch is None or ask is None or ask.mac is not None or not supply(q, switch):
        return
    prefix, before = mac_prefix(q), _has(q.row(nb.LogicalSwitchPort, key))[0]
    wanted = int(before[9:].replace(":", ""), 16) if before.startswith(f"{prefix}:") else None
    if wanted is None and supply(q, switch).subnet is not None:
        address = _address(q, switch, key)
        if address is None:
            return
        wanted = (int(address) & 0xFFFFFF) + 1 & 0xFFFFFF or 1
    yield MACS.request(key, wanted=wanted)


def _address(q: Reader, switch: Uuid, key: Uuid) -> IPv4Address | None:
    """The IPv4 address that a port got."""
    subnet, offset = supply(q, switch).subnet, q.get(ADDRESSES, (switch, str(key)))
    if subnet is None or offset is None or offset >= subnet.num_addresses - 1:
        return None
    return subnet.network_address + offset


@rule(over=ASKING, writes=(DYNAMIC, PREFIX))
def dynamic(q: Reader, key: Uuid) -> Iterator[Emit]:
    """What a port got. ValueError says why it got nothing."""
    row, switch = q.row(nb.LogicalSwitchPort, key), _only_switch(q, key)
    if switch is None:
        return
    try:
        ask = read_ask(row.addresses)
        given = supply(q, switch)
        if not given:
            name = q.row(nb.LogicalSwitch, switch).name
            raise ValueError(f"asks for an address, and switch {name} has none to give")
        words = _given(q, switch, key, ask, given)
    except ValueError as error:
        raise ValueError(f"port {row.name}: {error}") from None
    if words is not None:
        yield DYNAMIC(key, " ".join(words))
        if not nb_option(q, "mac_prefix"):
            yield PREFIX("", mac_prefix(q))


def _given(q: Reader, switch: Uuid, key: Uuid, ask: Ask, of: Supply) -> list[str] | None:
    """The words of the entry; None while a number is being asked for."""
    address = None
    if of.subnet is not None:
        address = _address(q, switch, key)
        if address is None and q.get(ADDRESSES, (switch, str(key))) is not None:
            raise ValueError(f"no address is left in {of.subnet}")
        if address is None:
            return None
        if ask.ip4 is not None and str(address) != ask.ip4:
            raise ValueError(f"{ask.ip4} cannot be given: it is taken, excluded, or not one of {of.subnet}")
    number = q.get(MACS, key)
    if ask.mac is None and number is None:
        return None
    mac = ask.mac or f"{mac_prefix(q)}:{number or 0:06x}"
    if ask.mac is None:
        mac = ":".join((mac[:8], mac[9:11], mac[11:13], mac[13:15]))
    words = [mac, *([str(address)] if address is not None else [])]
    if ask.ip6 is not None:
        words.append(ask.ip6)
    elif of.prefix is not None:
        words.append(str(IPv6Address(int(of.prefix.network_address) | _identifier(mac))))
    return words


def _identifier(mac: str) -> int:
    """The interface identifier made of an Ethernet address (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    return int.from_bytes(bytes((octets[0] ^ 2,)) + octets[1:3] + b"\xff\xfe" + octets[3:])
