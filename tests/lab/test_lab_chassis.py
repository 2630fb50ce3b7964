"""What a host says of itself, changed under traffic: tunnels, zones, the southbound it listens to.

Hosts h1 and h2 have our controller, h3 has Debian's; a network has an instance on each. The last test takes the
southbound away, for a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ovine.lab import Instance, Lab, netns
from ovine.lab.tools import database_tool, run
from ovine.lab.traffic import Ping
from ovine.lab.waiting import wait_for as wait_until
from support.daemons import run_daemon
from support.ovsdb import cluster_status, joined, leader_of, start_cluster

SCHEMA = Path("/usr/share/ovn/ovn-sb.ovsschema")
Instances = dict[str, Instance]


@pytest.fixture(scope="module")
def lab(lab_machine: None) -> Iterator[Lab]:
    with Lab(northd="ovine", controllers=["ovine", "ovine", "c"], api=False) as lab:
        yield lab


@pytest.fixture(scope="module")
def instances(lab: Lab) -> Instances:
    lab.nbctl("ls-add", "red")
    made = {host.name: boot(lab, host.name, host.number) for host in lab.spec.hosts}
    lab.sync()
    for one in made.values():
        for number in range(1, 4):
            one.wait_reaches(f"10.0.0.{number}")
    return made


def boot(lab: Lab, host: str, number: int) -> Instance:
    name, mac, address = f"red-{number}", f"02:00:00:00:00:{number:02x}", f"10.0.0.{number}"
    lab.nbctl("lsp-add", "red", name, "--", "lsp-set-addresses", name, f"{mac} {address}")
    instance = lab.plug(f"vm{number}", host=host, port_id=name, mac=mac)
    instance.wait_installed()
    instance.add_address(f"{address}/24")
    return instance


def configure(lab: Lab, host: str, **settings: str) -> None:
    """Sets external_ids; `_` stands for `-`, and "" removes a key."""
    for name, value in settings.items():
        key = name.replace("_", "-").replace("df-default", "df_default")
        words = ("set", "Open_vSwitch", ".", f'external_ids:{key}="{value}"')
        lab.vsctl(host, *(words if value else ("remove", "Open_vSwitch", ".", "external_ids", key)))


def tunnels(lab: Lab, host: str) -> dict[str, str]:
    """The options of the tunnel ports of br-int, by what they lead to: CHASSIS@REMOTE."""
    ports = lab.vsctl(host, "--bare", "--columns=name,external_ids", "find", "Port", "external_ids:ovn-chassis-id!=x")
    names = [block.splitlines() for block in ports.strip().split("\n\n") if "ovn-chassis-id=" in block]
    return {
        ids.split("ovn-chassis-id=")[1].split()[0]: lab.vsctl(host, "get", "Interface", name, "type", "options")
        for name, ids in names
    }


def wait_for(holds: Callable[[], bool], what: str, timeout: float = 30.0) -> None:
    wait_until(holds, what, timeout)


def lossless(ping: Ping) -> None:
    assert ping.sent > 3
    assert ping.received == ping.sent, ping.output


def test_monitoring_all_is_switched_under_traffic_without_loss(lab: Lab, instances: Instances) -> None:
    pinging = instances["h1"].ping_in_background("10.0.0.2")
    for value in ("true", "false"):
        for host in ("h1", "h2"):
            configure(lab, host, ovn_monitor_all=value)
            wait_for(
                lambda host=host, value=value: (
                    f'ovn-monitor-all="{value}"' in lab.sbctl("get", "Chassis", host, "other_config")
                ),
                "told",
            )
            lab.sync()
    lossless(pinging.stop())


def test_options_of_tunnels_change_in_place_without_loss(lab: Lab, instances: Instances) -> None:
    pinging = instances["h1"].ping_in_background("10.0.0.2")
    configure(lab, "h1", ovn_encap_tos="inherit", ovn_encap_df_default="false", ovn_set_local_ip="true")
    wanted = ("tos=inherit", 'df_default="false"', 'local_ip="100.64.0.1"')
    wait_for(lambda: all(word in text for text in tunnels(lab, "h1").values() for word in wanted), "set")
    configure(lab, "h2", ovn_encap_csum="false")
    wait_for(lambda: any('csum="false"' in text for text in tunnels(lab, "h1").values()), "no checksums to h2")
    configure(lab, "h1", ovn_encap_tos="", ovn_encap_df_default="", ovn_set_local_ip="")
    configure(lab, "h2", ovn_encap_csum="")
    wait_for(
        lambda: not any("tos" in text or 'csum="false"' in text for text in tunnels(lab, "h1").values()), "as before"
    )
    lab.sync()
    lossless(pinging.stop())


def test_hosts_have_tunnels_to_those_of_their_transport_zones_only(lab: Lab, instances: Instances) -> None:
    """h1 and h2 are in a zone, h2 and h3 in another; h3's controller is Debian's."""
    for host, zones in (("h1", "east"), ("h2", "east,west"), ("h3", "west")):
        configure(lab, host, ovn_transport_zones=zones)

    def partners(host: str) -> set[str]:
        return {name.partition("@")[0] for name in tunnels(lab, host)}

    expected = {"h1": {"h2"}, "h2": {"h1", "h3"}, "h3": {"h2"}}
    wait_for(lambda: all(partners(host) == others for host, others in expected.items()), "tunnels follow the zones")
    instances["h1"].wait_reaches("10.0.0.2")
    instances["h2"].wait_reaches("10.0.0.3")
    assert instances["h1"].ping("10.0.0.3", count=2, wait=0.5).none
    for host in expected:
        configure(lab, host, ovn_transport_zones="")
    instances["h1"].wait_reaches("10.0.0.3")
    instances["h3"].wait_reaches("10.0.0.1")


def test_an_interface_is_reached_at_the_address_that_it_asks_for(lab: Lab, instances: Instances) -> None:
    """h2 has two addresses; h1 and h3 send to the second one for the port that wants it, and for no other."""
    second = "100.64.0.102"
    netns.add_address(lab.spec.host_netns(lab.spec.host("h2")), "br-phys", f"{second}/24")
    pinging = instances["h1"].ping_in_background("10.0.0.2")
    configure(lab, "h2", ovn_encap_ip=f"100.64.0.2,{second}", ovn_encap_ip_default="100.64.0.2")
    wait_for(lambda: f"h2@{second}" in tunnels(lab, "h1"), "a tunnel to the second address")
    lab.sync()
    lossless(pinging.stop())

    tunnel = lab.vsctl("h1", "--bare", "--columns=name", "find", "Interface", f'options:remote_ip="{second}"').strip()
    bridge = f"unix:{lab.spec.host_directory(lab.spec.host('h1'))}/br-int.mgmt"

    def sent_to_second() -> int:
        shown = run(["ovs-ofctl", "-O", "OpenFlow15", "dump-ports", bridge, tunnel])
        return int(shown.split("tx pkts=")[1].split(",")[0])

    assert instances["h1"].ping("10.0.0.2", count=5).all and sent_to_second() == 0
    name = lab.vsctl("h2", "--bare", "--columns=name", "find", "Interface", "external_ids:iface-id=red-2").strip()
    lab.vsctl("h2", "set", "Interface", name, f"external_ids:encap-ip={second}")
    encap = lab.sbctl("--bare", "--columns=_uuid", "find", "Encap", f'ip="{second}"').strip()
    wait_for(lambda: encap in lab.sbctl("get", "Port_Binding", "red-2", "encap"), "bound with that address")
    lab.sync()

    for one in (instances["h1"], instances["h3"]):
        one.wait_reaches("10.0.0.2")
    assert instances["h1"].ping("10.0.0.2", count=5).all and sent_to_second() >= 5
    lab.vsctl("h2", "remove", "Interface", name, "external_ids", "encap-ip")
    configure(lab, "h2", ovn_encap_ip="100.64.0.2", ovn_encap_ip_default="")
    wait_for(lambda: lab.sbctl("get", "Port_Binding", "red-2", "encap").strip() == "[]", "as before")
    instances["h1"].wait_reaches("10.0.0.2")


def test_with_vxlan_between_some_hosts_keys_fit_into_its_twelve_bits(lab: Lab, instances: Instances) -> None:
    """h2 speaks both, h3 VXLAN only: h1 and h2 go on with Geneve."""
    configure(lab, "h1", ovn_encap_type="geneve,vxlan")
    configure(lab, "h2", ovn_encap_type="geneve,vxlan")
    configure(lab, "h3", ovn_encap_type="vxlan")

    def kinds(host: str) -> dict[str, str]:
        return {name.partition("@")[0]: text.split()[0] for name, text in tunnels(lab, host).items()}

    wait_for(lambda: kinds("h1") == {"h2": "geneve", "h3": "vxlan"}, "the best type that both have")
    assert 'max_tunid="4095"' in lab.sbctl("get", "SB_Global", ".", "options")
    for host, target in (("h1", 3), ("h3", 1), ("h2", 3), ("h3", 2), ("h1", 2)):
        instances[host].wait_reaches(f"10.0.0.{target}")
    lab.nbctl("ls-add", "wide", "--", "set", "Logical_Switch", "wide", "other_config:requested-tnl-key=5000")
    wait_for(lambda: "does not fit into VXLAN" in lab.ask("northd", "ovine/failures"), "a key too large is refused")
    lab.nbctl("ls-del", "wide")
    for host in ("h1", "h2", "h3"):
        configure(lab, host, ovn_encap_type="geneve")
    wait_for(lambda: kinds("h1") == {"h2": "geneve", "h3": "geneve"}, "as before")
    for host, target in (("h1", 3), ("h3", 2)):
        instances[host].wait_reaches(f"10.0.0.{target}")


def test_a_host_that_is_removed_comes_back_and_one_that_left_is_forgotten(lab: Lab, instances: Instances) -> None:
    """A gateway port is on h2 as long as h2 is there, and on h3 while it is not."""
    lab.nbctl("lr-add", "r", "--", "lrp-add", "r", "r-out", "02:00:00:00:ff:01", "192.0.2.1/24")
    lab.nbctl("lrp-set-gateway-chassis", "r-out", "h2", "20", "--", "lrp-set-gateway-chassis", "r-out", "h3", "10")

    def gateway_on(host: str) -> bool:
        chassis = lab.sbctl("--bare", "--columns=_uuid", "find", "Chassis", f"name={host}").strip()
        return bool(chassis) and chassis in lab.sbctl("get", "Port_Binding", "cr-r-out", "chassis")

    wait_for(lambda: "cr-r-out" in lab.sbctl("show") and gateway_on("h2"), "the gateway is on h2")
    lab.sbctl("chassis-del", "h2")
    lab.wait_for_chassis(lab.spec.host("h2"))
    for host in ("h1", "h3"):
        instances[host].wait_reaches("10.0.0.2")
    wait_for(lambda: gateway_on("h2"), "the gateway is on h2 again")
    lab.stop_controller(lab.spec.host("h2"), restart=False)
    wait_for(lambda: all("h2" not in " ".join(tunnels(lab, host)) for host in ("h1", "h3")), "no tunnels to it")
    assert lab.sbctl("--bare", "--columns=name", "list", "Chassis_Private").split() in (["h1", "h3"], ["h3", "h1"])
    wait_for(lambda: lab.nbctl("get", "Logical_Switch_Port", "red-2", "up").strip() == "false", "its port is down")
    wait_for(lambda: gateway_on("h3"), "the gateway has moved to h3")
    lab.start_controller(lab.spec.host("h2"))
    for host in ("h1", "h3"):
        instances[host].wait_reaches("10.0.0.2")
    wait_for(lambda: gateway_on("h2"), "the gateway is back on h2")
    lab.nbctl("lr-del", "r")
    lab.sync()


def test_a_southbound_that_is_a_cluster_changes_its_leader_under_traffic_without_loss(
    lab: Lab, instances: Instances, tmp_path: Path
) -> None:
    assert lab.audit() == []
    with start_cluster(SCHEMA, tmp_path / "sb") as members:
        remotes = ",".join(member.remote for member in members)
        database_tool("ovn-sbctl", remotes, ["init"])
        with run_daemon(
            "northd", tmp_path / "northd", f"--ovnnb-db={lab.spec.nb_db}", f"--ovnsb-db={remotes}"
        ) as northd:
            for host in ("h1", "h2", "h3"):
                configure(lab, host, ovn_remote=remotes)
            instances["h1"].wait_reaches("10.0.0.2", timeout=30)
            instances["h3"].wait_reaches("10.0.0.2", timeout=30)
            pings = [instances[host].ping_in_background("10.0.0.2") for host in ("h1", "h3")]
            leader = leader_of(members)
            leader.kill()
            rest = [member for member in members if member is not leader]
            leader_of(rest)
            wait_for(lambda: northd.command("status").strip() == "Status: active", "northd follows", timeout=30)
            four = boot(lab, "h1", 4)
            lab.sync()
            four.wait_reaches("10.0.0.2")
            leader.start()
            wait_for(lambda: joined(leader) and cluster_status(leader)["Role"] != "", "it is back", timeout=30)
            rest[0].appctl("cluster/failure-test", "transfer-leadership")
            leader_of(members)
            lab.sync()
            for ping in pings:
                lossless(ping.stop())
            assert all(lab.ask(f"{host}-controller", "ovine/audit") == "" for host in ("h1", "h2"))
