"""Every logical flow that Debian's ovn-northd writes for a network with all its features is read, printed, compiled.

The network below has switches, routers, gateways, load balancers, NAT, ACLs, DHCP, DNS, multicast, QoS and policies,
so that most actions of OVN 23.03 occur.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovine.language import (
    Action,
    StaticEnvironment,
    all_of,
    compile_match,
    format_actions,
    format_match,
    parse_actions,
    parse_match,
    prerequisites,
    references,
)
from ovine.language.actions import Pipeline

SCHEMAS = Path("/usr/share/ovn")

pytestmark = pytest.mark.skipif(
    shutil.which("ovn-northd") is None or not (SCHEMAS / "ovn-nb.ovsschema").exists(),
    reason="ovn-northd is not installed",
)

NETWORK = r"""
ls-add sw0 -- ls-add sw1 -- ls-add pub -- lr-add lr0 -- lr-add gw0
lsp-add sw0 sw0-p1 -- lsp-set-addresses sw0-p1 "50:54:00:00:00:01 10.0.0.11 fd00::11"
lsp-set-port-security sw0-p1 "50:54:00:00:00:01 10.0.0.11 fd00::11"
lsp-add sw0 sw0-p2 -- lsp-set-addresses sw0-p2 "50:54:00:00:00:02 10.0.0.12"
lsp-add sw0 sw0-any -- lsp-set-addresses sw0-any unknown
lsp-add sw0 sw0-vip -- lsp-set-type sw0-vip virtual
lsp-set-options sw0-vip virtual-ip=10.0.0.50 virtual-parents=sw0-p1,sw0-p2
lsp-add sw0 sw0-local -- lsp-set-type sw0-local localport -- lsp-set-addresses sw0-local "50:54:00:00:00:60 10.0.0.60"
lsp-add sw0 sw0-ext -- lsp-set-type sw0-ext external -- lsp-set-addresses sw0-ext "50:54:00:00:00:70 10.0.0.70"
lsp-add sw1 sw1-p1 -- lsp-set-addresses sw1-p1 "50:54:00:00:01:01 10.1.0.11 fd01::11"
lrp-add lr0 lr0-sw0 00:00:00:00:ff:00 10.0.0.1/24 fd00::1/64 -- lrp-add lr0 lr0-sw1 00:00:00:00:ff:01 10.1.0.1/24
lsp-add sw0 sw0-lr0 -- lsp-set-type sw0-lr0 router -- lsp-set-addresses sw0-lr0 router
lsp-set-options sw0-lr0 router-port=lr0-sw0
lsp-add sw1 sw1-lr0 -- lsp-set-type sw1-lr0 router -- lsp-set-addresses sw1-lr0 router
lsp-set-options sw1-lr0 router-port=lr0-sw1
lrp-add lr0 lr0-pub 00:00:20:20:12:13 172.168.0.100/24 2001:db8::1/64 -- lrp-set-gateway-chassis lr0-pub hv1 20
lsp-add pub pub-lr0 -- lsp-set-type pub-lr0 router -- lsp-set-addresses pub-lr0 router
lsp-set-options pub-lr0 router-port=lr0-pub nat-addresses=router
lsp-add pub ln0 -- lsp-set-type ln0 localnet -- lsp-set-addresses ln0 unknown -- lsp-set-options ln0 network_name=phys
lrp-add gw0 gw0-sw1 00:00:00:00:99:01 10.1.0.254/24
lsp-add sw1 sw1-gw0 -- lsp-set-type sw1-gw0 router -- lsp-set-addresses sw1-gw0 router
lsp-set-options sw1-gw0 router-port=gw0-sw1
set logical_router gw0 options:chassis=hv1 options:lb_force_snat_ip=10.9.0.1 options:dnat_force_snat_ip=10.9.0.2
lr-nat-add gw0 dnat 10.1.0.253 10.1.0.11
lr-nat-add lr0 snat 172.168.0.100 10.0.0.0/24
lr-nat-add lr0 dnat_and_snat 172.168.0.110 10.0.0.11 sw0-p1 30:54:00:00:00:03
lr-nat-add lr0 dnat 172.168.0.120 10.0.0.12
lr-nat-add lr0 snat 2001:db8::1 fd00::/64
lb-add lb0 10.0.0.100:80 10.0.0.11:80,10.0.0.12:80 tcp -- lb-add lb1 "[fd00::100]:80" "[fd00::11]:80" udp
lb-add lb2 172.168.0.200 10.0.0.11,10.0.0.12 -- --event lb-add lb3 10.0.0.200:90 ""
ls-lb-add sw0 lb0 -- ls-lb-add sw0 lb1 -- ls-lb-add sw0 lb2 -- ls-lb-add sw0 lb3
lr-lb-add lr0 lb0 -- lr-lb-add lr0 lb1 -- lr-lb-add lr0 lb2 -- lr-lb-add gw0 lb0
set load_balancer lb0 options:affinity_timeout=60 selection_fields=ip_src,ip_dst
set load_balancer lb2 options:skip_snat=true
--id=@h create Load_Balancer_Health_Check vip="10.0.0.100\:80" -- add Load_Balancer lb0 health_check @h
set load_balancer lb0 ip_port_mappings:10.0.0.11=sw0-p1:10.0.0.2
pg-add pg1 sw0-p1 sw1-p1 -- create address_set name=as1 addresses="10.0.0.11","10.1.0.11" -- meter-add m1 drop 10 pktps
acl-add pg1 from-lport 1001 'inport == @pg1 && ip4 && tcp.dst == {80,443}' allow-related
--log --name=x --severity=info --meter=m1 acl-add pg1 to-lport 1002 'outport == @pg1 && ip4.src == $pg1_ip4' reject
acl-add sw0 to-lport 900 'ip4.src == $as1 && icmp4.type == 8' drop
--apply-after-lb acl-add sw0 from-lport 900 ip6 allow
--label=1234 acl-add sw0 to-lport 901 'ip4 && tcp' allow-related
acl-add sw1 from-lport 33 arp allow-stateless
--id=@d create DHCP_Options cidr=10.0.0.0/24 \
    options="server_id=10.0.0.1 server_mac=00\:00\:00\:00\:ff\:00 lease_time=3600 \
    router=10.0.0.1 dns_server=\"{8.8.8.8,1.1.1.1}\"" \
    -- set logical_switch_port sw0-p1 dhcpv4_options=@d
