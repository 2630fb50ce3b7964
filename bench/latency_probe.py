"""The parts of `port_latency.py` that look: databases, the API and packets, all in one event loop with one clock.

Every event is written down as (port, stage) → seconds of time.perf_counter(), the first time that it is seen. Databases
are replicated, so an event's time is that of the arrival of the batch that brought it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import orjson

from ovine.lab import Lab, netns
from ovine.lab.frames import echo_request, mac_bytes
from ovine.model import cloud, nb, sb, vs
from ovine.model.base import Database, Map
from ovine.ovsdb import Batch, Client, Monitor, Transaction

RETRY = 0.002
"""Seconds between two frames of a guest that waits for an answer."""
BROADCAST = "ff:ff:ff:ff:ff:ff"
_ARP = struct.Struct("!6s6sHHHBBH6s4s6s4s")


class Seen:
    """When was what seen first, by port; and a way to wait for it."""

    def __init__(self) -> None:
        self.times: dict[str, dict[str, float]] = defaultdict(dict)
        self._changed = asyncio.Event()

    def note(self, port: str, stage: str) -> None:
        if stage not in self.times[port]:
            self.times[port][stage] = time.perf_counter()
            self._changed.set()

    async def wait(self, port: str, *stages: str, timeout: float = 30.0) -> None:  # noqa: ASYNC109
        """Returns when the port has come through all these stages. Raises TimeoutError that names what is missing."""
        try:
            async with asyncio.timeout(timeout):
                while not self.times[port].keys() >= set(stages):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            missing = [stage for stage in stages if stage not in self.times[port]]
            raise TimeoutError(f"port {port}: not seen within {timeout:g} s: {', '.join(missing)}") from None


class Databases:
    """A client on each database of a lab, and on the local one of its first host."""

    def __init__(self, lab: Lab, seen: Seen) -> None:
        self._seen = seen
        spec, host = lab.spec, lab.spec.hosts[0]
        self.cloud = self._watch(cloud.DATABASE, spec.cloud_db, cloud.Port, ("status",), self._cloud_port)
        self.nb = self._watch(nb.DATABASE, spec.nb_db, nb.LogicalSwitchPort, ("name", "up"), self._switch_port)
        columns = ("logical_port", "chassis", "up")
        self.sb = self._watch(sb.DATABASE, spec.sb_db, sb.PortBinding, columns, self._binding)
        self.local = self._watch(
            vs.DATABASE, spec.ovs_db(host), vs.Interface, ("name", "external_ids"), self._interface
        )

    def _watch(
        self, database: Database, remote: str, table: Any, columns: tuple[str, ...], take: Callable[[Any], None]
    ) -> Client:
        def changed(batch: Batch) -> None:
            for change in batch:
                if change.new is not None:
                    take(change.new)
                elif change.table is sb.PortBinding:
                    self._seen.note(change.old.logical_port, "gone")  # type: ignore[union-attr]

        client = Client(database, remote, monitors=[Monitor(table, columns)])
        client.subscribe(changed)
        return client

    async def start(self) -> None:
        for client in self._clients:
            await client.start()
        for client in self._clients:
            await client.ready(10)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()

    @property
    def _clients(self) -> tuple[Client, ...]:
        return (self.cloud, self.nb, self.sb, self.local)

    def _cloud_port(self, row: cloud.Port) -> None:
        self._seen.note(row.uuid, "cloud")
        if row.status == "ACTIVE":
            self._seen.note(row.uuid, "active")

    def _switch_port(self, row: nb.LogicalSwitchPort) -> None:
        self._seen.note(row.name, "nb")
        if row.up:
            self._seen.note(row.name, "lsp up")

    def _binding(self, row: sb.PortBinding) -> None:
        self._seen.note(row.logical_port, "sb")
        if row.chassis is not None:
            self._seen.note(row.logical_port, "claimed")
        if row.up:
            self._seen.note(row.logical_port, "pb up")

    def _interface(self, row: vs.Interface) -> None:
        port = row.external_ids.get("iface-id")
        if port is not None and row.external_ids.get("ovn-installed") == "true":
            self._seen.note(port, "installed")

    async def plug(self, interface: str, port: str) -> None:
        """Says that an interface, which is in the switch already, is this port: what a hypervisor does at a boot."""
        row = self.local.replica.index(vs.Interface, "name").one(interface)
        assert row is not None, f"the switch has no interface {interface}"
        transaction = Transaction()
        transaction.mutate(vs.Interface, row.uuid, "external_ids", "insert", Map({"iface-id": port}))
        await self.local.transact(transaction)

    async def round_trips(self, count: int) -> list[float]:
        """Seconds of empty transactions, one at a time: what the machine and ovsdb-server take at the least."""
        times = []
        for _ in range(count):
            began = time.perf_counter()
            await self.nb.barrier()
            times.append(time.perf_counter() - began)
        return times


class Api:
    """One connection to the network API, kept open; no more of HTTP than these requests need."""

    def __init__(self, endpoint: str, token: str) -> None:
        parts = urlsplit(endpoint)
        self._address = (parts.hostname or "", parts.port or 80)
        self._head = f"Host: {parts.netloc}\r\nX-Auth-Token: {token}\r\nContent-Type: application/json\r\n"

    async def start(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(*self._address)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded reply; RuntimeError for an error of the API."""
        content = orjson.dumps(body) if body is not None else b""
        head = f"{method} /v2.0/{path} HTTP/1.1\r\n{self._head}Content-Length: {len(content)}\r\n\r\n"
        self._writer.write(head.encode() + content)
        status, *fields = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        lengths = [field for field in fields if field.lower().startswith("content-length:")]
        reply = await self._reader.readexactly(int(lengths[0].split(":")[1]) if lengths else 0)
        if int(status.split()[1]) >= 400:
            raise RuntimeError(f"{method} {path}: {reply.decode()}")
        return orjson.loads(reply) if reply else None


