"""The field table and matches, judged by ovs-ofctl."""

import os_ken.ofproto.oxm_fields
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.openflow import ALIASES, FIELDS, PREREQUISITES, EncodeError, Flow, FlowMod, encode, match, normalise
from ovine.openflow.fields import canonical
from ovine.openflow.match import decode_match, encode_match, field_value
from ovine.openflow.text import match_text
from support import openflow_samples


def test_every_field_and_mask_means_the_same_to_ovs_ofctl(judge, parse_flows) -> None:
    flows = [Flow(0, 1, entries) for entries in openflow_samples.field_matches()]
    assert len(flows) > 150
    by_bytes = judge([encode(FlowMod("add", flow)) for flow in flows])
    assert not [line for line in by_bytes if "decode error" in line]
    # ovs-ofctl reads no IPv6 mask but a prefix.
    sayable = [i for i, flow in enumerate(flows) if not _has_odd_ipv6_mask(flow)]
    assert len(sayable) > len(flows) - 10
    by_text = parse_flows([f"table=0,priority=1,{match_text(flows[i].match)} actions=drop" for i in sayable])
    assert [by_bytes[i] for i in sayable] == by_text


def _has_odd_ipv6_mask(flow: Flow) -> bool:
    masks = [mask for name, _value, mask in flow.match if FIELDS[name].format == "ipv6" and mask]
    return any((mask ^ (1 << 128) - 1) & (mask ^ (1 << 128) - 1) + 1 for mask in masks)


def test_every_alias_is_a_field_of_the_man_page() -> None:
    assert {canonical(name) for name in ALIASES} <= set(FIELDS)
    assert not set(ALIASES) & set(FIELDS)


def test_prerequisites_name_fields() -> None:
    assert {field.prerequisite for field in FIELDS.values()} <= set(PREREQUISITES)
    for alternatives in PREREQUISITES.values():
        for conditions in alternatives:
            assert normalise(conditions) == tuple(sorted(conditions))


def test_numbers_and_widths_agree_with_os_ken() -> None:
    """os-ken's table of the OpenFlow basic class is an independent reading of the specification."""
    from os_ken.ofproto import ofproto_v1_5

    theirs = {
        (0x8000, kind.num & 0x7F): kind.type.size
        for kind in ofproto_v1_5.oxm_types
        if isinstance(kind, os_ken.ofproto.oxm_fields.OpenFlowBasic)
    }
    ours = {
        (int.from_bytes(field.header[:2], "big"), field.header[2] >> 1): field.n_bytes
        for field in FIELDS.values()
        if field.header[:2] == b"\x80\x00"
    }
    assert {key: size for key, size in ours.items() if key in theirs and theirs[key] != size} == {}
    assert len(set(ours) & set(theirs)) > 30


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        (match(nw_src=5, dl_type=0x800), (("eth_type", 0x800, None), ("ip_src", 5, None))),
        (match(ip_src=(0x0A0000FF, 0xFFFFFF00)), (("ip_src", 0x0A000000, 0xFFFFFF00),)),
        (match(ip_src=(5, 0)), ()),
        (match(reg0=(5, 0xFFFFFFFF)), (("reg0", 5, None),)),
        (match(xreg1=(1 << 40, 0xFF << 40)), (("reg2", 0x100, 0xFF00),)),
        (match(xxreg3=1), (("reg12", 0, None), ("reg13", 0, None), ("reg14", 0, None), ("reg15", 1, None))),
        (match(xxreg0=(5 << 64, 0xFF << 64), reg1=(0x500, 0xFF00)), (("reg1", 0x505, 0xFFFF),)),
        (match(vlan_tci=0), (("vlan_vid", 0, None),)),
        (match(vlan_tci=(0x1000, 0x1000)), (("vlan_vid", 0x1000, 0x1000),)),
        (match(vlan_tci=(0x7005, 0xFFFF)), (("vlan_pcp", 3, None), ("vlan_vid", 0x1005, None))),
        (match(vlan_vid=(0x1005, 0xFFFF)), (("vlan_vid", 0x1005, None),)),
        (match(nw_tos=0x28), (("ip_dscp", 10, None),)),
        (match(in_port=0xFFFE), (("in_port", 0xFFFFFFFE, None),)),
        (match(in_port_oxm=3), (("in_port", 3, None),)),
        (match(ct_state=(0x21, 0xFFFFFFFF)), (("ct_state", 0x21, None),)),
    ],
)
def test_a_match_has_one_normal_form(given, normal) -> None:
    assert given == normal


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"nosuch": 1}, "unknown OpenFlow field 'nosuch'"),
        ({"reg0": 1 << 32}, "does not fit"),
        ({"reg0": -1}, "does not fit"),
        ({"eth_type": (0x800, 0xFF00)}, "cannot be matched with a mask"),
        ({"reg0": 5, "xreg0": 0}, "contradictory match on reg0"),
        ({"vlan_tci": (0x2000, 0xE000)}, "presence of the tag"),
    ],
)
def test_a_match_that_cannot_be_said_is_refused(fields, says) -> None:
    with pytest.raises(EncodeError, match=says):
        match(**fields)


@st.composite
def entries(draw):
    field = draw(st.sampled_from([f for f in FIELDS.values() if not f.variable or f.name == "tun_metadata0"]))
    ones = 0xFFFFFFFF if field.variable else field.ones
    value = draw(st.integers(0, ones))
    mask = draw(st.none() | st.integers(0, ones)) if field.maskable else None
    return field.name, value, mask


@given(st.lists(entries(), max_size=6))
def test_what_is_encoded_is_decoded(given) -> None:
    try:
        normal = normalise(given)
    except EncodeError:
        return
    assert normalise(normal) == normal
    data = encode_match(normal)
    assert decode_match(data, 0, len(data)) == (normal, len(data))


def test_in_port_is_32_bits_in_a_match_and_16_in_an_action() -> None:
    assert encode_match(match(in_port=1))[4:12].hex() == "8000000400000001"
    assert field_value("in_port", 1, None).hex() == "000000020001"
