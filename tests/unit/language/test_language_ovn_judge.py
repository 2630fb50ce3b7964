"""Debian's ovn-trace judges the language: it reads and refuses the same cases as our parsers.

What our printers write must be readable for the C daemons that share a cloud with us. ovn-trace parses every logical
flow of its datapath and complains about those that it can't read. Known differences are listed below; each is either a
word newer than OVN 23.03, or a case where C takes what has no meaning.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.language_cases import lines

SCHEMA = Path("/usr/share/ovn/ovn-sb.ovsschema")

pytestmark = pytest.mark.skipif(
    shutil.which("ovn-trace") is None or shutil.which("ovsdb-server") is None or not SCHEMA.exists(),
    reason="ovn-trace, ovsdb-server or the southbound schema is not installed",
)

# Words that OVN 23.03 does not have.
NEWER = (
    *("flood_remote", "icmp4.inner_ip4.src", "ct_next(dnat)", "ct_next(snat)", "ct_commit_to_zone", "ct_lb_mark_local"),
    *("ct_nw_dst", "ct_ip6_dst", "ct_tp_dst", "ct_proto", "ct_state_save", "mac_cache_use", "get_remote_fdb"),
    *("chk_evpn_arp", "dhcp_relay_", "select(values", "obs_point=reg3", "mirror("),
)
# Template variables are a chassis's own. C wants a verdict in every log, and both arguments of commit_ecmp_nh.
REFUSED_BY_C = (*NEWER, "^vip", "log(severity=info)", "commit_ecmp_nh(ipv6 = true)")
# Values that don't fit, masks that the switch does not have, sets of one element as bounds, things given twice.
ACCEPTED_BY_C = {
    *("reg8[16..31] = 65536;", "ip.ttl = 3/7;", "ip.ttl == 1/1", "ip4[0]", "ip4.src > $set1"),
    *("ct_commit { next; };", "ct_commit(ct_mark=0x100000000);", "reg0 = get_fdb(eth.dst);"),
    *("reg0[0] = check_pkt_larger(70000);", "log(verdict=drop, verdict=allow);"),
}
# ovn-trace 23.03 dies of a field that has no place in Open vSwitch.
NOT_FOR_C = {"icmp4.frag_mtu == 1"}


@pytest.fixture
def southbound(tmp_path: Path) -> Iterator[str]:
    """The remote of an empty southbound database."""
    database, socket = tmp_path / "sb.db", tmp_path / "sb.sock"
    subprocess.run(["ovsdb-tool", "create", database, SCHEMA], check=True)
    server = subprocess.Popen(
        ["ovsdb-server", f"--remote=punix:{socket}", f"--unixctl={tmp_path}/sb.ctl", "--log-file=/dev/null", database]
    )
    try:
        remote = f"unix:{socket}"
        subprocess.run(["ovsdb-client", "--timeout=30", "wait", remote, "OVN_Southbound", "connected"], check=True)
        yield remote
    finally:
        server.terminate()
        server.wait(20)


# As ovn-northd writes them: name, code, type.
DHCP = """offerip 0 ipv4, netmask 1 ipv4, router 3 ipv4, dns_server 6 ipv4, domain_name 15 str, mtu 26 uint16,
    ip_forward_enable 19 bool, classless_static_route 121 static_routes, wpad 252 str"""
DHCPV6 = "server_id 2 mac, ia_addr 5 ipv6, dns_server 23 ipv6"


def insert(table: str, **row: object) -> dict[str, object]:
    return {"op": "insert", "table": table, "row": row}


def dhcp_rows(table: str, options: str) -> list[dict[str, object]]:
    words = [option.split() for option in options.split(",")]
    return [insert(table, name=name, code=int(code), type=kind) for name, code, kind in words]


def rows_for(flows: list[tuple[str, str]]) -> list[dict[str, object]]:
    """A datapath with one port, its sets and options, and one logical flow per (match, actions)."""
    datapath = ["named-uuid", "dp"]
    rows = [
        {**insert("Datapath_Binding", tunnel_key=1), "uuid-name": "dp"},
        insert("Port_Binding", logical_port="lsp1", datapath=datapath, tunnel_key=1),
        *(insert("Address_Set", name=name, addresses="10.0.0.1") for name in ("set1", "a_ip4")),
        *(insert("Port_Group", name=name, ports="lsp1") for name in ("pg", "port_group1")),
        *dhcp_rows("DHCP_Options", DHCP),
        *dhcp_rows("DHCPv6_Options", DHCPV6),
    ]
    place = {"logical_datapath": datapath, "pipeline": "ingress", "table_id": 0}
    for priority, (match, actions) in enumerate(flows):
        rows.append(insert("Logical_Flow", **place, priority=priority, match=match, actions=actions))
    return rows


def complaints(remote: str, tmp_path: Path, flows: list[tuple[str, str]]) -> list[str]:
    """What ovn-trace says about the flows that it can't read."""
    transaction = json.dumps(["OVN_Southbound", *rows_for(flows)])
    done = subprocess.run(["ovsdb-client", "transact", remote, transaction], check=True, capture_output=True, text=True)
    assert "error" not in done.stdout
    trace = subprocess.run(
        ["ovn-trace", "--no-leader-only", f"--db={remote}", f"--unixctl={tmp_path}/trace.ctl", 'inport == "lsp1"'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ingress(" in trace.stdout, trace.stderr
    return [line.split("WARN|", 1)[1] for line in trace.stderr.splitlines() if "WARN|" in line]


@pytest.mark.parametrize("name", ["match.txt", "actions.txt"])
def test_ovn_trace_reads_what_we_print_and_refuses_what_we_refuse(southbound: str, tmp_path: Path, name: str) -> None:
    cases = [(text, expected.startswith("error "), expected) for text, expected in lines(name) if text not in NOT_FOR_C]
    texts = [text if is_error else expected for text, is_error, expected in cases]
    as_flow = [(text, "next;") if name == "match.txt" else ("1", text) for text in texts]
    found = complaints(southbound, tmp_path, as_flow)
    differences = []
    for text, (_, is_error, _) in zip(texts, cases, strict=True):
        refused = any(line.startswith(f"{text}: ") for line in found)
        if is_error and not refused and text not in ACCEPTED_BY_C:
            differences.append(f"C reads what we refuse: {text}")
        if not is_error and refused and not any(word in text for word in REFUSED_BY_C):
            differences.append(f"C refuses what we print: {text}")
    assert differences == []
    assert len(found) > 40
