"""What is announced on physical networks, in which frames, and when."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.controller.services.announcements import ANNOUNCEMENTS, Announcement, Announcer, frame, parse
from ovine.model import sb
from ovine.openflow import PacketOut
from support.controller_world import World, uuid_of
from support.frames import describe
from support.service_bed import Host

MAC = "02:00:00:00:00:05"
V4, V6 = ip_address("10.0.0.5"), ip_address("fd00::5")


def world() -> World:
    """A switch with a localnet port, a port here, and one port of each router kind."""
    made = World()
    made.setting("ovn-bridge-mappings", "phys:br-ex")
    made.bridge("br-ex")
    made.datapath("sw", 1)
    made.port("ln", "sw", 9, type="localnet", **{"options:network_name": "phys"})
    made.port("a", "sw", 1, mac=(f"{MAC} 10.0.0.5 fd00::5",))
    made.interface("a", 10)
    return made


def told(made: World) -> set[tuple[int, str, str]]:
    return {(each.port, each.mac, str(each.address)) for each in made.wanted(ANNOUNCEMENTS)}


def test_addresses_of_ports_that_are_here_are_announced() -> None:
    made = world()
    made.port("b", "sw", 2, mac=("02:00:00:00:00:06 10.0.0.6",), chassis="hv2")
    made.port("c", "sw", 3, mac=("02:00:00:00:00:07", "unknown"))
    made.interface("c", 11)
    assert told(made) == {(1, MAC, "10.0.0.5"), (1, MAC, "fd00::5"), (3, "02:00:00:00:00:07", "None")}


def test_without_a_mapped_network_nothing_is_announced() -> None:
    made = world()
    made.setting("ovn-bridge-mappings", "other:br-ex")
    assert told(made) == set()


def test_a_distributed_router_announces_each_entry_where_its_port_is() -> None:
    made = world()
    made.port("d", "sw", 4)
    entries = (
        f'{MAC} 172.16.0.1 172.16.0.2 is_chassis_resident("a")',
        f'{MAC} 172.16.0.3 is_chassis_resident("d")',
        f"{MAC} 172.16.0.4",
    )
    made.port("sw-r", "sw", 5, type="patch", nat_addresses=entries)
    assert {address for port, _, address in told(made) if port == 5} == {"172.16.0.1", "172.16.0.2"}


def test_a_gateway_router_announces_on_its_chassis_only() -> None:
    made = world()
    for key, chassis in ((6, "hv1"), (7, "hv2")):
        options: dict[str, Any] = {"options:l3gateway-chassis": chassis}
        made.port(f"gw{key}", "sw", key, type="l3gateway", nat_addresses=(f"{MAC} 172.16.0.{key}",), **options)
    assert {(port, address) for port, _, address in told(made) if port > 5} == {(6, "172.16.0.6")}


def test_what_moves_away_is_announced_no_more() -> None:
    made = world()
    assert told(made)
    made.remove(sb.PortBinding, uuid_of("port", "a"))
    assert told(made) == set()


@pytest.mark.parametrize(
    ("announcement", "expected"),
    [
        (
            Announcement(1, 1, MAC, V4),
            "02:00:00:00:00:05>ff:ff:ff:ff:ff:ff arp request 02:00:00:00:00:05/10.0.0.5>00:00:00:00:00:00/10.0.0.5",
        ),
        (Announcement(1, 1, MAC), "02:00:00:00:00:05>ff:ff:ff:ff:ff:ff"),
        (Announcement(1, 1, MAC, V6, True), "02:00:00:00:00:05>33:33:00:00:00:01 ip6 fd00::5>ff02::1"),
    ],
    ids=["ipv4", "no address", "ipv6"],
)
def test_each_is_said_in_its_protocol(announcement: Announcement, expected: str) -> None:
    assert describe(frame(announcement)).startswith(expected)


def test_a_router_says_that_it_is_one() -> None:
    flags = [frame(Announcement(1, 1, MAC, V6, router))[58] for router in (False, True)]
    assert flags == [0x20, 0xA0]


def times(longest: float, until: float) -> list[float]:
    """When one announcement is made."""
    announcer, wanted, now, made = Announcer(), {Announcement(1, 1, MAC, V4): longest}, 100.0, []
    while now <= 100.0 + until:
        made += [now - 100.0 for out in announcer.step(wanted, Host(), now) if isinstance(out, PacketOut)]
        deadline = announcer.deadline()
        if deadline is None:
            break
        now = deadline
    return made


def test_an_announcement_is_repeated_after_doubled_pauses_and_ends() -> None:
    assert times(0.0, 1000.0) == [0, 1, 3, 7, 15, 31]


def test_with_a_longest_pause_it_never_ends() -> None:
    assert times(5.0, 30.0) == [0, 1, 3, 7, 12, 17, 22, 27]


def test_what_is_new_is_said_at_once_and_what_went_and_came_again_is_new() -> None:
    announcer, one, two = Announcer(), Announcement(1, 1, MAC, V4), Announcement(1, 1, MAC, V6)
    assert len(list(announcer.step({one: 0.0}, Host(), 0.0))) == 1
    assert len(list(announcer.step({one: 0.0, two: 0.0}, Host(), 0.5))) == 1
    assert list(announcer.step({two: 0.0}, Host(), 0.6)) == []
    assert len(list(announcer.step({one: 0.0, two: 0.0}, Host(), 0.7))) == 1


@given(st.text(max_size=60) | st.from_regex(r"([0-9a-f]{1,2}:){5}[0-9a-f]{1,2}( [0-9a-f:./]{1,20}){0,3}"))
def test_an_entry_that_makes_no_sense_breaks_nothing(text: str) -> None:
    found = parse(text)
    for address in found[1] if found is not None else ():
        assert found is not None and frame(Announcement(1, 1, found[0], address))
