"""DNS rows of the southbound."""

from __future__ import annotations

import msgspec

from ovine.model import nb
from ovine.model.base import StrMap
from ovine.northd import dns
from support.northd import Northbound, compiled, row_uuid, rules_run, start


def test_a_row_is_for_all_switches_that_name_it_and_has_names_in_lower_case() -> None:
    northbound = Northbound()
    northbound.apply("switch s1\nswitch s2\nswitch s3\ndns s1,s3 VM1.Test=10.0.0.1")
    row = northbound.rows[nb.DNS, row_uuid("dns")]
    northbound.put(msgspec.structs.replace(row, external_ids=StrMap({"ovn-owned": "true"})))
    engine = compiled(northbound)
    (made,) = engine.rows(dns.RECORDS).values()
    assert made.records == {"vm1.test": "10.0.0.1"}
    assert made.external_ids == {"ovn-owned": "true", "dns_id": row_uuid("dns")}
    assert len(made.datapaths) == 2
    northbound.apply("dns - VM1.Test=10.0.0.1")
    northbound.feed(engine)
    engine.run()
    assert not engine.rows(dns.RECORDS)


def test_a_further_record_runs_one_rule() -> None:
    northbound, engine = start("switch s1\nswitch s2\ndns s1,s2 vm1=10.0.0.1")
    assert rules_run(northbound, engine, "dns s1,s2 vm1=10.0.0.1 vm2=10.0.0.2") == ["dns.dns"]
