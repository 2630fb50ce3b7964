"""Addresses that northd gives out, and tags of nested ports."""

from __future__ import annotations

import msgspec
import pytest

from ovine.engine import Engine
from ovine.model import nb
from ovine.northd import ipam, ports
from support.northd import Northbound, compiled, row_uuid

CLOUD = "global mac_prefix=0a:00:aa\nswitch s1 subnet=192.168.1.0/24"


def made(text: str) -> tuple[Northbound, Engine]:
    northbound = Northbound()
    northbound.apply(f"{CLOUD}\n{text}")
    return northbound, compiled(northbound)


def again(northbound: Northbound, engine: Engine, text: str) -> None:
    northbound.apply(text)
    northbound.feed(engine)
    engine.run()


def given(engine: Engine) -> dict[str, str]:
    names = {key: row.name for key, row in engine.rows(nb.LogicalSwitchPort).items()}
    return {names[key]: entry for key, entry in engine.rows(ipam.DYNAMIC).items()}


def errors(engine: Engine) -> list[str]:
    return [failure.error.partition(": ")[2] for failure in engine.failures()]


def written(northbound: Northbound, engine: Engine) -> None:
    """Writes back to the northbound what northd says."""
    for key, row in engine.rows(ports.STATES).items():
        before = northbound.rows[nb.LogicalSwitchPort, key]
        new = {"tag": row.tag, "dynamic_addresses": row.dynamic_addresses}
        northbound.put(msgspec.structs.replace(before, **new))


def test_addresses_come_from_the_subnet_and_are_made_into_ethernet_addresses() -> None:
    _, engine = made(
        "port s1 a addresses=dynamic\nport s1 b addresses=dynamic\nport s1 c addresses='0a:00:00:00:00:07'"
    )
    assert given(engine) == {"a": "0a:00:aa:a8:01:03 192.168.1.2", "b": "0a:00:aa:a8:01:04 192.168.1.3"} or given(
        engine
    ) == {"b": "0a:00:aa:a8:01:03 192.168.1.2", "a": "0a:00:aa:a8:01:04 192.168.1.3"}
    rows = engine.rows(ports.PORT_BINDINGS)
    assert rows["a"].mac == (given(engine)["a"],)
    assert engine.rows(ports.STATES)[row_uuid("port b")].dynamic_addresses == given(engine)["b"]
    assert engine.rows(ports.PORTS)[row_uuid("port a")].owned[0].mac == given(engine)["a"].split()[0]


def test_what_others_have_and_what_is_excluded_is_not_given_out() -> None:
    excluded = "switch s1 subnet=192.168.1.0/24 exclude_ips='192.168.1.3..192.168.1.5 192.168.1.8'"
    static = "port s1 x addresses='0a:00:00:00:00:07 192.168.1.2/24 192.168.1.7'"
    asking = "\n".join(f"port s1 p{n} addresses=dynamic" for n in range(3))
    _, engine = made(f"{excluded}\n{static}\n{asking}")
    assert {entry.split()[1] for entry in given(engine).values()} == {"192.168.1.6", "192.168.1.9", "192.168.1.10"}


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("dynamic 192.168.1.77", "0a:00:aa:a8:01:4e 192.168.1.77"),
        ("0a:00:00:00:00:99 dynamic", "0a:00:00:00:00:99 192.168.1.2"),
        ("dynamic 192.168.1.77 fd00::77", "0a:00:aa:a8:01:4e 192.168.1.77 fd00::77"),
    ],
)
def test_a_port_may_choose_a_part(asked: str, got: str) -> None:
    _, engine = made(f"port s1 a addresses='{asked}'")
    assert given(engine) == {"a": got}


@pytest.mark.parametrize(
    ("settings", "got"),
    [
        ("ipv6_prefix=fd01::", "0a:00:aa:00:00:01 fd01::800:aaff:fe00:1"),
        ("mac_only=true", "0a:00:aa:00:00:01"),
        ("subnet=10.0.0.0/24 ipv6_prefix=fd01::", "0a:00:aa:00:00:03 10.0.0.2 fd01::800:aaff:fe00:3"),
    ],
)
def test_a_switch_may_give_other_kinds_of_addresses(settings: str, got: str) -> None:
    _, engine = made(f"switch s2 {settings}\nport s2 a addresses=dynamic")
    assert given(engine) == {"a": got}


def test_a_port_keeps_what_it_has_also_through_a_restart() -> None:
    northbound, engine = made("port s1 a addresses=dynamic\nport s1 b addresses=dynamic\nport s1 c addresses=dynamic")
    before = given(engine)
    first = min(before, key=lambda name: before[name])
    written(northbound, engine)
    again(northbound, engine, f"delete {first}")
    del before[first]
    assert given(engine) == before
    assert given(compiled(northbound)) == before
    again(northbound, engine, "port s1 d addresses=dynamic")
    assert given(engine).items() > before.items()


