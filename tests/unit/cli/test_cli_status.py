"""`ovine status` shows what is amiss, and its exit status tells it to scripts."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from ovine.cli.status_command import is_well, render
from ovine.lab.facts import Facts, Failure, HostFacts

HOST = HostFacts("h1", "ovn-controller 23.03.1", "3.1.0", True, 2, 1, 4)
WELL = Facts({"northd": "ovn-northd 23.03.1"}, (HOST,), 5, 5, 4, 2, 1, (), ())
RULE = Failure("northd", "dhcp", "port-7", "no such subnet")


def shown(state: Facts) -> str:
    out = io.StringIO()
    render(state, "demo", Console(file=out, width=120))
    return out.getvalue()


def test_hosts_ports_versions_and_progress_are_shown() -> None:
    text = shown(WELL)
    for part in ("h1", "23.03.1", "3.1.0", "1/2", "4 of 5", "1 of 2 up", "nb_cfg 5", "failing rules: none"):
        assert part in text


def test_a_failing_rule_is_shown_with_its_key_and_error() -> None:
    assert "northd: no such subnet (rule dhcp for port-7)" in shown(replace(WELL, failures=(RULE,)))


def test_what_fails_alike_on_several_hosts_is_shown_once() -> None:
    failures = tuple(replace(RULE, daemon=f"h{number}-controller") for number in (1, 2))
    text = shown(replace(WELL, failures=failures))
    assert "h1-controller, h2-controller: no such subnet (rule dhcp for port-7)" in text
    assert text.count("no such subnet") == 1


def test_one_cause_is_told_once_and_in_words_however_many_rules_it_stops() -> None:
    failures = tuple(Failure("plugin", f"rule{n}", "p", "ValueError: port p: no such option") for n in range(5))
    text = shown(replace(WELL, failures=failures)).replace("\n", " ")
    assert "plugin: port p: no such option (rule rule0 for p, rule1 for p, rule2 for p and 2 more)" in text
    assert "ValueError" not in text


def test_a_key_that_the_error_names_is_not_told_twice() -> None:
    uuid = "63d1f9a7-f01c-4ff0-b901-d8ce8e344f4d"
    failure = Failure("h1-controller", "flow", f"('{uuid}', 'x')", f"LogicalFlowError: Logical_Flow {uuid}: no")
    assert f"h1-controller: Logical_Flow {uuid}: no (rule flow)" in shown(replace(WELL, failures=(failure,)))


@pytest.mark.parametrize(
    "state",
    [
        replace(WELL, failures=(RULE,)),
        replace(WELL, ended=("h1-vswitchd",)),
        replace(WELL, hosts=(replace(HOST, registered=False),)),
    ],
    ids=["failing rule", "ended process", "host not registered"],
)
def test_whatever_is_amiss_is_told_by_the_status(state: Facts) -> None:
    assert is_well(WELL)
    assert not is_well(state)
