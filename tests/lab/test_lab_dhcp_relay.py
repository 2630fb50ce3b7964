"""A real DHCP client gets its address from a real server on another switch and host, by a router that relays.

The server is busybox's udhcpd(8), which knows relays; it is of the package that has the clients of the lab, too.
"""

from __future__ import annotations

import json

from ovine.lab import Lab
from ovine.lab.tools import run

SERVER = """
start 10.0.1.50
end 10.0.1.59
interface {interface}
lease_file {directory}/udhcpd.leases
pidfile {directory}/udhcpd.pid
option subnet 255.255.255.0
option router 10.0.1.254
option lease 600
"""
RELAY = [
    "OVN_Northbound",
    {"op": "insert", "table": "DHCP_Relay", "uuid-name": "new", "row": {"name": "d", "servers": "10.0.2.5"}},
    {
        "op": "update",
        "table": "Logical_Router_Port",
        "where": [["name", "==", "r-s1"]],
        "row": {"dhcp_relay": ["named-uuid", "new"]},
    },
]


def make_network(lab: Lab) -> None:
    lab.nbctl("lr-add", "r")
    for number in (1, 2):
        switch, port, end = f"s{number}", f"r-s{number}", f"s{number}-r"
        lab.nbctl("ls-add", switch, "--", "lrp-add", "r", port, f"02:00:00:00:0{number}:fe", f"10.0.{number}.254/24")
        lab.nbctl("lsp-add", switch, end, "--", "lsp-set-type", end, "router", "--", "lsp-set-addresses", end, "router")
        lab.nbctl("lsp-set-options", end, f"router-port={port}")
    lab.nbctl("set", "Logical_Switch", "s1", "other_config:dhcp_relay_port=s1-r")
    for name, switch in (("a", "s1"), ("b", "s1"), ("d", "s2")):
        address = f"02:00:00:00:00:0{name}" + (" 10.0.2.5" if name == "d" else "")
        lab.nbctl("lsp-add", switch, name, "--", "lsp-set-addresses", name, address)
    run(["ovsdb-client", "transact", lab.spec.nb_db, json.dumps(RELAY)])


def test_clients_get_leases_from_a_server_behind_a_router(lab_machine: None) -> None:
    with Lab(northd="ovine", controllers=["ovine", "ovine"], api=False) as lab:
        make_network(lab)
        server = lab.plug("d", host="h2", port_id="d", mac="02:00:00:00:00:0d")
        clients = [
            lab.plug(name, host=host, port_id=name, mac=f"02:00:00:00:00:0{name}")
            for name, host in (("a", "h1"), ("b", "h2"))
        ]
        for instance in (server, *clients):
            instance.wait_installed()
        lab.sync()
        server.add_address("10.0.2.5/24")
        server.add_route("default", "10.0.2.254")
        settings = lab.spec.directory / "udhcpd.conf"
        settings.write_text(SERVER.format(interface=server.interface, directory=lab.spec.directory))
        (lab.spec.directory / "udhcpd.leases").touch()
        server.start("udhcpd", ["busybox", "udhcpd", "-f", str(settings)])
        leases = []
        for client in clients:
            leases.append(client.dhcp())
            assert leases[-1].routers == ("10.0.1.254",)
            client.wait_reaches("10.0.2.5")
        assert len({lease.address for lease in leases}) == 2
        assert all(lease.address.startswith("10.0.1.5") for lease in leases)
        assert lab.audit() == []
