"""A real Open vSwitch judges conjunctions: `ofproto/trace` carries out the actions on the packets that match.

Each match gets a table of its own. The expressions are those in which conjunctions meet: several of them in one match,
flows that serve more than one, parts in common, splits by protocol, plain flows beside them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ovine.language import FlowMatch, Packet, StaticEnvironment, compile_match, evaluate, parse_match
from support.ofctl_flows import ofctl_match

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")

pytestmark = pytest.mark.skipif(
    shutil.which("ovs-vswitchd") is None or not SCHEMA.exists(), reason="ovs-vswitchd is not installed"
)

ENV = StaticEnvironment(
    address_sets={"a": ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"], "b": ["10.0.1.0/28", "10.0.2.1", "10.0.3.1"]},
    port_groups={"g": ["p1", "p2", "p3"]},
    port_keys={"p1": 1, "p2": 2, "p3": 3, "p4": 4},
)

MATCHES = [
    "ip4.src == $a && ip4.dst == $b",
    "inport == @g && ip4.src == $a && tcp.dst == {80, 443, 8080}",
    "tcp.dst == {80, 81, 82} && inport == @g",
    "(ip4.src == $a || udp) && (ip4.dst == $b || udp)",
    "(ip4.src == $a && ip4.dst == $b) || (ip4.src == {10.0.0.3, 10.0.0.9, 10.0.0.10} && tcp.dst == {80, 90, 91})",
    "(ip4.src == $a && ip4.dst == $b) || ip4.src == 10.0.0.0/31",
    "(reg0 == {1, 2, 3} && reg1 == {1, 2, 3}) || (reg0 == {3, 4, 5} && reg1 == {6, 7, 8}) || reg1 == 9",
    "reg0 == {1, 2, 3} && reg1 == {1, 2, 3} && xreg1 == {1, 2, 3} && reg0 != 2",
    "inport == @g && 1024 <= tcp.dst <= 5000",
]

PACKETS: list[dict[str, int | str]] = [
    {
        "eth.type": 0x800,
        "ip.proto": proto,
        "ip4.src": src,
        "ip4.dst": dst,
        "inport": port,
        f"{name}.dst": number,
        **regs,
    }
    for proto, name in ((6, "tcp"), (17, "udp"))
    for src, dst, port, number, regs in (
        ("10.0.0.1", "10.0.1.5", "p1", 80, {"reg0": 1, "reg1": 1}),
        ("10.0.0.3", "10.0.3.1", "p4", 443, {"reg0": 3, "reg1": 7}),
        ("10.0.0.9", "10.0.2.1", "p2", 90, {"reg0": 2, "reg1": 9}),
        ("10.0.0.2", "10.0.9.1", "p3", 81, {"reg0": 3, "reg1": 3, "reg3": 2}),
        ("10.0.0.3", "10.0.9.1", "p3", 91, {"reg0": 4, "reg1": 1, "reg3": 2}),
        ("10.0.0.10", "10.0.1.15", "p1", 4999, {"reg0": 5, "reg1": 8, "reg3": 3}),
        ("10.0.0.4", "10.0.1.16", "p2", 5001, {"reg0": 1, "reg1": 6, "reg3": 1}),
    )
]

Run = Callable[..., str]


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Run]:
    """A switch without a datapath, with the bridge br0; the fixture runs commands beside it."""
    environment = {**os.environ, "OVS_RUNDIR": str(tmp_path)}
    running: list[subprocess.Popen[bytes]] = []

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
        return done.stdout

    def start(*command: str | Path) -> None:
        running.append(subprocess.Popen([*command, "--log-file=/dev/null", "-vconsole:off"], env=environment))

    remote = f"unix:{tmp_path}/db.sock"
    try:
        run("ovsdb-tool", "create", tmp_path / "conf.db", SCHEMA)
        start("ovsdb-server", f"--remote=punix:{tmp_path}/db.sock", "--unixctl=db.ctl", tmp_path / "conf.db")
        run("ovsdb-client", "--timeout=30", "wait", remote, "Open_vSwitch", "connected")
        run("ovs-vsctl", "--timeout=30", "--no-wait", f"--db={remote}", "init")
        start("ovs-vswitchd", "--enable-dummy=override", "--disable-system", f"--unixctl={tmp_path}/switch.ctl", remote)
        bridge = ["br0", "datapath_type=dummy", "fail_mode=secure", "protocols=OpenFlow10,OpenFlow15"]
        run("ovs-vsctl", "--timeout=30", f"--db={remote}", "add-br", "br0", "--", "set", "bridge", *bridge)
        yield run
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(20)


def table_of(number: int, flows: tuple[FlowMatch, ...]) -> Iterator[str]:
    """The flows of one match, in a table of their own, with conjunction ids of their own."""
    yield f"table=0,priority=1,metadata={number} actions=resubmit(,{number})"
    for flow in flows:
        fields = tuple(
            (name, value + number * 16 if name == "conj_id" else value, mask) for name, value, mask in flow.fields
        )
        actions = ",".join(f"conjunction({n + number * 16},{k}/{total})" for n, k, total in flow.conjunctions)
        yield f"table={number},{ofctl_match(FlowMatch(fields))} actions={actions or 'controller'}"


def test_open_vswitch_matches_the_packets_that_evaluation_matches(switch: Run, tmp_path: Path) -> None:
    compiled = {number: compile_match(parse_match(text), ENV) for number, text in enumerate(MATCHES, 1)}
    assert all(any(flow.conjunctions for flow in flows) for flows in compiled.values())
    file = tmp_path / "flows"
    file.write_text("".join(f"{line}\n" for number, flows in compiled.items() for line in table_of(number, flows)))
    switch("ovs-ofctl", "-O", "OpenFlow15", "add-flows", f"unix:{tmp_path}/br0.mgmt", file)
    hits = 0
    for number, text in enumerate(MATCHES, 1):
        for values in PACKETS:
            packet = Packet.of(values, ENV)
            shown = ofctl_match(FlowMatch(_all_fields(packet))).removeprefix("priority=1,").replace("/0xffffffff", "")
            trace = switch(
                "ovs-appctl", "-t", f"{tmp_path}/switch.ctl", "ofproto/trace", "br0", f"metadata={number},{shown}"
            )
            expected = evaluate(parse_match(text), packet, ENV)
            assert ("CONTROLLER" in trace) == expected, f"{text}\n{values}\n{trace}"
            hits += expected
    assert 20 < hits < len(MATCHES) * len(PACKETS) - 20


def _all_fields(packet: Packet) -> tuple[tuple[str, int, int], ...]:
    names = {"eth_type": 16, "nw_proto": 8, "ip_src": 32, "ip_dst": 32, "reg0": 32, "reg1": 32, "reg3": 32, "reg14": 32}
    names["tcp_dst" if packet.openflow("nw_proto") == 6 else "udp_dst"] = 16
    return tuple((name, packet.openflow(name), (1 << width) - 1) for name, width in names.items())
