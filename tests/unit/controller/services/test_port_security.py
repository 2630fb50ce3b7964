"""How port security's flows grow, and what they are computed again for. What they do is judged by a real switch."""

from __future__ import annotations

import pytest

from ovine.controller import tables as t
from ovine.controller.flows import FLOWS
from ovine.controller.services.port_security_entries import Mac, Network, Rights, parse
from ovine.model import sb
from support.controller_world import World, uuid_of

SECURED = (t.IN_PORT_SEC, t.IN_PORT_SEC_IP, t.IN_PORT_SEC_ND, t.OUT_PORT_SEC, t.OUT_PORT_SEC_IP)


def world(*security: str) -> World:
    made = World()
    made.datapath("sw0", 1)
    made.port("a", "sw0", 1, port_security=security)
    made.port("b", "sw0", 2, port_security=("02:00:00:00:00:02 10.0.0.2",))
    made.interface("a", 10)
    made.engine.run()
    return made


def count(made: World) -> int:
    """The flows that single ports have."""
    rows = made.engine.table(FLOWS).rows
    return sum(key[0] in SECURED and any(name == t.DATAPATH for name, *_ in key[2]) for key in rows)


@pytest.mark.parametrize("form", ["10.0.0.{}", "fd00::{}", "10.{}.0.0/16"])
def test_flows_add_up_with_addresses(form: str) -> None:
    addresses = [form.format(number) for number in range(1, 31)]
    one, two, three = (count(world(" ".join(["02:00:00:00:00:01", *addresses[:n]]))) for n in (10, 20, 30))
    assert three - two == two - one > 0


def test_a_port_with_one_mac_and_one_address_costs_seven_flows() -> None:
    assert count(world("02:00:00:00:00:01 10.0.0.1")) == 7


def test_flows_add_up_with_elements() -> None:
    elements = [f"02:00:00:00:01:{n:02x} 10.0.0.{n} fd00::{n}" for n in range(1, 31)]
    one, two, three = (count(world(*elements[:n])) for n in (10, 20, 30))
    assert three - two == two - one > 0


def test_a_port_without_security_or_without_an_interface_has_no_flows() -> None:
    assert count(world()) == 0


def test_a_change_of_one_port_runs_nothing_for_another() -> None:
    made = world("02:00:00:00:00:01 10.0.0.1")
    made.interface("b", 11)
    made.engine.run()
    before = count(made)
    made.engine.log = log = []
    made.change(sb.PortBinding, uuid_of("port", "b"), port_security=("02:00:00:00:00:02 10.0.0.3 10.0.0.4",))
    made.engine.run()
    assert count(made) != before
    assert uuid_of("port", "b") in str(log)
    assert uuid_of("port", "a") not in str(log)


def test_flows_go_with_the_security() -> None:
    made = world("02:00:00:00:00:01 10.0.0.1")
    assert count(made) > 0
    made.change(sb.PortBinding, uuid_of("port", "a"), port_security=())
    made.engine.run()
    assert count(made) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("02:00:00:00:00:01", Rights((Mac(0x020000000001),), anything=True)),
        ("2:0:0:0:0:1,10.0.0.1", Rights((Mac(0x020000000001),), (Network(0x0A000001),))),
        (
            "02:00:00:00:00:01 10.0.0.1/24 10.0.1.0/24",
            Rights(
                (Mac(0x020000000001),),
                (Network(0x0A000001, None, 0x0A0000FF), Network(0x0A000100, 0xFFFFFF00, 0x0A0001FF)),
            ),
        ),
        (
            "02:00:00:00:00:01 10.0.0.1/32 0.0.0.0/0",
            Rights((Mac(0x020000000001),), (Network(0x0A000001), Network(0, 0, 0xFFFFFFFF))),
        ),
    ],
)
def test_elements_are_read(text: str, expected: Rights) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "02:00:00:00:00",
        "02:00:00:00:00:01/40",
        "02:00:00:00:00:01 10.0.0.1/33",
        "02:00:00:00:00:01 10.0.0.1/255.0.255.0",
        "VRRPv3",
        "VRRPv3 02:00:00:00:00:01",
        "VRRPv3 02:00:00:00:00:01 00:00:5e:00:01:00/49",
        "02:00:00:00:00:01 fe80::1%eth0",
    ],
)
def test_elements_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)
