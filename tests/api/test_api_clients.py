"""The real clients, unchanged: the `openstack` command and openstacksdk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import openstack
import openstack.connection
import pytest

from ovine.model import cloud as model
from ovine.model.base import Uuid
from ovine.ovsdb import Transaction
from support import openstack_shell
from support.api_server import Cloud
from support.openstack_sdk import sdk_connection
from support.ovsdb import connected
from support.routed import outside


class Cli:
    """The `openstack` command as one user."""

    def __init__(self, cloud: Cloud, user: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, openstack_shell.__file__],
            env=cloud.environment(user),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        self._process.communicate(timeout=30)

    def run(self, command: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(command.split()), file=self._process.stdin, flush=True)
        status, out, err = json.loads(self._process.stdout.readline())
        return status, out.strip(), err

    def __call__(self, command: str) -> str:
        status, out, err = self.run(command)
        assert status == 0, err
        return out

    def json(self, command: str) -> Any:
        return json.loads(self(f"{command} -f json"))


@pytest.fixture(scope="module")
def alice_cli(cloud: Cloud) -> Iterator[Cli]:
    with contextlib.closing(Cli(cloud, "alice")) as cli:
        yield cli


@pytest.fixture(scope="module")
def admin_cli(cloud: Cloud) -> Iterator[Cli]:
    with contextlib.closing(Cli(cloud, "admin")) as cli:
        yield cli


def test_the_openstack_program_gets_a_token(cloud: Cloud) -> None:
    command = ["openstack", "token", "issue", "-f", "value", "-c", "project_id"]
    done = subprocess.run(command, env=cloud.environment("alice"), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, cloud.project_id("demo")), done.stderr


def test_the_openstack_command_makes_changes_and_deletes_everything(alice_cli: Cli) -> None:
    alice = alice_cli
    network = alice.json("network create blue --description sea --tag t1")
    assert network["name"] == "blue"
    alice("subnet create --network blue --subnet-range 10.0.0.0/24 --dns-nameserver 9.9.9.9 blue4")
    alice("subnet create --network blue --ip-version 6 --subnet-range fd00::/64 --ipv6-ra-mode slaac "
          "--ipv6-address-mode slaac blue6")  # fmt: skip
    port = alice.json("port create --network blue --fixed-ip subnet=blue4,ip-address=10.0.0.9 web")
    assert port["fixed_ips"][0]["ip_address"] == "10.0.0.9"
    assert len(port["fixed_ips"]) == 2
    alice("network set --name sky --disable --tag t2 blue")
    shown = alice.json("network show sky")
    assert (shown["admin_state_up"], sorted(shown["tags"])) == (False, ["t1", "t2"])
    alice("network unset --tag t1 sky")
    alice("subnet set --dns-nameserver 1.1.1.1 --gateway 10.0.0.254 --allocation-pool start=10.0.0.2,end=10.0.0.99 "
          "--no-allocation-pool blue4")  # fmt: skip
    assert alice.json("subnet show blue4")["gateway_ip"] == "10.0.0.254"
    alice("subnet unset --dns-nameserver 9.9.9.9 blue4")
    assert alice.json("subnet show blue4")["dns_nameservers"] == ["1.1.1.1"]
    alice("network set --dns-domain sea.example. sky")
    alice("port set --dns-name harbour web")
    names = {name["fqdn"] for name in alice.json("port show web")["dns_assignment"]}
    assert names == {"harbour.sea.example."}
    alice("port set --name www --allowed-address ip-address=10.0.0.50 web")
    assert alice.json("port show www")["allowed_address_pairs"][0]["ip_address"] == "10.0.0.50"
    alice("port unset --allowed-address ip-address=10.0.0.50,mac-address=" + port["mac_address"] + " www")
    assert alice.json("port list --network sky --device-owner network:distributed") != []
    alice("port delete www")
    alice("subnet delete blue4 blue6")
    alice("network delete sky")
    assert alice.json("network list") == []


def test_the_openstack_command_works_on_security_groups_and_address_groups(alice_cli: Cli) -> None:
    alice = alice_cli
    assert [group["Name"] for group in alice.json("security group list")] == ["default"]
    group = alice.json("security group create web --stateless --description public")
    assert group["stateful"] is False
    addresses = alice.json("address group create office --address 192.0.2.0/24")
    rule = alice.json("security group rule create web --protocol tcp --dst-port 80:443 --remote-ip 10.0.0.0/8")
    assert (rule["port_range_min"], rule["port_range_max"], rule["normalized_cidr"]) == (80, 443, "10.0.0.0/8")
    alice("security group rule create web --ingress --protocol icmp --icmp-type 8 --icmp-code 0 --remote-group default")
    alice("security group rule create web --ethertype IPv6 --protocol ipv6-icmp --egress")
    alice(f"security group rule create web --protocol 112 --remote-address-group {addresses['id']}")
    assert len(alice.json("security group rule list web")) == 6
    status, _, err = alice.run("security group rule create web --protocol vrrp --remote-address-group office")
    assert status == 1
    assert "already exists" in err
    alice(f"security group rule delete {rule['id']}")
    alice("address group set office --address 198.51.100.7/32")
    alice("address group unset office --address 192.0.2.0/24")
    assert alice.json("address group show office")["addresses"] == ["198.51.100.7/32"]
    alice("network create sea")
    port = alice.json("port create --network sea --security-group web ship")
    assert port["security_group_ids"] == [group["id"]]
    assert [p["Name"] for p in alice.json(f"port list --security-group {group['id']}")] == ["ship"]
    alice("port unset --security-group web ship")
    assert alice.json("port show ship")["security_group_ids"] == []
    alice("port set --security-group default ship")
    alice("port set --no-security-group --disable-port-security ship")
    alice("port delete ship")
    alice("network delete sea")
    alice("security group set --name www --stateful web")
    alice("security group delete www")
    alice("address group delete office")


def test_the_openstack_command_works_on_qos_policies(alice_cli: Cli, admin_cli: Cli) -> None:
    admin, alice = admin_cli, alice_cli
    policy = admin.json("network qos policy create --share --description d gold")
    limit = admin.json(
        "network qos rule create --type bandwidth-limit --max-kbps 3000 --max-burst-kbits 300 --egress gold"
    )
    assert (limit["max_kbps"], limit["direction"]) == (3000, "egress")
    mark = admin.json("network qos rule create --type dscp-marking --dscp-mark 26 gold")
    assert len(admin.json("network qos rule list gold")) == 2
    admin(f"network qos rule set --max-kbps 4000 gold {limit['id']}")
    assert alice.json(f"network qos rule show gold {limit['id']}")["max_kbps"] == 4000
    assert {
        rule["dscp_mark"] for rule in alice.json("network qos policy show gold")["rules"] if "dscp_mark" in rule
    } == {26}
    alice("network create --qos-policy gold fast")
    alice("port create --network fast --qos-policy gold quick")
    assert alice.json("port show quick")["qos_policy_id"] == policy["id"]
    status, _, err = admin.run("network qos policy delete gold")
    assert status == 1
    assert "is used by" in err
    alice("port unset --qos-policy quick")
    alice("port delete quick")
    alice("network set --no-qos-policy fast")
    alice("network delete fast")
    assert {kind["Type"] for kind in alice.json("network qos rule type list")} == {"bandwidth_limit", "dscp_marking"}
    assert admin.json("network qos rule type show bandwidth_limit")["rule_type_name"] == "bandwidth_limit"
    admin(f"network qos rule delete gold {mark['id']}")
    admin("network qos policy set --name silver --no-share gold")
    admin("network qos policy delete silver")


def test_the_openstack_command_works_on_port_forwardings(cloud: Cloud, alice_cli: Cli) -> None:
    alice = alice_cli
    public = outside(cloud.user("admin"), "198.51.100.0/24")
    alice("network create shop")
    alice("subnet create --network shop --subnet-range 10.40.0.0/24 shop4")
    alice("router create door")
    alice(f"router set --external-gateway {public.id} door")
    alice("router add subnet door shop4")
    port = alice.json("port create --network shop --fixed-ip subnet=shop4,ip-address=10.40.0.9 till")
    floating = alice.json(f"floating ip create {public.id}")["id"]
    forward = alice.json(
        f"floating ip port forwarding create {floating} --port {port['id']} --internal-ip-address 10.40.0.9 "
        "--internal-protocol-port 22 --external-protocol-port 2222 --protocol tcp --description ssh"
    )
    assert (forward["external_port"], forward["internal_port"], forward["description"]) == (2222, 22, "ssh")
    alice(f"floating ip port forwarding set {floating} {forward['id']} --external-protocol-port 2300:2301 "
          "--internal-protocol-port 23:24")  # fmt: skip
    (listed,) = alice.json(f"floating ip port forwarding list {floating}")
    assert (listed["External Port Range"], listed["Internal Port Range"]) == ("2300:2301", "23:24")
    assert len(alice.json(f"floating ip show {floating}")["port_forwardings"]) == 1
    alice(f"floating ip port forwarding delete {floating} {forward['id']}")
    alice(f"floating ip delete {floating}")
    alice("router remove subnet door shop4")
    alice("router delete door")
    alice("port delete till")
    alice("network delete shop")


def test_the_openstack_command_bounds_floating_ips(cloud: Cloud, alice_cli: Cli, admin_cli: Cli) -> None:
    admin, alice = admin_cli, alice_cli
    public = outside(cloud.user("admin"), "198.51.100.0/24")
    policy = admin.json("network qos policy create --share slow")["id"]
    floating = alice.json(f"floating ip create {public.id} --qos-policy slow")
    assert floating["qos_policy_id"] == policy
    alice(f"floating ip unset --qos-policy {floating['id']}")
    assert alice.json(f"floating ip show {floating['id']}")["qos_policy_id"] is None
    alice(f"floating ip set --qos-policy slow {floating['id']}")
    assert alice.json(f"floating ip show {floating['id']}")["qos_policy_id"] == policy
    alice(f"floating ip set --no-qos-policy {floating['id']}")
    alice(f"floating ip delete {floating['id']}")
    admin("network qos policy delete slow")


def test_the_openstack_command_works_on_trunks(alice_cli: Cli) -> None:
    alice = alice_cli
    alice("network create yard")
    ports = {name: alice.json(f"port create --network yard {name}")["id"] for name in ("parent", "one", "two")}
    alice("network trunk create --parent-port parent --subport port=one,segmentation-type=vlan,segmentation-id=7 train")
    alice("network trunk set --name rail --description d "
          "--subport port=two,segmentation-type=vlan,segmentation-id=8 train")  # fmt: skip
    shown = alice.json("network trunk show rail")
    assert (shown["port_id"], shown["description"], len(shown["sub_ports"])) == (ports["parent"], "d", 2)
    assert {s["Port"] for s in alice.json("network subport list --trunk rail")} == {ports["one"], ports["two"]}
    assert len(alice.json("port show parent")["trunk_details"]["sub_ports"]) == 2
    status, _, err = alice.run("port delete one")
    assert status == 1
    assert "currently a subport" in err
    alice("network trunk unset --subport one rail")
    alice("network trunk delete rail")
    alice("port delete parent one two")
    alice("network delete yard")


def test_the_openstack_command_works_on_subnet_pools(alice_cli: Cli, admin_cli: Cli) -> None:
    admin, alice = admin_cli, alice_cli
    pool = alice.json(
        "subnet pool create --pool-prefix 10.60.0.0/16 --default-prefix-length 26 --min-prefix-length 20 "
        "--max-prefix-length 28 --default-quota 1000 --description d --tag t blue"
    )
    assert (pool["prefixes"], pool["default_prefixlen"], pool["default_quota"]) == (["10.60.0.0/16"], 26, 1000)
    assert [p["Name"] for p in alice.json("subnet pool list --long --tags t")] == ["blue"]
    alice("subnet pool set --pool-prefix 10.61.0.0/16 --name sky --max-prefix-length 29 blue")
    shown = alice.json("subnet pool show sky")
    assert (shown["prefixes"], shown["max_prefixlen"]) == (["10.60.0.0/15"], 29)
    alice("network create pond")
    made = alice.json("subnet create --network pond --subnet-pool sky pond4")
    assert (made["cidr"], made["subnetpool_id"]) == ("10.60.0.0/26", pool["id"])
    assert alice.json("subnet create --network pond --subnet-pool sky --prefix-length 24 p2")["cidr"] == "10.60.1.0/24"
    alice("subnet create --network pond --subnet-pool sky --subnet-range 10.60.7.0/24 p3")
    assert len(alice.json("subnet list --subnet-pool sky")) == 3
    status, _, err = alice.run("subnet pool delete sky")
    assert status == 1
    assert "existing allocations" in err
    alice("network delete pond")
    alice("subnet pool delete sky")
    admin("subnet pool create --pool-prefix fd00:60::/48 --default-prefix-length 64 --default --share six")
    alice("network create lake")
    made = alice.json("subnet create --network lake --ip-version 6 --use-default-subnet-pool lake6")
    assert made["cidr"] == "fd00:60::/64"
    alice("network delete lake")
    admin("subnet pool set --no-default six")
    admin("subnet pool delete six")


def test_the_openstack_command_shows_how_many_addresses_are_left(admin_cli: Cli) -> None:
    admin = admin_cli
    network = admin.json("network create well")
    admin("subnet create --network well --subnet-range 10.70.0.0/29 --no-dhcp well4")
    admin("subnet create --network well --ip-version 6 --subnet-range fd00:70::/64 --no-dhcp well6")
    admin("port create --network well --fixed-ip subnet=well4 bucket")
    (listed,) = (item for item in admin.json("ip availability list") if item["Network Name"] == "well")
    assert (listed["Total IPs"], listed["Used IPs"]) == (5, 1)
    (six,) = (item for item in admin.json("ip availability list --ip-version 6") if item["Network Name"] == "well")
    assert (six["Total IPs"], six["Used IPs"]) == (2**64 - 1, 0)
    shown = admin.json("ip availability show well")
    assert (shown["network_id"], shown["total_ips"], len(shown["subnet_ip_availability"])) == (
        network["id"],
        2**64 + 4,
        2,
    )
    admin("port delete bucket")
    admin("network delete well")


async def write_agent(remote: str, agent: model.Agent) -> None:
    """What a plugin does for a host."""
    txn = Transaction()
    txn.insert(agent)
    async with connected(model.DATABASE, remote, monitors=[]) as client:
        await client.transact(txn)


def test_the_openstack_command_works_on_agents(cloud: Cloud, alice_cli: Cli, admin_cli: Cli) -> None:
    uuid = Uuid("11111111-0000-4000-8000-000000000000")
    row = model.Agent(
        uuid=uuid,
        agent_type="OVN Controller Gateway agent",
        binary="ovn-controller",
        host="host1",
        chassis=uuid,
        bridge_mappings="public:br-ex",
        availability_zones=("north",),
        created_at="2026-01-01T00:00:00Z",
        heartbeat_at="2026-01-02T00:00:00Z",
    )
    asyncio.run(write_agent(cloud.cloud_db.remote, row))
    (listed,) = admin_cli.json("network agent list")
    assert listed == {
        "ID": uuid,
        "Agent Type": "OVN Controller Gateway agent",
        "Host": "host1",
        "Availability Zone": "north",
        "Alive": False,
        "State": True,
        "Binary": "ovn-controller",
    }
    assert len(admin_cli.json("network agent list --host host1")) == 1
    assert admin_cli.json("network agent list --host host2") == []
    assert alice_cli.json("network agent list") == []
    shown = admin_cli.json(f"network agent show {uuid}")
    assert (shown["last_heartbeat_at"], shown["topic"]) == ("2026-01-02 00:00:00", "n/a")
    assert shown["configuration"] == {"chassis_name": uuid, "bridge-mappings": "public:br-ex"}
    admin_cli(f"network agent set --description repaired {uuid}")
    assert admin_cli.json(f"network agent show {uuid}")["description"] == "repaired"
    status, _, err = admin_cli.run(f"network agent set --disable {uuid}")
    assert status == 1
    assert "cannot be updated" in err
    admin_cli(f"network agent delete {uuid}")
    assert admin_cli.json("network agent list") == []


def test_the_openstack_command_reads_identity_catalog_and_extensions(cloud: Cloud, admin_cli: Cli) -> None:
    admin = admin_cli
    assert {p["Name"] for p in admin.json("project list")} == {"admin", "demo", "other"}
    assert {u["Name"] for u in admin.json("user list")} == {"admin", "alice", "reader", "bob", "nova"}
    assert {s["Type"] for s in admin.json("catalog list")} == {"identity", "network"}
    assert "provider" in {e["Alias"] for e in admin.json("extension list --network")}
    assert admin.json("token issue")["project_id"] == cloud.project_id("admin")
    assert admin.json("role assignment list --names")
    network = admin.json(
        "network create --provider-network-type vlan --provider-physical-network physnet1 --provider-segment 55 "
        "--share --project demo cable"
    )
    assert (network["provider:segmentation_id"], network["project_id"]) == (55, cloud.project_id("demo"))
    admin("network delete cable")


def test_the_openstack_command_shows_our_errors(alice_cli: Cli) -> None:
    alice = alice_cli
    status, _, err = alice.run("network create --provider-network-type vlan x")
    assert status == 1
    assert "disallowed by policy" in err
    status, _, err = alice.run("network show nothing")
    assert status == 1
    assert "No Network found for nothing" in err


@pytest.fixture
def sdk(cloud: Cloud) -> Iterator[openstack.connection.Connection]:
    with sdk_connection(cloud, "alice") as connection:
        yield connection


def test_openstacksdk_works_on_networks_subnets_and_ports(sdk: openstack.connection.Connection) -> None:
    network = sdk.network.create_network(name="sdk")
    subnet = sdk.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
    ports = list(sdk.network.create_ports([{"network_id": network.id, "name": f"p{n}"} for n in range(5)]))
    assert len({port.fixed_ips[0]["ip_address"] for port in ports}) == 5
    assert len(list(sdk.network.ports(network_id=network.id, limit=2))) == 6
    assert sdk.network.find_port("p3").id in [port.id for port in ports]
    seen = ports[0].revision_number
    assert sdk.network.update_port(ports[0], name="renamed").revision_number == seen + 1
    sdk.network.set_tags(network, ["a", "b"])
    assert sdk.network.get_network(network.id).tags == ["a", "b"]
    with pytest.raises(openstack.exceptions.ConflictException, match="ports still in use"):
        sdk.network.delete_network(network)
    with pytest.raises(openstack.exceptions.PreconditionFailedException):
        sdk.network.update_network(sdk.network.get_network(network.id), name="late", if_revision=99)
    for port in ports:
        sdk.network.delete_port(port, ignore_missing=False)
    sdk.network.delete_subnet(subnet, ignore_missing=False)
    sdk.network.delete_network(network, ignore_missing=False)
    assert sdk.network.find_network("sdk") is None


def test_the_openstack_command_works_on_routers_and_floating_ips(alice_cli: Cli, admin_cli: Cli) -> None:
    alice, admin = alice_cli, admin_cli
    admin("network create --external --provider-network-type vlan --provider-physical-network physnet1 "
          "--provider-segment 701 outside")  # fmt: skip
    admin("subnet create --network outside --subnet-range 172.24.5.0/24 --no-dhcp outer")
    alice("network create inside")
    alice("subnet create --network inside --subnet-range 10.40.0.0/24 inner")
    router = alice.json("router create way --external-gateway outside --tag t")
    assert router["external_gateway_info"]["enable_snat"] is True
    alice("router add subnet way inner")
    alice("router add route way --route destination=192.168.7.0/24,gateway=10.40.0.9")
    assert alice.json("router show way")["routes"] == [{"destination": "192.168.7.0/24", "nexthop": "10.40.0.9"}]
    assert len(alice.json("router show way")["interfaces_info"]) == 1
    alice("router remove route way --route destination=192.168.7.0/24,gateway=10.40.0.9")
    alice("port create --network inside machine")
    floating = alice.json("floating ip create outside --port machine --description d")
    assert (floating["status"], floating["fixed_ip_address"] is not None) == ("DOWN", True)
    assert alice.json("floating ip list --port machine")[0]["ID"] == floating["id"]
    status, _, err = alice.run("router remove subnet way inner")
    assert (status, "required by one or more floating IPs" in err) == (1, True)
    alice(f"floating ip unset --port {floating['floating_ip_address']}")
    alice(f"floating ip set --port machine {floating['floating_ip_address']}")
    alice(f"floating ip delete {floating['floating_ip_address']}")
    alice("router set --disable --name road way")
    admin("router set --external-gateway outside --disable-snat --fixed-ip ip-address=172.24.5.77 "
          + router["id"])  # fmt: skip
    shown = alice.json("router show road")["external_gateway_info"]
    assert (shown["enable_snat"], shown["external_fixed_ips"][0]["ip_address"]) == (False, "172.24.5.77")
    alice("router unset --external-gateway road")
    alice("router remove subnet road inner")
    alice("router add port road machine")
    alice("router remove port road machine")
    alice("router delete road")
    assert alice.json("router list") == []
    alice("network delete inside")
    admin("network delete outside")


def test_openstacksdk_works_on_routers_and_floating_ips(sdk: openstack.connection.Connection, cloud: Cloud) -> None:
    admin = cloud.user("admin")
    public = outside(admin)
    net = sdk.network
    network = net.create_network(name="sdk-routed")
    subnet = net.create_subnet(network_id=network.id, ip_version=4, cidr="10.41.0.0/24")
    router = net.create_router(name="sdk", external_gateway_info={"network_id": public.id})
    net.add_interface_to_router(router, subnet_id=subnet.id)
    routes = {"routes": [{"destination": "192.168.8.0/24", "nexthop": "10.41.0.9"}]}
    assert net.add_extra_routes_to_router(router, {"router": routes}).routes == routes["routes"]
    assert net.remove_extra_routes_from_router(router, {"router": routes}).routes == []
    port = net.create_port(network_id=network.id)
    floating = net.create_ip(floating_network_id=public.id, port_id=port.id)
    assert (floating.router_id, floating.port_details["mac_address"]) == (router.id, port.mac_address)
    assert [ip.id for ip in net.ips(port_id=port.id)] == [floating.id]
    assert net.find_available_ip() is None
    net.update_ip(floating, port_id=None)
    assert net.find_available_ip().id == floating.id
    net.set_tags(floating, ["a"])
    assert net.get_ip(floating.id).tags == ["a"]
    net.delete_ip(floating, ignore_missing=False)
    with pytest.raises(openstack.exceptions.ConflictException, match="still has ports"):
        net.delete_router(router, ignore_missing=False)
    net.remove_interface_from_router(router, subnet_id=subnet.id)
    net.delete_router(router, ignore_missing=False)
    net.delete_port(port, ignore_missing=False)
    net.delete_network(network, ignore_missing=False)
