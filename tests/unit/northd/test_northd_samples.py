"""Samples of what is dropped: which shared flows take them, and what turning them on and off does."""

from __future__ import annotations

import pytest

from ovine.northd.flows import FLOWS
from ovine.northd.pipeline import IN_RULING
from support.northd import Northbound, compiled

ON = "global default_acl_drop=true debug_drop_domain_id=9 debug_drop_collector_set=100"
CLOUD = """
    switch s1
    port s1 p1 addresses="0a:00:00:00:00:01 10.0.0.1"
    acl s1 a1 to-lport 5 "tcp" drop
    router r
    rport r r-s 0a:00:00:00:00:02 10.0.0.254/24
    port s1 s1-r type=router options:router-port=r-s
    global default_acl_drop=true
"""


def test_every_flow_that_drops_takes_a_sample_but_those_that_carry_a_denial_out() -> None:
    northbound = Northbound()
    northbound.apply(CLOUD + ON)
    rows = compiled(northbound).rows(FLOWS).values()
    carried = [row for row in rows if row.match == IN_RULING.denied.field and row.actions.endswith("drop;")]
    assert len(carried) == 2
    for row in rows:
        deciding = row not in carried and ("drop" in row.actions or f"{IN_RULING.denied.field} = 1" in row.actions)
        assert ("sample(" in row.actions) == deciding, row


def test_flows_change_as_samples_are_wanted_and_no_more() -> None:
    northbound = Northbound()
    northbound.apply(CLOUD)
    engine = compiled(northbound)
    before = {key: row.actions for key, row in engine.rows(FLOWS).items()}
    for commands in (ON, "global default_acl_drop=true debug_drop_domain_id=9"):
        northbound.apply(commands)
        northbound.feed(engine)
        engine.run()
    assert {key: row.actions for key, row in engine.rows(FLOWS).items()} == before


@pytest.mark.parametrize("domain", ["256", "x", "0", ""])
def test_a_domain_that_is_no_number_of_8_bits_samples_nothing(domain: str) -> None:
    northbound = Northbound()
    northbound.apply(f"{CLOUD}\nglobal debug_drop_domain_id={domain} debug_drop_collector_set=100")
    assert not [row for row in compiled(northbound).rows(FLOWS).values() if "sample(" in row.actions]
