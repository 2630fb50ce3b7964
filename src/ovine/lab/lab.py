"""A lab: several hosts of a cloud on one machine. The facade that tests, the command line and the demo use.

    with Lab(controllers=["ovine", "c"]) as lab:
        red1 = lab.boot("red1", network="red", host="h1")
        red1.ping("10.0.0.3")

`Lab(...)` describes one, `up()` (or `with`) starts it, `Lab.open(directory)` finds one that another process started.
Invariants: what `up` starts, `down` ends, in whichever process and however far `up` came; nothing else on the machine
is touched. Tests: tests/lab/.
"""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import cast

from ovine.lab import central, commands, control, dhcp, fabric, netns, requirements
from ovine.lab.cloud import Cloud
from ovine.lab.dhcp import INTERFACE
from ovine.lab.endpoint import Endpoint
from ovine.lab.errors import LabError, LabTimeout
from ovine.lab.instance import Instance
from ovine.lab.interrupts import undisturbed
from ovine.lab.processes import Process, Processes, inside_namespaces, wait_until_gone
from ovine.lab.spec import Flavour, Host, LabSpec
from ovine.lab.store import InstanceRecord, Store
from ovine.lab.tools import database_tool, run

Progress = Callable[[str], None]


def _silent(step: str) -> None:
    """Takes a step's name and shows it to nobody."""


