"""What a lab can do to its own parts under traffic, seen on Debian's daemons: move an instance, restart, kill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ovine.lab import Instance, Lab, LabError, migration, netns, restarts


@pytest.fixture(scope="module")
def pair(c_lab: Lab) -> Iterator[tuple[Instance, Instance]]:
    """Two instances of one logical switch on two hosts."""
    lab = c_lab
    lab.nbctl("ls-add", "sw")
    for number in (1, 2):
        port, mac, ip = f"p{number}", f"02:00:00:00:01:0{number}", f"10.9.0.{number}"
        lab.nbctl("lsp-add", "sw", port, "--", "lsp-set-addresses", port, f"{mac} {ip}")
        instance = lab.plug(f"move{number}", host=f"h{number}", port_id=port, mac=mac)
        instance.wait_installed()
        instance.add_address(f"{ip}/24")
    lab.sync()
    yield lab.instance("move1"), lab.instance("move2")
    for number in (1, 2):
        lab.instance(f"move{number}").delete()


@pytest.mark.parametrize("name", ["northd", "nb-db", "sb-db", "h2-controller"])
def test_a_restarted_daemon_is_back_and_the_lab_goes_on(c_lab: Lab, pair: tuple[Instance, Instance], name: str) -> None:
    before = c_lab.processes.find(name)
    restarts.restart(c_lab, name)
    after = c_lab.processes.find(name)
    assert before is not None and after is not None and before.pid != after.pid
    c_lab.sync()
    pair[0].wait_reaches("10.9.0.2")


def test_an_instance_takes_its_addresses_and_routes_to_the_host_it_moves_to(
    c_lab: Lab, pair: tuple[Instance, Instance]
) -> None:
    pair[0].wait_reaches("10.9.0.2")
    pair[1].add_route("198.51.100.0/24", "10.9.0.1")
    netns.set_link(pair[1].netns, pair[1].interface, mtu=1400)
    moved = migration.prepare(c_lab, "move2", "h1")
    c_lab.nbctl("lsp-set-options", "p2", "requested-chassis=h1")
    moved.wait_installed()
    migration.cut_over(c_lab, moved)
    pair[0].wait_reaches("10.9.0.2")
    assert "198.51.100.0/24 via 10.9.0.1 dev eth0" in moved.run("ip", "route").stdout
    assert "mtu 1400" in moved.run("ip", "link", "show", "eth0").stdout
    assert c_lab.instance("move2").host.name == "h1"
    assert "p2" not in c_lab.vsctl("h2", "--columns=external_ids", "list", "Interface")


@pytest.mark.parametrize("kill", [False, True], ids=["SIGTERM", "SIGKILL"])
def test_a_restarted_switch_carries_its_packets_again(c_lab: Lab, pair: tuple[Instance, Instance], kill: bool) -> None:
    restarts.restart(c_lab, "h1-vswitchd", kill=kill)
    pair[0].wait_reaches("10.9.0.2", timeout=30)


def test_an_unknown_daemon_is_named(c_lab: Lab) -> None:
    with pytest.raises(LabError, match="no daemon of a lab is called h1-sshd"):
        restarts.restart(c_lab, "h1-sshd")
