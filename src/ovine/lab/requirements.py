"""What the machine must have for a lab: Linux, root, and a few programs. Tests: tests/unit/lab/test_requirements.py."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from ovine.lab.errors import LabError

PROGRAMS: Mapping[str, str] = {
    "ip": "iproute2",
    "ethtool": "ethtool",
    "ping": "iputils-ping",
    "udhcpc": "udhcpc",
    "dhclient": "isc-dhcp-client",
    "ovsdb-server": "openvswitch-switch",
    "ovsdb-tool": "openvswitch-common",
    "ovs-vswitchd": "openvswitch-switch",
    "ovs-vsctl": "openvswitch-switch",
    "ovs-ofctl": "openvswitch-common",
    "ovn-nbctl": "ovn-common",
    "ovn-sbctl": "ovn-common",
    "ovn-trace": "ovn-common",
}
"""Each program that a lab calls, and the Debian package that brings it."""

C_PROGRAMS: Mapping[str, str] = {"ovn-northd": "ovn-central", "ovn-controller": "ovn-host"}
"""The same for the parts that are only needed where the C daemons play."""

MODULES = ("pyroute2", "httpx", "starlette", "neutron_lib")
"""What tells the extra `lab` from a base installation."""

# Debian keeps these out of the PATH of ordinary users, and of some shells of root.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def search_path() -> str:
    """$PATH, and the sbin directories behind it."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *SBIN])


def missing_packages(programs: Iterable[tuple[str, str]]) -> list[str]:
    """The Debian packages whose programs are not found, sorted."""
    path = search_path()
    return sorted({package for program, package in programs if shutil.which(program, path=path) is None})


def why_not(*, c_daemons: bool = False) -> str | None:
    """One line that says why no lab can run here and what to do about it; None if one can."""
    if not sys.platform.startswith("linux"):
        return f"a lab needs Linux (network namespaces), and this is {sys.platform}"
    if os.geteuid() != 0:
        return "a lab needs root (network namespaces): run it with sudo"
    wanted = [*PROGRAMS.items(), *(C_PROGRAMS.items() if c_daemons else ())]
    missing = missing_packages(wanted)
    if missing:
        return "a lab needs more programs: apt-get install " + " ".join(missing)
    if any(find_spec(module) is None for module in MODULES):
        return "a lab needs more Python packages: pip install 'ovine[lab]'"
    if not Path("/dev/net/tun").exists():
        return "a lab needs /dev/net/tun (userspace Open vSwitch): modprobe tun, or give the container that device"
    return None


def check(*, c_daemons: bool = False) -> None:
    """Raises LabError if no lab can run here."""
    reason = why_not(c_daemons=c_daemons)
    if reason is not None:
        raise LabError(reason)
    os.environ["PATH"] = search_path()
