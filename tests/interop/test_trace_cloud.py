"""`ovine trace` on networks made through the API: it names what the cloud's users know, and errs in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ovine.model import sb
from support.cloud_column import running_column
from support.ovsdb import free_port, start_server, wait_until

GROUP = "ff:ff:ff:ff:ff:ff"
REQUEST = "ip4.src == 0.0.0.0 && ip4.dst == 255.255.255.255 && udp.src == 68 && udp.dst == 67 && ip.ttl == 64"


@dataclass
class Bed:
    """Databases with a network `red`, its subnet `red-v4`, and two ports, all compiled to logical flows."""

    remotes: dict[str, str]
    network: Any
    subnet: Any
    ports: dict[str, Any]
    """By name: `web1` and `web2` are in the default group, `lone` in one that lets nothing in."""
    environment: dict[str, str]

    def ovine(self, *words: str, databases: str = "db nb cloud") -> subprocess.CompletedProcess[str]:
        given = [f"--{name}={self.remotes[name]}" for name in databases.split()]
        command = [sys.executable, "-m", "ovine.cli.main", "trace", *given, *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)

    def said(self, *words: str, databases: str = "db nb cloud") -> str:
        """What a trace prints."""
        done = self.ovine(*words, databases=databases)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def frame(self, source: str, destination: str, rest: str = "") -> str:
        mac = self.ports[source]["mac_address"]
        to = self.ports[destination]["mac_address"] if destination in self.ports else destination
        return f'inport == "{source}" && eth.src == {mac} && eth.dst == {to}{rest and f" && {rest}"}'

    def ip(self, port: str) -> str:
        return str(self.ports[port]["fixed_ips"][0]["ip_address"])


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    home = tmp_path_factory.mktemp("cloud")
    with running_column(home, northd=True) as column:
        remotes = {"db": column.cloud.sb_db.remote, "nb": column.nb_db.remote, "cloud": column.cloud.cloud_db.remote}
        alice = column.cloud.user("alice")
        network = alice.make("network", name="red")
        subnet = alice.make("subnet", name="red-v4", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")
        group = alice.make("security_group", name="closed")
        shut = {"lone": alice.make("port", name="lone", network_id=network["id"], security_groups=[group["id"]])}
        ports = {name: alice.make("port", name=name, network_id=network["id"]) for name in ("web1", "web2")}
        ports |= shut
        environment = os.environ | {"OVINE_LAB_DIR": str(home / "labs"), "HOME": str(home)}
        for name in ("OVN_SB_DB", "OVN_NB_DB", "OVINE_LAB"):
            environment.pop(name, None)
        made = Bed(remotes, network, subnet, ports, environment)
        question = made.frame("web1", GROUP, REQUEST)

        def settled() -> bool:
            """What is made last, the answer to a request by DHCP, is there."""
            return f'output("{ports["web1"]["id"]}");' in made.ovine("--minimal", "red", question).stdout

        wait_until(settled, "the flows of the network are there")
        yield made


def unicast(bed: Bed, to: str = "web2") -> str:
    return bed.frame("web1", to, f"ip4.src == {bed.ip('web1')} && ip4.dst == {bed.ip(to)} && ip.ttl == 64")


def test_the_trace_names_the_network_the_ports_and_why(bed: Bed) -> None:
    text = bed.said("red", unicast(bed))
    one, two = (bed.ports[name]["id"] for name in ("web1", "web2"))
    assert f'ingress of network "red" ({bed.network["id"][:8]}), in at "web1" ({one[:8]})' in text
    assert f'# because of Logical_Switch_Port of port "web2" ({two})' in text
    assert text.splitlines()[-1] == f'delivered to "web2" ({two})'


def test_the_security_group_and_rule_that_let_it_pass_are_named(bed: Bed) -> None:
    out, into, delivered = bed.said("--ct", "new", "--ct", "new", "red", unicast(bed)).splitlines()[-3:]
    (group,) = bed.ports["web1"]["security_groups"]
    assert f'allowed out of "web1" ({bed.ports["web1"]["id"]}) by security group "default" ({group})' in out
    assert 'security group rule "egress IPv4" (' in out
    assert f'allowed in to "web2" ({bed.ports["web2"]["id"]}) by security group "default" ({group})' in into
    assert f'security group rule "ingress IPv4 from security group "default" ({group})" (' in into
    assert delivered.startswith('delivered to "web2"')


def test_that_no_rule_allows_a_packet_is_said_with_the_groups_of_the_port(bed: Bed) -> None:
    _, refused, dropped = bed.said("--ct", "new", "--ct", "new", "red", unicast(bed, "lone")).splitlines()[-3:]
    (group,) = bed.ports["lone"]["security_groups"]
    lone = f'"lone" ({bed.ports["lone"]["id"]})'
    assert refused == f'no rule allows it in to {lone}; its groups: security group "closed" ({group})'
    assert dropped.startswith("dropped by ls_out_deliver")
    answer = json.loads(bed.said("--json", "--ct", "new", "--ct", "new", "red", unicast(bed, "lone")))
    assert [one["outcome"] for one in answer["verdicts"]] == ["allowed", "no rule"]


def test_a_refusal_that_rests_on_an_assumption_says_so(bed: Bed) -> None:
    *_, refused, assumed, dropped = bed.said("--ct", "new", "red", unicast(bed, "lone")).splitlines()
    assert refused.startswith("no rule allows it in to")
    assert assumed.startswith("where --ct says nothing, est was assumed: ") and dropped.startswith("dropped by ")
    assert "est was assumed" not in bed.said("--ct", "new", "red", unicast(bed))  # which passes


def test_a_reply_is_told_to_be_one(bed: Bed) -> None:
    text = bed.said("--ct", "new", "--ct", "est,rpl", "red", unicast(bed, "lone"))
    assert 'in to "lone"' in text and "it belongs to a connection that was allowed" in text


@pytest.mark.parametrize("place", ["red", "id", "neutron", ""])
def test_a_network_may_be_called_by_each_of_its_names(bed: Bed, place: str) -> None:
    name = {"id": bed.network["id"], "neutron": f"neutron-{bed.network['id']}"}.get(place, place)
    words = [name] if name else []
    assert bed.said("--minimal", *words, unicast(bed)).splitlines()[-1] == f'output("{bed.ports["web2"]["id"]}");'


def test_an_answer_by_dhcp_is_because_of_the_subnet(bed: Bed) -> None:
    text = bed.said("red", bed.frame("web1", GROUP, REQUEST))
    assert f'# because of DHCP_Options 10.0.0.0/24, of subnet "red-v4" ({bed.subnet["id"]})' in text
    assert text.splitlines()[-1] == f'delivered to "web1" ({bed.ports["web1"]["id"]})'


def test_without_the_cloud_database_the_northbound_has_names_and_without_that_the_southbound(bed: Bed) -> None:
    port = bed.ports["web2"]["id"]
    assert f'of port "web2" ({port})' in bed.said("red", unicast(bed), databases="db nb")
    bare = bed.said("red", unicast(bed), databases="db")
    assert "because of" not in bare
    assert bare.splitlines()[-1] == f'delivered to "web2" ({port})'


def test_a_spoofed_packet_is_dropped_by_a_flow_that_is_named_with_the_reason(bed: Bed) -> None:
    text = bed.said("red", unicast(bed).replace(f"ip4.src == {bed.ip('web1')}", "ip4.src == 10.9.9.9"))
    assert "dropped by ls_in_guard, flow " in text.splitlines()[-1]
    assert "port security refuses it: the source 10.9.9.9 is none of the port's" in text


def nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A node and all below it; connection tracking has a node of its own."""
    yield tree
    for below in tree.get("nodes", ()):
        yield from nodes(below)


