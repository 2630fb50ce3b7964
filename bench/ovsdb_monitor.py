"""Time from nothing to a typed replica of many Logical_Flow rows: ours beside PyPI `ovs`, in one run.

    python bench/ovsdb_monitor.py [--rows 100000] [--json FILE] [--check]

A real ovsdb-server is filled with rows that look like northd's. Then each client, in a process of its own and one
after the other, connects, monitors the table and reports how long it took until every row was there as a Python
object, and its peak resident memory. `--check` exits with 1 unless ours is at least 3 times as fast.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import command_line
from ovine.model import sb
from ovine.model.base import Map, Uuid
from ovine.ovsdb import Client, Monitor, Transaction
from support.ovsdb import Server, start_server

LEAST_RATIO = 3.0
BATCH = 5000
DATAPATHS = 200

MATCHES = (
    "inport == {port} && eth.src == {mac} && ip4.src == {{{ip}, {ip2}}}",
    "outport == {port} && eth.dst == {mac} && ip4.dst == {{0.0.0.0, 255.255.255.255, 224.0.0.0/4, {ip}}}",
    "arp.tpa == {ip} && arp.op == 1 && inport != {port}",
    "inport == {port} && eth.src == {mac} && ip4.src == {{{ip}, 0.0.0.0}} && ip4.dst == {{{ip2}, 255.255.255.255}}"
    " && udp.src == 68 && udp.dst == 67",
    "ip6.dst == fe80::/64 && nd_ns && outport == @pg_{hex} && ip6.src == $as_{hex}_ip6 && tcp.dst == 443 && !ct.new",
)
ACTIONS = (
    "next;",
    "eth.dst = eth.src; eth.src = {mac}; arp.op = 2; /* ARP reply */ arp.tha = arp.sha; arp.sha = {mac}; "
    "arp.tpa = arp.spa; arp.spa = {ip}; outport = inport; flags.loopback = 1; output;",
    "reg0[3] = put_dhcp_opts(offerip = {ip}, dns_server = {{{ip2}}}, lease_time = 43200, mtu = 1442, "
    "netmask = 255.255.255.0, router = {ip2}, server_id = {ip2}); next;",
    "outport = {port}; output;",
    "reg0[1] = 1; reg8[17] = 1; next; /* {hex} */",
)


def flow(number: int, rng: random.Random, datapath: Uuid) -> sb.LogicalFlow:
    """One row with a match and actions of the usual kinds and lengths."""
    words = {
        "port": f'"{rng.getrandbits(128):032x}"',
        "mac": f"fa:16:3e:{rng.getrandbits(8):02x}:{rng.getrandbits(8):02x}:{rng.getrandbits(8):02x}",
        "ip": f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}",
        "ip2": f"10.{rng.randrange(256)}.{rng.randrange(256)}.1",
        "hex": f"{rng.getrandbits(64):016x}",
    }
    return sb.LogicalFlow(
        logical_datapath=datapath,
        pipeline=rng.choice(("ingress", "egress")),
        table_id=rng.randrange(28),
        priority=rng.choice((0, 50, 90, 100, 110, 1001, 2002)),
        match=rng.choice(MATCHES).format(**words) + f" /* {number} */",
        actions=rng.choice(ACTIONS).format(**words),
        external_ids=Map({"source": f"northd.c:{rng.randrange(10000)}", "stage-name": "ls_in_check_port_sec"}),
    )


async def fill(server: Server, rows: int) -> None:
    rng = random.Random(1)
    client = Client(sb.DATABASE, server.remote, monitors=[], probe_interval=0)
    await client.start()
    await client.ready(30)
    txn = Transaction()
    datapaths = [txn.insert(sb.DatapathBinding(tunnel_key=number + 1)) for number in range(DATAPATHS)]
    await client.transact(txn)
    for start in range(0, rows, BATCH):
        txn = Transaction()
        for number in range(start, min(rows, start + BATCH)):
            txn.insert(flow(number, rng, datapaths[number % DATAPATHS]))
        await client.transact(txn)
    await client.close()


# --- the two clients, each run as `--client NAME` ---------------------------------------------------------------------


async def ours(remote: str) -> dict[str, Any]:
    start = time.perf_counter()
    client = Client(sb.DATABASE, remote, monitors=[Monitor(sb.LogicalFlow)], probe_interval=0)
    await client.start()
    await client.ready(300)
    seconds = time.perf_counter() - start
    rows = client.replica.rows(sb.LogicalFlow)
    check = sum(len(row.match) for row in rows.values())
    await client.close()
    return {"seconds": seconds, "rows": len(rows), "check": check}


def peer(remote: str, schema_file: str) -> dict[str, Any]:
    import ovs.db.idl
    import ovs.json
    import ovs.poller

    start = time.perf_counter()
    helper = ovs.db.idl.SchemaHelper(schema_file)
    helper.register_columns("Logical_Flow", list(sb.LogicalFlow.spec.columns))
    idl = ovs.db.idl.Idl(remote, helper, probe_interval=0)
    seqno = idl.change_seqno
    while idl.change_seqno == seqno:
        idl.run()
        if idl.change_seqno != seqno:
            break
        poller = ovs.poller.Poller()
        idl.wait(poller)
        poller.block()
    seconds = time.perf_counter() - start
    rows = idl.tables["Logical_Flow"].rows
    check = sum(len(row.match) for row in rows.values())
    parser = "C" if ovs.json.PARSER == "C" else "Python"
    return {"seconds": seconds, "rows": len(rows), "check": check, "parser": parser}


def measure(name: str, remote: str, schema_file: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--client", name, "--remote", remote, "--schema", str(schema_file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=280)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def run_client(name: str, remote: str, schema_file: str) -> None:
    result = asyncio.run(ours(remote)) if name == "ovine" else peer(remote, schema_file)
    result["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    print(json.dumps(result))


def compare(rows: int, repeats: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="ovsdb-bench-") as name, start_server(sb.DATABASE, Path(name)) as server:
        asyncio.run(fill(server, rows))
        best: dict[str, dict[str, Any]] = {}
        for client in ["ovine", "ovs"] * repeats:
            result = measure(client, server.remote, Path(name) / "db.ovsschema")
            if client not in best or result["seconds"] < best[client]["seconds"]:
                best[client] = result
    if best["ovine"]["check"] != best["ovs"]["check"] or best["ovine"]["rows"] != rows:
        raise SystemExit(f"the two replicas differ: {best}")
    return {"rows": rows, **best, "ratio": round(best["ovs"]["seconds"] / best["ovine"]["seconds"], 2)}


def main() -> None:
    parser = command_line.parser(__doc__, check=f"unless ours is {LEAST_RATIO:g} times faster")
    parser.add_argument("--rows", type=int, default=100_000, help="Logical_Flow rows (default: 100000)")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each client, of which the best counts")
    parser.add_argument("--client", choices=["ovine", "ovs"], help=argparse.SUPPRESS)
    parser.add_argument("--remote", help=argparse.SUPPRESS)
    parser.add_argument("--schema", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        run_client(options.client, options.remote, options.schema)
        return
    figures = compare(options.rows, options.repeats)
    print(f"initial monitor of {figures['rows']} Logical_Flow rows, to objects in memory")
    for name, label in (("ovine", "ovine.ovsdb"), ("ovs", f"PyPI ovs ({figures['ovs']['parser']} JSON parser)")):
        print(f"  {label:28} {figures[name]['seconds']:7.2f} s   peak {figures[name]['peak_rss_mb']:7.1f} MB")
    print(f"  ratio {figures['ratio']:.1f}")
    command_line.publish(options, figures)
    if options.check and figures["ratio"] < LEAST_RATIO:
        raise SystemExit(f"ours is only {figures['ratio']:.1f} times as fast; {LEAST_RATIO:g} is wanted")


if __name__ == "__main__":
    main()
