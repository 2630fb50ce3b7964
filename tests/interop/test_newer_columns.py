"""OVN 23.03's own northd and ovn-nbctl on our schema of the northbound: they pass over columns that came later.

So a cloud whose northbound has our schema may go back to their northd; rules then mean what they mean without those
columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ovine.model import nb
from support.case_network import Network
from support.northd_bed import NorthdBed, northd_bed


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NorthdBed]:
    """A router with rules that have later columns, compiled by Debian's northd."""
    with northd_bed(tmp_path_factory.mktemp("newer"), nb.DATABASE) as made, made.debians():
        network = Network(made.nbctl, made.above.remote)
        for line in (
            "switch s1",
            "router r chassis=h1",
            "join r s1 02:00:00:00:01:fe 10.0.1.254/24",
        ):
            network.do(line.split())
        network.do(["nat", "r", "dnat", "172.16.0.1", "10.0.1.1", "match=tcp.dst == 80", "priority=7"])
        network.do(["nat", "r", "snat", "172.16.0.1", "10.0.1.0/24", "match=tcp.dst == 80", "priority=7"])
        network.do(["policy", "r", "10", "ip4.src == 10.0.1.1", "drop", "chain=web"])
        network.do(["policy", "r", "20", "ip4.src == 10.0.1.2", "jump", "to=web"])
        network.do(["policy", "r", "30", "ip4.src == 10.0.1.3", "drop"])
        made.sync()
        yield made


def flows(bed: NorthdBed, stage: str) -> list[str]:
    return [re.sub(r"\s+", " ", line) for line in bed.flows().splitlines() if f"({stage}" in line]


def test_debians_northd_translates_as_without_a_match(bed: NorthdBed) -> None:
    assert [line for line in flows(bed, "lr_in_dnat") if "ct_dnat(10.0.1.1)" in line]
    assert [line for line in flows(bed, "lr_out_snat") if "ct_snat(172.16.0.1)" in line]
    assert not [line for line in bed.flows().splitlines() if "tcp.dst == 80" in line]


def test_debians_northd_knows_one_chain_of_policies(bed: NorthdBed) -> None:
    dropped = [line for line in flows(bed, "lr_in_policy") if "drop;" in line]
    assert any("10.0.1.1" in line for line in dropped) and any("10.0.1.3" in line for line in dropped)


def test_to_debians_northd_a_jump_is_a_policy_without_actions_which_drops(bed: NorthdBed) -> None:
    [jump] = [line for line in flows(bed, "lr_in_policy") if "10.0.1.2" in line]
    assert jump.endswith("action=()")


def test_debians_ovn_nbctl_lists_and_deletes_such_rules(bed: NorthdBed) -> None:
    assert "172.16.0.1" in bed.nbctl("lr-nat-list", "r")
    assert "10.0.1.2" in bed.nbctl("lr-policy-list", "r")
    bed.nbctl("lr-policy-del", "r", "20")
    assert "10.0.1.2" not in bed.nbctl("lr-policy-list", "r")
