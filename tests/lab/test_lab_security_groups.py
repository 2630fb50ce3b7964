"""A TCP stream and new connections while security group rules come and go at random.

The long form is `bench/security_group_churn.py --changes 1000 --check`; this runs the same with fewer changes.
"""

from __future__ import annotations

from ovine.lab import Lab
from security_group_churn import churn


def test_churning_rules_lose_nothing_that_is_allowed_and_let_in_nothing_that_is_not(lab_machine: None) -> None:
    with Lab(northd="ovine", controllers=["ovine", "ovine"]) as lab:
        result = churn(lab, changes=100, seed=7)
        assert result.faults == []
        assert lab.audit() == []
    assert result.changes == 100
    assert min(result.probes_allowed, result.probes_forbidden) > 50
    assert min(result.meanwhile_allowed, result.meanwhile_forbidden, result.stream_bytes) > 0
