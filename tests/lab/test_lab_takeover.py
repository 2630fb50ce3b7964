"""Our daemons take the places of Debian's in a running routed cloud, one by one, and give them back.

bench/takeover_losses.py does the same and counts; here, nothing may be lost in either direction, and all must work
after each step. On the way to ours a connection that only the machine outside speaks on goes on too: nothing from
inside makes it known again after a step.

The exception is what is under way to a SNAT address when Debian's northd comes back: that looks for it in another
conntrack zone than ours (docs/restarts.md).
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from ovine.lab import Lab
from routed_cloud import INTERNET, RoutedCloud, make
from takeover_losses import Step, take_over_and_back

PATIENCE = 20.0


@contextlib.contextmanager
def connection(cloud: RoutedCloud) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection of an instance without a floating IP to the machine outside: the ends outside and inside."""
    with (
        cloud.internet.socket(socket.AF_INET, socket.SOCK_STREAM) as listening,
        cloud.blue1.socket(socket.AF_INET, socket.SOCK_STREAM) as inside,
    ):
        listening.bind((INTERNET, 0))
        listening.listen()
        for end in (listening, inside):
            end.settimeout(PATIENCE)
        inside.connect(listening.getsockname())
        outside, (address, _) = listening.accept()
        with outside:
            assert address == cloud.snat_address
            yield outside, inside


def test_taking_over_from_debians_daemons_and_going_back_lose_nothing(lab_machine: None) -> None:
    with Lab(northd="c", controllers=["c", "c", "c"]) as lab:
        cloud = make(lab)
        cloud.blue1.wait_reaches(INTERNET)
        audits: dict[str, list[str]] = {}
        with connection(cloud) as (outside, inside):

            def examine(step: Step) -> None:
                audits[f"{step.what} {step.to}"] = lab.audit()
                if step.to == "ovine":
                    outside.sendall(b"%d" % len(audits))
                    assert inside.recv(10) == b"%d" % len(audits), step

            found = take_over_and_back(cloud, examine)
    assert len(found) == 8
    assert {name: lines for name, lines in audits.items() if lines} == {}
    assert all(sent > 10 for step in found for sent in step.sent.values())
    assert [step for step in found if any(lost and not under_way(step, kind) for kind, lost in step.lost.items())] == []


def under_way(step: Step, kind: str) -> bool:
    """Whether answers of this kind may be lost that are under way at the moment of this step."""
    return (step.what, step.to, kind) == ("northd", "c", "SNAT")
