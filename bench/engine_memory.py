"""What the engine costs in memory and time, rule by rule, on the plugin's rules.

    bench/engine_memory.py [--ports N] [--json FILE]

Networks with 200 ports each are fed to engines with one more rule each time; the difference between two of them is what
the last rule costs: its outputs, what it recorded of its reads, and the results of queries that only it asked for.
"""

from __future__ import annotations

import gc
import time
import tracemalloc

import command_line
from ovine.engine import Engine
from ovine.model import cloud
from ovine.model.base import Uuid
from ovine.plugin import RULES

PORTS_PER_NETWORK = 200


def uuid(kind: int, number: int) -> Uuid:
    return Uuid(f"{kind:08d}-0000-4000-8000-{number:012d}")


def feed(engine: Engine, ports: int) -> None:
    for n in range(ports // PORTS_PER_NETWORK):
        engine.feed(cloud.Network, uuid(1, n), cloud.Network(uuid=uuid(1, n), name=f"net{n}", mtu=1442))
        engine.feed(
            cloud.Subnet,
            uuid(2, n),
            cloud.Subnet(uuid=uuid(2, n), network=uuid(1, n), cidr="10.0.0.0/16", gateway_ip="10.0.0.1"),
        )
    for n in range(ports):
        net = n // PORTS_PER_NETWORK
        ip = f"10.0.{n % PORTS_PER_NETWORK // 250}.{2 + n % 250}"
        engine.feed(
            cloud.IPAllocation, uuid(3, n), cloud.IPAllocation(uuid=uuid(3, n), subnet=uuid(2, net), ip_address=ip)
        )
        engine.feed(cloud.Port, uuid(4, n), port(n, net))


def port(n: int, net: int, name: str = "port") -> cloud.Port:
    mac = f"fa:16:3e:{n >> 16 & 255:02x}:{n >> 8 & 255:02x}:{n & 255:02x}"
    return cloud.Port(uuid=uuid(4, n), network=uuid(1, net), name=name, mac_address=mac, fixed_ips=(uuid(3, n),))


def built(count: int, ports: int) -> Engine:
    engine = Engine(RULES[:count])
    feed(engine, ports)
    engine.run()
    return engine


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--ports", type=int, default=10_000)
    options = parser.parse_args()
    rows = []
    before = 0
    for count in range(len(RULES) + 1):
        gc.collect()
        tracemalloc.start()
        engine = built(count, options.ports)
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        name = RULES[count - 1].name if count else "(input)"
        nodes, reads = engine.sizes().get(name, (options.ports, 0))
        rows.append({"rule": name, "nodes": nodes, "reads": reads, "bytes": size - before})
        before = size
        del engine
    start = time.perf_counter()
    engine = built(len(RULES), options.ports)
    full = time.perf_counter() - start
    start = time.perf_counter()
    engine.feed(cloud.Port, uuid(4, 5), port(5, 0, "renamed"))
    engine.run()
    one = time.perf_counter() - start
    print(f"{options.ports} ports: computed from nothing in {full:.2f} s, one port renamed in {one * 1e6:.0f} µs")
    print(f"{'rule':32} {'nodes':>8} {'reads':>8} {'MB':>8} {'bytes/node':>11}")
    for row in rows:
        print(
            f"{row['rule']:32} {row['nodes']:8} {row['reads']:8} {row['bytes'] / 1e6:8.1f} "
            f"{row['bytes'] // max(1, row['nodes']):11}"
        )
    command_line.publish(options, {"full_seconds": full, "one_seconds": one, "rules": rows})


if __name__ == "__main__":
    main()
