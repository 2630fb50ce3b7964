"""How old learned addresses may grow: the settings of switches and routers, and how they are told to hosts. Pure.

A *threshold* is the age at which a learned address is forgotten, in seconds; 0: never. A router may have several, by
CIDR: `192.168.0.0/16:300;fd00::/8:60;600` is 300 seconds for the first network, 60 for the second and 600 for all
others, which have none if no entry is without CIDR. The longest CIDR that has an address decides.

northd copies what a host needs into Datapath_Binding.external_ids, under the same keys.

Source: ovn-nb(5), Logical_Router options:mac_binding_age_threshold, Logical_Switch other_config:fdb_age_threshold;
ovn-sb(5), Datapath_Binding external_ids. Tests: tests/unit/model/test_ages.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

BINDINGS_KEY = "mac_binding_age_threshold"
"""Of a router: in Logical_Router.options, and in external_ids of its datapath."""
FDB_KEY = "fdb_age_threshold"
"""Of a switch: in Logical_Switch.other_config, and in external_ids of its datapath."""
_LARGEST = 0xFFFFFFFF


class Thresholds(NamedTuple):
    """The thresholds of one router or switch, in seconds."""

    default: int = 0
    by_network: tuple[tuple[IPv4Network | IPv6Network, int], ...] = ()
    """The longest prefixes first."""

    def of(self, address: str) -> int:
        """The threshold of an IP address; 0: it does not age. ValueError if it is none."""
        if self.by_network:
            parsed = ip_address(address)
            for network, seconds in self.by_network:
                if parsed in network:
                    return seconds
        return self.default

    @property
    def least(self) -> int:
        """The smallest that is not 0; 0 where nothing ages."""
        return min((one for one in (self.default, *(s for _, s in self.by_network)) if one), default=0)


NEVER = Thresholds()


def seconds(text: str) -> int:
    """One threshold; ValueError if it is no number of seconds that a southbound can say."""
    if not (text.isascii() and text.isdigit() and int(text) <= _LARGEST):
        raise ValueError(f"{text!r} is no number of seconds")
    return int(text)


def thresholds(text: str) -> Thresholds:
    """Reads `[CIDR:]SECONDS;…`; ValueError if an entry makes no sense."""
    default, networks = 0, []
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        cidr, colon, number = entry.rpartition(":")
        if colon:
            networks.append((ip_network(cidr, strict=False), seconds(number)))
        else:
            default = seconds(number)
    networks.sort(key=lambda one: one[0].prefixlen, reverse=True)
    return Thresholds(default, tuple(networks))


def of_router(options: Mapping[str, str]) -> Thresholds:
    """Of the bindings of a router, from its options or its datapath's external_ids; ValueError as `thresholds`."""
    return thresholds(options.get(BINDINGS_KEY, ""))


def of_switch(options: Mapping[str, str]) -> int:
    """Of what a switch has learned, from other_config or external_ids, in seconds; ValueError as `seconds`."""
    return seconds(options.get(FDB_KEY, "") or "0")
