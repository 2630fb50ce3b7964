"""Routers, gateways and their like on three hosts with our controllers under Debian's northd, with real traffic.

One cloud for all: routers r (with a distributed gateway port on h2, or h3 if h2 is gone) and gr (a gateway router on
h3), networks s1, s2 (VLANs 102 and 103 of the provider), pub (the provider's flat network), far (VLAN 104, behind gr),
and l2 (a layer 2 gateway on h3 to VLAN 105). The test that cuts a host's power comes last in it; after that, in clouds
of their own, hosts of both kinds must agree about who is active.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ovine.lab import Instance, Lab, restarts
from ovine.lab.endpoint import Endpoint
from ovine.lab.tools import run
from ovine.lab.waiting import wait_for

MACS = {"h1": "aa:bb:cc:00:00:01", "h2": "aa:bb:cc:00:00:02", "h3": "aa:bb:cc:00:00:03"}
PACE = 0.02
"""Seconds between pings."""


@pytest.fixture(scope="module")
def lab(lab_machine: None) -> Iterator[Lab]:
    with Lab(northd="c", controllers=["ovine"] * 3, api=False) as lab:
        for host, mac in MACS.items():
            mapping = f"external_ids:ovn-chassis-mac-mappings=physnet1:{mac}"
            lab.vsctl(host, "set", "Open_vSwitch", ".", mapping)
        _make_networks(lab)
        yield lab


def _make_networks(lab: Lab) -> None:
    nb = lab.nbctl
    nb("set", "NB_Global", ".", "options:bfd-min-rx=300", "options:bfd-min-tx=300")
    nb("lr-add", "r", "--", "lr-add", "gr", "--", "set", "Logical_Router", "gr", "options:chassis=h3")
    for switch, vlan in (("s1", 102), ("s2", 103), ("pub", None), ("join", 0), ("far", 104), ("l2", 0)):
        nb("ls-add", switch)
        if vlan != 0:
            _provider_port(lab, f"{switch}-net", switch, "localnet", vlan)
    for router, switch, number, address in (
        ("r", "s1", 1, "10.0.1.1/24"),
        ("r", "s2", 2, "10.0.2.1/24"),
        ("r", "pub", 3, "192.0.2.1/24"),
        ("r", "join", 4, "10.9.0.1/24"),
        ("gr", "join", 5, "10.9.0.2/24"),
        ("gr", "far", 6, "198.51.100.1/24"),
    ):
        nb("lrp-add", router, f"{router}-{switch}", f"00:00:00:00:ff:0{number}", address)
        end = f"{switch}-{router}"
        nb("lsp-add", switch, end, "--", "lsp-set-type", end, "router", "--", "lsp-set-addresses", end, "router")
        nb("lsp-set-options", end, f"router-port={router}-{switch}")
    nb("lrp-set-gateway-chassis", "r-pub", "h2", "20")
    nb("lrp-set-gateway-chassis", "r-pub", "h3", "10")
    nb("lr-nat-add", "r", "snat", "192.0.2.1", "10.0.0.0/16")
    nb("lr-route-add", "r", "198.51.100.0/24", "10.9.0.2")
    nb("lr-route-add", "gr", "10.0.0.0/16", "10.9.0.1")
    _provider_port(lab, "l2-gw", "l2", "l2gateway", 105)
    nb("lsp-set-options", "l2-gw", "network_name=physnet1", "l2gateway-chassis=h3")


def _provider_port(lab: Lab, name: str, switch: str, kind: str, vlan: int | None) -> None:
    lab.nbctl("lsp-add", switch, name, "--", "lsp-set-type", name, kind, "--", "lsp-set-addresses", name, "unknown")
    lab.nbctl("lsp-set-options", name, "network_name=physnet1")
    if vlan is not None:
        lab.nbctl("set", "Logical_Switch_Port", name, f"tag={vlan}")


def _boot(lab: Lab, name: str, switch: str, host: str, address: str) -> Instance:
    mac = "02:00:00:" + ":".join(f"{int(part):02x}" for part in address.split(".")[1:])
    lab.nbctl("lsp-add", switch, name, "--", "lsp-set-addresses", name, f"{mac} {address}")
    instance = lab.plug(name, host=host, port_id=name, mac=mac)
    instance.wait_installed()
    instance.add_address(f"{address}/24")
    if switch in ("s1", "s2"):
        instance.add_route("default", address.rpartition(".")[0] + ".1")
    return instance


@pytest.fixture(scope="module")
def near(lab: Lab) -> Instance:
    return _boot(lab, "near", "s1", "h1", "10.0.1.11")


@pytest.fixture(scope="module")
def other(lab: Lab) -> Instance:
    return _boot(lab, "other", "s2", "h2", "10.0.2.22")


@pytest.fixture(scope="module")
def outside(lab: Lab) -> Endpoint:
    return lab.outside("outside", "192.0.2.7/24")


def binding(lab: Lab, port: str, column: str = "chassis") -> str:
    """A column of a Port_Binding; of its chassis, the name."""
    found = lab.sbctl("--bare", f"--columns={column}", "find", "Port_Binding", f"logical_port={port}").strip()
    if column != "chassis" or not found:
        return found
    return lab.sbctl("--bare", "--columns=name", "list", "Chassis", found).strip()


def wait_bound(lab: Lab, port: str, host: str) -> None:
    wait_for(lambda: binding(lab, port) == host, f"{port} at {host}", 15.0, diagnose=lambda: binding(lab, port))


def test_a_router_joins_networks_of_two_hosts(lab: Lab, near: Instance, other: Instance) -> None:
    near.wait_reaches("10.0.2.22")
    assert near.ping("10.0.2.22").received == 3


def test_the_provider_sees_each_hosts_own_address_for_the_router(lab: Lab, near: Instance, other: Instance) -> None:
    near.wait_reaches("10.0.2.22")
    bridge = lab.spec.host_directory(lab.spec.host("h2")) / "ovs-vswitchd.ctl"
    target = next(iter(bridge.parent.glob("ovs-vswitchd*.ctl")), bridge)
    learned = run(["ovs-appctl", "-t", str(target), "fdb/show", "br-ex"])
    assert re.search(rf"\s103\s+{MACS['h1']}", learned), learned
    assert "00:00:00:00:ff:02" not in learned


def test_the_gateway_port_is_bound_to_the_first_of_its_chassis_and_leads_outside(
    lab: Lab, near: Instance, outside: Endpoint
) -> None:
    wait_bound(lab, "cr-r-pub", "h2")
    near.wait_reaches("192.0.2.7")


def test_bfd_runs_between_all_that_need_it_with_the_clouds_times(lab: Lab, near: Instance) -> None:
    for host in MACS:
        settings = lab.vsctl(host, "--bare", "--columns=bfd", "find", "Interface", "type=geneve").split("\n\n")
        assert len(settings) == 2
        for text in settings:
            assert text.split() == ["check_tnl_key=true", "enable=true", "min_rx=300", "min_tx=300"]


def test_a_gateway_moves_with_the_priorities_and_back(lab: Lab, near: Instance, outside: Endpoint) -> None:
    near.wait_reaches("192.0.2.7")
    for priority, host in ((30, "h3"), (10, "h2")):
        lab.nbctl("lrp-set-gateway-chassis", "r-pub", "h3", str(priority))
        wait_bound(lab, "cr-r-pub", host)
        near.wait_reaches("192.0.2.7")


def test_a_restarted_controller_of_the_active_gateway_loses_no_packet(
    lab: Lab, near: Instance, outside: Endpoint
) -> None:
    wait_bound(lab, "cr-r-pub", "h2")
    near.wait_reaches("192.0.2.7")
    pinging = near.ping_in_background("192.0.2.7", interval=PACE)
    lab.stop_controller(lab.spec.host("h2"))
    lab.start_controller(lab.spec.host("h2"))
    lab.sync()
    outcome = pinging.stop()
    assert outcome.sent > 10
    assert outcome.received == outcome.sent, outcome.output


def test_a_gateway_router_is_reached_by_the_tunnel_to_its_host(lab: Lab, near: Instance) -> None:
    beyond = lab.outside("beyond", "198.51.100.7/24", vlan=104)
    beyond.add_route("10.0.0.0/16", "198.51.100.1")
    near.wait_reaches("198.51.100.7")
    assert binding(lab, "gr-join") == binding(lab, "join-gr") == "h3"
    flows = {host.name: " ".join(lab.flows(host)) for host in lab.spec.hosts}
    gateway = lab.sbctl("--bare", "--columns=tunnel_key", "find", "Datapath_Binding", "external_ids:name=gr").strip()
    assert f"metadata=0x{int(gateway):x} " in flows["h3"] and f"metadata=0x{int(gateway):x} " not in flows["h1"]


def test_bridged_redirection_goes_by_the_provider_and_shows_this_hosts_address(
    lab: Lab, near: Instance, outside: Endpoint
) -> None:
    wait_bound(lab, "cr-r-pub", "h2")
    lab.nbctl("set", "Logical_Router_Port", "r-pub", "options:redirect-type=bridged")
    lab.sync()
    near.wait_reaches("192.0.2.7")
    key = lab.sbctl("--bare", "--columns=tunnel_key", "find", "Port_Binding", "logical_port=cr-r-pub").strip()
    router = lab.sbctl("--bare", "--columns=tunnel_key", "find", "Datapath_Binding", "external_ids:name=r").strip()
    there = f"reg15=0x{int(key):x},metadata=0x{int(router):x} "
    assert [flow for flow in lab.flows(lab.spec.host("h1")) if there in flow and "table=48" in flow] == []
    lab.nbctl("remove", "Logical_Router_Port", "r-pub", "options", "redirect-type")
    lab.sync()
    near.wait_reaches("192.0.2.7")


def test_a_machine_outside_is_served_by_the_active_chassis_of_its_external_port(lab: Lab, near: Instance) -> None:
    lab.nbctl("ha-chassis-group-add", "out")
    lab.nbctl("ha-chassis-group-add-chassis", "out", "h3", "5")
    lab.nbctl("ha-chassis-group-add-chassis", "out", "h2", "4")
    group = lab.nbctl("--bare", "--columns=_uuid", "find", "HA_Chassis_Group", "name=out").strip()
    mac = "02:00:00:00:01:77"
    lab.nbctl("lsp-add", "s1", "ext", "--", "lsp-set-type", "ext", "external")
    lab.nbctl("lsp-set-addresses", "ext", f"{mac} 10.0.1.77")
    lab.nbctl("set", "Logical_Switch_Port", "ext", f"ha_chassis_group={group}")
    wait_bound(lab, "ext", "h3")
    machine = lab.outside("machine", "10.0.1.77/24", vlan=102)
    machine.run("ip", "link", "set", machine.interface, "address", mac)
    machine.wait_reaches("10.0.1.11")
    machine.wait_reaches("10.0.1.1")
    lab.nbctl("ha-chassis-group-add-chassis", "out", "h2", "6")
    wait_bound(lab, "ext", "h2")
    machine.wait_reaches("10.0.1.1")


def test_a_virtual_port_is_bound_where_its_parent_is_and_free_when_that_leaves(lab: Lab) -> None:
    parent = _boot(lab, "parent", "s1", "h2", "10.0.1.33")
    lab.nbctl("lsp-add", "s1", "vip", "--", "lsp-set-type", "vip", "virtual")
    lab.nbctl("lsp-set-addresses", "vip", "02:00:00:00:01:78 10.0.1.78")
    lab.nbctl("set", "Logical_Switch_Port", "vip", "options:virtual-ip=10.0.1.78", "options:virtual-parents=parent")
    lab.sync()
    lab.sbctl("set", "Port_Binding", "vip", "virtual_parent=parent")
    wait_bound(lab, "vip", "h2")
    parent.unplug()
    wait_bound(lab, "vip", "")
    assert binding(lab, "vip", "virtual_parent") == ""
    parent.delete()


def test_a_layer_2_gateway_joins_a_network_to_a_vlan_on_its_host(lab: Lab) -> None:
    inside = _boot(lab, "inside", "l2", "h1", "10.0.5.11")
    machine = lab.outside("beside", "10.0.5.77/24", vlan=105)
    inside.wait_reaches("10.0.5.77")
    assert binding(lab, "l2-gw") == "h3"
    assert machine.ping("10.0.5.11").received == 3
    assert "ovn-l2gateway-port=l2-gw" in lab.vsctl("h3", "--columns=external_ids", "list", "Port").replace('"', "")
    assert "ovn-l2gateway-port" not in lab.vsctl("h1", "--columns=external_ids", "list", "Port")


def test_our_daemons_have_nothing_left_out_but_what_is_not_about_ports(lab: Lab) -> None:
    for name in lab.compilers:
        failures = lab.ask(name, "ovine/failures")
        assert "UnsupportedPort" not in failures and "want different actions" not in failures
    assert lab.audit() == []


def test_a_dead_gateway_host_is_replaced_within_three_seconds(lab: Lab, near: Instance, outside: Endpoint) -> None:
    _lose_gateway(lab, near)


@pytest.mark.parametrize("controllers", ["ovine c ovine", "c ovine c"])
def test_hosts_of_both_kinds_agree_about_the_active_gateway(lab_machine: None, controllers: str) -> None:
    with Lab(northd="c", controllers=controllers.split(), api=False) as mixed:
        _make_networks(mixed)
        near = _boot(mixed, "near", "s1", "h1", "10.0.1.11")
        mixed.outside("outside", "192.0.2.7/24")
        for priority, host in ((30, "h3"), (10, "h2")):
            mixed.nbctl("lrp-set-gateway-chassis", "r-pub", "h3", str(priority))
            wait_bound(mixed, "cr-r-pub", host)
            near.wait_reaches("192.0.2.7")
        _lose_gateway(mixed, near)


def _lose_gateway(lab: Lab, near: Instance) -> None:
    wait_bound(lab, "cr-r-pub", "h2")
    near.wait_reaches("192.0.2.7")
    pinging = near.ping_in_background("192.0.2.7", interval=PACE)
    restarts.kill_host(lab, lab.spec.host("h2"))
    wait_bound(lab, "cr-r-pub", "h3")
    near.wait_reaches("192.0.2.7")
    outcome = pinging.stop()
    assert (outcome.sent - outcome.received) * PACE < 3.0, outcome.output
