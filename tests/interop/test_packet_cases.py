"""The packet cases in every combination of our daemons and Debian's, and with both kinds of host in one cloud.

tests/cases/packets/ holds the cases; `support.packet_cases` says how they are written. Each combination is a class with
a lab of its own, so that they can run beside each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ovine.lab import Lab
from support.packet_cases import Case, read, running

CASES = [read(path) for path in sorted((Path(__file__).parents[1] / "cases/packets").glob("*.txt"))]
COMBINATIONS = {
    "ours": ("ovine", ("ovine", "ovine", "ovine")),
    "our-northd": ("ovine", ("c", "c", "c")),
    "our-controllers": ("c", ("ovine", "ovine", "ovine")),
    "theirs": ("c", ("c", "c", "c")),
    "mixed": ("ovine", ("ovine", "c", "ovine")),
    "mixed-under-c": ("c", ("c", "ovine", "c")),
}


@pytest.fixture(scope="class")
def lab(request: pytest.FixtureRequest, lab_machine: None) -> Iterator[Lab]:
    northd, controllers = COMBINATIONS[request.param]
    with Lab(northd=northd, controllers=controllers, api=False) as made:  # type: ignore[arg-type]
        yield made


class Packets:
    """All cases in one lab."""

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_packets(self, lab: Lab, case: Case) -> None:
        if case.only_ours and "c" in (lab.spec.northd, *(host.controller for host in lab.spec.hosts)):
            pytest.skip(case.only_ours)
        with running(lab, case):
            check(lab)


def combination(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("lab", [name], indirect=True, scope="class")


@combination("ours")
class TestOurs(Packets):
    """Our northd and controllers."""


@combination("our-northd")
class TestOurNorthd(Packets):
    """Our northd, Debian's controllers."""


@combination("our-controllers")
class TestOurControllers(Packets):
    """Debian's northd, our controllers."""


@combination("theirs")
class TestTheirs(Packets):
    """Debian's northd and controllers: what the cases are measured by."""


RELAYED = """
# h2 has Debian's controller, which cannot relay DHCP.
switch s1
switch s2
router r
join r s1 02:00:00:00:01:fe 10.0.1.254/24
join r s2 02:00:00:00:02:fe 10.0.2.254/24
port a h1 s1 02:00:00:00:00:01 10.0.1.1
port b h2 s1 02:00:00:00:00:02 10.0.1.2
port d h3 s2 02:00:00:00:00:0d 10.0.2.5 open
port e h2 s2 02:00:00:00:00:0e 10.0.2.6 open
relay r-s1 d.ip

send a a.mac>ff:ff:ff:ff:ff:ff ip 0.0.0.0>255.255.255.255 udp 68>67 dhcp discover a.mac
  d r-s2.mac>d.mac ip r-s1.ip>d.ip udp 67>67 dhcp discover giaddr 10.0.1.254 hops 1
send d d.mac>r-s2.mac ip d.ip>r-s1.ip udp 67>67 dhcp offer a.mac yiaddr 10.0.1.1 giaddr r-s1.ip server d.ip
  a r-s1.mac>a.mac ip r-s1.ip>a.ip udp 67>68 dhcp offer yiaddr 10.0.1.1 giaddr 10.0.1.254 54=10.0.2.5
# A reply finds a client there.
send d d.mac>r-s2.mac ip d.ip>r-s1.ip udp 67>67 dhcp offer b.mac yiaddr 10.0.1.2 giaddr r-s1.ip server d.ip
  b r-s1.mac>b.mac ip r-s1.ip>b.ip udp 67>68 dhcp offer yiaddr 10.0.1.2 giaddr 10.0.1.254 54=10.0.2.5
send b b.mac>ff:ff:ff:ff:ff:ff ip 0.0.0.0>255.255.255.255 udp 68>67 dhcp discover b.mac
send b b.mac>r-s1.mac ip b.ip>d.ip udp 1>2
  d r-s2.mac>d.mac ip b.ip>d.ip ttl 63 udp 1>2
send d d.mac>r-s2.mac ip d.ip>b.ip udp 2>1
  b r-s1.mac>b.mac ip d.ip>b.ip ttl 63 udp 2>1
send b b.mac>r-s1.mac ip b.ip>r-s1.ip icmp echo
  b r-s1.mac>b.mac ip r-s1.ip>b.ip ttl 254 icmp reply
send b b.mac>a.mac ip b.ip>a.ip udp 68>67
  a same
# A server there is not heard: what it says ends at the router.
relay r-s1 e.ip
send a a.mac>ff:ff:ff:ff:ff:ff ip 0.0.0.0>255.255.255.255 udp 68>67 dhcp discover a.mac
  e r-s2.mac>e.mac ip r-s1.ip>e.ip udp 67>67 dhcp discover giaddr 10.0.1.254 hops 1
send e e.mac>r-s2.mac ip e.ip>r-s1.ip udp 67>67 dhcp offer a.mac yiaddr 10.0.1.1 giaddr r-s1.ip server e.ip
"""


@combination("mixed")
class TestMixed(Packets):
    """Our northd; hosts of both kinds in one cloud."""

    def test_a_host_that_cannot_relay_dhcp_says_so_and_does_all_else(self, lab: Lab, tmp_path: Path) -> None:
        file = tmp_path / "relayed.txt"
        file.write_text(RELAYED)
        (host,) = [host for host in lab.spec.hosts if host.controller == "c"]
        written = lab.processes.log(f"{host.name}-controller")
        before = len(written.read_text())
        with running(lab, read(file)):
            check(lab)
        log = written.read_text()[before:]
        refused = [line for line in log.splitlines() if "error parsing" in line]
        assert refused, log[-2000:]  # of lines that come at once it writes some
        assert all("dhcp_relay_re" in line for line in refused), refused


@combination("mixed-under-c")
class TestMixedUnderC(Packets):
    """Debian's northd; hosts of both kinds in one cloud."""


def check(lab: Lab) -> None:
    """Nothing that our daemons were told has been left out."""
    for name in lab.compilers:
        left_out = [line for line in lab.ask(name, "ovine/failures").splitlines() if not _is_of_debians(lab, line)]
        assert left_out == [], name


def _is_of_debians(lab: Lab, failure: str) -> bool:
    """What Debian's northd always asks for: prefix delegation, and two answers to one packet that is too old."""
    asked = "'handle_dhcpv6_reply' is not supported" in failure or "rules want different actions" in failure
    return asked and lab.spec.northd == "c"
