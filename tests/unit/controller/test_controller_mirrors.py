"""Which mirrors a host has, and of what."""

from __future__ import annotations

from ovine.controller.mirrors import MIRRORS
from ovine.model import sb
from support.controller_world import World, uuid_of


def world() -> World:
    """Ports a and b are here, c is elsewhere; the mirror m is for a and c."""
    made = World()
    made.datapath("sw", 1)
    mirror = uuid_of("mirror")
    made.put(sb.Mirror(uuid=mirror, name="m", filter="from-lport", sink="10.0.0.9", type="erspan", index=7))
    for key, name in enumerate("abc", 1):
        made.port(name, "sw", key, mirror_rules=(mirror,) if name in "ac" else ())
    made.interface("a", 10)
    made.interface("b", 11)
    return made


def test_a_mirror_is_of_the_interfaces_of_its_ports_that_are_here() -> None:
    ((name, found),) = world().wanted(MIRRORS).items()
    assert (name, found.kind, found.sent, found.interfaces) == ("m", "erspan", True, (uuid_of("interface", "if-a"),))
    assert found.options == {"remote_ip": "10.0.0.9", "key": "7", "erspan_ver": "1", "erspan_idx": "7"}


def test_a_mirror_follows_its_row_and_its_ports() -> None:
    made = world()
    made.change(sb.Mirror, uuid_of("mirror"), type="gre", filter="to-lport", sink="10.0.0.8")
    ((_, found),) = made.wanted(MIRRORS).items()
    assert (found.kind, found.sent, dict(found.options)) == ("gre", False, {"remote_ip": "10.0.0.8", "key": "7"})
    made.change(sb.PortBinding, uuid_of("port", "b"), mirror_rules=(uuid_of("mirror"),))
    made.change(sb.PortBinding, uuid_of("port", "a"), mirror_rules=())
    ((_, found),) = made.wanted(MIRRORS).items()
    assert found.interfaces == (uuid_of("interface", "if-b"),)
    made.change(sb.PortBinding, uuid_of("port", "b"), mirror_rules=())
    assert not made.wanted(MIRRORS)