class Guest:
    """One end of a link as a machine that has no kernel to answer for it: raw frames only."""

    def __init__(self, namespace: str, interface: str) -> None:
        self._socket = netns.packet_socket(namespace, interface)
        self._socket.setblocking(False)
        self._answers: Callable[[bytes], None] = lambda _: None
        self.mac, self.ip, self._raw_mac, self._raw_ip = "", "", b"", b""
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def become(self, port: dict[str, Any]) -> None:
        """Takes a port's addresses, and from now on answers what is asked of them."""
        self.mac, self.ip = port["mac_address"], port["fixed_ips"][0]["ip_address"]
        self._raw_mac, self._raw_ip = mac_bytes(self.mac), socket.inet_aton(self.ip)

    def _read(self) -> None:
        while True:
            try:
                frame = self._socket.recv(2048)
            except OSError:  # nothing is left to read, or the link is out of the switch and therefore down
                return
            self._take(frame)

    def _take(self, frame: bytes) -> None:
        """Answers what is asked of our address, and hands answers on; the rest is not for us."""
        if frame[12:14] == b"\x08\x06" and frame[38:42] == self._raw_ip:
            if frame[20:22] == b"\x00\x01":
                self._send(self._arp(2, frame[6:12], frame[22:28], frame[28:32]))
            else:
                self._answers(frame)
        elif frame[12:14] == b"\x08\x00" and frame[30:34] == self._raw_ip and frame[23] == 1:
            if frame[34] == 8:
                self._send(_turned_round(frame))
            else:
                self._answers(frame)

    def _arp(self, operation: int, to: bytes, target_mac: bytes, target_ip: bytes) -> bytes:
        fields = (0x0806, 1, 0x0800, 6, 4, operation)
        return _ARP.pack(to, self._raw_mac, *fields, self._raw_mac, self._raw_ip, target_mac, target_ip)

    def _send(self, frame: bytes) -> None:
        try:
            self._socket.send(frame)
        except OSError:
            return  # a full queue is a lost frame; who wants an answer sends again

    async def reach(self, other: Guest, note: Callable[[str], None]) -> None:
        """Asks for the other's MAC until somebody answers, then pings it until it does."""
        request = self._arp(1, mac_bytes(BROADCAST), bytes(6), other._raw_ip)
        note_arp = await self._ask(request, lambda frame: frame[12:14] == b"\x08\x06")
        note("arp")
        echo = echo_request(self.mac, note_arp[22:28].hex(":"), self.ip, other.ip)
        await self._ask(echo, lambda frame: frame[12:14] == b"\x08\x00")
        note("ping")

    async def _ask(self, frame: bytes, is_answer: Callable[[bytes], bool]) -> bytes:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()

        def take(received: bytes) -> None:
            if is_answer(received) and not answer.done():
                answer.set_result(received)

        def send() -> None:
            if not answer.done():
                self._send(frame)
                loop.call_later(RETRY, send)

        self._answers = take
        send()
        return await answer


def _turned_round(frame: bytes) -> bytes:
    """The echo reply to an echo request (RFC 792): addresses swapped, type 0, the checksum mended (RFC 1624)."""
    (checksum,) = struct.unpack_from("!H", frame, 36)
    mended = checksum + 0x0800
    mended = (mended & 0xFFFF) + (mended >> 16)
    ethernet, ip = frame[6:12] + frame[:6] + frame[12:14], frame[14:26] + frame[30:34] + frame[26:30]
    return ethernet + ip + b"\x00" + frame[35:36] + struct.pack("!H", mended) + frame[38:]
