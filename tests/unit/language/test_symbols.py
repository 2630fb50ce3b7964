"""The tables of symbols and the layout of Open vSwitch's fields."""

from __future__ import annotations

import pytest

from ovine.language import FIELDS, PREDICATES, Subfield, format_match, openflow_subfield, parse_match, whole
from ovine.language.layout import FIELDS as PLACES
from ovine.language.layout import VIEWS, fields_in, place_of
from ovine.language.symbols import OVN_FIELDS


def test_places_do_not_overlap() -> None:
    assert sum(place.mask for place in PLACES.values()).bit_count() == sum(place.width for place in PLACES.values())


def test_register_views_have_reg0_on_top() -> None:
    for n in range(2):
        for k in range(4):
            assert place_of(f"reg{4 * n + k}").offset == VIEWS[f"xxreg{n}"].offset + 32 * (3 - k)
    for n in range(5):
        for k in range(2):
            assert place_of(f"reg{2 * n + k}").offset == VIEWS[f"xreg{n}"].offset + 32 * (1 - k)


def test_every_field_lies_within_its_open_vswitch_field() -> None:
    for field in FIELDS.values():
        assert field.offset + field.width <= place_of(field.openflow).width, field.name


def test_every_prerequisite_and_every_predicate_parses() -> None:
    for field in FIELDS.values():
        if field.prerequisite:
            parse_match(field.prerequisite)
    for field in OVN_FIELDS.values():
        parse_match(field.prerequisite)
    for name, expansion in PREDICATES.items():
        assert format_match(parse_match(name)) == name
        parse_match(expansion)


def test_names_are_either_field_predicate_or_written_only() -> None:
    assert not set(FIELDS) & set(PREDICATES)
    assert not set(OVN_FIELDS) & (set(FIELDS) | set(PREDICATES))


@pytest.mark.parametrize(
    ("subfield", "expected"),
    [
        (whole("inport"), ("reg14", 0, 32)),
        (whole("outport"), ("reg15", 0, 32)),
        (whole("flags"), ("reg10", 0, 32)),
        (whole("flags.loopback"), ("reg10", 0, 1)),
        (whole("flags.network_id"), ("reg10", 28, 4)),
        (Subfield("reg0", 3, 1), ("reg0", 3, 1)),
        (Subfield("xxreg1", 32, 64), ("xxreg1", 32, 64)),
        (whole("vlan.pcp"), ("vlan_tci", 13, 3)),
        (Subfield("vlan.pcp", 1, 2), ("vlan_tci", 14, 2)),
        (whole("ip4.src"), ("ip_src", 0, 32)),
        (whole("ct.dnat"), ("ct_state", 7, 1)),
        (whole("ct_label.ecmp_reply_eth"), ("ct_label", 32, 48)),
        (Subfield("ct_mark.ecmp_reply_port", 4, 2), ("ct_mark", 20, 2)),
        (whole("rarp.tpa"), ("arp_tpa", 0, 32)),
    ],
)
def test_subfields_resolve_to_bits_of_open_vswitch_fields(subfield: Subfield, expected: tuple[str, int, int]) -> None:
    assert openflow_subfield(subfield) == expected


def test_fields_are_found_again_by_their_bits() -> None:
    mask = place_of("reg3").mask | place_of("ip_src").mask & place_of("ip_src").mask << 8
    assert fields_in(mask) == (
        ("ip_src", place_of("ip_src").offset, 0xFFFFFF00),
        ("reg3", place_of("reg3").offset, 0xFFFFFFFF),
    )
