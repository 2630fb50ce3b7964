"""Actions: the parser, its errors, the printer and the prerequisites, by tests/cases/language/actions.txt."""

from __future__ import annotations

from typing import get_args

import pytest

from ovine.language import (
    Action,
    Constant,
    Subfield,
    SyntaxProblem,
    actions,
    expand_templates,
    format_actions,
    format_match,
    parse_actions,
    prerequisite,
    prerequisites,
    whole,
)
from support.language_cases import lines


@pytest.mark.parametrize(("text", "expected"), list(lines("actions.txt")))
def test_actions_are_printed_or_refused_as_the_case_says(text: str, expected: str) -> None:
    try:
        result = format_actions(parse_actions(text))
    except SyntaxProblem as problem:
        result = f"error {problem.position}: {problem.message}"
    assert result == expected


@pytest.mark.parametrize(
    ("text", "expected"), [case for case in lines("actions.txt") if not case[1].startswith("error ")]
)
def test_what_is_printed_parses_to_equal_trees(text: str, expected: str) -> None:
    assert parse_actions(expected) == parse_actions(text)


def test_the_cases_cover_every_action() -> None:
    seen: set[type] = set()

    def collect(found: tuple[Action, ...]) -> None:
        for action in found:
            seen.add(type(action))
            collect(getattr(action, "actions", ()))

    for text, expected in lines("actions.txt"):
        if not expected.startswith("error "):
            collect(parse_actions(text))
    assert set(get_args(Action)) - seen == set()


def test_trees_hold_typed_parts() -> None:
    found = parse_actions(
        'reg1[0] = put_dhcp_opts(offerip = 10.0.0.2, dns_server = {8.8.8.8, 7.7.7.7}, domain_name = "x");'
        ' outport = "lsp"; reg0 = 0x5; ct_lb_mark(backends=10.0.0.1:80; skip_snat);'
    )
    assert found == (
        actions.PutDhcpOpts(
            Subfield("reg1", 0, 1),
            (
                actions.Option("offerip", (Constant(0x0A000002, None, "ip4"),)),
                actions.Option("dns_server", (Constant(0x08080808, None, "ip4"), Constant(0x07070707, None, "ip4"))),
                actions.Option("domain_name", ("x",)),
            ),
        ),
        actions.Set(whole("outport"), "lsp"),
        actions.Set(whole("reg0"), Constant(5, None, "hex")),
        actions.CtLb("ct_lb_mark", (actions.Endpoint(Constant(0x0A000001, None, "ip4"), 80),), (), "skip_snat"),
    )


@pytest.mark.parametrize(
    "text",
    ['outport = "a";', "reg0[0] = put_dhcp_opts(offerip = 1.2.3.4);", "reg0[0] = dns_lookup();", "outport <-> inport;"],
)
def test_what_belongs_to_the_ingress_pipeline_is_refused_in_the_egress_pipeline(text: str) -> None:
    assert parse_actions(text, "ingress") == parse_actions(text)
    with pytest.raises(SyntaxProblem, match="pipeline"):
        parse_actions(text, "egress")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("next;", "1"),
        ("reg0 = 1;", "1"),
        ("ip.ttl--;", "ip"),
        ("tcp.dst = 80;", "tcp"),
        ("vlan.pcp = 1;", "vlan.present"),
        ("reg0 = ip4.src;", "ip4"),
        ("ip4.src = ip6.src[0..31];", "ip4 && ip6"),
        ("ip4.src <-> ip4.dst;", "ip4"),
        ("push(nd.tll);", "nd_na"),
        ("arp { arp.op = 2; ip.ttl--; output; };", "ip4"),
        ("nd_ns { };", "ip6"),
        ("nd_na { };", "nd_ns"),
        ("tcp_reset { };", "tcp"),
        ("icmp6_error { icmp6.frag_mtu = 1; };", "ip6"),
        ("clone { tcp.dst = 80; arp { arp.op = 1; }; };", "tcp && ip4"),
        ("ct_commit { ct_label.ecmp_reply_eth = arp.sha; };", "ip && arp"),
        ("ct_next;", "ip"),
        ("ct_clear;", "1"),
        ("put_arp(inport, arp.spa, arp.sha);", "arp"),
        ("reg0[0] = dns_lookup();", "udp"),
        ("reg0[0] = lookup_nd_ip(inport, ip6.src);", "ip6"),
        ("igmp;", "igmp || mldv1 || mldv2"),
        ("icmp4.frag_mtu = 1;", "icmp4"),
        ("reg0 = ct_nw_dst();", "ct.trk && !ct.inv && ip4"),
    ],
)
def test_an_action_implies_its_prerequisites(text: str, expected: str) -> None:
    (action,) = parse_actions(text)
    assert format_match(prerequisite(action)) == expected


def test_prerequisites_of_several_actions_add_up_without_repetition() -> None:
    assert format_match(prerequisites(parse_actions("ip4.src = 1.2.3.4; ip4.dst <-> ip4.src; tcp.src = 1; next;"))) == (
        "ip4 && tcp"
    )


def test_deeply_nested_blocks_are_refused() -> None:
    with pytest.raises(SyntaxProblem, match="nested deeper than 100"):
        parse_actions("clone { " * 5000)


def test_template_variables_are_put_in_before_parsing() -> None:
    text = 'ct_lb_mark(backends=^backends); log(name="^not here");'
    expanded = expand_templates(text, {"backends": "10.0.0.1:80,10.0.0.2:80"}.get)
    assert expanded == 'ct_lb_mark(backends=10.0.0.1:80,10.0.0.2:80); log(name="^not here");'
    with pytest.raises(SyntaxProblem, match=r"the template variable \^backends has no value"):
        expand_templates(text, {}.get)


def test_printing_what_is_no_action_is_an_error_of_the_caller() -> None:
    with pytest.raises(TypeError, match="not an action"):
        format_actions(["next"])  # type: ignore[list-item]
