"""What the API's smaller services do to real traffic: names, forwarded ports, trunks, a port that moves."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from ovine.lab import Instance, Lab, netns
from ovine.lab.frames import echo_request
from ovine.lab.tcp import transfer
from ovine.lab.waiting import wait_for
from routed_cloud import INTERNET, RoutedCloud, make
from support.dns_frames import question, say_dns

TAG = 77
SOL_PACKET, PACKET_AUXDATA = 263, 8
"""linux/if_packet.h: the kernel takes VLAN tags out of frames, and tells them beside."""


@pytest.fixture(scope="module")
def cloud(lab_machine: None) -> Iterator[RoutedCloud]:
    with Lab(northd="ovine", controllers=["ovine", "ovine", "ovine"]) as lab:
        yield make(lab)
        assert lab.audit() == []


def address(instance: Instance) -> str:
    return instance.addresses[0].split("/")[0]


def asked(instance: Instance, server: str, kind: str, name: str) -> str:
    """What an instance is answered, in words; "" for nothing."""
    with instance.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.settimeout(1.0)
        opened.sendto(question([kind, name]), (server, 53))
        with contextlib.suppress(TimeoutError):
            return say_dns(opened.recvfrom(2000)[0])
    return ""


def test_an_instance_finds_another_by_name_and_by_address(cloud: RoutedCloud) -> None:
    lab, red1 = cloud.lab, cloud.red1
    red2 = lab.boot("red2", network="red", host="h2")
    lab.cloud.put(f"ports/{red2.record.port_id}", {"port": {"dns_name": "harbour"}})
    lab.sync()
    port = lab.cloud.get(f"ports/{red2.record.port_id}")["port"]
    whole = port["dns_assignment"][0]["fqdn"].rstrip(".")
    there = address(red2)
    for name in ("harbour", whole):
        wait_for(lambda name=name: asked(red1, "10.1.0.1", "a", name), f"an answer for {name}", 20)
        assert asked(red1, "10.1.0.1", "a", name) == f"dns reply a {name} {there}"
    reverse = ".".join(reversed(there.split("."))) + ".in-addr.arpa"
    assert asked(red1, "192.0.2.53", "ptr", reverse) == f"dns reply ptr {reverse} {whole}"


def test_a_forwarded_port_of_a_floating_ip_reaches_a_service(cloud: RoutedCloud) -> None:
    api, blue1 = cloud.lab.cloud, cloud.blue1
    floating = api.post("floatingips", {"floatingip": {"floating_network_id": cloud.public["id"]}})["floatingip"]
    forwarding = {
        "internal_port_id": blue1.record.port_id,
        "internal_ip_address": address(blue1),
        "internal_port": 22,
        "external_port": 2222,
        "protocol": "tcp",
    }
    api.post(f"floatingips/{floating['id']}/port_forwardings", {"port_forwarding": forwarding})
    cloud.lab.sync()
    public = floating["floating_ip_address"]
    assert transfer(cloud.internet, blue1, public, port=2222, inner_port=22) == INTERNET
    # Also from the router's other network, and from another host than the gateway's.
    assert transfer(cloud.red1, blue1, public, port=2222, inner_port=22) == address(cloud.red1)

    def status() -> bool:
        return bool(api.get(f"floatingips/{floating['id']}")["floatingip"]["status"] == "ACTIVE")

    wait_for(status, "an active floating IP", 20)


def test_a_subport_reaches_its_network_with_a_vlan_tag(cloud: RoutedCloud) -> None:
    lab, red1, blue1 = cloud.lab, cloud.red1, cloud.blue1
    blue = lab.cloud.network("blue")
    child = lab.cloud.post("ports", {"port": {"network_id": blue["id"], "project_id": blue["project_id"]}})["port"]
    sub = {"port_id": child["id"], "segmentation_type": "vlan", "segmentation_id": TAG}
    trunk = lab.cloud.post("trunks", {"trunk": {"port_id": red1.record.port_id, "sub_ports": [sub]}})["trunk"]
    assert trunk["status"] == "ACTIVE"
    lab.cloud.wait_port_active(child["id"])
    ip = child["fixed_ips"][0]["ip_address"]
    plain = echo_request(child["mac_address"], blue1.mac, ip, address(blue1), b"through the trunk")
    tagged = plain[:12] + struct.pack("!HH", 0x8100, TAG) + plain[12:]
    with netns.packet_socket(red1.netns, red1.interface) as opened:
        opened.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        opened.settimeout(0.2)

        def answered() -> bool:
            red1.send(tagged)
            return any(_is_answer(frame, tag) for frame, tag in _received(opened))

        wait_for(answered, "an answer with the tag", 20)


def _is_answer(frame: bytes, tag: int) -> bool:
    return tag == TAG and frame[23] == 1 and frame[34] == 0 and b"through the trunk" in frame


def _received(opened: socket.socket) -> Iterator[tuple[bytes, int]]:
    """Frames and their VLAN tags, 0 for none."""
    with contextlib.suppress(TimeoutError):
        for _ in range(50):
            frame, beside, _, _ = opened.recvmsg(2000, 100)
            yield frame, _tag(beside)


def _tag(beside: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in beside:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            tci: int = struct.unpack("=IIIHHHH", data[:20])[5]
            return tci & 0xFFF
    return 0


def test_the_bindings_of_a_port_say_where_it_may_be(cloud: RoutedCloud) -> None:
    lab = cloud.lab
    port: dict[str, Any] = lab.cloud.get(f"ports/{cloud.blue1.record.port_id}")["port"]
    shown = lab.cloud.get(f"ports/{port['id']}/bindings")["bindings"]
    assert [(b["host"], b["status"]) for b in shown] == [(port["binding:host_id"], "ACTIVE")]
