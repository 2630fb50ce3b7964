"""Router advertisements that nobody asked for: what is in them, and when they come."""

from __future__ import annotations

import itertools
import random

import dpkt
import pytest

from ovine.controller import tables as t
from ovine.controller.services.ra_periodic import ADVERTISERS, INITIAL_PAUSE, Advertiser, PeriodicAdvertisements
from ovine.model.base import Uuid
from ovine.openflow import PacketOut, SetField
from support.controller_world import World
from support.frames import describe
from support.service_bed import Host

OPTIONS = {
    "peer": "sw-r",
    "ipv6_ra_send_periodic": "true",
    "ipv6_ra_address_mode": "slaac",
    "ipv6_ra_max_interval": "600",
    "ipv6_ra_min_interval": "200",
    "ipv6_ra_mtu": "1400",
    "ipv6_ra_prefixes": "fd01::/64 fd02::/64",
    "ipv6_ra_prf": "MEDIUM",
    "ipv6_ra_src_addr": "fe80::ff:fe00:101",
    "ipv6_ra_src_eth": "02:00:00:00:01:01",
    "ipv6_ra_rdnss": "fd01::53",
    "ipv6_ra_dnssl": "example.org",
    "ipv6_ra_route_info": "HIGH-fd03::/48",
}


def world(**changed: str) -> World:
    """A router's port and its peer in a switch; both datapaths are local as each has a port here."""
    made = World()
    for number, (name, kind) in enumerate((("lr", "router"), ("sw", "switch")), 1):
        made.datapath(name, number, kind)
        made.port(f"vif-{name}", name, 1)
        made.interface(f"vif-{name}", 10 + number)
    made.port("sw-r", "sw", 5)
    made.port("r", "lr", 7, type="patch", **{f"options:{name}": text for name, text in (OPTIONS | changed).items()})
    return made


def test_the_advertisement_says_what_the_options_say() -> None:
    ((_, found),) = world().wanted(ADVERTISERS).items()
    assert (found.datapath, found.port, found.shortest, found.longest) == (2, 5, 200.0, 600.0)
    assert describe(found.frame).startswith("02:00:00:00:01:01>33:33:00:00:00:01 ip6 fe80::ff:fe00:101>ff02::1")
    packet = dpkt.ethernet.Ethernet(found.frame).data
    assert packet.hlim == 255
    options = found.frame[14 + 40 + 16 :]
    kinds = []
    while options:
        kinds.append(options[0])
        options = options[8 * options[1] :]
    assert kinds == [1, 5, 3, 3, 24, 25, 31]


@pytest.mark.parametrize("changed", [{"ipv6_ra_send_periodic": "false"}, {"peer": "nobody"}])
def test_who_is_not_asked_or_leads_nowhere_advertises_nothing(changed: dict[str, str]) -> None:
    made = world(**changed)
    assert made.wanted(ADVERTISERS) == {}


@pytest.mark.parametrize(
    "changed",
    [
        {"ipv6_ra_src_addr": "nonsense"},
        {"ipv6_ra_src_eth": "nonsense"},
        {"ipv6_ra_prefixes": "10.0.0.0/8"},
        {"ipv6_ra_address_mode": "perhaps"},
        {"ipv6_ra_min_interval": "900"},
        {"ipv6_ra_max_interval": "soon"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_options_that_make_no_sense_are_told(changed: dict[str, str]) -> None:
    made = world(**changed)
    assert made.wanted(ADVERTISERS) == {}
    assert [each for each in made.failures() if "UnsupportedPort" not in each]


KEY = Uuid("00000000-0000-0000-0000-000000000001")


def test_the_first_ones_come_soon_and_later_ones_within_their_bounds() -> None:
    advertiser = Advertiser(2, 5, b"frame", 200.0, 600.0)
    service, now, times = PeriodicAdvertisements(random.Random(1)), 50.0, []
    for _ in range(8):
        (out,) = service.step({KEY: advertiser}, Host(), now)
        assert isinstance(out, PacketOut) and out.metadata == (("metadata", 2, None), ("reg14", 5, None))
        assert out.actions[0] == SetField("reg10", 1 << t.LOCAL_ONLY, 1 << t.LOCAL_ONLY)
        times.append(now)
        deadline = service.deadline()
        assert deadline is not None and list(service.step({KEY: advertiser}, Host(), deadline - 0.1)) == []
        now = deadline
    pauses = [b - a for a, b in itertools.pairwise(times)]
    assert pauses[:2] == [INITIAL_PAUSE] * 2 and all(200 <= pause <= 600 for pause in pauses[2:])


def test_a_change_is_advertised_at_once_and_what_is_gone_no_more() -> None:
    service, first = PeriodicAdvertisements(random.Random(1)), Advertiser(2, 5, b"one", 200.0, 600.0)
    assert len(list(service.step({KEY: first}, Host(), 0.0))) == 1
    assert len(list(service.step({KEY: first._replace(frame=b"two")}, Host(), 1.0))) == 1
    assert list(service.step({}, Host(), 1000.0)) == [] and service.deadline() is None
