"""Writes docs/operating.md: the OVN tools of an operator's day, on a cloud of ours, with what they really print.

    sudo python tools/operating_page.py [--check]

A lab with the cloud of bench/routed_cloud.py is started, every command is run, and its output stands in the page, cut
where it is long. With --check nothing is written: the status is 1 if a command fails or does not say what it must.
Tests: tests/lab/test_operating_page.py.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

from ovine.lab import Lab
from routed_cloud import INTERNET, RoutedCloud, make

PAGE = Path(__file__).resolve().parent.parent / "docs" / "operating.md"
INTRODUCTION = """\
# An operator's day

OVN's own tools work on Ovine's databases and daemons as they do on OVN's. This page shows those of an operator's day;
`tools/operating_page.py` runs every command on a cloud of three hosts, two networks, a router and a floating IP, and
writes down what it printed, cut at `…` where it is long.

The tools find databases and daemons as always: by `OVN_NB_DB` and `OVN_SB_DB`, and by the run directories `OVN_RUNDIR`
and `OVS_RUNDIR`. `ovine status` shows the state of all daemons of a lab, and what does not work, in one page.
"""


@dataclass(frozen=True)
class Command:
    """A command line, where it runs, and words that must be in what it prints."""

    heading: str
    line: str
    must_say: tuple[str, ...]
    lines: int = 12
    host: str = ""
    """The host whose switch or controller it asks; "" for the central node."""
    text: str = ""


def commands(cloud: RoutedCloud) -> list[Command]:
    """What an operator asks, in the order of the page."""
    red, blue = cloud.red1, cloud.blue1
    router = f"neutron-{cloud.router['id']}"
    ip, far = red.addresses[0].split("/")[0], blue.addresses[0].split("/")[0]
    interface = next(
        port
        for port in cloud.lab.cloud.get("ports", device_owner="network:router_interface")["ports"]
        if port["fixed_ips"][0]["ip_address"] == "10.1.0.1"
    )
    network = f"neutron-{interface['network_id']}"
    packet = (
        f'inport == "{red.record.port_id}" && eth.src == {red.mac} && eth.dst == {interface["mac_address"]} && '
        f"ip4.src == {ip} && ip4.dst == {far} && ip.ttl == 64 && icmp4.type == 8"
    )
    flow = (
        f"in_port={red.record.tap},icmp,dl_src={red.mac},dl_dst={interface['mac_address']},"
        f"nw_src={ip},nw_dst={far},nw_ttl=64,icmp_type=8"
    )
    host = red.host.name
    switch = f"ovs-appctl -t $OVS_RUNDIR/ovs-vswitchd.ctl ofproto/trace br-int {flow}"
    controller = "ovn-appctl -t $CONTROLLER"
    return [
        Command("What is wanted", "ovn-nbctl show", ("router", router), 24),
        Command("", f"ovn-nbctl lr-route-list {router}", ("0.0.0.0/0", INTERNET)),
        Command("", f"ovn-nbctl lr-nat-list {router}", ("dnat_and_snat", "snat", cloud.floating_ip)),
        Command("", f"ovn-nbctl acl-list {pg_of(cloud)}", ("allow-related",), 8),
        Command("Whether it is done", "ovn-nbctl --wait=hv sync", (), text="Returns when all hosts have it."),
        Command("", "ovn-nbctl --columns=nb_cfg,sb_cfg,hv_cfg list NB_Global", ("hv_cfg",)),
        Command("Where it is", "ovn-sbctl show", ("Chassis", "Port_Binding"), 20),
        Command(
            "",
            f"ovn-sbctl --columns=logical_port,chassis,up find Port_Binding logical_port={red.record.port_id}",
            ("up",),
        ),
        Command("", "ovn-sbctl --columns=logical_port,chassis find Port_Binding type=chassisredirect", ("cr-lrp-",)),
        Command("The logical flows", f"ovn-sbctl lflow-list {router}", ("lr_in_", "priority"), 16),
        Command(
            "Why does this packet go there?", f"ovn-trace {network} {shlex.quote(packet)}", ("output to", "lr_in_"), 60
        ),
        Command("", f"ovine trace {network} {shlex.quote(packet)}", ("delivered to",), 60),
        Command(
            "From an OpenFlow flow back to the northbound",
            f"{switch} | ovn-detrace --ovnsb=$OVN_SB_DB --ovnnb=$OVN_NB_DB",
            ("Logical datapath", "Logical flow"),
            60,
            host,
        ),
        Command("The daemons", "ovn-appctl -t $NORTHD status", ("active",)),
        Command("", "ovn-appctl -t $NORTHD inc-engine/show-stats", ("recompute",), 12),
        Command("", "ovn-appctl -t $NORTHD vlog/list", ("northd",), 6),
        Command("", "ovn-appctl -t $NORTHD ovine/failures", (), text="What cannot be compiled, and why; nothing here."),
        Command("", f"{controller} connection-status", ("connected",), host=host),
        Command("", f"{controller} ct-zone-list", (red.record.port_id,), 8, host),
        Command("", f"{controller} ovine/switch", ("flows",), 12, host),
        Command("", f"{controller} group-table-list", (), 6, host),
        Command("The switch", "ovs-vsctl show", ("br-int", "geneve"), 16, host),
        Command("", "ovs-ofctl dump-flows br-int table=0", ("in_port",), 6, host),
        Command("", "ovs-appctl -t $OVS_RUNDIR/ovs-vswitchd.ctl dpctl/dump-conntrack", (), 6, host),
    ]


def pg_of(cloud: RoutedCloud) -> str:
    """The port group of red1's security group."""
    port = cloud.lab.cloud.get(f"ports/{cloud.red1.record.port_id}")["port"]
    return "pg_" + port["security_groups"][0].replace("-", "_")