def test_a_port_that_was_given_an_address_keeps_it_from_who_takes_it() -> None:
    northbound, engine = made("port s1 a addresses=dynamic")
    written(northbound, engine)
    again(northbound, engine, "port s1 b addresses='0a:00:00:00:00:07 192.168.1.2'")
    assert given(engine) == {"a": "0a:00:aa:a8:01:03 192.168.1.2"}
    assert "192.168.1.2 is kept by the port that was given it" in errors(engine)


def test_what_cannot_be_given_is_reported() -> None:
    asking = "\n".join(f"port s2 p{n} addresses=dynamic" for n in range(2))
    text = f"""
    switch s2 subnet=10.0.0.0/30
    switch s3
    {asking}
    port s1 a addresses='0a:00:00:00:00:07 192.168.1.9'
    port s1 b addresses='dynamic 192.168.1.9'
    port s1 c addresses='dynamic 10.9.9.9'
    port s1 d addresses='dynamic nonsense'
    port s3 e addresses=dynamic
    """
    _, engine = made(text.replace("    ", ""))
    found = sorted(errors(engine))
    assert len(found) == 5 and given(engine).keys() <= {"p0", "p1"} and len(given(engine)) == 1
    assert found[0] == "port b: 192.168.1.9 cannot be given: it is taken, excluded, or not one of 192.168.1.0/24"
    assert found[2] == "port d: 'nonsense' is not an IPv4 address"
    assert found[3] == "port e: asks for an address, and switch s3 has none to give"
    assert found[4].endswith("no address is left in 10.0.0.0/30")


def test_settings_that_make_no_sense_are_reported() -> None:
    settings = "subnet=10.0.0.0/33 ipv6_prefix=x"
    _, engine = made(f"switch s2 {settings}\nswitch s3 subnet=10.0.0.0/24 exclude_ips='x 10.1.0.1 10.0.0.9..10.0.0.2'")
    assert sorted(errors(engine)) == [
        "switch s2: subnet '10.0.0.0/33' is not an IPv4 network; ipv6_prefix 'x' is not an IPv6 address",
        "switch s3: exclude_ips: 'x' is neither an IPv4 address nor a range; "
        "exclude_ips: 10.1.0.1 is not within 10.0.0.0/24; exclude_ips: 10.0.0.9..10.0.0.2 is not within 10.0.0.0/24",
    ]


def test_a_prefix_of_our_own_is_written_down_if_somebody_needs_it() -> None:
    northbound = Northbound()
    northbound.apply("switch s1 mac_only=true")
    engine = compiled(northbound)
    assert not engine.rows(ipam.PREFIX)
    again(northbound, engine, "port s1 a addresses=dynamic")
    ((_, prefix),) = engine.rows(ipam.PREFIX).items()
    assert given(engine)["a"] == f"{prefix}:00:00:01" and int(prefix[:2], 16) & 3 == 2
    again(northbound, engine, f"global mac_prefix={prefix}")
    assert given(engine)["a"] == f"{prefix}:00:00:01" and not engine.rows(ipam.PREFIX)


def test_cost_of_a_further_port_does_not_depend_on_the_others() -> None:
    northbound, engine = made("\n".join(f"port s1 p{n} addresses=dynamic" for n in range(20)))
    northbound.apply("port s1 late addresses=dynamic")
    engine.log = []
    northbound.feed(engine)
    engine.run()
    late = row_uuid("port late")
    ran = {key for name, key in engine.log if name.startswith("northd.ipam")}
    assert ran <= {late, (row_uuid("s1"), str(late))}


# --- tags -------------------------------------------------------------------------------------------------------------


def tags(engine: Engine) -> dict[str, int | None]:
    names = {key: row.name for key, row in engine.rows(nb.LogicalSwitchPort).items()}
    return {names[key]: row.tag for key, row in engine.rows(ports.STATES).items()}


def test_nested_ports_are_given_tags_that_their_parent_has_free() -> None:
    northbound, engine = made(
        "port s1 p\nport s1 a parent_name=p tag_request=0\nport s1 b parent_name=p tag_request=1\n"
        "port s1 c parent_name=other tag_request=0\nport s1 d tag_request=7\nport s1 e tag_request=0"
    )
    assert tags(engine) == {"p": None, "a": 2, "b": 1, "c": 1, "d": 7, "e": None}
    assert engine.rows(ports.PORT_BINDINGS)["a"].tag == 2
    written(northbound, engine)
    again(northbound, engine, "delete b")
    assert tags(engine)["a"] == 2 and tags(compiled(northbound))["a"] == 2
