"""The asyncio shell, with a peer in the test that speaks as a switch would, or as none should."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ovine.openflow import (
    BarrierReply,
    BarrierRequest,
    Connection,
    EchoReply,
    EchoRequest,
    FeaturesRequest,
    Flow,
    FlowDesc,
    FlowMod,
    FlowStatsRequest,
    Hello,
    PacketIn,
    PacketOut,
    ProtocolError,
    Received,
    decode,
    encode,
)

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _read(reader: asyncio.StreamReader):
    head = await reader.readexactly(8)
    return decode(head + await reader.readexactly(int.from_bytes(head[2:4], "big") - 8))


@asynccontextmanager
async def peer(talk: Talk, tmp_path):
    """A listening socket whose every connection is greeted and then handed to `talk`."""

    async def serve(reader, writer) -> None:
        writer.write(encode(Hello(), 1))
        try:
            await _read(reader)
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    path = tmp_path / "sock"
    server = await asyncio.start_unix_server(serve, path)
    try:
        yield f"unix:{path}"
    finally:
        server.close()


async def test_a_closed_connection_fails_what_awaits_it(tmp_path) -> None:
    async def hang_up(reader, writer) -> None:
        await _read(reader)

    async with peer(hang_up, tmp_path) as target:
        connection = await Connection.open(target)
        with pytest.raises(ConnectionResetError):
            await connection.barrier()
        with pytest.raises(ConnectionResetError):
            await connection.send(BarrierRequest())
        with pytest.raises(ConnectionResetError):
            async for _event in connection:
                pass
        assert connection.closed
        await connection.close()


async def test_garbage_from_the_switch_ends_the_connection_with_its_reason(tmp_path) -> None:
    async def babble(reader, writer) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await _read(reader)

    async def listen(target: str) -> None:
        async with await Connection.open(target) as connection:
            async for _event in connection:
                pass

    # The words may come with the hello, and then the connection is never opened.
    async with peer(babble, tmp_path) as target:
        with pytest.raises(ProtocolError, match="version 0x48"):
            await listen(target)


async def test_a_target_that_is_none_is_refused(tmp_path) -> None:
    for target in ("br-int", "unix:", "tcp:host", "ssl:h:1"):
        with pytest.raises(ValueError, match=r"unix:PATH or tcp:HOST:PORT"):
            await Connection.open(target)
    with pytest.raises(FileNotFoundError):
        await Connection.open(f"unix:{tmp_path}/nobody")


async def test_a_silent_peer_is_given_up(tmp_path) -> None:
    async def silence(reader, writer) -> None:
        await asyncio.Event().wait()

    server = await asyncio.start_unix_server(silence, tmp_path / "mute")
    try:
        with pytest.raises(TimeoutError):
            await Connection.open(f"unix:{tmp_path}/mute", within=0.05)
    finally:
        server.close()


async def test_probes_find_a_switch_that_went_away(tmp_path) -> None:
    probes = []

    async def ignore(reader, writer) -> None:
        while True:
            probes.append((await _read(reader))[1])

    async with peer(ignore, tmp_path) as target, await Connection.open(target, probe_interval=0.05) as connection:
        with pytest.raises(TimeoutError, match="silent"):
            async for _event in connection:
                pass
    assert probes == [EchoRequest()]


async def test_an_answered_probe_keeps_the_connection(tmp_path) -> None:
    probed = asyncio.Event()

    async def answer(reader, writer) -> None:
        for _ in range(3):
            xid, message = await _read(reader)
            assert message == EchoRequest()
            writer.write(encode(EchoReply(), xid))
        probed.set()
        xid, message = await _read(reader)
        while message != BarrierRequest():
            writer.write(encode(EchoReply(), xid))
            xid, message = await _read(reader)
        writer.write(encode(BarrierReply(), xid))
        await _read(reader)

    async with peer(answer, tmp_path) as target, await Connection.open(target, probe_interval=0.05) as connection:
        async with asyncio.timeout(10):
            await probed.wait()
            await connection.barrier()


async def test_a_flood_of_packet_ins_is_cut_and_counted_and_blocks_nothing(tmp_path) -> None:
    async def flood(reader, writer) -> None:
        for number in range(100):
            writer.write(encode(PacketIn(bytes((number,)))))
        xid, _message = await _read(reader)
        writer.write(encode(BarrierReply(), xid))
        await _read(reader)

    async with peer(flood, tmp_path) as target, await Connection.open(target, packet_in_limit=10) as connection:
        await connection.barrier()
        assert connection.dropped_packet_ins == 90
        seen = []
        async for event in connection:
            assert isinstance(event, Received)
            assert isinstance(event.message, PacketIn)
            seen.append(event.message.packet[0])
            if len(seen) == 10:
                break
        assert seen == list(range(10))


async def test_the_parts_of_a_multipart_reply_are_joined(tmp_path) -> None:
    def part(xid: int, flags: int, body: bytes) -> bytes:
        head = bytes((6, 19)) + (16 + len(body)).to_bytes(2, "big") + xid.to_bytes(4, "big")
        return head + bytes((0, 1, 0, flags, 0, 0, 0, 0)) + body

    # length, table 3, priority 7, cookie 5; an empty match; no statistics; no instructions.
    fixed = "0028 0000 0300 0007 0000000000000000 0000000000000005"
    desc = bytes.fromhex(fixed + "0001000400000000 0000000400000000")

    async def answer(reader, writer) -> None:
        xid, _message = await _read(reader)
        writer.write(part(xid, 1, desc * 2) + part(xid, 1, b"") + part(xid, 0, desc))
        await _read(reader)

    async with peer(answer, tmp_path) as target, await Connection.open(target) as connection:
        assert await connection.multipart(FlowStatsRequest()) == [FlowDesc(Flow(3, 7, (), (), 5))] * 3


async def test_sending_waits_for_a_slow_switch(tmp_path) -> None:
    go = asyncio.Event()
    received = []

    async def slow(reader, writer) -> None:
        await go.wait()
        while True:
            received.append((await _read(reader))[1])
            if isinstance(received[-1], FeaturesRequest):
                break

    async with peer(slow, tmp_path) as target, await Connection.open(target) as connection:
        messages = [PacketOut(1, (), bytes(60000))] * 100
        sending = asyncio.create_task(connection.send(*messages, FeaturesRequest()))
        done, _pending = await asyncio.wait([sending], timeout=0.2)
        assert not done
        go.set()
        assert len(await asyncio.wait_for(sending, 10)) == 101
        async with asyncio.timeout(10):
            with pytest.raises(ConnectionResetError):
                async for _event in connection:
                    pass
    assert received == [*messages, FeaturesRequest()]


async def test_messages_go_out_in_the_order_of_the_calls(tmp_path) -> None:
    received = []

    async def collect(reader, writer) -> None:
        while True:
            xid, message = await _read(reader)
            received.append(message)
            if isinstance(message, BarrierRequest):
                writer.write(encode(BarrierReply(), xid))

    mods = [FlowMod("add", Flow(0, number, ())) for number in range(600)]
    async with peer(collect, tmp_path) as target, await Connection.open(target) as connection:
        await connection.send(*mods[:500])
        await connection.send(*mods[500:])
        await connection.barrier()
    assert received == [*mods, BarrierRequest()]


async def test_tcp_works_as_unix_sockets_do() -> None:
    async def serve(reader, writer) -> None:
        writer.write(encode(Hello(), 1))
        await _read(reader)
        xid, _message = await _read(reader)
        writer.write(encode(BarrierReply(), xid))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        async with await Connection.open(f"tcp:127.0.0.1:{port}") as connection:
            await connection.barrier()
    finally:
        server.close()


async def test_a_request_given_up_leaves_the_connection_usable(tmp_path) -> None:
    async def late(reader, writer) -> None:
        first, _message = await _read(reader)
        second, _message = await _read(reader)
        writer.write(encode(BarrierReply(), first) + encode(BarrierReply(), second))
        await _read(reader)

    async with peer(late, tmp_path) as target, await Connection.open(target) as connection:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.barrier(), 0.05)
        await asyncio.wait_for(connection.barrier(), 10)
