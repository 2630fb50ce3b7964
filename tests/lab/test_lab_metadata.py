"""Instances ask for their metadata, and Nova's API is told who asks: two projects that use the very same addresses."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovine.lab import Instance, Lab, LabError, netns, restarts
from ovine.lab.cloud import host_name
from ovine.lab.commands import CENTRAL_ADDRESS, host_environment, ovine
from ovine.lab.waiting import wait_for

SECRET = b"both know it"
IPV6 = "fe80::a9fe:a9fe"


class Nova(http.server.BaseHTTPRequestHandler):
    """Nova's side: believes a signed instance id, and tells what it was asked."""

    def do_GET(self) -> None:
        self._tell()

    def do_POST(self) -> None:
        self._tell(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def _tell(self, body: str = "") -> None:
        instance = self.headers.get("X-Instance-ID", "")
        signed = hmac.new(SECRET, instance.encode(), hashlib.sha256).hexdigest()
        good = hmac.compare_digest(signed, self.headers.get("X-Instance-ID-Signature", ""))
        said = {
            "instance": instance,
            "project": self.headers.get("X-Tenant-ID"),
            "address": self.headers.get("X-Forwarded-For"),
            "path": self.path,
            "body": body,
        }
        data = json.dumps(said).encode()
        self.send_response(200 if good else 403)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def lab(lab_machine: None) -> Iterator[Lab]:
    """Two hosts with a metadata service (h2 has Debian's controller), Nova, and an instance of each project on h1."""
    with Lab(northd="ovine", controllers=["ovine", "c"], agent_down_time=9) as lab:
        server = netns.call_inside(
            lab.spec.fabric_netns, lambda: http.server.ThreadingHTTPServer((CENTRAL_ADDRESS, 8775), Nova)
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        secret = lab.spec.directory / "metadata.secret"
        secret.write_bytes(SECRET + b"\n")
        for host in lab.spec.hosts:
            start(lab, host.name, secret)
        for project in ("red", "blue"):
            network_of(lab, project)
            lab.boot(f"{project}1", network=f"{project}-net", host="h1", project=project, address="10.0.0.11")
        try:
            yield lab
        finally:
            server.shutdown()
            server.server_close()
        for host in lab.spec.hosts:
            process = lab.processes.find(f"{host.name}-metadata")
            assert process is not None
            control = lab.spec.host_directory(host) / "metadata.ctl"
            restarts_end(lab, control)
            assert not netns.exists(namespace(lab, host.name))
        assert lab.audit() == []


def namespace(lab: Lab, host: str) -> str:
    return f"{lab.spec.name}-meta-{host}"


def start(lab: Lab, name: str, secret: Path) -> None:
    host = lab.spec.host(name)
    lab.store.add_namespace(namespace(lab, name))
    argv = [
        *ovine("metadata"),
        f"--nova=http://{CENTRAL_ADDRESS}:8775",
        f"--secret-file={secret}",
        f"--namespace={namespace(lab, name)}",
        f"--unixctl={lab.spec.host_directory(host)}/metadata.ctl",
        f"--log-file={lab.spec.directory}/log/{name}-metadata.log",
        lab.spec.ovs_db(host),
    ]
    lab.processes.start(f"{name}-metadata", argv, netns=lab.spec.host_netns(host), env=host_environment(lab.spec, host))


def restarts_end(lab: Lab, control: Path) -> None:
    from ovine.lab import control as ctl

    assert ctl.call(control, "ovine/audit") == ""
    ctl.call(control, "exit", timeout=15.0)


def network_of(lab: Lab, project: str) -> None:
    body = {"name": f"{project}-net", "project_id": lab.cloud.project_id(project)}
    network = lab.cloud.post("networks", {"network": body})["network"]
    for version, cidr in ((4, "10.0.0.0/24"), (6, "fd00::/64")):
        subnet = {"network_id": network["id"], "ip_version": version, "cidr": cidr}
        if version == 6:
            subnet |= {"ipv6_address_mode": "dhcpv6-stateful", "ipv6_ra_mode": "dhcpv6-stateful"}
        lab.cloud.post("subnets", {"subnet": subnet})


def ask(instance: Instance, url: str, *options: str) -> dict[str, str]:
    """What Nova says it was asked; LabError if there is no answer."""
    done = instance.run("curl", "-gsS", "--max-time", "2", "--fail", *options, url)
    if done.returncode:
        raise LabError(f"{url}: {done.stderr.strip()}")
    return dict(json.loads(done.stdout))


def answered(instance: Instance, url: str) -> dict[str, str]:
    """The same, once the service is there."""

    def try_it() -> dict[str, str]:
        try:
            return ask(instance, url)
        except LabError:
            return {}

    return wait_for(try_it, f"{instance.name} getting {url}", 20.0)


@pytest.mark.parametrize("project", ["red", "blue"])
def test_nova_knows_which_of_two_instances_with_one_address_asks(lab: Lab, project: str) -> None:
    said = answered(lab.instance(f"{project}1"), "http://169.254.169.254/latest/meta-data/instance-id?x=1")
    assert said == {
        "instance": f"{project}1",
        "project": lab.cloud.project_id(project),
        "address": "10.0.0.11",
        "path": "/latest/meta-data/instance-id?x=1",
        "body": "",
    }


@pytest.mark.parametrize("project", ["red", "blue"])
def test_it_answers_over_ipv6_too(lab: Lab, project: str) -> None:
    instance = lab.boot(f"{project}6", network=f"{project}-net", host="h1", project=project)
    said = answered(instance, f"http://[{IPV6}%25eth0]/openstack")
    assert (said["instance"], said["path"]) == (f"{project}6", "/openstack")
    lab.delete(instance.name)


def test_an_instance_cannot_pretend_to_be_another(lab: Lab) -> None:
    answered(lab.instance("red1"), "http://169.254.169.254/")
    said = ask(lab.instance("red1"), "http://169.254.169.254/", "-H", "X-Instance-ID: blue1")
    assert said["instance"] == "red1"


def test_a_password_is_posted(lab: Lab) -> None:
    answered(lab.instance("red1"), "http://169.254.169.254/")
    said = ask(lab.instance("red1"), "http://169.254.169.254/openstack/latest/password", "-d", "secret")
    assert said["body"] == "secret"


def test_an_address_that_is_no_instances_gets_no_answer(lab: Lab) -> None:
    """Not even past port security: the packet does not leave the instance's port."""
    red = lab.instance("red1")
    answered(red, "http://169.254.169.254/")
    red.add_address("10.0.0.77/24")
    try:
        with pytest.raises(LabError, match=r"[Tt]imed? ?out"):
            ask(red, "http://169.254.169.254/", "--interface", "10.0.0.77")
    finally:
        netns.delete_address(red.netns, red.interface, "10.0.0.77/24")


def test_a_moved_instance_is_served_where_it_goes(lab: Lab) -> None:
    from ovine.lab import migration

    moved = migration.move(lab, "blue1", "h2")
    assert answered(moved, "http://169.254.169.254/")["instance"] == "blue1"
    devices = lab.vsctl("h1", "list-ports", "br-int").split()
    assert sum(name.startswith("meta-") for name in devices) == 1


def agents(lab: Lab) -> dict[tuple[str, str], bool]:
    """Whether an agent is alive, by its binary and host."""
    return {(agent["binary"], agent["host"]): agent["alive"] for agent in lab.cloud.get("agents")["agents"]}


def test_its_host_has_two_agents_that_die_with_their_programs_and_live_again(lab: Lab) -> None:
    h1, h2 = (host_name(host.name) for host in lab.spec.hosts)
    everybody = {(binary, host) for binary in ("ovn-controller", "neutron-ovn-metadata-agent") for host in (h1, h2)}
    wait_for(lambda: agents(lab) == dict.fromkeys(everybody, True), "all agents alive", 30.0)
    (agent,) = lab.cloud.get("agents", host=h2, binary="ovn-controller")["agents"]
    with pytest.raises(LabError, match="is alive"):
        lab.cloud.delete(f"agents/{agent['id']}")
    lab.stop_controller(lab.spec.host("h2"), kill=True)
    wait_for(lambda: not agents(lab)["ovn-controller", h2], "a dead controller", 60.0)
    assert agents(lab)["ovn-controller", h1]
    lab.start_controller(lab.spec.host("h2"))
    wait_for(lambda: agents(lab)["ovn-controller", h2], "the controller alive again", 60.0)
    lab.stop_controller(lab.spec.host("h2"), kill=True)
    wait_for(lambda: not agents(lab)["ovn-controller", h2], "the controller dead again", 60.0)
    lab.cloud.delete(f"agents/{agent['id']}")
    wait_for(lambda: h2 not in lab.sbctl("--bare", "--columns=hostname", "list", "Chassis"), "no chassis", 30.0)
    lab.start_controller(lab.spec.host("h2"))
    wait_for(lambda: agents(lab) == dict.fromkeys(everybody, True), "all agents alive at the end", 60.0)


def test_it_comes_back_after_the_switch_has(lab: Lab) -> None:
    restarts.restart(lab, "h1-vswitchd", kill=True)
    assert answered(lab.instance("red1"), "http://169.254.169.254/")["instance"] == "red1"
