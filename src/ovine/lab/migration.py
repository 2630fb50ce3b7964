"""An instance moves to another host while its connections go on, as a virtual machine does in a live migration.

The new host gets an interface of the instance first (*prepare*); the instance changes over to it at one moment
(*cut over*), with its MAC address, addresses and routes; then the old host loses its interface. Who binds the port
when is the caller's: by the API's `binding:host_id`, or by `requested-chassis` in a northbound written by hand
(`place`).
Tests: tests/lab/test_lab_routing.py, test_lab_live_migration.py; measured by bench/live_migration.py.
"""

from __future__ import annotations

import dataclasses
import time

from ovine.lab import netns
from ovine.lab.dhcp import INTERFACE
from ovine.lab.frames import announcement, arrival
from ovine.lab.instance import Instance
from ovine.lab.lab import Lab

SPARE = "spare0"


def prepare(lab: Lab, name: str, host: str) -> Instance:
    """Plugs a second interface of an instance into another host's br-int; it stays down until the cut over."""
    record = lab.store.instance(name)
    there = lab.spec.host(host)
    moved = lab.instance_of(dataclasses.replace(record, host=there.name))
    netns.add_veth(lab.spec.host_netns(there), record.tap, record.netns, SPARE, peer_address=record.mac)
    netns.set_link(record.netns, SPARE, state="down")
    netns.without_offload(record.netns, SPARE)
    moved.plug_in()
    return moved


def cut_over(lab: Lab, moved: Instance) -> float:
    """The instance changes over to its interface on the new host, and the old one is unplugged.

    Returns when it could first send there, in seconds since the epoch.

    The network hears of it as hypervisors tell it: by reverse ARP, and by a gratuitous ARP for each IPv4 address.
    """
    before = lab.instance(moved.name)
    netns.replace_link(moved.netns, INTERFACE, SPARE)
    there = time.time()
    moved.send(arrival(moved.mac))
    for address in moved.addresses:
        if ":" not in address:
            moved.send(announcement(moved.mac, address.partition("/")[0]))
    lab.store.replace_instance(moved.record)
    before.unplug()
    return there


def move(lab: Lab, name: str, host: str) -> Instance:
    """Moves an instance whose port is the API's to another host, and returns it when its port is ACTIVE there."""
    moved = prepare(lab, name, host)
    lab.cloud.put(f"ports/{moved.record.port_id}", {"port": {"binding:host_id": host}})
    moved.wait_installed()
    cut_over(lab, moved)
    lab.cloud.wait_port_active(moved.record.port_id)
    return moved


def place(lab: Lab, port: str, host: str, *others: str, strategy: str = "") -> None:
    """Says in the northbound where a port may be, the main host first, and returns when it is there.

    `strategy` is the activation strategy for the others.
    """
    hosts = (host, *others)
    options = {"requested-chassis": ",".join(hosts)} | ({"activation-strategy": strategy} if strategy else {})
    lab.nbctl("lsp-set-options", port, *(f"{key}={value}" for key, value in options.items()))
    chassis = [lab.sbctl("--bare", "--columns=_uuid", "find", "Chassis", f"name={one}").strip() for one in hosts]
    beside = ",".join(sorted(chassis[1:]))
    lab.sbctl("wait-until", "Port_Binding", port, f"chassis={chassis[0]}", f"additional_chassis=[{beside}]", timeout=30)
    lab.sync()
