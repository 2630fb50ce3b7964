"""A match taken apart: the rest and the terms together mean what the whole meant."""

from __future__ import annotations

import pytest

from ovine.language import (
    GroupTerm,
    Packet,
    SetTerm,
    StaticEnvironment,
    compile_parts,
    evaluate,
    format_match,
    masked_address,
    parse_match,
    separate,
    whole,
)

ALL_ONES = 0xFFFFFFFF


def test_sets_and_groups_at_the_top_come_out_with_their_prerequisites_left_behind() -> None:
    found = separate(parse_match("reg0[7] && (outport == @pg && ip4.src == {$a, $b, 10.0.0.1} && tcp.dst == 80)"))
    assert found.groups == (GroupTerm(whole("outport"), "pg"),)
    assert found.sets == (SetTerm(whole("ip4.src"), ("a", "b"), ((0x0A000001, ALL_ONES),)),)
    assert format_match(found.rest) == "reg0[7] && tcp.dst == 80 && ip4"


@pytest.mark.parametrize(
    "text",
    [
        "ip4.src != $a",
        "!(ip4.src == $a)",
        "ip4.src == $a || ip4.dst == $a",
        "ip4.src == $a && ip4.src == $b",
        "ip4.src[0..7] == $a && ip4.src == $b",
        "inport == {@pg, @other}",
        'inport == {@pg, "a"}',
        "inport == @pg && inport == @other",
        "tcp.dst == 80",
    ],
)
def test_what_need_not_hold_or_is_not_alone_on_its_field_stays(text: str) -> None:
    expr = parse_match(text)
    assert separate(expr) == (expr, (), ())


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("ip4", [0]),
        ("ip4 && tcp.dst >= 80 && tcp.dst < 86", [2]),
        ("ip", [0, 0]),
        ("ip4 && (tcp.dst == 80 || udp.dst == {53, 54})", [0, 2]),
        ("ip4 && ip6", []),
        ("tcp && tcp.src == {1, 4, 7} && tcp.dst == {2, 8}", [6, 6]),
    ],
)
def test_a_rest_has_one_part_for_each_ethernet_type_and_protocol(text: str, counts: list[int]) -> None:
    parts = compile_parts(parse_match(text), StaticEnvironment(), 64)
    assert parts is not None
    assert [len(part.choices) for part in parts] == counts
    for part in parts:
        used = [name for name, _, _ in part.base]
        assert "eth_type" in used and not set(used) & {name for choice in part.choices for name, _, _ in choice}


def test_a_rest_with_too_many_alternatives_is_refused() -> None:
    expr = parse_match("tcp.src == {1, 4, 7} && tcp.dst == {2, 8}")
    assert compile_parts(expr, StaticEnvironment(), 23) is None
    assert compile_parts(expr, StaticEnvironment(), 24) is not None


@pytest.mark.parametrize(
    "text",
    [
        "ip4 && tcp.dst >= 80 && tcp.dst < 86",
        "ip4 && (tcp.dst == 80 || udp.dst == {53, 84})",
        "ip && ip.ttl == {1, 3} && reg0[0..1] == {1, 2}",
        "(ip4 && ip4.src == 10.0.0.0/31 && tcp) || (ip4 && ip4.src == 10.0.0.1)",
    ],
)
def test_parts_match_what_the_text_matches(text: str) -> None:
    expr = parse_match(text)
    parts = compile_parts(expr, StaticEnvironment(), 64)
    assert parts is not None
    shapes = [{"nw_proto": p, "port": d} for p in (6, 17, 1) for d in (53, 79, 80, 84, 85, 86)]
    verdicts = set()
    for shape in shapes:
        for source in (0x0A000000, 0x0A000001):
            for ttl in (1, 2):
                values = {"eth.type": 0x800, "ip.proto": shape["nw_proto"], "ip4.src": source, "ip.ttl": ttl}
                ports = {"tcp.dst": shape["port"], "udp.dst": shape["port"], "reg0": ttl}
                packet = Packet.of({**values, **ports})
                found = any(
                    all(packet.openflow(name) & mask == value for name, value, mask in (*part.base, *choice))
                    for part in parts
                    for choice in part.choices or ((),)
                )
                assert found == evaluate(expr, packet)
                verdicts.add(found)
    assert verdicts == {True, False}


def test_an_address_fits_a_field_of_its_kind_only() -> None:
    assert masked_address("10.0.0.0/8", whole("ip4.src")) == (0x0A000000, 0xFF000000)
    assert masked_address("10.0.0.1", whole("ip6.src")) is None
    assert masked_address("fd00::1", whole("ip4.src")) is None
    assert masked_address("nonsense", whole("ip4.src")) is None