class Lab:
    def __init__(
        self,
        *,
        name: str | None = None,
        northd: str = "ovine",
        controllers: Sequence[str] = ("ovine", "ovine"),
        api: bool = True,
        agent_down_time: int = 75,
        directory: Path = Path(),
    ) -> None:
        """Describes a lab with one host per entry of `controllers`, each "ovine" or "c" (Debian's), as is `northd`.

        Without `name`, a name of its own is made up. Raises LabError for what cannot be.
        """
        spec = LabSpec(
            name=name or f"lab-{secrets.token_hex(3)}",
            northd=cast(Flavour, northd),
            controllers=cast("tuple[Flavour, ...]", tuple(controllers)),
            api=api,
            agent_down_time=agent_down_time,
            directory=directory,
        )
        self._take(spec)

    def _take(self, spec: LabSpec) -> None:
        self.spec = spec
        self.store = Store(spec.directory)
        self.processes = Processes(spec.directory)

    @classmethod
    def open(cls, directory: Path) -> Lab:
        """The lab that another process started in `directory`."""
        lab = cls.__new__(cls)
        lab._take(Store(directory).spec())
        return lab

    def respecify(self, spec: LabSpec) -> None:
        """Lets the lab be another from now on: whose daemons play which parts has changed."""
        self.spec = spec
        self.store.respecify(spec)

    # --- up and down

    def __enter__(self) -> Lab:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def up(self, progress: Progress = _silent) -> Lab:
        """Starts everything; on any failure ends again what was started, and raises."""
        spec = self.spec
        c_daemons = "c" in (spec.northd, *spec.controllers)
        requirements.check(c_daemons=c_daemons)
        self.store.create(spec, {})
        try:
            self._start(progress)
        except BaseException:
            self.down()
            raise
        return self

    def _start(self, progress: Progress) -> None:
        spec = self.spec
        dhcp.install(spec.dhcp)
        progress("network segments")
        fabric.make_segments(spec, self.store)
        with ThreadPoolExecutor(6) as pool:
            progress("databases and switches")
            databases = pool.submit(central.start_databases, spec, self.processes)
            hosts = [pool.submit(self._start_host, host, databases) for host in spec.hosts]
            databases.result()
            parts = [pool.submit(central.start_northd, spec, self.processes)]
            progress(f"northd ({spec.northd})")
            if spec.api:
                central.write_settings(spec)
                parts.append(pool.submit(central.start_plugin, spec, self.processes))
                progress("plugin")
                self.store.add_facts(clouds=central.start_api(spec, self.processes))
                progress("API")
            for part in parts:
                part.result()
            for host, started in zip(spec.hosts, hosts, strict=True):
                started.result()
                progress(f"host {host.name} ({host.controller} controller)")
        for host in spec.hosts:
            self.wait_for_chassis(host)
        progress("all hosts registered")
        if spec.api:
            self.cloud.get("networks")
            progress("API answers")

    def _start_host(self, host: Host, databases: Future[None]) -> None:
        fabric.wire_host(self.spec, self.store, host)
        fabric.start_switch(self.spec, self.processes, host)
        databases.result()
        self.start_controller(host)

    def start_controller(self, host: Host) -> None:
        """Starts a host's controller and returns when it takes control commands."""
        process = self.processes.start(
            f"{host.name}-controller",
            commands.controller(self.spec, host),
            netns=self.spec.host_netns(host),
            env=commands.controller_environment(self.spec, host),
        )
        fabric.wait_for_socket(self.processes, process, self.spec.controller_socket(host, process.pid))

    def stop_controller(self, host: Host, *, restart: bool = True, kill: bool = False) -> None:
        """Ends a host's controller: with `exit`, which keeps its state in the databases if `restart`; or by SIGKILL."""
        process = self._running(f"{host.name}-controller")
        if kill:
            self.processes.signal(process, signal.SIGKILL)
        else:
            words = ["--restart"] if restart else []
            control.call(self.spec.controller_socket(host, process.pid), "exit", *words, timeout=15.0)
        wait_until_gone([process], 15.0)
        if process.alive:
            raise LabTimeout(f"{process.name} did not end", self.processes.tail(process.name))

    @property
    def compilers(self) -> list[str]:
        """The names of our own daemons that derive rows or flows; the C daemons in their places are left out."""
        spec = self.spec
        names = ["northd"] if spec.northd == "ovine" else []
        names += ["plugin"] if spec.api else []
        return names + [f"{host.name}-controller" for host in spec.hosts if host.controller == "ovine"]

    def control_socket(self, name: str) -> Path:
        """The control socket of one of the lab's daemons, by the name of its process. LabError if it does not run."""
        process = self._running(name)
        if name == "northd":
            return self.spec.northd_socket(process.pid)
        for host in self.spec.hosts:
            if name == f"{host.name}-controller":
                return self.spec.controller_socket(host, process.pid)
        return self.spec.central / f"{name}.ctl"

    def ask(self, name: str, command: str, *words: str, timeout: float = 30.0) -> str:
        """A control command (ovs-appctl(8)) for one of the lab's daemons, by the name of its process."""
        return control.call(self.control_socket(name), command, *words, timeout=timeout)

    def audit(self) -> list[str]:
        """Asks our daemons to compare what they hold with a computation from nothing; one line for each difference."""
        return [f"{name}: {line}" for name in self.compilers for line in self.ask(name, "ovine/audit").splitlines()]

    def _running(self, name: str) -> Process:
        process = self.processes.find(name)
        if process is None:
            raise LabError(f"{name} does not run", self.processes.tail(name))
        return process

    def wait_for_chassis(self, host: Host, timeout: float = 30.0) -> None:
        """Returns when the host is registered in the southbound database."""
        try:
            self.sbctl("wait-until", "Chassis", host.name, timeout=timeout)
        except LabError:
            name = f"{host.name}-controller"
            raise LabError(
                f"{host.name} did not register as a chassis; see {self.processes.log(name)}", self.processes.tail(name)
            ) from None

    def down(self) -> None:
        """Ends the lab's processes, removes its namespaces and its directory. A lab that is gone is no error.

        Ctrl-C has no effect until that is done.
        """
        with undisturbed():
            names = self.store.namespaces()
            while alive := [process for process in self.processes.recorded()[::-1] if process.alive]:
                self.processes.end(alive)
            self.processes.end(inside_namespaces(names))
            for name in names[::-1]:
                netns.remove(name)
            self.store.remove()

    # --- the cloud's state

    def nbctl(self, *arguments: str, timeout: float = 15.0) -> str:
        """ovn-nbctl(8) on the lab's northbound database."""
        return database_tool("ovn-nbctl", self.spec.nb_db, arguments, timeout)

    def sbctl(self, *arguments: str, timeout: float = 15.0) -> str:
        """ovn-sbctl(8) on the lab's southbound database."""
        return database_tool("ovn-sbctl", self.spec.sb_db, arguments, timeout)

    def vsctl(self, host: str, *arguments: str, timeout: float = 15.0) -> str:
        """ovs-vsctl(8) on a host; returns when its switch has taken the change."""
        return fabric.vsctl(self.spec, self.spec.host(host), list(arguments), timeout)

    def flows(self, host: Host) -> list[str]:
        """The OpenFlow flows of a host's br-int in the words of ovs-ofctl(8), without counters, sorted."""
        bridge = f"unix:{self.spec.host_directory(host)}/br-int.mgmt"
        shown = run(["ovs-ofctl", "-O", "OpenFlow15", "--no-stats", "dump-flows", bridge])
        return sorted(line.strip() for line in shown.splitlines() if "actions=" in line)

    def sync(self, timeout: float = 30.0) -> None:
        """Returns when all hosts have applied everything that is in the northbound database."""
        self.nbctl("--wait=hv", "sync", timeout=timeout)

    # --- instances

    @cached_property
    def cloud(self) -> Cloud:
        """A session with the lab's API as its administrator."""
        clouds = self.store.facts().get("clouds")
        if not clouds:
            raise LabError(f"lab {self.spec.name} has no API: it was started with --no-api")
        return Cloud(clouds[central.ADMIN_CLOUD])

    def boot(
        self,
        name: str,
        *,
        network: str,
        host: str,
        project: str | None = None,
        address: str | None = None,
        timeout: float = 30.0,
    ) -> Instance:
        """A new instance on a port made through the API, ACTIVE and with its addresses.

        `network` and `project` are names or ids; the port belongs to the network's project unless another is given,
        and has an address of the API's choice unless `address` is one.
        """
        cloud, chosen = self.cloud, self.spec.host(host)
        self.store.check_new_instance(name)
        project_id = cloud.project_id(project) if project else None
        target = cloud.network(network, project_id)
        port = cloud.create_port(name, target, chosen.name, project_id, address)
        try:
            instance = self.plug(
                name, host=host, port_id=port["id"], mac=port["mac_address"], network=target["name"], owned_port=True
            )
        except BaseException:
            cloud.delete(f"ports/{port['id']}")
            raise
        try:
            cloud.wait_port_active(port["id"], timeout)
        except LabTimeout as late:
            raise LabTimeout(str(late), self.processes.tail(f"{host}-controller")) from None
        cloud.configure(instance, port)
        return instance

    def delete(self, name: str) -> None:
        """Ends an instance, and deletes the port that was made with it."""
        record = self.store.instance(name)
        if record.owned_port:
            self.cloud.delete(f"ports/{record.port_id}", may_be_gone=True)
        self.instance(name).delete()

    def outside(self, name: str, address: str, *, vlan: int | None = None) -> Endpoint:
        """A machine on the provider segment, with "ADDRESS/LENGTH" on the untagged network or in a VLAN.

        One in a VLAN hangs on the first host's br-ex, as an access port: not every kernel has VLAN interfaces.
        """
        spec, host = self.spec, self.spec.hosts[0]
        namespace = spec.instance_netns(name)
        self.store.add_namespace(namespace)
        port = f"out{len(self.store.namespaces())}"
        if vlan is None:
            netns.add_veth(spec.fabric_netns, port, namespace, INTERFACE, bridge="provider")
        else:
            netns.add_veth(spec.host_netns(host), port, namespace, INTERFACE)
            self.vsctl(host.name, "add-port", "br-ex", port, f"tag={vlan}")
        netns.without_offload(namespace, INTERFACE)
        endpoint = Endpoint(name, namespace, INTERFACE, self.processes)
        endpoint.add_address(address)
        return endpoint

    def plug(
        self, name: str, *, host: str, port_id: str, mac: str, network: str = "", owned_port: bool = False
    ) -> Instance:
        """A new instance with one interface that is the logical port `port_id`; without an address as yet."""
        spec = self.spec
        record = InstanceRecord(
            name=name,
            host=spec.host(host).name,
            netns=spec.instance_netns(name),
            port_id=port_id,
            mac=mac,
            network=network,
            owned_port=owned_port,
        )
        self.store.add_instance(record)
        instance = Instance(spec, self.store, self.processes, record)
        try:
            instance.create()
        except BaseException:
            instance.delete()
            raise
        return instance

    def instance(self, name: str) -> Instance:
        return self.instance_of(self.store.instance(name))

    def endpoint(self, name: str) -> Endpoint:
        """An instance, or a machine outside, by its name. LabError if there is none."""
        namespace = self.spec.instance_netns(name)
        instances = {record.name for record in self.store.instances()}
        if name not in instances and namespace in self.store.namespaces() and netns.exists(namespace):
            return Endpoint(name, namespace, INTERFACE, self.processes)
        return self.instance(name)

    def instance_of(self, record: InstanceRecord) -> Instance:
        return Instance(self.spec, self.store, self.processes, record)

    def instances(self) -> list[Instance]:
        return [self.instance_of(record) for record in self.store.instances()]
