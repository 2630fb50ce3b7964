"""Mirrors in the southbound, and which bindings name them."""

from __future__ import annotations

import msgspec

from ovine.engine import Engine
from ovine.model import nb
from ovine.northd import mirrors, ports
from support.northd import Northbound, compiled, row_uuid


def made(sink: str) -> Engine:
    northbound = Northbound()
    northbound.apply("switch s1\nport s1 a addresses='0a:00:00:00:00:01'\nport s1 b addresses='0a:00:00:00:00:02'")
    key = row_uuid("mirror")
    northbound.put(nb.Mirror(uuid=key, name="m", filter="to-lport", sink=sink, type="gre", index=7))
    port = northbound.rows[nb.LogicalSwitchPort, row_uuid("port a")]
    northbound.put(msgspec.structs.replace(port, mirror_rules=(key, row_uuid("gone"))))
    return compiled(northbound)


def test_a_mirror_is_copied_down_and_named_by_its_ports() -> None:
    engine = made("10.0.0.9")
    ((_, row),) = engine.rows(mirrors.MIRRORS).items()
    assert (row.name, row.filter, row.sink, row.type, row.index) == ("m", "to-lport", "10.0.0.9", "gre", 7)
    rows = engine.rows(ports.PORT_BINDINGS)
    assert len(rows["a"].mirror_rules) == 1 and rows["b"].mirror_rules == ()
    assert engine.failures() == []


def test_a_mirror_that_leads_nowhere_is_reported() -> None:
    engine = made("nowhere")
    (failure,) = engine.failures()
    assert "mirror m mirrors nothing: 'nowhere' is not an IP address" in failure.error
    assert not engine.rows(mirrors.MIRRORS)
