"""Network namespaces and links of a lab, through netlink.

All of a lab's links live in its own namespaces, so their names need no prefix; only the namespaces' names
(`/run/netns/NAME`, as ip-netns(8) has it) are shared with the rest of the machine. Each name is written to the lab's
journal before the namespace exists, so that a later `down` finds it whatever happened in between.

pyroute2's calls run a loop of their own and refuse to work inside another: every function here therefore does its
work in a short-lived thread, and may be called from anywhere. Tests: tests/lab/test_lab_netns.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ovine.lab.errors import LabError

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
NAMESPACES = Path("/run/netns")
ETC_NETNS = Path("/etc/netns")
_ETH_P_ALL = 3
_LINK_UP = 2.0
"""Seconds that a link may take to come up."""
_MAIN_TABLE, _UNIVERSE = 254, 0  # linux/rtnetlink.h: RT_TABLE_MAIN, RT_SCOPE_UNIVERSE


def create(name: str) -> None:
    """Makes a network namespace with its loopback up and no IPv6 chatter on links that are yet to come."""

    def work() -> None:
        from pyroute2 import netns

        try:
            netns.create(name)
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise LabError(f"network namespace {name} exists already; end its lab with `ovine lab down`") from None
            raise
        with _netlink(name) as link:
            link.link("set", index=1, state="up")

    _in_thread(work)


def remove(name: str) -> None:
    """Removes a namespace and with it all links inside; none of that name is no error."""

    def work() -> None:
        from pyroute2 import netns

        with contextlib.suppress(FileNotFoundError):
            netns.remove(name)

    _in_thread(work)
    shutil.rmtree(ETC_NETNS / name, ignore_errors=True)


def exists(name: str) -> bool:
    return (NAMESPACES / name).exists()


def set_sysctl(netns: str, values: dict[str, str]) -> None:
    """Writes settings under /proc/sys/net of a namespace: {"ipv6/conf/all/disable_ipv6": "1"}."""

    def work() -> None:
        _enter(netns)
        for key, value in values.items():
            Path("/proc/sys/net", key).write_text(value)

    _in_thread(work)


def add_bridge(netns: str, name: str, address: str | None = None) -> None:
    """A kernel bridge, up, with `address` ("a.b.c.d/len") if given."""

    def work() -> None:
        with _netlink(netns) as link:
            link.link("add", ifname=name, kind="bridge")
            index = _index(link, name)
            if address is not None:
                _add_address(link, index, address)
            link.link("set", index=index, state="up")

    _in_thread(work)


def add_veth(
    netns: str,
    name: str,
    peer_netns: str,
    peer_name: str,
    *,
    bridge: str | None = None,
    peer_address: str | None = None,
) -> None:
    """A veth pair across two namespaces, both ends up; the first end joins `bridge` of its namespace if given.

    The far end has the MAC address `peer_address` from the beginning, so that its link-local address fits.
    """
    peer = {"ifname": peer_name, "net_ns_fd": peer_netns} | ({"address": peer_address} if peer_address else {})

    def work() -> None:
        with _netlink(netns) as link:
            link.link("add", ifname=name, kind="veth", peer=peer)
            index = _index(link, name)
            if bridge is not None:
                link.link("set", index=index, master=_index(link, bridge))
            link.link("set", index=index, state="up")
        with _netlink(peer_netns) as link:
            link.link("set", index=_index(link, peer_name), state="up")

    _in_thread(work)


def set_link(netns: str, name: str, **attributes: Any) -> None:
    """Changes a link: `state="up"`, `address="fa:16:3e:…"`, `mtu=1400`."""

    def work() -> None:
        with _netlink(netns) as link:
            link.link("set", index=_index(link, name), **attributes)

    _in_thread(work)


def replace_link(netns: str, name: str, by: str) -> None:
    """Deletes link `name` and gives its name, MTU, addresses and routes through gateways to link `by`, brought up.

    Returns when frames can be sent: the kernel drops them until it has noticed, a moment later, that the link is up.
    """

    def work() -> None:
        with _netlink(netns) as link:
            old, new = _index(link, name), _index(link, by)
            held = [(a.get_attr("IFA_ADDRESS"), a["prefixlen"], a["scope"]) for a in link.get_addr(index=old)]
            routes = [route for route in link.get_routes(table=_MAIN_TABLE) if route.get_attr("RTA_OIF") == old]
            mtu = link.get_links(old)[0].get_attr("IFLA_MTU")
            link.link("del", index=old)
            link.link("set", index=new, ifname=name, mtu=mtu)
            link.link("set", index=new, state="up")
            for host, length, scope in held:
                if scope == _UNIVERSE:
                    _add_address(link, new, f"{host}/{length}")
            for route in routes:
                if gateway := route.get_attr("RTA_GATEWAY"):
                    target = route.get_attr("RTA_DST")
                    dst = {"dst": f"{target}/{route['dst_len']}"} if target else {"dst": "default"}
                    link.route("add", gateway=gateway, oif=new, family=route["family"], **dst)
            deadline = time.monotonic() + _LINK_UP
            while link.get_links(new)[0].get_attr("IFLA_OPERSTATE") != "UP" and time.monotonic() < deadline:
                time.sleep(0.001)

    _in_thread(work)


def add_route(netns: str, target: str, gateway: str) -> None:
    """A route to "ADDRESS/LENGTH" or "default", IPv4 or IPv6."""

    def work() -> None:
        family = socket.AF_INET6 if ":" in gateway else socket.AF_INET
        with _netlink(netns) as link:
            link.route("add", dst=target, gateway=gateway, family=family)

    _in_thread(work)


def add_address(netns: str, name: str, address: str) -> None:
    """Adds "ADDRESS/LENGTH", IPv4 or IPv6, if it is not there; usable at once (no duplicate detection)."""

    def work() -> None:
        with _netlink(netns) as link:
            _add_address(link, _index(link, name), address)

    _in_thread(work)


def delete_address(netns: str, name: str, address: str) -> None:
    def work() -> None:
        host, _, length = address.partition("/")
        with _netlink(netns) as link:
            link.addr("del", index=_index(link, name), address=host, prefixlen=int(length))

    _in_thread(work)


def addresses(netns: str, name: str) -> list[str]:
    """The addresses of a link as "ADDRESS/LENGTH"; empty if there is no such link."""

    def work() -> list[str]:
        with _netlink(netns) as link:
            found = link.link_lookup(ifname=name)
            if not found:
                return []
            return [f"{a.get_attr('IFA_ADDRESS')}/{a['prefixlen']}" for a in link.get_addr(index=found[0])]

    return _in_thread(work)


def without_offload(netns: str, name: str) -> None:
    """Turns transmit offloads off, so that what a userspace switch reads from the other end has its checksums."""
    done = subprocess.run(
        ["ip", "netns", "exec", netns, "ethtool", "-K", name, "tx", "off"], capture_output=True, text=True
    )
    if done.returncode:
        raise LabError(f"ethtool -K {name} tx off in {netns}: {done.stderr.strip()}")


def packet_socket(netns: str, interface: str) -> socket.socket:
    """An AF_PACKET socket on an interface of another namespace; it can be used from any thread (packet(7))."""

    def work() -> socket.socket:
        _enter(netns)
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        opened.bind((interface, _ETH_P_ALL))
        return opened

    return _in_thread(work)


def call_inside(netns: str, function: Callable[[], T]) -> T:
    """Runs `function` in a thread that is inside a network namespace; sockets that it opens stay there."""

    def work() -> T:
        _enter(netns)
        return function()

    return _in_thread(work)


def _enter(netns: str) -> None:
    """Moves the calling thread, and only that, into a namespace (setns(2)); the thread must not be used afterwards."""
    try:
        descriptor = os.open(NAMESPACES / netns, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise LabError(f"there is no network namespace {netns}") from None
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
            raise LabError(f"cannot enter network namespace {netns}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)


def _netlink(netns: str) -> Any:
    from pyroute2 import IPRoute

    if not exists(netns):
        raise LabError(f"there is no network namespace {netns}")
    return IPRoute(netns=netns)


def _index(link: Any, name: str) -> int:
    found = link.link_lookup(ifname=name)
    if not found:
        raise LabError(f"there is no interface {name}")
    return int(found[0])


def _add_address(link: Any, index: int, address: str) -> None:
    host, _, length = address.partition("/")
    nodad = {"flags": 0x02} if ":" in host else {}  # IFA_F_NODAD, linux/if_addr.h
    link.addr("replace", index=index, address=host, prefixlen=int(length), **nodad)


def _in_words(error: BaseException) -> BaseException:
    """What the kernel refuses, as a LabError; anything else as it is."""
    from pyroute2 import NetlinkError

    if not isinstance(error, OSError | NetlinkError):
        return error
    code = error.code if isinstance(error, NetlinkError) else error.errno
    if code in (errno.EPERM, errno.EACCES):
        return LabError("the kernel refuses network namespaces: a container needs CAP_SYS_ADMIN and CAP_NET_ADMIN")
    return LabError(f"network namespaces and links: {error}")


def _in_thread(work: Callable[[], T]) -> T:
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            failure.append(_in_words(error))

    thread = threading.Thread(target=run, name="ovine-lab-netns")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
