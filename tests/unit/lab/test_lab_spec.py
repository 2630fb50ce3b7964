"""A lab's description refuses what could not work, and its files fit into unix sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovine.lab import LabError, LabSpec
from ovine.lab import commands as lab_commands


@pytest.mark.parametrize("name", ["", "Upper", "1st", "a/b", "..", "a" * 21, "with blank"])
def test_a_name_that_is_no_word_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="is no name for a lab"):
        LabSpec(name=name)


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "x" * 41])
def test_an_instances_name_that_is_no_word_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="is no name for an instance"):
        LabSpec().instance_netns(name)


@pytest.mark.parametrize("count", [0, 101])
def test_the_number_of_hosts_is_bounded(count: int) -> None:
    with pytest.raises(LabError, match="1 to 100 hosts"):
        LabSpec(controllers=("ovine",) * count)


def test_an_unknown_host_is_answered_with_those_that_exist() -> None:
    with pytest.raises(LabError, match="no host h4: lab ovine has h1, h2, h3"):
        LabSpec().host("h4")


def test_every_socket_of_the_largest_lab_fits_into_an_address_of_107_characters() -> None:
    directory = Path("/" + "d" * 74)
    spec = LabSpec(controllers=("ovine",) * 100, directory=directory)
    last, pid = spec.hosts[-1], 4194304
    paths = [spec.northd_socket(pid), spec.controller_socket(last, pid), spec.central / "cloud.sock"]
    assert max(len(str(path)) for path in paths) <= 107
    with pytest.raises(LabError, match="too long for unix sockets"):
        LabSpec(directory=Path("/" + "d" * 80))


def test_hosts_have_addresses_of_their_own() -> None:
    hosts = LabSpec(controllers=("c",) * 100).hosts
    for attribute in ("name", "tunnel_address", "tunnel_mac", "management_address"):
        assert len({getattr(host, attribute) for host in hosts}) == 100


def test_both_flavours_of_a_daemon_are_called_alike() -> None:
    ours, theirs = (LabSpec(northd=flavour, controllers=(flavour,)) for flavour in ("ovine", "c"))
    assert lab_commands.northd(theirs)[0] == "ovn-northd"
    assert lab_commands.northd(theirs)[1:] == lab_commands.northd(ours)[4:]
    assert lab_commands.controller(theirs, theirs.hosts[0])[0] == "ovn-controller"
    assert lab_commands.controller(theirs, theirs.hosts[0])[1:] == lab_commands.controller(ours, ours.hosts[0])[4:]


def test_an_instances_name_becomes_a_label_of_the_dns() -> None:
    from ovine.lab.cloud import host_name

    assert [host_name(name) for name in ("red1", "Web_1.example", "--", "a" * 70)] == [
        "red1",
        "web-1-example",
        "",
        "a" * 63,
    ]
