"""An instance: a namespace with one interface, plugged into its host's br-int like a virtual machine's.

The names follow Neutron and Nova: the host's end of the veth is `tap` + the port id's first characters, and its
Interface row carries `iface-id` and `attached-mac`. Tests: tests/lab/.
"""

from __future__ import annotations

from pathlib import Path

from ovine.lab import dhcp, fabric, netns
from ovine.lab.dhcp import INTERFACE, Lease
from ovine.lab.endpoint import Endpoint
from ovine.lab.errors import LabError, LabTimeout
from ovine.lab.processes import Processes, inside_namespaces
from ovine.lab.spec import Host, LabSpec
from ovine.lab.store import InstanceRecord, Store
from ovine.lab.waiting import wait_for

# Duplicate detection would hold back each new IPv6 address for a second.
_SYSCTLS = {
    "ipv6/conf/all/accept_dad": "0",
    "ipv6/conf/default/accept_dad": "0",
    "ipv4/ping_group_range": "0 2147483647",
}


class Instance(Endpoint):
    def __init__(self, spec: LabSpec, store: Store, processes: Processes, record: InstanceRecord) -> None:
        super().__init__(record.name, record.netns, INTERFACE, processes)
        self.spec = spec
        self.record = record
        self._store = store

    @property
    def mac(self) -> str:
        return self.record.mac

    @property
    def host(self) -> Host:
        return self.spec.host(self.record.host)

    # --- life

    def create(self) -> None:
        """Makes the namespace and its link, and plugs it into the host's br-int."""
        record, host = self.record, self.host
        self._store.add_namespace(self.netns)
        netns.set_sysctl(self.netns, _SYSCTLS)
        resolv = netns.ETC_NETNS / self.netns / "resolv.conf"
        resolv.parent.mkdir(parents=True, exist_ok=True)
        resolv.touch()
        netns.add_veth(self.spec.host_netns(host), record.tap, self.netns, INTERFACE, peer_address=record.mac)
        netns.without_offload(self.netns, INTERFACE)
        self.plug_in()

    def plug_in(self) -> None:
        """Puts the host's end of the veth into br-int, as the interface of the instance's logical port."""
        fabric.vsctl(self.spec, self.host, self._plugging())

    def _plugging(self) -> list[str]:
        record = self.record
        ids = {"iface-id": record.port_id, "attached-mac": record.mac, "iface-status": "active", "vm-id": record.name}
        settings = [f'external_ids:{key}="{value}"' for key, value in ids.items()]
        return ["add-port", "br-int", record.tap, "--", "set", "Interface", record.tap, *settings]

    def unplug(self) -> None:
        """Takes the interface out of br-int, as a host does when a machine is destroyed."""
        fabric.vsctl(self.spec, self.host, ["--if-exists", "del-port", "br-int", self.record.tap])

    def delete(self) -> None:
        """Ends all that runs inside, unplugs, and removes the namespace. What is gone already is no error."""
        self._processes.end(inside_namespaces([self.netns]))
        self.unplug()
        netns.remove(self.netns)
        self._store.remove_instance(self.name)

    def wait_installed(self, timeout: float = 30.0) -> None:
        """Returns when the host's controller has said that the port's flows are in (`ovn-installed`)."""
        try:
            fabric.vsctl(
                self.spec,
                self.host,
                ["--no-wait", "wait-until", "Interface", self.record.tap, "external_ids:ovn-installed=true"],
                timeout,
            )
        except LabError:
            controller = f"{self.host.name}-controller"
            raise LabTimeout(
                f"port {self.record.port_id} of {self.name} was not wired on {self.host.name} within {timeout:g} s",
                self._processes.tail(controller),
            ) from None

    # --- addresses

    @property
    def _directory(self) -> Path:
        return self.spec.dhcp

    def _lease_file(self, version: int) -> Path:
        return self._directory / f"{self.name}.lease{version}"

    def lease(self, version: int = 4) -> Lease | None:
        """The lease that the instance's client holds, if any."""
        return dhcp.read_lease(self._lease_file(version))

    def start_dhcp(self, version: int = 4) -> None:
        """Starts the DHCP client and does not wait for it. What an earlier one of this name was given is forgotten."""
        self._lease_file(version).unlink(missing_ok=True)
        environment = {
            "LEASE": str(self._lease_file(version)),
            "RESOLV": str(netns.ETC_NETNS / self.netns / "resolv.conf"),
        }
        if version == 4:
            argv = dhcp.client4(self._directory)
        else:
            argv = dhcp.client6(self._directory, self._directory / self.name, environment)
        self._processes.start(self._client(version), argv, netns=self.netns, env=environment)

    def _client(self, version: int) -> str:
        return f"{self.name}-dhcp{version}"

    def wait_lease(self, version: int = 4, timeout: float = 20.0) -> Lease:
        """Returns the lease when the client has one."""
        name = self._client(version)
        return wait_for(
            lambda: self.lease(version),
            f"a DHCPv{version} lease for {self.name}",
            timeout,
            diagnose=lambda: "\n".join(map(self._processes.tail, (name, f"{self.host.name}-controller"))),
        )

    def dhcp(self, version: int = 4, timeout: float = 20.0) -> Lease:
        """Starts the DHCP client and returns its lease. The client stays, and renews."""
        self.start_dhcp(version)
        return self.wait_lease(version, timeout)
