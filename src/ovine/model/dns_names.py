"""The names that a port's addresses have in the DNS of its network. Pure.

Terms: a *domain* is a list of labels with a dot at the end, or "" for none. A port's name is relative ("web"), absolute
("web.example.org.", below the domain), or "" for one that is made from each address.

Tests: tests/unit/model/test_dns_names.py.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple

MOST = 255
"""The longest absolute name, in characters (RFC 1035 2.3.4, as Neutron counts)."""


class Assigned(NamedTuple):
    """One address's name: without its domain, and whole with a dot at the end."""

    hostname: str
    fqdn: str


def domain_of(*candidates: str) -> str:
    """The first domain that is set, of a port, its network and the cloud, with a dot at the end."""
    chosen = next((c for c in candidates if c.strip(".")), "")
    return f"{chosen.rstrip('.')}.".lower() if chosen else ""


def assigned(name: str, domain: str, address: str) -> Assigned:
    """The name of an address."""
    if name.endswith("."):
        suffix = f".{domain}"
        return Assigned(name.removesuffix(suffix).rstrip("."), name)
    hostname = name or "host-" + address.replace(".", "-").replace(":", "-")
    return Assigned(hostname, f"{hostname}.{domain}")


def problem(name: str, domain: str) -> str | None:
    """Why a port can't have this name in that domain, or None. Single labels have been judged before."""
    if not name.endswith("."):
        whole = len(name) + 1 + len(domain)
        return f"'{name}.{domain}' is longer than {MOST} characters" if name and whole > MOST else None
    if not domain or not name.endswith(f".{domain}"):
        return f"'{name}' ends with a dot, but is not below the domain '{domain}'"
    return None


def reverse(address: str) -> str:
    """The name under which an address is looked up (RFC 1035 3.5, RFC 3596 2.5)."""
    return ip_address(address).reverse_pointer
