"""What a mirror sends to who listens: ours and Debian's controller alike, by GRE and by ERSPAN.

The tunnel's other end is a third host's address, on whose interface the test listens.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ovine.lab import Lab, control, netns
from support.frames import build

GRE = 47
INDEX = 7
KEYED, ERSPAN2 = 0x6558, 0x88BE
"""What GRE carries: Ethernet frames (RFC 1701), ERSPAN type II."""


@dataclass
class Cloud:
    lab: Lab
    sockets: dict[str, socket.socket]
    listener: socket.socket

    def mirrored(self, sender: str, frame: bytes, seconds: float) -> tuple[int, bytes] | None:
        """Sends a frame; the protocol and the bytes of the GRE packet that has it at its end, or None."""
        while select.select([self.listener], [], [], 0)[0]:
            self.listener.recv(65536)
        self.sockets[sender].send(frame)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.listener], [], [], left)[0]:
                seen = self.listener.recv(65536)
                if seen[12:14] == b"\x08\x00" and seen[23] == GRE and seen.endswith(frame):
                    return int.from_bytes(seen[36:38]), seen[34:]
        return None

    def _purge(self) -> None:
        """Open vSwitch 3.1 goes on with the flows that it has cached when a mirror changes; so let it forget them."""
        for host in self.lab.spec.hosts:
            control.call(self.lab.spec.host_directory(host) / "ovs-vswitchd.ctl", "revalidator/purge")

    def until_mirrored(self, sender: str, frame: bytes, wanted: bool) -> tuple[int, bytes] | None:
        """Sends again until the frame is mirrored, or is not; fails if that does not come about."""
        deadline = time.monotonic() + 20
        while True:
            self._purge()
            found = self.mirrored(sender, frame, 0.5)
            if (found is not None) == wanted:
                return found
            assert time.monotonic() < deadline, f"{frame.hex()} is {'not ' if wanted else ''}mirrored"


@pytest.fixture(scope="module")
def cloud(lab_machine: None) -> Iterator[Cloud]:
    with Lab(northd="ovine", controllers=["ovine", "c", "ovine"], api=False) as lab:
        nb = lab.nbctl
        nb("ls-add", "sw")
        sockets = {}
        for number, host in ((1, "h1"), (2, "h2"), (3, "h1"), (4, "h2")):
            name, mac = f"p{number}", f"02:00:00:00:00:0{number}"
            nb("lsp-add", "sw", name, "--", "lsp-set-addresses", name, mac)
            instance = lab.plug(name, host=host, port_id=name, mac=mac)
            sockets[name] = netns.packet_socket(instance.netns, instance.interface)
            instance.wait_installed()
        lab.sync()
        sink = lab.spec.host("h3")
        listener = netns.packet_socket(lab.spec.host_netns(sink), "under0")
        yield Cloud(lab, sockets, listener)
        for opened in (*sockets.values(), listener):
            opened.close()


@pytest.mark.parametrize("kind", ["gre", "erspan"])
@pytest.mark.parametrize(("source", "target"), [("p1", "p3"), ("p2", "p4")], ids=["ours", "debian's"])
def test_what_a_port_sends_and_gets_is_mirrored(cloud: Cloud, kind: str, source: str, target: str) -> None:
    nb, sink = cloud.lab.nbctl, cloud.lab.spec.host("h3").tunnel_address
    there = build(f"02:00:00:00:00:0{source[1]}>02:00:00:00:00:0{target[1]} ip 10.0.0.1>10.0.0.2 udp 5>6")
    back = build(f"02:00:00:00:00:0{target[1]}>02:00:00:00:00:0{source[1]} ip 10.0.0.2>10.0.0.1 udp 6>5")
    nb("mirror-add", "m", kind, str(INDEX), "from-lport", sink, "--", "lsp-attach-mirror", source, "m")
    try:
        found = cloud.until_mirrored(source, there, wanted=True)
        assert found is not None
        assert found[0] == (KEYED if kind == "gre" else ERSPAN2)
        if kind == "gre":
            assert found[1].removesuffix(there)[4:] == INDEX.to_bytes(4)
        assert cloud.mirrored(target, back, 0.5) is None
        row = nb("--bare", "--columns=_uuid", "find", "Mirror", "name=m").strip()
        nb("set", "Mirror", row, "filter=to-lport")
        cloud.until_mirrored(target, back, wanted=True)
        assert cloud.mirrored(source, there, 0.5) is None
        nb("lsp-detach-mirror", source, "m")
        cloud.until_mirrored(target, back, wanted=False)
    finally:
        nb("mirror-del", "m")