def test_json_is_json_with_the_reasons(bed: Bed) -> None:
    answer = json.loads(bed.said("--json", "red", unicast(bed)))
    assert [one["name"] for one in answer["outcome"]["delivered"]] == ["web2"]
    assert answer["trace"]["object"] == {"kind": "network", "id": bed.network["id"], "name": "red"}
    forward = next(node for node in nodes(answer["trace"]) if node.get("stage") == "ls_in_forward")
    (reason,) = forward["why"]
    assert reason["table"] == "Logical_Switch_Port"
    assert reason["objects"] == [{"kind": "port", "id": bed.ports["web2"]["id"], "name": "web2"}]


def test_all_forms_stand_below_each_other(bed: Bed) -> None:
    text = bed.said("--all", "red", unicast(bed))
    assert [line for line in text.splitlines() if line in ("# detailed", "# summary", "# minimal")] == [
        "# detailed",
        "# summary",
        "# minimal",
    ]


def test_databases_may_be_named_by_the_environment(bed: Bed) -> None:
    bed.environment |= {"OVN_SB_DB": bed.remotes["db"], "OVN_NB_DB": bed.remotes["nb"]}
    try:
        assert "because of Logical_Switch_Port" in bed.said("red", unicast(bed), databases="")
    finally:
        del bed.environment["OVN_SB_DB"], bed.environment["OVN_NB_DB"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("blue", 'inport == "web1"'), "ovine: no datapath 'blue': there are red"),
        (("red", 'inport == "web9"'), "ovine: no port 'web9' in red: there are lone, "),
        (("red", "ip4"), 'ovine: the microflow must say where the packet comes in, as in inport == "PORT"'),
        (("red", 'inport == "web1" && ip4 && ip6'), "ovine: the microflow contradicts itself: no packet is like that"),
        (("--ct", "nwe", "red", 'inport == "web1"'), "ovine: --ct: 'nwe' is no connection tracking flag"),
    ],
    ids=["datapath", "port", "inport", "contradiction", "ct"],
)
def test_a_question_that_cannot_be_asked_is_answered_in_one_line(bed: Bed, words: tuple[str, ...], said: str) -> None:
    done = bed.ovine(*words)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(said)


