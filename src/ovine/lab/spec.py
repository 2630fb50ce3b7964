"""What a lab is to be, as data, and where its files are.

A lab is a small cloud on one machine:

    namespace NAME-net   three layer-2 segments as kernel bridges: `underlay` (tunnels), `mgmt` (hosts to the
                         southbound database), `provider` (physical network `physnet1`); the OVSDB servers
    namespace NAME-hN    a host: its own ovsdb-server, ovs-vswitchd and controller
    namespace NAME-INST  an instance, with a veth into its host's br-int

The plan of addresses is the same in each lab, since labs share no namespace. Tests: tests/unit/lab/test_lab_spec.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from ovine.lab.errors import LabError

Flavour = Literal["ovine", "c"]
"""Whose daemon plays a part: this project's, or Debian's C one."""

DEFAULT_NAME = "ovine"
PHYSICAL_NETWORK = "physnet1"
MAX_HOSTS = 100
# sockaddr_un holds 107 characters and a NUL; the longest name below a lab's directory is that of a control socket.
LONGEST_DIRECTORY = 107 - len("/h100/ovn-controller.4194304.ctl")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")
_INSTANCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


def labs_directory() -> Path:
    """Where the labs of this machine are: $OVINE_LAB_DIR, else /run/ovine-lab."""
    return Path(os.environ.get("OVINE_LAB_DIR") or "/run/ovine-lab")


def spread(chosen: Sequence[str], hosts: int) -> tuple[Flavour, ...]:
    """One flavour per host; the last that was chosen goes on for the hosts that are left. LabError for too many."""
    if len(chosen) > hosts:
        raise LabError(f"{len(chosen)} controllers were chosen for {hosts} hosts")
    return cast("tuple[Flavour, ...]", (*chosen, *[chosen[-1]] * (hosts - len(chosen))))


@dataclass(frozen=True)
class Host:
    """One hypervisor. `number` counts from 1; the chassis name (`system-id`) is the host's name."""

    number: int
    controller: Flavour

    @property
    def name(self) -> str:
        return f"h{self.number}"

    @property
    def tunnel_address(self) -> str:
        return f"100.64.0.{self.number}"

    @property
    def tunnel_mac(self) -> str:
        return f"02:64:00:00:00:{self.number:02x}"

    @property
    def management_address(self) -> str:
        return f"100.64.1.{self.number}"


@dataclass(frozen=True)
class LabSpec:
    """A lab's parts. `api` is false for a lab whose northbound database is written by hand.

    `agent_down_time` is the setting of that name, in seconds.
    """

    name: str = DEFAULT_NAME
    northd: Flavour = "ovine"
    controllers: tuple[Flavour, ...] = ("ovine", "ovine", "ovine")
    api: bool = True
    agent_down_time: int = 75
    directory: Path = field(default=Path())

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise LabError(f"{self.name!r} is no name for a lab: use up to 20 of a-z, 0-9 and -, a letter first")
        if not 1 <= len(self.controllers) <= MAX_HOSTS:
            raise LabError(f"a lab has 1 to {MAX_HOSTS} hosts, not {len(self.controllers)}")
        for flavour in (self.northd, *self.controllers):
            if flavour not in ("ovine", "c"):
                raise LabError(f"{flavour!r} is no kind of daemon: use ovine or c")
        if self.directory == Path():
            object.__setattr__(self, "directory", labs_directory() / self.name)
        if len(str(self.directory)) > LONGEST_DIRECTORY:
            raise LabError(f"{self.directory} is too long for unix sockets: use at most {LONGEST_DIRECTORY} characters")

    @property
    def hosts(self) -> tuple[Host, ...]:
        return tuple(Host(number, flavour) for number, flavour in enumerate(self.controllers, 1))

    def host(self, name: str) -> Host:
        for host in self.hosts:
            if host.name == name:
                return host
        raise LabError(f"no host {name}: lab {self.name} has {', '.join(host.name for host in self.hosts)}")

    # --- names that are shared with the rest of the machine

    @property
    def fabric_netns(self) -> str:
        return f"{self.name}-net"

    def host_netns(self, host: Host) -> str:
        return f"{self.name}-{host.name}"

    def instance_netns(self, instance: str) -> str:
        if not _INSTANCE_NAME.fullmatch(instance):
            raise LabError(f"{instance!r} is no name for an instance: use up to 40 letters, digits, '.', '_' and '-'")
        return f"{self.name}-vm-{instance}"

    # --- files

    @property
    def central(self) -> Path:
        return self.directory / "central"

    @property
    def dhcp(self) -> Path:
        return self.directory / "dhcp"

    def host_directory(self, host: Host) -> Path:
        return self.directory / host.name

    @property
    def cloud_db(self) -> str:
        return f"unix:{self.central}/cloud.sock"

    @property
    def nb_db(self) -> str:
        return f"unix:{self.central}/nb.sock"

    @property
    def sb_db(self) -> str:
        return f"unix:{self.central}/sb.sock"

    def ovs_db(self, host: Host) -> str:
        return f"unix:{self.host_directory(host)}/db.sock"

    @property
    def clouds_file(self) -> Path:
        return self.directory / "clouds.yaml"

    def northd_socket(self, pid: int) -> Path:
        """northd's control socket (ovs-appctl(8)); its place follows from the process contract of both northds."""
        return self.central / f"ovn-northd.{pid}.ctl"

    def controller_socket(self, host: Host, pid: int) -> Path:
        return self.host_directory(host) / f"ovn-controller.{pid}.ctl"
