"""Actions: judged by ovs-ofctl, read back, and refused when they make no sense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.openflow import (
    FIELDS,
    Clone,
    Conjunction,
    Controller,
    Ct,
    EncodeError,
    Flow,
    FlowMod,
    GotoTable,
    Group,
    Learn,
    LearnLoad,
    LearnMatch,
    LearnOutput,
    Load,
    Meter,
    Move,
    Nat,
    Note,
    Output,
    OutputReg,
    Pop,
    Push,
    Raw,
    Resubmit,
    SetField,
    SetQueue,
    decode,
    encode,
    flow_text,
)
from ovine.openflow.action_codec import ENCODERS, decode_actions, encode_actions
from support import openflow_samples


def test_every_kind_of_action_has_a_sample() -> None:
    def kinds(actions):
        for action in actions:
            yield type(action)
            yield from kinds(getattr(action, "actions", ()))

    sampled = {kind for _match, actions in openflow_samples.ACTIONS for kind in kinds(actions)}
    assert set(ENCODERS) - {Raw} <= sampled


def test_every_action_means_to_ovs_ofctl_what_its_text_says(judge, parse_flows) -> None:
    flows = [Flow(2, 100, entries, actions) for entries, actions in openflow_samples.ACTIONS]
    by_bytes = judge([encode(FlowMod("add", flow)) for flow in flows])
    assert by_bytes == parse_flows([flow_text(flow) for flow in flows])
    assert not [line for line in by_bytes if "decode error" in line]


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (Load(("reg10", 3, 1), 1), "set_field:0x8/0x8->reg10"),
        (Move("reg14", 0, "tun_metadata0", 16, 15), "move:NXM_NX_REG14[0..14]->NXM_NX_TUN_METADATA0[16..30]"),
        (Resubmit(None, 33), "resubmit(,33)"),
        (Conjunction(4096, 2, 3), "conjunction(4096,2/3)"),
        (Controller(b"\0\5", pause=True, meter_id=7), "controller(userdata=00.05,pause,meter_id=7)"),
        (OutputReg(("reg15", 0, 32)), "output:NXM_NX_REG15[]"),
        (Note(b"\1"), "note:01.00.00.00.00.00"),
        (Clone((Output(1),)), "clone(output:1)"),
        (Ct(zone=("reg13", 0, 16), table=4, actions=(Nat(),)), "ct(table=4,zone=NXM_NX_REG13[0..15],nat)"),
        (Push("xxreg0", 32, 64), "push:NXM_NX_XXREG0[32..95]"),
        (Pop("eth_src", 0, 48), "pop:NXM_OF_ETH_SRC[]"),
    ],
)
def test_ovs_ofctl_prints_the_bytes_as(judge, action, text) -> None:
    given = (("eth_type", 0x800, None),)
    (line,) = judge([encode(FlowMod("add", Flow(0, 1, given, (action,))))])
    assert line.endswith(f"actions={text}")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Output("nowhere"), "no reserved OpenFlow port is named 'nowhere'"),
        (lambda: Output(1 << 32), "not between"),
        (lambda: Output("CONTROLLER"), "use Controller"),
        (lambda: SetField("reg0", 1 << 32), "does not fit 32 bits"),
        (lambda: SetField("nosuch", 1), "unknown OpenFlow field"),
        (lambda: Load(("reg0", 30, 4), 1), "not inside"),
        (lambda: Load(("reg0", 0, 4), 16), "does not fit 4 bits"),
        (lambda: Nat("src", "10.0.0.1", "fd00::1"), "mixes IPv4 and IPv6"),
        (lambda: Nat("src", "10.0.0.9", "10.0.0.1"), "is empty"),
        (lambda: Nat("src", "ten"), "NAT range"),
        (lambda: Nat("", "10.0.0.1"), "needs a direction"),
        (lambda: Ct(force=True), "needs commit"),
        (lambda: Ct(zone=("reg13", 0, 8)), "not 16 bits"),
        (lambda: Conjunction(1, 0, 2), "conjunction clause"),
        (lambda: Conjunction(1, 3, 2), "conjunction clause"),
        (lambda: Controller(reason="boredom"), "unknown packet-in reason 'boredom'"),
        (lambda: LearnMatch(("reg0", 0, 8), ("reg1", 0, 9)), "differ in width"),
        (lambda: Learn(255, ()), "learn table"),
        (lambda: encode_actions((GotoTable(1),)), "cannot stand"),
        (lambda: encode_actions((Meter(-1),)), "Meter"),
        (lambda: encode_actions((Controller(bytes(70000)),)), "too large"),
        (lambda: encode_actions((Resubmit(70000, 1),)), "no 16-bit OpenFlow number"),
        (lambda: encode(FlowMod("add", Flow(0, 1, (), (GotoTable(1), Output(1))))), "behind all actions"),
        (lambda: encode(FlowMod("add", Flow(300, 1, ()))), "FlowMod"),
        (lambda: encode(FlowMod("add", Flow(0, 1, (), (Output(1),) * 5000))), "more than an OpenFlow message"),
    ],
)
def test_nonsense_is_refused_in_words(make, says) -> None:
    with pytest.raises(EncodeError, match=says):
        make()


def test_an_unknown_action_is_kept_byte_for_byte() -> None:
    foreign = bytes.fromhex("ffff0010 0000abcd 0001020304050607".replace(" ", ""))
    assert decode_actions(foreign, 0, 16) == (Raw(foreign),)
    assert encode_actions((Raw(foreign),)) == foreign


_NAMES = sorted(name for name in FIELDS if not name.startswith("tun_metadata"))


@st.composite
def subfields(draw, bits=None):
    name = draw(st.sampled_from([n for n in _NAMES if bits is None or FIELDS[n].bits >= bits]))
    size = bits or draw(st.integers(1, min(FIELDS[name].bits, 64)))
    return name, draw(st.integers(0, FIELDS[name].bits - size)), size


@st.composite
def set_fields(draw):
    name = draw(st.sampled_from(_NAMES))
    ones = FIELDS[name].ones
    return SetField(name, draw(st.integers(0, ones)), draw(st.none() | st.integers(0, ones)))


@st.composite
def specs(draw):
    dst = draw(subfields())
    src = draw(st.integers(0, (1 << dst[2]) - 1) | subfields(bits=dst[2]))
    return draw(st.sampled_from([LearnMatch(dst, src), LearnLoad(dst, src), LearnOutput(dst)]))


ports = st.integers(0, 0xFEFF)
simple = st.one_of(
    st.builds(Output, ports),
    st.builds(Resubmit, st.none() | ports, st.none() | st.integers(0, 255), st.booleans()),
    set_fields(),
    subfields().map(lambda sub: Push(*sub)),
    subfields().map(lambda sub: Pop(*sub)),
    subfields().filter(lambda sub: len(FIELDS[sub[0]].header) == 4).map(OutputReg),
    st.builds(Group, st.integers(0, 1 << 31)),
    st.builds(SetQueue, st.integers(0, 0xFFFFFFFF)),
    st.builds(Note, st.binary(max_size=40)),
    st.builds(
        Controller,
        st.binary(max_size=30),
        st.booleans(),
        st.none() | st.integers(1, 1000),
        st.integers(0, 0xFFFF),
        st.sampled_from(["action", "no_match", "invalid_ttl"]),
        st.integers(0, 0xFFFF),
    ),
    st.builds(Nat, st.sampled_from(["src", "dst"]), st.sampled_from(["", "10.0.0.1", "fd00::5"]), hash=st.booleans()),
    st.builds(
        Learn,
        st.integers(0, 254),
        st.lists(specs(), max_size=5).map(tuple),
        idle_timeout=st.integers(0, 0xFFFF),
        cookie=st.integers(0, (1 << 64) - 1),
        limit=st.integers(0, 5),
        result=st.none() | st.just(("reg3", 7, 1)),
    ),
)
nested = st.recursive(
    st.lists(simple, max_size=4).map(tuple),
    lambda inner: st.tuples(
        st.builds(Clone, inner)
        | st.builds(
            Ct, st.booleans(), zone=st.integers(0, 0xFFFF), table=st.none() | st.integers(0, 254), actions=inner
        )
    ),
    max_leaves=6,
)


@given(nested)
def test_what_is_encoded_is_decoded_again(actions) -> None:
    data = encode_actions(actions)
    assert decode_actions(data, 0, len(data)) == actions
    flow = Flow(3, 4, (), actions, 5)
    assert decode(encode(FlowMod("add", flow), 9)) == (9, FlowMod("add", flow))