def test_a_microflow_that_is_no_match_is_shown_with_the_place(bed: Bed) -> None:
    done = bed.ovine("red", 'inport == "web1" && ip4.src = 10.0.0.1')
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        '  inport == "web1" && ip4.src = 10.0.0.1',
        "                              ^",
        "ovine: the microflow: '=' is for assignments; comparisons use ==",
    ]


@pytest.mark.parametrize(
    "words", [("--db=unix:/nowhere/sb.sock",), ("--db=nonsense",), ()], ids=["none", "no remote", "no lab"]
)
def test_without_a_database_it_says_so_at_once(bed: Bed, words: tuple[str, ...]) -> None:
    done = bed.ovine(*words, "red", 'inport == "web1"', databases="")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        (
            "ovine: OVN_Southbound: no database at unix:/nowhere",
            "ovine: 'nonsense' is not a remote",
            "ovine: no lab is up",
        )
    )


def test_of_several_remotes_one_that_answers_is_enough(bed: Bed) -> None:
    several = f"--db=unix:/nowhere/sb.sock,{bed.remotes['db']}"
    assert "output(" in bed.said(several, "--minimal", "red", unicast(bed), databases="")


def test_an_ssl_remote_is_asked_with_the_files_that_are_given(bed: Bed, tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=both", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    files = [f"--private-key={key}", f"--certificate={cert}", f"--ca-cert={cert}"]
    port = free_port()
    with start_server(sb.DATABASE, tmp_path, remotes=[f"pssl:{port}:127.0.0.1"], options=files):
        remote = f"--db=ssl:127.0.0.1:{port}"
        asked = bed.ovine(remote, *files, 'inport == "p1"', databases="")
        assert asked.stderr == "ovine: no port 'p1': there is none\n"
        assert "an ssl: remote needs" in bed.ovine(remote, 'inport == "p1"', databases="").stderr


def test_the_wrong_number_of_words_is_a_wrong_command_line(bed: Bed) -> None:
    assert bed.ovine("red", "ip4", "too", "much").returncode == 2
    assert bed.ovine().returncode == 2


def test_tracing_changes_nothing(bed: Bed, tmp_path: Path) -> None:
    def contents() -> str:
        words = ["ovsdb-client", "--timeout=30", "dump", bed.remotes["db"], "OVN_Southbound"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    before = contents()
    bed.said("red", unicast(bed))
    assert contents() == before
