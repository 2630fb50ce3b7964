"""The `addresses` and `port_security` columns of a logical switch port (ovn-nb(5)) from a port's addresses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Pair = tuple[str, str]
"""An allowed address pair: IP address or CIDR, and MAC."""


def pairs_of(column: Iterable[str]) -> list[Pair]:
    """The pairs in `Port.allowed_address_pairs`, whose members read "IP MAC"."""
    return [(ip, mac) for ip, _, mac in (text.partition(" ") for text in sorted(column))]


def addresses(mac: str, ips: Sequence[str], pairs: Sequence[Pair], *, secure: bool) -> tuple[str, ...]:
    """Where traffic is delivered: the port's own addresses, its pairs' MACs, and all else if it is not secured."""
    found = {" ".join((mac, *ips))} | {other for _, other in pairs if other != mac}
    if not secure:
        found.add("unknown")
    return tuple(sorted(found))


def port_security(mac: str, ips: Sequence[str], pairs: Sequence[Pair], *, secure: bool) -> tuple[str, ...]:
    """What the port may send and receive; empty where port security is off.

    A pair with a MAC of its own may be a VRRP virtual router, which announces its MAC in frames sent from the port's;
    the `VRRPv3` entry allows just that (a northbound reader that does not know it skips it).
    """
    if not secure:
        return ()
    by_mac: dict[str, list[str]] = {mac: list(ips)}
    for ip, other in pairs:
        by_mac.setdefault(other, []).append(ip)
    found = {" ".join((owner, *owned)) for owner, owned in by_mac.items()}
    for other, owned in by_mac.items():
        if other != mac:
            found.add(" ".join(("VRRPv3", mac, other, *owned)))
    return tuple(sorted(found))