def environment(lab: Lab, host: str) -> dict[str, str]:
    """What the tools find databases and daemons by."""
    spec = lab.spec
    northd = lab.control_socket("northd")
    found = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OVN_NB_DB": spec.nb_db,
        "OVN_SB_DB": spec.sb_db,
        "OVINE_CLOUD_DB": spec.cloud_db,
        "NORTHD": str(northd),
        "OVN_RUNDIR": str(spec.central),
    }
    if host:
        directory = str(spec.host_directory(spec.host(host)))
        found |= {"OVS_RUNDIR": directory, "CONTROLLER": str(lab.control_socket(f"{host}-controller"))}
    return found


def run(lab: Lab, command: Command) -> tuple[str, str]:
    """What a command printed, and what is wrong with that, if anything."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.line],
        env=environment(lab, command.host),
        capture_output=True,
        text=True,
        timeout=120,
    )
    output = done.stdout.replace(str(lab.spec.directory), "/run/ovn")
    if done.returncode:
        return output, f"{command.line}: status {done.returncode}: {done.stderr.strip()}"
    missing = [word for word in command.must_say if word not in output]
    return output, f"{command.line}: does not say {', '.join(missing)}:\n{output}" if missing else ""


def section(command: Command, output: str) -> list[str]:
    """A command in the page."""
    lines = [f"## {command.heading}", ""] if command.heading else []
    if command.text:
        lines += [command.text, ""]
    shown = [line.rstrip() for line in output.splitlines()]
    cut = [*shown[: command.lines], "…"] if len(shown) > command.lines else shown
    where = f"[{command.host}] " if command.host else ""
    return [*lines, "```", f"{where}$ {command.line}", *cut, "```", ""]


def main() -> int:
    with Lab(northd="ovine", controllers=["ovine"] * 3) as lab:
        cloud = make(lab)
        cloud.internet.wait_reaches(cloud.floating_ip)
        lines, wrong = [INTRODUCTION], []
        for command in commands(cloud):
            output, problem = run(lab, command)
            lines += section(command, output)
            wrong += [problem] if problem else []
    for problem in wrong:
        print(problem, file=sys.stderr)
    if not wrong and "--check" not in sys.argv[1:]:
        PAGE.write_text("\n".join(lines).rstrip() + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
