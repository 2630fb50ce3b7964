"""The clients' scripts write a lease that the lab can read; `ip` is replaced by one that notes what it is told."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ovine.lab import dhcp

BOUND = {
    "interface": "eth0",
    "ip": "10.0.0.5",
    "mask": "24",
    "mtu": "1442",
    "router": "10.0.0.1 10.0.0.2",
    "dns": "192.0.2.1 192.0.2.2",
    "domain": "example.test",
}


Script = Callable[..., tuple[list[str], dhcp.Lease | None, str]]


@pytest.fixture
def run(tmp_path: Path) -> Script:
    """Calls a script with a client's variables; gives what it told `ip`, and the lease that it wrote."""
    dhcp.install(tmp_path)
    note = tmp_path / "ip"
    note.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    note.chmod(0o755)

    def call(script: str, *words: str, **variables: str) -> tuple[list[str], dhcp.Lease | None, str]:
        lease, resolv, told = (tmp_path / name for name in ("lease", "resolv.conf", "told"))
        told.unlink(missing_ok=True)
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LEASE": str(lease), "RESOLV": str(resolv), **variables}
        subprocess.run([tmp_path / script, *words], env=environment, check=True)
        lines = told.read_text().splitlines() if told.exists() else []
        return lines, dhcp.read_lease(lease), resolv.read_text() if resolv.exists() else ""

    return call


def test_a_bound_lease_sets_mtu_address_gateway_and_name_servers(run: Script) -> None:
    told, lease, resolv = run("dhcp4", "bound", **BOUND)
    assert told == [
        "link set eth0 mtu 1442",
        "-4 addr replace 10.0.0.5/24 dev eth0",
        "-4 route flush dev eth0 proto dhcp",
        "-4 route replace default via 10.0.0.1 dev eth0 proto dhcp onlink",
    ]
    assert resolv == "search example.test\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n"
    assert lease is not None
    assert (lease.address, lease.mtu, lease.routers) == ("10.0.0.5", 1442, ("10.0.0.1", "10.0.0.2"))


def test_classless_routes_are_used_and_the_router_option_is_not(run: Script) -> None:
    told, lease, _ = run("dhcp4", "bound", **BOUND, staticroutes="169.254.169.254/32 0.0.0.0 0.0.0.0/0 10.0.0.9")
    assert told[3:] == [
        "-4 route replace 169.254.169.254/32 dev eth0 proto dhcp",
        "-4 route replace 0.0.0.0/0 via 10.0.0.9 dev eth0 proto dhcp onlink",
    ]
    assert lease is not None
    assert lease.static_routes == (("169.254.169.254/32", "0.0.0.0"), ("0.0.0.0/0", "10.0.0.9"))


def test_a_lost_lease_is_no_longer_to_be_read(run: Script) -> None:
    run("dhcp4", "bound", **BOUND)
    told, lease, _ = run("dhcp4", "deconfig", interface="eth0")
    assert lease is None
    assert told == ["-4 addr flush dev eth0", "link set eth0 up"]


def test_a_stateful_ipv6_address_gets_the_prefix_of_its_subnet(run: Script) -> None:
    variables = {"interface": "eth0", "new_ip6_address": "2001:db8::5", "new_dhcp6_name_servers": "2001:db8::53"}
    told, lease, resolv = run("dhcp6", reason="BOUND6", **variables)
    assert told == ["-6 addr replace 2001:db8::5/64 dev eth0 nodad"]
    assert resolv == "nameserver 2001:db8::53\n"
    assert lease is not None
    assert (lease.address, lease.name_servers) == ("2001:db8::5", ("2001:db8::53",))
