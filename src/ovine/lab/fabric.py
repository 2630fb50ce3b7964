"""The wires between the hosts, and the hosts' own switches. Tests: tests/lab/test_lab_hosts.py."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from ovine.lab import commands, control, netns
from ovine.lab.processes import Process, Processes
from ovine.lab.spec import PHYSICAL_NETWORK, Host, LabSpec
from ovine.lab.store import Store
from ovine.lab.tools import database_tool, run
from ovine.lab.waiting import wait_for
from ovine.model.base import Database
from ovine.model.schema import to_json

START_TIMEOUT = 30.0
_NO_IPV6 = {"ipv6/conf/all/disable_ipv6": "1", "ipv6/conf/default/disable_ipv6": "1"}


def make_segments(spec: LabSpec, store: Store) -> None:
    """The three layer-2 segments, as kernel bridges in a namespace of their own."""
    store.add_namespace(spec.fabric_netns)
    netns.set_sysctl(spec.fabric_netns, _NO_IPV6)
    netns.add_bridge(spec.fabric_netns, "underlay")
    netns.add_bridge(spec.fabric_netns, "mgmt", f"{commands.CENTRAL_ADDRESS}/24")
    netns.add_bridge(spec.fabric_netns, "provider")


def make_database(database: Database, path: Path) -> None:
    """A database file with the schema that the model declares."""
    schema = path.with_suffix(".ovsschema")
    schema.write_text(json.dumps(to_json(database)))
    run(["ovsdb-tool", "create", str(path), str(schema)])


def wire_host(spec: LabSpec, store: Store, host: Host) -> None:
    """A host's namespace with its three links; the management link has its address, the others belong to OVS."""
    own = spec.host_netns(host)
    store.add_namespace(own)
    netns.set_sysctl(own, _NO_IPV6)
    for bridge, port in (("underlay", "under0"), ("mgmt", "mgmt0"), ("provider", "prov0")):
        netns.add_veth(spec.fabric_netns, f"{bridge}-{host.number}", own, port, bridge=bridge)
    netns.add_address(own, "mgmt0", f"{host.management_address}/24")


def start_switch(spec: LabSpec, processes: Processes, host: Host) -> None:
    """The host's ovsdb-server and ovs-vswitchd, configured: br-phys with the tunnel address, br-ex, br-int.

    A userspace tunnel leaves only through a bridge of the same datapath: the underlay link is a port of br-phys, and
    br-phys's own interface has the tunnel's address.
    """
    from ovine.model import vs

    make_database(vs.DATABASE, spec.host_directory(host) / "conf.db")
    start_switch_database(spec, processes, host)
    database_tool("ovs-vsctl", spec.ovs_db(host), ["--no-wait", *_configuration(spec, host)])
    start_vswitchd(spec, processes, host)


def start_switch_database(spec: LabSpec, processes: Processes, host: Host) -> None:
    """The host's ovsdb-server, on the database file that is there."""
    environment = commands.host_environment(spec, host)
    argv = commands.switch_database(spec, host)
    database = processes.start(f"{host.name}-ovsdb", argv, netns=spec.host_netns(host), env=environment)
    wait_for_socket(processes, database, spec.host_directory(host) / "db.sock")


def start_vswitchd(spec: LabSpec, processes: Processes, host: Host) -> None:
    """The host's ovs-vswitchd. The interface with the tunnel's address is its own, and is made anew each time."""
    own, environment = spec.host_netns(host), commands.host_environment(spec, host)
    switch = processes.start(f"{host.name}-vswitchd", commands.switch(spec, host), netns=own, env=environment)
    wait_for_socket(processes, switch, spec.host_directory(host) / "ovs-vswitchd.ctl")
    # A change that is new each time: ovs-vsctl waits until the switch has taken it, and its bridges are there.
    vsctl(spec, host, ["set", "Open_vSwitch", ".", f"external_ids:lab-switch={switch.pid}"], timeout=START_TIMEOUT)
    netns.set_link(own, "br-phys", state="up")
    netns.add_address(own, "br-phys", f"{host.tunnel_address}/24")
    _introduce(spec, host)


def _introduce(spec: LabSpec, host: Host) -> None:
    """Tells the switch the other hosts' tunnel MACs: it drops the first packet to one that it must ask for by ARP."""
    switch = spec.host_directory(host) / "ovs-vswitchd.ctl"
    for other in spec.hosts:
        if other != host:
            control.call(switch, "tnl/neigh/set", "br-phys", other.tunnel_address, other.tunnel_mac)


def _configuration(spec: LabSpec, host: Host) -> list[str]:
    external_ids = {
        "system-id": host.name,
        "hostname": host.name,
        "ovn-remote": f"tcp:{commands.CENTRAL_ADDRESS}:{commands.SB_PORT}",
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": host.tunnel_address,
        "ovn-bridge": "br-int",
        "ovn-bridge-datapath-type": "netdev",
        "ovn-bridge-mappings": f"{PHYSICAL_NETWORK}:br-ex",
        # Several hosts share a machine that may be busy with tests: silence of some seconds is no failure here.
        "ovn-remote-probe-interval": "60000",
    }
    settings = [f'external_ids:{key}="{value}"' for key, value in external_ids.items()]
    bridge = "datapath_type=netdev"
    return [
        *("init", "--", "set", "Open_vSwitch", ".", *settings),
        *("--", "add-br", "br-phys", "--", "set", "Bridge", "br-phys", bridge, "fail_mode=standalone"),
        f'other_config:hwaddr="{host.tunnel_mac}"',
        *("--", "add-port", "br-phys", "under0"),
        *("--", "add-br", "br-ex", "--", "set", "Bridge", "br-ex", bridge, "fail_mode=standalone"),
        *("--", "add-port", "br-ex", "prov0"),
        *("--", "set", "Interface", "prov0", "external_ids:ovn-egress-iface=true"),
        *("--", "add-br", "br-int", "--", "set", "Bridge", "br-int", bridge, "fail_mode=secure"),
        "other_config:disable-in-band=true",
    ]


def vsctl(spec: LabSpec, host: Host, arguments: list[str], timeout: float = 15.0) -> str:
    """ovs-vsctl(8) on a host; returns when the switch has taken the change."""
    return database_tool("ovs-vsctl", spec.ovs_db(host), arguments, timeout)


def wait_for_socket(processes: Processes, process: Process, path: Path) -> None:
    """Returns when a process listens on a unix socket; LabError with its log if it ended or takes too long."""

    def ready() -> bool:
        processes.must_run(process)
        return listens(path)

    wait_for(
        ready, f"{process.name} listening on {path.name}", START_TIMEOUT, diagnose=lambda: processes.tail(process.name)
    )


def listens(path: Path) -> bool:
    """Whether somebody accepts connections on a unix socket: the file alone comes a moment too early."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
