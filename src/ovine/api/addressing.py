"""Address arithmetic of subnets, on integers: pools, gateways, EUI-64. Pure.

Terms: a *pool* is an inclusive pair of addresses as integers; the *window* is the part of a subnet's pools, from their
start, in which addresses are tried at random.

Tests: tests/unit/api/test_api_addressing.py.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterable, Sequence

Pool = tuple[int, int]
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
Net = ipaddress.IPv4Network | ipaddress.IPv6Network

BITS = {4: 32, 6: 128}
"""The length of an address by IP version."""
AUTO_MODES = ("slaac", "dhcpv6-stateless")
_WINDOWS = (1 << 8, 1 << 12, 1 << 16, 1 << 62)
_TRIES = 8


def network_of(cidr: str) -> Net:
    """A CIDR to a network; host bits are dropped. Raises ValueError."""
    return ipaddress.ip_network(cidr, strict=False)


def text_of(version: int, number: int) -> str:
    """An address in canonical form."""
    return str(ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number))


def number_of(address: str) -> int:
    return int(ipaddress.ip_address(address))


def canonical(address: str) -> str:
    return str(ipaddress.ip_address(address))


def default_gateway(net: Net) -> str:
    """The gateway when none is asked for: IPv4's first host; IPv6's subnet-router anycast address (RFC 4291, 2.6.1)."""
    first = int(net.network_address)
    return text_of(net.version, first + 1 if net.version == 4 else first)


def usable(net: Net) -> Pool:
    """The addresses that hosts may have: without IPv4's network and broadcast, without IPv6's anycast address."""
    first, last = int(net.network_address), int(net.broadcast_address)
    if last - first < 2:
        return first, last
    return first + 1, last - 1 if net.version == 4 else last


def default_pools(net: Net, gateway: str | None) -> list[Pool]:
    """The usable addresses without the gateway."""
    low, high = usable(net)
    if gateway is None:
        return [(low, high)]
    hole = number_of(gateway)
    if ipaddress.ip_address(gateway).version != net.version or not low <= hole <= high:
        return [(low, high)]
    return [pool for pool in ((low, hole - 1), (hole + 1, high)) if pool[0] <= pool[1]]


def parse_pools(texts: Iterable[str]) -> list[Pool]:
    """ "FIRST-LAST" texts to pools, in address order."""
    pools = []
    for text in texts:
        first, _, last = text.partition("-")
        pools.append((number_of(first), number_of(last)))
    return sorted(pools)


def pool_text(version: int, pool: Pool) -> str:
    return f"{text_of(version, pool[0])}-{text_of(version, pool[1])}"


def eui64(net: Net, mac: str) -> str:
    """The address that a host with this MAC forms by SLAAC in a /64 (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    interface = bytes((octets[0] ^ 2, octets[1], octets[2], 0xFF, 0xFE, *octets[3:]))
    return text_of(6, int(net.network_address) | int.from_bytes(interface))


def first_free(pools: Sequence[Pool], taken: Callable[[int], bool]) -> int | None:
    """The lowest address that is not taken."""
    return next((number for low, high in pools for number in range(low, high + 1) if not taken(number)), None)


def random_free(pools: Sequence[Pool], taken: Callable[[int], bool], chance: random.Random) -> int | None:
    """A free address, chosen so that callers who can't see each other's choices seldom choose the same.

    Windows from the pools' start grow until a few tries hit a free address, so addresses stay low in sparsely used
    subnets, the cost doesn't depend on how many are used, and only a nearly full subnet is searched as a whole.
    """
    size = sum(high - low + 1 for low, high in pools)
    for window in _WINDOWS:
        for _ in range(_TRIES):
            number = _nth(pools, chance.randrange(min(window, size))) if size else None
            if number is not None and not taken(number):
                return number
        if window >= size:
            break
    free = [number for low, high in pools for number in range(low, high + 1) if not taken(number)]
    return chance.choice(free) if free else None


def _nth(pools: Sequence[Pool], index: int) -> int | None:
    for low, high in pools:
        if index <= high - low:
            return low + index
        index -= high - low + 1
    return None
