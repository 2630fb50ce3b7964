"""The DHCP clients of instances, and what they write down of a lease.

IPv4: busybox's udhcpc(8), stays to renew. IPv6: ISC dhclient(8) with `-6 -N`, stateful addresses. Both run a small
script of ours that sets addresses, routes (RFC 3442 classless routes before the router option), MTU and resolv.conf
*inside the instance*, and then writes the whole lease to a file, which is how the lab learns of it. The resolv.conf is
`/etc/netns/NAMESPACE/resolv.conf`, which `ip netns exec` shows as /etc/resolv.conf; the machine's own is never written.

Tests: tests/unit/lab/test_lab_dhcp.py (the scripts' lease files), tests/lab/.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

INTERFACE = "eth0"

SCRIPT4 = """#!/bin/sh
# Called by udhcpc with deconfig, bound, renew, nak or leasefail; $LEASE and $RESOLV name the files to write.
write_lease() { env | grep -E '^[a-z0-9_]+=' | sort > "$LEASE.new" && mv "$LEASE.new" "$LEASE"; }
case "$1" in
deconfig)
    rm -f "$LEASE"
    ip -4 addr flush dev "$interface"
    ip link set "$interface" up
    ;;
bound|renew)
    [ -n "$mtu" ] && ip link set "$interface" mtu "$mtu"
    ip -4 addr replace "$ip/${mask:-32}" dev "$interface"
    ip -4 route flush dev "$interface" proto dhcp
    if [ -n "$staticroutes" ]; then
        set -- $staticroutes
        while [ $# -ge 2 ]; do
            if [ "$2" = 0.0.0.0 ]; then
                ip -4 route replace "$1" dev "$interface" proto dhcp
            else
                ip -4 route replace "$1" via "$2" dev "$interface" proto dhcp onlink
            fi
            shift 2
        done
    else
        for gateway in $router; do
            ip -4 route replace default via "$gateway" dev "$interface" proto dhcp onlink
            break
        done
    fi
    {
        [ -n "$domain" ] && echo "search $domain"
        for server in $dns; do echo "nameserver $server"; done
    } > "$RESOLV"
    write_lease
    ;;
nak|leasefail)
    ;;
esac
exit 0
"""

# An isolated network has no router that would announce its prefix as on-link, so the address is given the /64 that
# every Neutron subnet for stateful DHCPv6 has.
SCRIPT6 = """#!/bin/sh
# Called by dhclient with PREINIT6, BOUND6, RENEW6, REBIND6, EXPIRE6, RELEASE6 or STOP6.
write_lease() { env | grep -E '^new_[a-z0-9_]+=' | sort > "$LEASE.new" && mv "$LEASE.new" "$LEASE"; }
case "$reason" in
PREINIT6)
    ip link set "$interface" up
    ;;
BOUND6|RENEW6|REBIND6)
    ip -6 addr replace "$new_ip6_address/64" dev "$interface" nodad
    if [ -n "$new_dhcp6_name_servers" ]; then
        for server in $new_dhcp6_name_servers; do
            grep -qs "^nameserver $server$" "$RESOLV" || echo "nameserver $server" >> "$RESOLV"
        done
    fi
    write_lease
    ;;
EXPIRE6|RELEASE6|STOP6)
    [ -n "$old_ip6_address" ] && ip -6 addr del "$old_ip6_address/64" dev "$interface"
    rm -f "$LEASE"
    ;;
esac
exit 0
"""


@dataclass(frozen=True)
class Lease:
    """A lease as the client's script saw it. `address` is without a length; `options` are the client's variables."""

    address: str
    options: Mapping[str, str]

    @property
    def mtu(self) -> int | None:
        """The interface MTU, DHCP option 26, in bytes."""
        return int(self.options["mtu"]) if "mtu" in self.options else None

    @property
    def routers(self) -> tuple[str, ...]:
        return tuple(self.options.get("router", "").split())

    @property
    def name_servers(self) -> tuple[str, ...]:
        return tuple(self.options.get("dns", self.options.get("new_dhcp6_name_servers", "")).split())

    @property
    def static_routes(self) -> tuple[tuple[str, str], ...]:
        """Classless static routes (option 121) as (destination, gateway)."""
        words = self.options.get("staticroutes", "").split()
        return tuple(zip(words[::2], words[1::2], strict=False))


def read_lease(path: Path) -> Lease | None:
    """The lease that a script wrote; None as long as there is none."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return None
    options = dict(line.split("=", 1) for line in lines if "=" in line)
    address = options.get("ip") or options.get("new_ip6_address")
    return Lease(address, options) if address else None


def install(directory: Path) -> None:
    """Writes the scripts, and a copy of dhclient, for a lab.

    The copy is there because Debian's AppArmor profile ties /usr/sbin/dhclient to the system's own script and files.
    """
    directory.mkdir(exist_ok=True)
    for name, text in (("dhcp4", SCRIPT4), ("dhcp6", SCRIPT6)):
        script = directory / name
        script.write_text(text)
        script.chmod(0o755)
    program = shutil.which("dhclient")
    if program is not None:
        shutil.copy(program, directory / "dhclient")


def client4(directory: Path) -> list[str]:
    """udhcpc in the foreground: asks each second until it has a lease, then renews; asks for routes, MTU, domain."""
    return [
        *("udhcpc", "-f", "-i", INTERFACE, "-s", str(directory / "dhcp4"), "-T", "1", "-t", "5", "-A", "1"),
        *("-O", "staticroutes", "-O", "mtu", "-O", "domain", "-O", "dns", "-O", "router"),
    ]


def client6(directory: Path, own: Path, environment: Mapping[str, str]) -> list[str]:
    """dhclient for a stateful IPv6 address; it gives its script only the variables named with -e."""
    given = [word for key, value in environment.items() for word in ("-e", f"{key}={value}")]
    return [
        *(str(directory / "dhclient"), "-6", "-N", "-d", *given, "-sf", str(directory / "dhcp6")),
        *("-lf", str(own) + ".leases6", "-pf", str(own) + ".pid6", INTERFACE),
    ]
