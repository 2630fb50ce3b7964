"""Debian's ovn-trace explains what ACLs, as our northd compiles them, do to a packet."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from support.northd_bed import NorthdBed, northd_bed, until_status


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NorthdBed]:
    """Group pg has p2 on s1 and q1 on s2: in comes UDP for 53 and TCP from $as, TCP for 25 is refused, other IP not."""
    with northd_bed(tmp_path_factory.mktemp("acl")) as made, made.ours() as daemon:
        until_status(daemon, "active")
        for switch, ports in (("s1", ("p1", "p2")), ("s2", ("q1", "q2"))):
            made.nbctl("ls-add", switch)
            for number, name in enumerate(ports, start=1):
                address = f"0a:00:00:00:00:0{number} 10.0.0.{number}"
                made.nbctl("lsp-add", switch, name, "--", "lsp-set-addresses", name, address)
        made.nbctl("pg-add", "pg", "p2", "q1", "--", "create", "address_set", "name=as", "addresses=10.0.0.1")
        made.nbctl("acl-add", "pg", "to-lport", "1000", "outport == @pg && ip", "drop")
        made.nbctl("--label=7", "acl-add", "pg", "to-lport", "1002", "outport == @pg && udp.dst == 53", "allow-related")
        made.nbctl("acl-add", "pg", "to-lport", "1001", "outport == @pg && tcp && ip4.src == $as", "allow-related")
        made.nbctl("acl-add", "pg", "to-lport", "1003", "outport == @pg && tcp.dst == 25", "reject")
        made.nbctl("--log", "--name=out", "acl-add", "s1", "from-lport", "1", "udp.dst == 666", "drop")
        made.nbctl("acl-add", "s1", "from-lport", "2", "udp.dst == 54", "allow-stateless")
        made.sync()
        assert daemon.failures() == []
        yield made


def trace(bed: NorthdBed, rest: str, *states: str, ports: tuple[int, int] = (1, 2), switch: str = "s1") -> str:
    """A packet between the first and the second port of a switch."""
    prefix = "p" if switch == "s1" else "q"
    source, destination = ports
    packet = (
        f'inport == "{prefix}{source}" && eth.src == 0a:00:00:00:00:0{source} && '
        f"eth.dst == 0a:00:00:00:00:0{destination} && ip4.src == 10.0.0.{source} && ip4.dst == 10.0.0.{destination} && "
        f"ip.ttl == 64 && {rest}"
    )
    options = [f"--ct={state}" for state in states]
    return bed.tool("ovn-trace", f"--db={bed.below.remote}", *options, switch, packet)


def outputs(text: str) -> list[str]:
    return re.findall(r'/\* output to "([^"]+)"', text)


def test_what_an_acl_allows_is_committed_with_its_label_and_delivered(bed: NorthdBed) -> None:
    text = trace(bed, "udp.src == 1 && udp.dst == 53", "new", "new")
    assert outputs(text) == ["p2"]
    assert "reg3 = 7;" in text and "ct_commit { ct_mark.blocked = 0; ct_label.label = reg3; };" in text


def test_a_set_is_looked_into(bed: NorthdBed) -> None:
    assert outputs(trace(bed, "tcp.src == 1 && tcp.dst == 80", "new", "new")) == ["p2"]
    from_q2 = trace(bed, "tcp.src == 1 && tcp.dst == 80", "new", "new", ports=(2, 1), switch="s2")
    assert outputs(from_q2) == [], "10.0.0.2 is not in the set"


def test_what_none_allows_is_dropped_in_the_last_stage(bed: NorthdBed) -> None:
    text = trace(bed, "icmp4.type == 8 && icmp4.code == 0", "new", "new")
    assert outputs(text) == []
    assert re.findall(r"^ *\d+\. (\S+)", text, re.MULTILINE)[-1] == "ls_out_deliver"
    assert "outport == @pg && ip, priority 2000" in text and "drop;" in text


def test_the_flow_that_decided_leads_to_the_acl(bed: NorthdBed) -> None:
    row = bed.nbctl("--bare", "--columns=_uuid", "find", "acl", "priority=1002").strip()
    text = trace(bed, "udp.src == 1 && udp.dst == 53", "new", "new")
    assert re.search(r"ls_out_acl.*: outport == @pg && udp.dst == 53, priority 2002, uuid", text)
    hints = bed.tool("ovn-sbctl", "--bare", "--columns=external_ids", "find", "logical_flow", "priority=2002")
    assert f"stage-hint={row[:8]}" in hints


def test_an_established_connection_that_is_denied_is_marked_as_blocked(bed: NorthdBed) -> None:
    text = trace(bed, "udp.src == 1 && udp.dst == 80", "est", "est")
    assert outputs(text) == [] and "ct_commit { ct_mark.blocked = 1; };" in text


def test_a_reply_passes_whatever_the_acls_say(bed: NorthdBed) -> None:
    assert outputs(trace(bed, "udp.src == 1 && udp.dst == 80", "est,rpl", "est,rpl")) == ["p2"]
    assert outputs(trace(bed, "icmp4.type == 3 && icmp4.code == 3", "rel", "rel")) == ["p2"]
    assert outputs(trace(bed, "udp.src == 1 && udp.dst == 53", "inv", "inv")) == []


def test_who_is_refused_gets_a_reset_that_goes_back_through_the_switch(bed: NorthdBed) -> None:
    text = trace(bed, "tcp.src == 1 && tcp.dst == 25", "new", "new")
    assert "\ntcp_reset\n" in text
    assert outputs(text) == ["p1"]


def test_a_drop_is_logged_by_name_and_a_stateless_rule_skips_tracking(bed: NorthdBed) -> None:
    text = trace(bed, "udp.src == 1 && udp.dst == 666", "new")
    assert "LOG: ACL name=out" in text
    assert outputs(text) == []
    text = trace(bed, "udp.src == 1 && udp.dst == 54", "new", ports=(2, 1))
    assert outputs(text) == ["p1"]
    assert len(re.findall(r"ct_next", text.partition("egress(")[0])) == 0