--id=@d create DHCP_Options cidr="fd00\:\:/64" options="server_id=00\:00\:00\:00\:ff\:00" \
    -- set logical_switch_port sw0-p1 dhcpv6_options=@d
--id=@d create DNS records:vm1=10.0.0.11 -- add logical_switch sw0 dns_records @d
set logical_router_port lr0-sw0 ipv6_ra_configs:address_mode=slaac ipv6_ra_configs:mtu=1400
set logical_switch sw0 other_config:mcast_snoop=true other_config:mcast_querier=false
set logical_router lr0 options:mcast_relay=true options:always_learn_from_arp_request=false
set logical_router_port lr0-pub options:gateway_mtu=1400
--ecmp lr-route-add lr0 20.0.0.0/24 172.168.0.2 -- --ecmp lr-route-add lr0 20.0.0.0/24 172.168.0.3
--ecmp-symmetric-reply lr-route-add lr0 30.0.0.0/24 172.168.0.4
--ecmp-symmetric-reply lr-route-add lr0 30.0.0.0/24 172.168.0.5
create BFD logical_port=lr0-pub dst_ip=172.168.0.9
lr-policy-add lr0 10 'ip4.src == 10.0.0.11' reroute 172.168.0.7
lr-policy-add lr0 11 'ip4.src == 10.0.0.12' reroute 172.168.0.7,172.168.0.8
lr-policy-add lr0 12 'ip4.src == 10.0.0.13' drop
qos-add sw0 to-lport 10 'ip4 && tcp' dscp=10 -- qos-add sw0 from-lport 11 'ip4 && udp' rate=100 burst=200
fwd-group-add fg1 sw0 10.0.0.223 00:00:00:00:02:23 sw0-p1 sw0-p2
"""


@pytest.fixture
def logical_flows(tmp_path: Path) -> Iterator[list[tuple[str, str, Pipeline]]]:
    """(match, actions, pipeline) of every logical flow that ovn-northd writes for the network."""
    environment = {**os.environ, "OVN_RUNDIR": str(tmp_path), "OVS_RUNDIR": str(tmp_path)}
    running: list[subprocess.Popen[bytes]] = []

    def start(*command: str | Path) -> None:
        quiet = ["--log-file=/dev/null", "-vconsole:off"]
        running.append(subprocess.Popen([*command, *quiet], env=environment))

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
        return done.stdout

    nb, sb = (f"unix:{tmp_path}/{name}.sock" for name in ("nb", "sb"))
    try:
        for name in ("nb", "sb"):
            run("ovsdb-tool", "create", tmp_path / f"{name}.db", SCHEMAS / f"ovn-{name}.ovsschema")
            start(
                "ovsdb-server",
                f"--remote=punix:{tmp_path}/{name}.sock",
                f"--unixctl={name}.ctl",
                tmp_path / f"{name}.db",
            )
        for remote, database in ((nb, "OVN_Northbound"), (sb, "OVN_Southbound")):
            run("ovsdb-client", "--timeout=30", "wait", remote, database, "connected")
        run("ovn-nbctl", "--timeout=30", f"--db={nb}", "init")
        run("ovn-sbctl", "--timeout=30", f"--db={sb}", "init")
        start("ovn-northd", f"--ovnnb-db={nb}", f"--ovnsb-db={sb}", "--unixctl=northd.ctl")
        run("ovn-sbctl", "--timeout=30", f"--db={sb}", "chassis-add", "hv1", "geneve", "127.0.0.1")
        for line in NETWORK.replace("\\\n", "").strip().splitlines():
            run("ovn-nbctl", "--timeout=30", f"--db={nb}", *shlex.split(line))
        run("ovn-nbctl", "--timeout=30", "--wait=sb", f"--db={nb}", "sync")
        columns = ("--format=json", "--columns=match,actions,pipeline")
        yield json.loads(run("ovn-sbctl", f"--db={sb}", *columns, "list", "logical_flow"))["data"]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(20)


def kinds(actions: tuple[Action, ...]) -> set[str]:
    found = set()
    for action in actions:
        found |= {type(action).__name__, *kinds(getattr(action, "actions", ()))}
    return found


def test_all_logical_flows_of_ovn_northd_are_read(logical_flows: list[tuple[str, str, Pipeline]]) -> None:
    assert len(logical_flows) > 400
    seen: set[str] = set()
    for match, text, pipeline in logical_flows:
        expr, actions = parse_match(match), parse_actions(text, pipeline)
        assert parse_match(format_match(expr)) == expr
        assert parse_actions(format_actions(actions), pipeline) == actions
        found = references(expr)
        env = StaticEnvironment(
            address_sets=dict.fromkeys(found.address_sets, ("10.0.0.1", "fd00::1", "00:00:00:00:00:01")),
            port_groups=dict.fromkeys(found.port_groups, ("a", "b")),
            port_keys={port: key for key, port in enumerate(sorted({*found.ports, "a", "b"}), 1)},
            residents=found.resident_ports,
        )
        flows = compile_match(all_of([expr, prerequisites(actions)]), env)
        assert flows or match == "0", f"{match} never matches with {text}"
        seen |= kinds(actions)
    assert len(seen) > 50, sorted(seen)
