"""Namespaces and links: usable from anywhere, and what the kernel refuses is told in one line."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovine.lab import LabError, netns

pytestmark = pytest.mark.usefixtures("lab_machine")


@pytest.fixture
def pair() -> Iterator[tuple[str, str]]:
    """Two namespaces with a veth between them."""
    names = tuple(f"ovine-test-{secrets.token_hex(3)}-{end}" for end in "ab")
    try:
        for name in names:
            netns.create(name)
        netns.add_veth(names[0], "left", names[1], "right", peer_address="02:00:00:00:00:02")
        yield names[0], names[1]
    finally:
        for name in names:
            netns.remove(name)


async def test_links_and_addresses_can_be_made_inside_a_running_event_loop(pair: tuple[str, str]) -> None:
    netns.add_address(pair[0], "left", "192.0.2.1/24")
    netns.add_address(pair[1], "right", "2001:db8::1/64")
    assert "192.0.2.1/24" in netns.addresses(pair[0], "left")
    assert "2001:db8::1/64" in netns.addresses(pair[1], "right")
    netns.delete_address(pair[0], "left", "192.0.2.1/24")
    assert "192.0.2.1/24" not in netns.addresses(pair[0], "left")


def test_the_calling_thread_stays_where_it_was(pair: tuple[str, str]) -> None:
    before = os.stat("/proc/thread-self/ns/net").st_ino  # noqa: PTH116 (a magic link, not a path)
    with netns.packet_socket(pair[0], "left"):
        netns.set_sysctl(pair[0], {"ipv4/ip_forward": "1"})
    assert os.stat("/proc/thread-self/ns/net").st_ino == before  # noqa: PTH116


def test_frames_pass_between_sockets_of_two_namespaces(pair: tuple[str, str]) -> None:
    frame = bytes.fromhex("020000000002 020000000001 88b5") + b"x" * 46
    with netns.packet_socket(pair[0], "left") as left, netns.packet_socket(pair[1], "right") as right:
        right.settimeout(10)
        left.send(frame)
        while (seen := right.recv(2000)) != frame:
            assert seen


def test_a_socket_made_inside_stays_inside(pair: tuple[str, str]) -> None:
    netns.add_address(pair[0], "left", "192.0.2.1/24")
    with netns.call_inside(pair[0], lambda: socket.create_server(("192.0.2.1", 0))) as inside:
        with pytest.raises(OSError):
            socket.create_connection(inside.getsockname(), timeout=0.2)
        with netns.call_inside(pair[0], lambda: socket.create_connection(inside.getsockname(), timeout=10)):
            pass


def test_what_is_not_there_is_named(pair: tuple[str, str]) -> None:
    with pytest.raises(LabError, match="there is no interface middle"):
        netns.set_link(pair[0], "middle", state="up")
    with pytest.raises(LabError, match="there is no network namespace nowhere"):
        netns.add_address("nowhere", "left", "192.0.2.1/24")
    assert netns.addresses(pair[0], "middle") == []
    netns.remove("nowhere")


def test_a_name_that_is_taken_is_told(pair: tuple[str, str]) -> None:
    with pytest.raises(LabError, match="exists already"):
        netns.create(pair[0])
    with pytest.raises(LabError, match="File exists"):
        netns.add_bridge(pair[0], "left")


def test_a_root_without_the_right_to_namespaces_is_told_what_is_missing(labs: Path) -> None:
    confine = ["unshare", "--user", "--map-root-user"]
    if subprocess.run([*confine, "true"], capture_output=True).returncode:
        pytest.skip("this kernel has no user namespaces for us")
    done = subprocess.run(
        [*confine, sys.executable, "-m", "ovine.cli.main", "lab", "up", "--no-api", "--northd", "c", "--hosts", "1"],
        capture_output=True,
        text=True,
        env={**os.environ, "OVINE_LAB_DIR": str(labs)},
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ovine: the kernel refuses network namespaces: a container needs CAP_SYS_ADMIN and CAP_NET_ADMIN"
    )
    assert not list(labs.glob("*"))
