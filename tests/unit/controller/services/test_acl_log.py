"""Lines about packets in the log, and the meters that limit them."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.controller.services import Userdata
from ovine.controller.services.acl_log import Logger
from ovine.controller.services.packet_text import packet_text
from ovine.controller.tables import LOG_EGRESS, LOG_INGRESS
from ovine.model import sb
from ovine.model.schema import to_json
from ovine.openflow import PacketIn
from ovine.ovsdb import Replica
from ovine.ovsdb.plan import monitors_of, plan
from support.controller_world import uuid_of
from support.frames import build
from support.service_bed import Host, packet_in, userdata

FRAME = build("02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 udp 1>2")


def host(unit: str, rate: int, burst: int) -> Host:
    """One whose southbound database has a meter m1."""
    replica = Replica(sb.DATABASE)
    band, meter = uuid_of("band"), uuid_of("meter")
    rows = {
        "Meter_Band": {band: {"insert": {"action": "drop", "rate": rate, "burst_size": burst}}},
        "Meter": {meter: {"insert": {"name": "m1", "unit": unit, "bands": ["uuid", band]}}},
    }
    replica.apply(plan(sb.DATABASE, monitors_of(sb.DATABASE, None), to_json(sb.DATABASE)), rows)
    return Host(southbound=replica)


def lines(
    caplog: pytest.LogCaptureFixture, logger: Logger, carried: Userdata, at: Host, table: int = LOG_INGRESS
) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.INFO, "ovine.acl_log"):
        plain = packet_in(FRAME, carried)
        packet = PacketIn(plain.packet, plain.match, table, userdata=plain.userdata)
        assert list(logger(packet, carried, at)) == []
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(("table", "direction"), [(LOG_INGRESS + 9, "from-lport"), (LOG_EGRESS + 3, "to-lport")])
def test_a_line_says_which_acl_did_what_with_which_packet(
    caplog: pytest.LogCaptureFixture, table: int, direction: str
) -> None:
    carried = userdata('log(name="web", verdict=drop, severity=alert);')
    (line,) = lines(caplog, Logger(), carried, Host(), table)
    assert line == f'name="web", verdict=drop, severity=alert, direction={direction}: {packet_text(FRAME)}'


def test_an_acl_without_a_name_is_called_so(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = lines(caplog, Logger(), userdata("log(verdict=allow);"), Host())
    assert line.startswith('name="<unnamed>", verdict=allow, severity=info, ')


@pytest.mark.parametrize(("unit", "rate", "burst", "first"), [("pktps", 2, 3, 3), ("kbps", 1, 0, 2)])
def test_a_meter_limits_lines_and_fills_again(
    caplog: pytest.LogCaptureFixture, unit: str, rate: int, burst: int, first: int
) -> None:
    assert len(FRAME) * 8 == 376
    carried, logger, at = userdata('log(meter="m1");'), Logger(), host(unit, rate, burst)
    assert sum(len(lines(caplog, logger, carried, at)) for _ in range(10)) == first
    at.time += 1
    assert sum(len(lines(caplog, logger, carried, at)) for _ in range(10)) == 2
    at.time -= 100
    assert sum(len(lines(caplog, logger, carried, at)) for _ in range(10)) == 0


def test_a_meter_that_is_not_there_limits_nothing(caplog: pytest.LogCaptureFixture) -> None:
    carried, logger = userdata('log(meter="other");'), Logger()
    assert sum(len(lines(caplog, logger, carried, host("pktps", 1, 1))) for _ in range(10)) == 10


@settings(max_examples=2000, deadline=None)
@given(
    st.binary(max_size=120),
    st.sampled_from([b"", FRAME[:14], FRAME[:34], FRAME[:12] + b"\x86\xdd\x60", b"x" * 12 + b"\x08\x06"]),
)
def test_every_packet_has_a_text(rest: bytes, start: bytes) -> None:
    assert packet_text(start + rest).isascii()
