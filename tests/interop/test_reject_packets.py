"""What an ACL that rejects sends back, by our controllers and by Debian's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ovine.lab import Lab
from ovine.lab.requirements import why_not
from support.packet_cases import read, running

CASE = read(Path(__file__).parents[1] / "cases/controller/services/reject.txt")


@pytest.mark.parametrize("controller", ["ovine", "c"])
def test_who_is_rejected_hears_so(controller: str) -> None:
    if reason := why_not(c_daemons=True):
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with Lab(northd="c", controllers=(controller, controller), api=False) as lab, running(lab, CASE):
        assert lab.audit() == []
