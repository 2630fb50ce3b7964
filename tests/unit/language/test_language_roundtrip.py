"""Printing and parsing are inverse, on generated trees and on generated text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.language import (
    FIELDS,
    PREDICATES,
    Action,
    AddressSet,
    Comparison,
    Constant,
    Expr,
    IsChassisResident,
    Literal,
    PortGroup,
    Predicate,
    StaticEnvironment,
    Subfield,
    TemplateVar,
    action_forms,
    actions,
    all_of,
    any_of,
    compile_match,
    format_actions,
    format_match,
    negation,
    parse_actions,
    parse_match,
    prerequisites,
    quote,
    references,
    whole,
)
from ovine.language.parser import is_nominal
from ovine.language.values import Value

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}(\.[a-z0-9_]{1,4})?", fullmatch=True)
PORTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
STYLES = {32: "ip4", 128: "ip6", 48: "mac"}


@st.composite
def constants(draw: st.DrawFn, width: int, masked: bool) -> Constant:
    style = draw(st.sampled_from(["dec", "hex", *([STYLES[width]] if width in STYLES else [])]))
    value = draw(st.integers(0, (1 << min(width, 64 if style == "dec" else width)) - 1))
    if not masked or draw(st.booleans()):
        return Constant(value, None, style)
    full = (1 << width) - 1
    mask = draw(st.integers(0, min(full, 2**64 - 1) if style == "dec" else full))
    # One meaning has one form: a mask that covers a whole address is none.
    return Constant(value & mask, None if mask == full and style in STYLES.values() else mask, style)


@st.composite
def subfields(draw: st.DrawFn, kinds: tuple[str, ...] = ("ordinal", "nominal", "string")) -> Subfield:
    field = FIELDS[draw(st.sampled_from(sorted(name for name, field in FIELDS.items() if field.kind in kinds)))]
    if field.kind != "ordinal" or draw(st.booleans()):
        return whole(field.name)
    low = draw(st.integers(0, field.width - 1))
    return Subfield(field.name, low, draw(st.integers(1, field.width - low)))


@st.composite
def comparisons(draw: st.DrawFn, negated: bool) -> Expr:
    field = draw(subfields())
    kind = field.field.kind
    if kind == "ordinal" and draw(st.booleans()):
        operator = draw(st.sampled_from(["<", "<=", ">", ">="]))
        return Comparison(field, operator, (draw(constants(field.width, masked=False)),))
    values: st.SearchStrategy[Value]
    if kind == "string":
        values = PORTS | NAMES.map(PortGroup)
    else:
        values = constants(field.width, masked=kind == "ordinal") | NAMES.map(AddressSet)
    values |= NAMES.map(TemplateVar)
    operator = draw(st.sampled_from(["==", "!="])) if kind == "ordinal" else "!=" if negated else "=="
    return Comparison(field, operator, tuple(draw(st.lists(values, min_size=1, max_size=3))))


@st.composite
def matches(draw: st.DrawFn, negated: bool = False, depth: int = 3) -> Expr:
    shape = draw(
        st.sampled_from(["comparison", "predicate", "resident", "literal", *(["and", "or", "not"] if depth else [])])
    )
    if shape == "comparison":
        return draw(comparisons(negated))
    if shape == "predicate":
        return Predicate(draw(st.sampled_from(sorted(p for p in PREDICATES if not (negated and is_nominal(p))))))
    if shape == "resident":
        return IsChassisResident(draw(PORTS))
    if shape == "literal":
        return Literal(draw(st.booleans()))
    if shape == "not":
        return negation(draw(matches(not negated, depth - 1)))
    terms = draw(st.lists(matches(negated, depth - 1), min_size=2, max_size=3))
    return all_of(terms) if shape == "and" else any_of(terms)


@settings(max_examples=400, deadline=None)
@given(matches())
def test_a_printed_match_parses_to_an_equal_tree(expr: Expr) -> None:
    text = format_match(expr)
    assert parse_match(text) == expr
    assert format_match(parse_match(text)) == text


@settings(max_examples=200, deadline=None)
@given(matches(depth=2))
def test_every_match_compiles_to_sorted_flows_that_name_each_field_once(expr: Expr) -> None:
    found = references(expr)
    env = StaticEnvironment(
        address_sets={name: ["10.0.0.1", "fd00::/64", "00:00:00:00:00:01"] for name in found.address_sets},
        port_groups={name: ["p", "q"] for name in found.port_groups},
        port_keys={name: n for n, name in enumerate(sorted({*found.ports, "p", "q"}), 1)},
        residents=found.resident_ports,
    )
    flows = compile_match(expr, env)
    assert list(flows) == sorted(set(flows))
    for flow in flows:
        names = [name for name, _, _ in flow.fields]
        assert names == sorted(set(names))
        assert all(value & ~mask == 0 for _, value, mask in flow.fields)


PLAIN_ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.sampled_from([action() for action in action_forms.WORDS.values() if action is not actions.Drop]),
    st.builds(actions.Next, st.sampled_from([None, "ingress", "egress"]), st.none() | st.integers(0, 34)),
    st.builds(actions.Set, st.just(whole("outport")), PORTS),
    st.builds(actions.Set, st.just(whole("ip4.src")), constants(32, masked=True)),
    st.builds(actions.Move, st.just(whole("reg0")), st.sampled_from([whole("ip4.dst"), Subfield("xxreg1", 3, 32)])),
    st.builds(actions.Push, subfields()),
    st.builds(
        actions.CtNat,
        st.sampled_from(["dnat", "snat"]),
        st.booleans(),
        st.builds(Constant, st.integers(0, 2**32 - 1), st.none(), st.just("ip4")),
        st.none() | st.tuples(st.integers(1, 9), st.integers(9, 65535)),
    ),
    st.builds(
        actions.PutDhcpv6Opts,
        st.just(Subfield("reg1", 3, 1)),
        st.lists(
            st.builds(
                actions.Option,
                NAMES,
                st.lists(PORTS | constants(128, masked=True), min_size=1, max_size=3).map(tuple),
            ),
            max_size=3,
        ).map(tuple),
    ),
    st.builds(
        actions.Log,
        st.none() | PORTS,
        st.sampled_from([None, "allow", "drop", "reject", "pass"]),
        st.sampled_from(["alert", "info"]),
        st.none() | PORTS,
    ),
    st.builds(actions.FwdGroup, st.booleans(), st.lists(PORTS, min_size=1, max_size=3).map(tuple)),
)
ACTIONS = st.recursive(
    PLAIN_ACTIONS,
    lambda inner: st.one_of(
        *(
            st.builds(block, st.lists(inner, max_size=3).map(tuple))
            for block in (actions.Clone, actions.Arp, actions.NdNaRouter, actions.Reject)
        )
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTIONS, max_size=4))
def test_printed_actions_parse_to_equal_trees_and_have_prerequisites_that_print(found: list[Action]) -> None:
    text = format_actions(found)
    assert parse_actions(text) == tuple(found)
    needed = prerequisites(found)
    assert parse_match(format_match(needed)) == needed


@settings(deadline=None)
@given(PORTS)
def test_any_name_can_be_quoted(name: str) -> None:
    assert parse_match(f"inport == {quote(name)}") == Comparison(whole("inport"), "==", (name,))
