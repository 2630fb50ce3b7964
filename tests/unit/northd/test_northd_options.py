"""What becomes of each key that ovn-nb(5) of OVN 23.03 documents in columns of options: what docs/coverage.md says.

Each key is written into a northbound where it should matter. Then it must be used (southbound rows differ, or, for what
ports are only to tell hosts, the controller reads it), be reported by its name, or be without effect, as the page says.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from ovine import northd
from ovine.engine import Engine
from ovine.model import nb
from ovine.model.base import Row, StrMap
from ovine.model.dhcp_options import V4
from ovine.northd import config, thresholds
from support.northd import Northbound, compiled, row_uuid

TOP = Path(__file__).parents[3]
PAGE = TOP / "docs/coverage.md"
MANUAL = Path("/usr/share/man/man5/ovn-nb.5.gz")
CONTROLLER = "\n".join(path.read_text() for path in (TOP / "src/ovine/controller").rglob("*.py"))

NETWORK = """
host h1
host h2
meter m rate=10
switch s1 mcast_snoop=true mcast_querier=true mcast_ip4_src=9.9.9.9 mcast_ip6_src=fe80:: mcast_eth_src=0a:00:00:00:99:01
switch s2 subnet=10.9.0.0/24
switch s3
switch s4
switch ext
dhcp d4 cidr=10.0.0.0/24 server_id=10.0.0.254 server_mac=0a:00:00:00:99:01 lease_time=3600 router=10.0.0.254
dhcp d6 cidr=fd00::/64 server_id=0a:00:00:00:99:01
port s1 p1 addresses="0a:00:00:00:00:01 10.0.0.1 fd00::1" dhcpv4=d4 dhcpv6=d6
port s1 p2 addresses=unknown
port s2 dyn addresses=dynamic
port s3 dyn6 addresses=dynamic
port s4 net4 type=localnet addresses=unknown options:network_name=phys
port s1 vip type=virtual addresses="0a:00:00:00:00:07 10.0.0.7" options:virtual-ip=10.0.0.7 options:virtual-parents=p1
port s1 gate type=l2gateway addresses=unknown options:network_name=phys options:l2gateway-chassis=h1
port ext net type=localnet addresses=unknown options:network_name=phys
port s1 s1-r type=router addresses=router options:router-port=r-s1
port ext ext-r type=router addresses=router options:router-port=r-ext
port s4 s4-r type=router addresses=router options:router-port=r-s4
port s3 s3-q type=router addresses=router options:router-port=q-s3
port ext ext-g type=router addresses=router options:router-port=g-ext
port s2 s2-g type=router addresses=router options:router-port=g-s2
acl s1 a to-lport 1001 "ip4 && udp" allow-related log=true label=7
acl s1 b from-lport 1001 "tcp.dst == 9" reject
dns s1 vm1=10.0.0.1
router r
router g chassis=h1
router q
rport r r-s1 0a:00:00:00:01:fe 10.0.0.254/24 fd00::fe/64 ra:address_mode=slaac ra:send_periodic=true
rport r r-ext 0a:00:00:00:02:fe 172.16.0.254/24 gateways=h1:20
rport r r-s4 0a:00:00:00:04:fe 10.4.0.254/24
rport q q-s3 0a:00:00:00:06:fe 10.3.0.254/24
rport g g-ext 0a:00:00:00:05:fe 172.16.0.253/24
rport g g-s2 0a:00:00:00:03:fe 10.9.0.1/24
bfd b r-ext 172.16.0.1
route r out 0.0.0.0/0 172.16.0.1 bfd=b
route g one 10.7.0.0/16 10.9.0.7
route g two 10.7.0.0/16 10.9.0.8
policy r p 100 "ip4.src == 10.0.0.9" reroute 172.16.0.7
nat r dnat_and_snat 172.16.0.10 10.0.0.1
nat g dnat 172.16.0.11 10.9.0.3
lb lb 10.5.0.1:80=10.0.0.1:80 map=10.0.0.1=p1:10.0.0.9 check=10.5.0.1:80 interval=7
lb lbv ^vip:81=10.0.0.1:80
lb lbt options:template=true ^vip:80=^ends
lb empty 10.5.0.3:80=
templates h1 vip=10.5.0.2 ends=10.0.0.1:80
balance s1 lb lbt lbv empty
balance g lb
balance r lb
learned r r-ext 172.16.0.8 0a:00:00:00:00:08 1000
"""


class Place(NamedTuple):
    """A row by its table, name in tests, and column."""

    table: type[Row]
    name: str
    column: str = "options"


GLOBAL = Place(nb.NBGlobal, "global")
S1, S2, S3 = (Place(nb.LogicalSwitch, name, "other_config") for name in ("s1", "s2", "s3"))
P1, NET, GATE, VIP, S1_R, EXT_R = (
    Place(nb.LogicalSwitchPort, f"port {name}") for name in ("p1", "net", "gate", "vip", "s1-r", "ext-r")
)
R, G, Q = (Place(nb.LogicalRouter, f"router {name}") for name in "rgq")
R_S1, R_S4, R_EXT = (Place(nb.LogicalRouterPort, f"rport {name}") for name in ("r-s1", "r-s4", "r-ext"))
RA = Place(nb.LogicalRouterPort, "rport r-s1", "ipv6_ra_configs")
LB, LBT, LBV = (Place(nb.LoadBalancer, f"lb {name}") for name in ("lb", "lbt", "lbv"))
CHECK = Place(nb.LoadBalancerHealthCheck, "check 10.5.0.1:80")
D4, D6 = Place(nb.DHCPOptions, "d4"), Place(nb.DHCPOptions, "d6")

SETTINGS: dict[str, tuple[Place, str]] = {
    "ACL.options:log-related": (Place(nb.ACL, "acl a"), "true"),
    "NB_Global.options:mac_prefix": (GLOBAL, "0a:aa:aa"),
    "NB_Global.options:mac_binding_removal_limit": (GLOBAL, "7"),
    "NB_Global.options:ignore_lsp_down": (GLOBAL, "false"),
    "NB_Global.options:use_ct_inv_match": (GLOBAL, "false"),
    "NB_Global.options:debug_drop_domain_id": (GLOBAL, "9"),
    "NB_Global.options:debug_drop_collector_set": (GLOBAL, "100"),
    "NB_Global.options:max_tunid": (GLOBAL, "9"),
    "Logical_Switch.other_config:subnet": (S3, "10.8.0.0/24"),
    "Logical_Switch.other_config:exclude_ips": (S2, "10.9.0.2..10.9.0.9"),
    "Logical_Switch.other_config:ipv6_prefix": (S3, "fd08::"),
    "Logical_Switch.other_config:mac_only": (S3, "true"),
    "Logical_Switch.other_config:mcast_snoop": (S3, "true"),
    "Logical_Switch.other_config:mcast_querier": (S1, "false"),
    "Logical_Switch.other_config:mcast_table_size": (S1, "7"),
    "Logical_Switch.other_config:mcast_idle_timeout": (S1, "77"),
    "Logical_Switch.other_config:mcast_query_interval": (S1, "77"),
    "Logical_Switch.other_config:mcast_query_max_response": (S1, "7"),
    "Logical_Switch.other_config:mcast_eth_src": (S1, "0a:00:00:00:99:02"),
    "Logical_Switch.other_config:mcast_ip4_src": (S1, "10.0.0.77"),
    "Logical_Switch.other_config:mcast_ip6_src": (S1, "fe80::7"),
    "Logical_Switch.other_config:requested-tnl-key": (S1, "77"),
    "Logical_Switch.other_config:interconn-ts": (S1, "ts"),
    "Logical_Switch_Port.options:router-port": (S1_R, "none"),
    "Logical_Switch_Port.options:nat-addresses": (EXT_R, "router"),
    "Logical_Switch_Port.options:exclude-lb-vips-from-garp": (EXT_R, "true"),
    "Logical_Switch_Port.options:arp_proxy": (S1_R, "10.0.0.77"),
    "Logical_Switch_Port.options:network_name": (NET, "other"),
    "Logical_Switch_Port.options:ethtype": (NET, "802.11ad"),
    "Logical_Switch_Port.options:localnet_learn_fdb": (NET, "true"),
    "Logical_Switch_Port.options:l2gateway-chassis": (GATE, "h2"),
    "Logical_Switch_Port.options:requested-chassis": (P1, "h1"),
    "Logical_Switch_Port.options:virtual-ip": (VIP, "10.0.0.8"),
    "Logical_Switch_Port.options:virtual-parents": (VIP, "p2"),
    "Logical_Switch_Port.options:qos_min_rate": (P1, "100000"),
    "Logical_Switch_Port.options:qos_max_rate": (P1, "100000"),
    "Logical_Switch_Port.options:qos_burst": (P1, "100000"),
    "Logical_Switch_Port.options:hostname": (P1, "vm1"),
    "Logical_Switch_Port.options:requested-tnl-key": (P1, "77"),
    "Load_Balancer.options:hairpin_snat_ip": (LB, "10.5.0.9"),
    "Load_Balancer.options:neighbor_responder": (LB, "all"),
    "Load_Balancer.options:template": (LBV, "true"),
    "Load_Balancer.options:address-family": (LBT, "ipv6"),
    "Load_Balancer.options:affinity_timeout": (LB, "60"),
    "Logical_Router.options:chassis": (Q, "h1"),
    "Logical_Router.options:dnat_force_snat_ip": (G, "10.9.0.1"),
    "Logical_Router.options:lb_force_snat_ip": (G, "10.9.0.1"),
    "Logical_Router.options:always_learn_from_arp_request": (R, "false"),
    "Logical_Router.options:requested-tnl-key": (R, "77"),
    "Logical_Router.options:snat-ct-zone": (G, "77"),
    "Logical_Router.options:mac_binding_age_threshold": (R, "60"),
    "Logical_Router_Port.options:reside-on-redirect-chassis": (R_S4, "true"),
    "Logical_Router_Port.options:redirect-type": (R_EXT, "bridged"),
    "Logical_Router_Port.options:requested-tnl-key": (R_S1, "77"),
    "Logical_Router_Port.options:route_table": (R_S1, "blue"),
    "Logical_Router_Port.options:gateway_mtu": (R_EXT, "1400"),
    "Logical_Router_Port.options:gateway_mtu_bypass": (R_EXT, "udp"),
    "Logical_Router_Port.ipv6_ra_configs:address_mode": (RA, "dhcpv6_stateful"),
    "Logical_Router_Port.ipv6_ra_configs:router_preference": (RA, "HIGH"),
    "Logical_Router_Port.ipv6_ra_configs:route_info": (RA, "HIGH-fd77::/64"),
    "Logical_Router_Port.ipv6_ra_configs:mtu": (RA, "1400"),
    "Logical_Router_Port.ipv6_ra_configs:send_periodic": (RA, "false"),
    "Logical_Router_Port.ipv6_ra_configs:max_interval": (RA, "77"),
    "Logical_Router_Port.ipv6_ra_configs:min_interval": (RA, "7"),
    "Logical_Router_Port.ipv6_ra_configs:rdnss": (RA, "fd00::53"),
    "Logical_Router_Port.ipv6_ra_configs:dnssl": (RA, "example.org"),
    "Logical_Router_Policy.options:pkt_mark": (Place(nb.LogicalRouterPolicy, "policy p"), "7"),
    "NAT.options:stateless": (Place(nb.NAT, "nat dnat_and_snat 172.16.0.10 10.0.0.1"), "true"),
    "NAT.options:add_route": (Place(nb.NAT, "nat dnat_and_snat 172.16.0.10 10.0.0.1"), "true"),
    "Logical_Router_Static_Route.options:origin": (Place(nb.LogicalRouterStaticRoute, "route one"), "connected"),
    "Logical_Router_Static_Route.options:ecmp_symmetric_reply": (
        Place(nb.LogicalRouterStaticRoute, "route one"),
        "true",
    ),
    "DHCP_Options.options:server_id": (D4, "10.0.0.253"),
    "DHCP_Options.options:server_mac": (D4, "0a:00:00:00:99:07"),
    "DHCP_Options.options:lease_time": (D4, "77"),
    "DHCP_Options.options:domain_search": (D6, "example.org"),
    "DHCP_Options.options:dhcpv6_stateless": (D6, "true"),
}
"""What to write where. Keys that are not here are switches, set to "true" in the first row of their table."""

BEFORE = {
    "Logical_Router_Port.options:gateway_mtu_bypass": (R_EXT, "gateway_mtu", "1400"),
    "Logical_Switch_Port.options:exclude-lb-vips-from-garp": (EXT_R, "nat-addresses", "router"),
    "Logical_Router_Port.options:mcast_flood": (R, "mcast_relay", "true"),
    "Logical_Switch_Port.options:qos_burst": (P1, "qos_max_rate", "100000"),
    "NB_Global.options:debug_drop_domain_id": (GLOBAL, "debug_drop_collector_set", "7"),
    "NB_Global.options:debug_drop_collector_set": (GLOBAL, "debug_drop_domain_id", "7"),
    "Copp.meters:event-elb": (GLOBAL, "controller_event", "true"),
}
"""What must be there besides."""

SAMPLES = {"ipv4": "10.0.0.77", "static_routes": "10.7.0.0/16,10.0.0.7", "bool": "1", "host_id": "10.0.0.7"}
ROWS: dict[str, Place] = {
    "NB_Global.options": GLOBAL,
    "Copp.meters": Place(nb.Copp, "copp", "meters"),
    "Logical_Switch.other_config": S1,
    "Logical_Switch_Port.options": P1,
    "Load_Balancer.options": LB,
    "Load_Balancer_Health_Check.options": CHECK,
    "ACL.options": Place(nb.ACL, "acl b"),
    "Logical_Router.options": R,
    "Logical_Router_Port.options": R_S1,
    "Logical_Router_Static_Route.options": Place(nb.LogicalRouterStaticRoute, "route out"),
    "DHCP_Options.options": D4,
}


def documented() -> Iterator[str]:
    """TABLE.COLUMN:KEY of each option of the manual; what OVN writes for others to read is not among them."""
    table = ""
    for line in gzip.decompress(MANUAL.read_bytes()).decode().splitlines():
        if found := re.match(r'\.SH "(\w+) TABLE"', line):
            table = found[1]
        found = re.match(r"\\fB(\w+) : ([^\\]+(?:\\-[^\\]+)*)\\fR$", line)
        if found and (table, found[1]) != ("Connection", "status") and found[1] != "external_ids":
            yield f"{table}.{found[1]}:{found[2].replace(chr(92) + '-', '-')}"


def setting(option: str) -> tuple[Place, str]:
    """Where an option is written, and its value."""
    where, _, key = option.partition(":")
    if option in SETTINGS:
        return SETTINGS[option]
    if where == "Copp.meters":
        return ROWS[where], "m"
    if where == "DHCP_Options.options":
        return ROWS[where], SAMPLES.get(V4[key][1] if key in V4 else "", "7")
    if where == "Load_Balancer_Health_Check.options":
        return ROWS[where], "9"
    return ROWS[where], "true"


@pytest.fixture(scope="module")
def bed() -> tuple[Northbound, Engine]:
    northbound = Northbound()
    northbound.apply(NETWORK)
    northbound.put(nb.Copp(uuid=row_uuid("copp"), name="copp"))
    northbound.change(nb.LogicalSwitch, "s1", copp=row_uuid("copp"))
    for name in "rgq":
        northbound.change(nb.LogicalRouter, f"router {name}", copp=row_uuid("copp"))
    return northbound, compiled(northbound)


def write(northbound: Northbound, place: Place, key: str, value: str) -> None:
    row = northbound.rows[place.table, row_uuid(place.name)]
    northbound.put(msgspec.structs.replace(row, **{place.column: StrMap(getattr(row, place.column) | {key: value})}))


BY_DAEMON: dict[str, Callable[[dict[str, str]], Any]] = {
    "NB_Global.options:mac_binding_removal_limit": thresholds.removal_limit,
    "NB_Global.options:northd_probe_interval": config.probe_interval,
}
"""What the daemon itself goes by."""


def compile_anew(northbound: Northbound, engine: Engine) -> dict[tuple[str, Hashable], Any]:
    northbound.feed(engine)
    engine.run()
    return {(r.name, key): row for r in northd.WATCHED for key, row in engine.rows(r).items()}


def only_passed_on(before: Any, after: Any, key: str) -> bool:
    """Whether two rows differ in nothing but this key, so that it is up to the hosts."""
    if type(before) is not type(after) or not hasattr(before, "options"):
        return False
    return before == msgspec.structs.replace(after, options=before.options) and (
        {k: v for k, v in before.options.items() if k != key} == {k: v for k, v in after.options.items() if k != key}
    )


def fate(northbound: Northbound, engine: Engine, option: str) -> str:
    """What becomes of an option: used, reported, or no effect."""
    key = option.partition(":")[2]
    if option in BY_DAEMON:
        return "used" if BY_DAEMON[option]({key: "7777"}) != BY_DAEMON[option]({}) else "no effect"
    at_first = dict(northbound.rows)
    if option in BEFORE:
        write(northbound, *BEFORE[option])
    before, known = compile_anew(northbound, engine), {one.error for one in engine.failures()}
    place, value = setting(option)
    write(northbound, place, key, value)
    after = compile_anew(northbound, engine)
    reported = [one.error for one in engine.failures() if one.error not in known]
    northbound.rows = at_first
    assert compile_anew(northbound, engine) is not None
    if reported:
        return "reported"
    differing = [at for at in before.keys() | after.keys() if before.get(at) != after.get(at)]
    passed_on = all(only_passed_on(before.get(at), after.get(at), key) for at in differing)
    return "used" if differing and (not passed_on or re.search(rf"\b{key}\b", CONTROLLER)) else "no effect"


def listed() -> dict[str, str]:
    """What the page says of each option."""
    found: dict[str, str] = {}
    where = ""
    for line in PAGE.read_text().partition("\n## Options\n")[2].splitlines():
        if heading := re.fullmatch(r"### `(\w+\.\w+)`", line):
            where = heading[1]
        elif entry := re.match(r"- (used|reported|no effect): ((?:`[^`]+`(?:, )?)+)", line):
            found |= {f"{where}:{key}": entry[1] for key in re.findall(r"`([^`]+)`", entry[2])}
    return found


def test_the_page_says_of_each_documented_option_what_becomes_of_it(bed: tuple[Northbound, Engine]) -> None:
    if not MANUAL.is_file():
        pytest.fail("ovn-nb(5) is not installed") if os.environ.get("CI") == "true" else pytest.skip("no ovn-nb(5)")
    found = {option: fate(*bed, option) for option in documented()}
    assert len(found) > 150
    assert found == listed()


def test_nothing_is_without_effect_and_without_a_reason() -> None:
    for line in PAGE.read_text().partition("\n## Options\n")[2].splitlines():
        if line.startswith(("- reported: ", "- no effect: ")):
            assert re.fullmatch(r"- (reported|no effect): (?:`[^`]+`(?:, )?)+: \S.*", line), line
