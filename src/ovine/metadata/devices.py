"""The responders' interfaces as devices: in one network namespace, up, with their addresses.

Tenants' ranges overlap, so no address may be told from another by its number: each socket is bound to its device, and
the namespace answers ARP only for addresses of the device that was asked (`arp_ignore`). pyroute2's calls run a loop of
their own and refuse to work inside another; all functions here are to be called in threads.
Tests: tests/lab/test_lab_metadata.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ovine.metadata.rules import Responder

T = TypeVar("T")
IPV4 = "169.254.169.254"
IPV6 = "fe80::a9fe:a9fe"
PORT = 80
_NAMESPACES = Path("/run/netns")
_NODAD = 0x02  # linux/if_addr.h
_CLONE_NEWNET = 0x40000000
_SYSCTLS = {
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/arp_ignore": "1",
    "ipv4/conf/all/arp_announce": "2",
    "ipv6/conf/all/accept_ra": "0",
    "ipv6/conf/default/accept_ra": "0",
    "ipv6/conf/default/accept_dad": "0",
}


def make_namespace(name: str) -> None:
    """Makes the namespace if it is not there, and sets it up."""
    from pyroute2 import netns

    with contextlib.suppress(FileExistsError):
        netns.create(name)
    inside(name, _set_sysctls)


def _set_sysctls() -> None:
    for key, value in _SYSCTLS.items():
        path = Path("/proc/sys/net", key)
        if path.exists():  # a kernel without IPv6
            path.write_text(value)


def remove_namespace(name: str) -> None:
    from pyroute2 import netns

    with contextlib.suppress(FileNotFoundError):
        netns.remove(name)


def bring_in(namespace: str, wanted: Mapping[str, Responder]) -> dict[str, int]:
    """Moves devices that the switch has made into the namespace and sets them up; the index of each that is ready.

    A switch that starts again makes its devices anew: same name, other index.
    """
    from pyroute2 import IPRoute

    with IPRoute() as here, IPRoute(netns=namespace) as there:
        ready = {}
        for name, responder in wanted.items():
            for index in here.link_lookup(ifname=name):
                for stale in there.link_lookup(ifname=name):  # left by a switch that is no more
                    there.link("del", index=stale)
                here.link("set", index=index, net_ns_fd=namespace)
            for index in there.link_lookup(ifname=name):
                _set_up(there, index, responder)
                ready[name] = int(index)
    return ready


def _set_up(link: Any, index: int, responder: Responder) -> None:
    """Device up, with the responder's addresses and those that are the same everywhere, and no others."""
    state = link.get_links(index)[0]
    if state.get_attr("IFLA_ADDRESS") != responder.mac:
        link.link("set", index=index, address=responder.mac)
    link.link("set", index=index, state="up")
    wanted = {*responder.addresses, f"{IPV4}/32", f"{IPV6}/64"}
    for held in link.get_addr(index=index):
        text = f"{held.get_attr('IFA_ADDRESS')}/{held['prefixlen']}"
        if text in wanted:
            wanted.discard(text)
        elif not text.startswith("fe80:"):
            link.addr("del", index=index, address=text.partition("/")[0], prefixlen=held["prefixlen"])
    for text in sorted(wanted):
        address, _, length = text.partition("/")
        _add_address(link, index, address, int(length))


def _add_address(link: Any, index: int, address: str, length: int) -> None:
    """Adds an address; an IPv6 one is left out where the kernel has no IPv6."""
    from pyroute2 import NetlinkError

    wide = ":" in address
    try:
        link.addr("add", index=index, address=address, prefixlen=length, **({"flags": _NODAD} if wide else {}))
    except NetlinkError as error:
        if not wide or error.code not in (errno.EOPNOTSUPP, errno.EACCES):
            raise


def listeners(namespace: str, device: str) -> list[socket.socket]:
    """Listening sockets for 169.254.169.254 and fe80::a9fe:a9fe on one device of the namespace."""

    def opened() -> list[socket.socket]:
        made = [_listener(socket.AF_INET, device, (IPV4, PORT))]
        with contextlib.suppress(OSError):  # a kernel without IPv6
            made.append(_listener(socket.AF_INET6, device, (IPV6, PORT, 0, socket.if_nametoindex(device))))
        return made

    return inside(namespace, opened)


def _listener(family: socket.AddressFamily, device: str, address: tuple[Any, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        made.bind(address)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


def device_of(opened: socket.socket) -> str:
    """The device that a connection came in by."""
    return opened.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0").decode()


def inside(namespace: str, function: Callable[[], T]) -> T:
    """Runs `function` in a thread of its own that is inside a network namespace (setns(2)), and gives its outcome."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            descriptor = os.open(_NAMESPACES / namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"cannot enter network namespace {namespace}")
            finally:
                os.close(descriptor)
            outcome.append(function())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=work, name="ovine-metadata-namespace")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
