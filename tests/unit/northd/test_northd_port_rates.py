"""The numbers of queues: who has which, and how long."""

from __future__ import annotations

from ovine.engine import Engine
from ovine.northd import ports, queues
from support.northd import rules_run, start

CLOUD = """
switch s1
port s1 a options:qos_max_rate=1000000 options:qos_burst=5000
port s1 b options:qos_max_rate=1000000
port s1 c options:qos_max_rate=1000000
port s1 plain
bind a h1
bind b h1
bind c h2
bind plain h1
"""


def numbers(engine: Engine) -> dict[str, str | None]:
    return {
        name: row.options.get(queues.NUMBER) for name, row in engine.rows(ports.PORT_BINDINGS).items() if len(name) == 1
    }


def test_each_port_has_a_number_on_its_chassis_and_hosts_are_told_with_the_rates() -> None:
    _, engine = start(CLOUD)
    assert numbers(engine) == {"a": "1", "b": "2", "c": "1"}
    assert engine.rows(ports.PORT_BINDINGS)["a"].options == {
        "qos_max_rate": "1000000",
        "qos_burst": "5000",
        "qdisc_queue_id": "1",
    }
    assert queues.NUMBER not in engine.rows(ports.PORT_BINDINGS)["plain"].options


def test_a_number_stays_while_others_come_and_go_and_changes_with_the_chassis() -> None:
    northbound, engine = start(CLOUD)
    rules_run(northbound, engine, "port s1 a")
    assert numbers(engine) == {"a": None, "b": "2", "c": "1"}
    rules_run(northbound, engine, "bind c h1")
    assert numbers(engine) == {"a": None, "b": "2", "c": "1"}
    rules_run(northbound, engine, "bind c")
    assert numbers(engine) == {"a": None, "b": "2", "c": None}
    rules_run(northbound, engine, "port s1 b options:qos_max_rate=2000000\nport s1 a options:qos_min_rate=1")
    assert numbers(engine) == {"a": "1", "b": "2", "c": None}


def test_what_a_port_without_rates_does_asks_for_no_queue() -> None:
    northbound, engine = start(CLOUD)
    ran = rules_run(northbound, engine, "bind plain h2\nport s1 more")
    assert not [name for name in ran if name.startswith(("queues.", "port_rates."))]
