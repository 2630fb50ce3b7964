"""Prefix delegation is refused by name where it is asked for, and nowhere else."""

from __future__ import annotations

from support.controller_world import World


def world(option: str) -> World:
    made = World()
    made.datapath("lr", 7, "router")
    made.port("vif", "lr", 1)
    made.interface("vif", 10)
    made.port("r", "lr", 3, type="patch", **{f"options:{option}": "true"})
    return made


def test_a_port_that_is_to_get_prefixes_is_a_failure() -> None:
    assert "prefix delegation is not supported" in " ".join(world("ipv6_prefix_delegation").failures())


def test_answers_of_a_delegating_router_are_dropped_without_a_failure() -> None:
    made = world("other")
    made.flow("lr", "ingress", 3, 100, "ip6 && udp.src == 547", "handle_dhcpv6_reply;")
    (line,) = made.flows("table=11", "priority=100")
    assert line.endswith("actions=drop")
    assert not [failure for failure in made.failures() if "dhcpv6" in failure]
