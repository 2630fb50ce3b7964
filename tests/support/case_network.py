"""The lines of a packet case that are about the northbound database (`support.packet_cases`): what they write there.

    switch sw                    router r [OPTION=VALUE …]              options of the row, such as chassis=h1
    localnet sw [vlan 101]                                              the port sw-net of the provider network physnet1
    port a h1 sw MAC IP… [open] [unknown] [type=localport] [dhcp4=ROW]  a logical port; the case's runner plugs it in
    nested c a 5 sw MAC IP…                                             a port behind a, in VLAN 5
    join r sw MAC NETWORK… [gateway=h1,h2] [OPTION=VALUE …]             the router port r-sw, and sw-r on the switch
    peer r q MAC NETWORK… to MAC NETWORK…                               the router ports r-q and q-r
    static r-sw IP MAC [override]                                       the MAC of a machine that the router knows
    dhcp4 ROW CIDR OPTION=VALUE …                                       dhcp6 alike
    relay r-sw SERVER                                                   the DHCP requests of sw go to a server by r-sw
    serve PORT ROW                                                      DHCPv4 options of a port that is there
    acl sw from-lport 1000 MATCH ACTION [tier=N]                        an ACL with what ovn-nbctl does not know
    nat r TYPE EXTERNAL LOGICAL [match=MATCH] [priority=N] [OPTION …]   a NAT rule, alike; the options are `_NAT`'s
    policy r PRIORITY MATCH ACTION [chain=NAME] [to=CHAIN] [via=IP,…]   a routing policy, alike
    group pg a b                 set as 10.0.0.1 …                      a port group, an address set
    dns s1,s2 NAME="10.0.0.4 fd00::4" … [owned]                         names that switches know
    lb NAME tcp 10.9.9.9:80 10.0.0.1:8080,10.0.0.2:8080 [OPTION=VALUE …]  a load balancer, or a further address of one
    balance s1,r NAME…           those switches and routers have it; @NAME stands for a group
    lbgroup NAME lb1 lb2         a group of load balancers
    template h1 NAME=VALUE …     the template variables of a host
    global OPTION=VALUE          nb COMMAND …                           an option of NB_Global; any ovn-nbctl command

A load balancer without backends has `-` in their place; its `fields=ip_src,…` are selection_fields. `gateway=` lists
gateway chassis, the preferred one first. Options of `join` are the router port's; those of `ra.` go to ipv6_ra_configs,
those of `switch.` are the switch port's. Each port's addresses are known as PORT.mac, PORT.ip, PORT.ip6 and PORT.ll,
the link-local address that its MAC makes.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

NbCtl = Callable[..., str]
KEPT_TABLES = ("HA_Chassis_Group", "Static_MAC_Binding", "BFD")
"""Rows of these are kept although nothing refers to them; a case that has routers takes them all away."""


def link_local(mac: str) -> str:
    """The address that a MAC makes on its link (RFC 4291, appendix A)."""
    raw = bytes.fromhex(mac.replace(":", ""))
    host = bytes([raw[0] ^ 2]) + raw[1:3] + b"\xff\xfe" + raw[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + host))


@dataclass(frozen=True)
class Plug:
    """A logical port that an instance is to have."""

    name: str
    host: str
    mac: str
    kind: str
    """Type of the port, or `also` for a further interface. Nobody waits for either to be installed."""
    port: str = ""
    """The logical port, if it has another name."""


@dataclass
class Network:
    """What a case has written, and how to take it away again. `nbctl` runs one ovn-nbctl command."""

    nbctl: NbCtl
    remote: str
    """The northbound database."""
    addresses: dict[str, str] = field(default_factory=dict)
    """What PORT.mac and its like stand for."""
    rows: dict[str, str] = field(default_factory=dict)
    """DHCP_Options rows by the name that the case gives them."""
    balancers: dict[str, str] = field(default_factory=dict)
    """Load_Balancer rows by name, and rows of groups by "@" and name."""
    relays: set[str] = field(default_factory=set)
    """The names of DHCP_Relay rows."""
    routed: bool = False
    undo: list[tuple[str, ...]] = field(default_factory=list)

    def knows(self, word: str) -> bool:
        return hasattr(self, f"do_{word}")

    def do(self, words: Sequence[str]) -> Plug | None:
        """Writes one line; for a `port`, says what to plug in."""
        done: Plug | None = getattr(self, f"do_{words[0]}")(*words[1:])
        return done

    def filled(self, text: str) -> str:
        """The text with addresses in place of their names."""
        return re.sub(r"\b[\w-]+\.(?:mac|ip6|ip|ll)\b", lambda found: self.addresses.get(found[0], found[0]), text)

    def name(self, port: str, mac: str, networks: Sequence[str]) -> None:
        """Gives names to a port's addresses: the first of each kind."""
        self.addresses |= {f"{port}.mac": mac, f"{port}.ll": link_local(mac)}
        for network in reversed(networks):
            self.addresses[f"{port}.ip6" if ":" in network else f"{port}.ip"] = network.split("/")[0]

    def clean(self) -> None:
        for command in reversed(self.undo):
            with contextlib.suppress(Exception):
                self.nbctl(*command)
        for name in self.relays:
            self._transact({"op": "delete", "table": "DHCP_Relay", "where": [["name", "==", name]]})
        if self.routed:
            self.nbctl(*" -- ".join(f"--all destroy {table}" for table in KEPT_TABLES).split())

    # --- one method for each word

    def do_nb(self, *words: str) -> None:
        self.nbctl(*map(self.filled, words))

    def do_switch(self, name: str) -> None:
        self.nbctl("ls-add", name)
        self.undo.append(("ls-del", name))

    def do_router(self, name: str, *pairs: str) -> None:
        self.nbctl("lr-add", name, *_options("Logical_Router", name, pairs))
        self.undo.append(("lr-del", name))
        self.routed = True

    def do_localnet(self, switch: str, *words: str) -> None:
        tag = ("", words[1]) if words[:1] == ("vlan",) else ()
        port = f"{switch}-net"
        command = ("lsp-add", switch, port, *tag, "--", "lsp-set-type", port, "localnet")
        self.nbctl(*command, "--", "lsp-set-addresses", port, "unknown", "--", "lsp-set-options", port, PHYSICAL)

    def do_nested(self, name: str, parent: str, tag: str, switch: str, mac: str, *ips: str) -> None:
        address = " ".join((mac, *ips))
        self.nbctl("lsp-add", switch, name, parent, tag, "--", "lsp-set-addresses", name, address)
        self.nbctl("lsp-set-port-security", name, address)
        self.name(name, mac, ips)

    def do_join(self, router: str, switch: str, mac: str, *words: str) -> None:
        networks = [word for word in words if "=" not in word]
        pairs = [word for word in words if "=" in word]
        port, attached = f"{router}-{switch}", f"{switch}-{router}"
        command = ["lrp-add", router, port, mac, *networks]
        gateways = next((pair.partition("=")[2].split(",") for pair in pairs if pair.startswith("gateway=")), [])
        for place, chassis in enumerate(gateways):
            command += ["--", "lrp-set-gateway-chassis", port, chassis, str(100 - place)]
        advertised = [pair.removeprefix("ra.") for pair in pairs if pair.startswith("ra.")]
        command += _options("Logical_Router_Port", port, advertised, "ipv6_ra_configs")
        own = [pair for pair in pairs if not pair.startswith(("gateway=", "ra.", "switch."))]
        command += _options("Logical_Router_Port", port, own)
        others = [pair.removeprefix("switch.") for pair in pairs if pair.startswith("switch.")]
        command += ["--", "lsp-add", switch, attached, "--", "lsp-set-type", attached, "router"]
        command += ["--", "lsp-set-addresses", attached, "router"]
        command += _options("Logical_Switch_Port", attached, [f"router-port={port}", *others])
        self.nbctl(*command)
        self.name(port, mac, networks)

    def do_peer(self, router: str, other: str, mac: str, *words: str) -> None:
        networks, (other_mac, *others) = words[: words.index("to")], words[words.index("to") + 1 :]
        port, far = f"{router}-{other}", f"{other}-{router}"
        one = ("lrp-add", router, port, mac, *networks, f"peer={far}")
        self.nbctl(*one, "--", "lrp-add", other, far, other_mac, *others, f"peer={port}")
        self.name(port, mac, networks)
        self.name(far, other_mac, others)

    def do_static(self, port: str, ip: str, mac: str, *words: str) -> None:
        override = str(words == ("override",)).lower()
        columns = (f"logical_port={port}", f'ip="{self.filled(ip)}"', f'mac="{self.filled(mac)}"')
        self.nbctl("create", "Static_MAC_Binding", *columns, f"override_dynamic_mac={override}")

    def do_acl(self, switch: str, direction: str, priority: str, match: str, action: str, *settings: str) -> None:
        columns = {name: int(value) for name, _, value in (text.partition("=") for text in settings)}
        row = {"direction": direction, "priority": int(priority), "match": match, "action": action, **columns}
        self._insert("ACL", row, "Logical_Switch", switch, "acls")

    def do_nat(self, router: str, kind: str, external: str, logical: str, *settings: str) -> None:
        row: dict[str, Any] = {"type": kind, "external_ip": self.filled(external), "logical_ip": self.filled(logical)}
        for name, _, text in (setting.partition("=") for setting in settings):
            column = _NAT[name]
            row[column] = int(text) if name == "priority" else self.filled(text)
            if column.endswith("ext_ips"):
                row[column] = ["uuid", self.nbctl("get", "Address_Set", text, "_uuid").strip()]
            if column == "options":
                row[column] = ["map", [[name, text]]]
        self._insert("NAT", row, "Logical_Router", router, "nat")

    def do_policy(self, router: str, priority: str, match: str, action: str, *settings: str) -> None:
        row: dict[str, Any] = {"priority": int(priority), "match": self.filled(match), "action": action}
        for name, _, text in (setting.partition("=") for setting in settings):
            if name == "via":
                row["nexthops"] = ["set", self.filled(text).split(",")]
            else:
                row[{"chain": "chain", "to": "jump_chain"}[name]] = text
        self._insert("Logical_Router_Policy", row, "Logical_Router", router, "policies")

    def do_relay(self, port: str, server: str) -> None:
        """A row for the port, in place of the one of an earlier line."""
        router, _, switch = port.partition("-")
        row = {"name": port, "servers": self.filled(server)}
        chosen = {"dhcp_relay": ["named-uuid", "relay"]}
        self._transact(
            {"op": "delete", "table": "DHCP_Relay", "where": [["name", "==", port]]},
            {"op": "insert", "table": "DHCP_Relay", "uuid-name": "relay", "row": row},
            {"op": "update", "table": "Logical_Router_Port", "where": [["name", "==", port]], "row": chosen},
        )
        self.relays.add(port)
        self.nbctl("set", "Logical_Switch", switch, f"other_config:dhcp_relay_port={switch}-{router}")

    def _insert(self, table: str, row: dict[str, Any], owner_table: str, owner: str, column: str) -> None:
        """Inserts a row with any columns of the server's schema, and gives it to the row called `owner`."""
        self._transact(
            {"op": "insert", "table": table, "uuid-name": "new", "row": row},
            {
                "op": "mutate",
                "table": owner_table,
                "where": [["name", "==", owner]],
                "mutations": [[column, "insert", ["named-uuid", "new"]]],
            },
        )

    def _transact(self, *operations: dict[str, object]) -> None:
        """For what ovn-nbctl does not know. The last operation is to change one row."""
        command = ["ovsdb-client", "transact", self.remote, json.dumps(["OVN_Northbound", *operations])]
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        assert '"error"' not in said and said.rstrip().endswith('{"count":1}]'), said

    def do_group(self, name: str, *ports: str) -> None:
        self.nbctl("pg-add", name, *ports)
        self.undo.append(("pg-del", name))

    def do_set(self, name: str, *addresses: str) -> None:
        quoted = ",".join(f'"{address}"' for address in addresses)
        self.nbctl("create", "Address_Set", f"name={name}", f"addresses=[{quoted}]")
        # What refers to the set holds on to it, and is taken away before it.
        self.undo.insert(0, ("destroy", "Address_Set", name))

    def do_dns(self, switches: str, *pairs: str) -> None:
        records = [f'records:{name}="{value}"' for name, _, value in (pair.partition("=") for pair in pairs) if value]
        ids = ["external_ids:ovn-owned=true"] if "owned" in pairs else []
        row = self.nbctl("create", "DNS", *records, *ids).strip()
        for switch in switches.split(","):
            self.nbctl("add", "Logical_Switch", switch, "dns_records", row)
        self.undo.append(("destroy", "DNS", row))

    def do_lb(self, name: str, protocol: str, vip: str, backends: str, *pairs: str) -> None:
        """Vips are written as values of their own, for ovn-nbctl reads neither templates nor what has no backend."""
        vip, backends = self.filled(vip), self.filled("" if backends == "-" else backends)
        entry = f'vips:"{vip}"="{backends}"'
        if name not in self.balancers:
            self.balancers[name] = self.nbctl("create", "Load_Balancer", f"name={name}").strip()
            self.undo.append(("destroy", "Load_Balancer", self.balancers[name]))
        row = self.balancers[name]
        self.nbctl("set", "Load_Balancer", row, f"protocol={protocol}", entry)
        for key, _, value in (pair.partition("=") for pair in pairs):
            setting = f"selection_fields={value}" if key == "fields" else f'options:{key}="{self.filled(value)}"'
            self.nbctl("set", "Load_Balancer", row, setting)

    def do_lbgroup(self, name: str, *balancers: str) -> None:
        members = ",".join(self.balancers[one] for one in balancers)
        row = self.nbctl("create", "Load_Balancer_Group", f"name={name}", f"load_balancer=[{members}]").strip()
        self.balancers[f"@{name}"] = row
        # What has the group holds on to it, and is taken away before it.
        self.undo.insert(0, ("destroy", "Load_Balancer_Group", row))

    def do_balance(self, datapaths: str, *names: str) -> None:
        routers = self.nbctl("--bare", "--columns=name", "list", "Logical_Router").split()
        for datapath in datapaths.split(","):
            table = "Logical_Router" if datapath in routers else "Logical_Switch"
            for name in names:
                column = "load_balancer_group" if name.startswith("@") else "load_balancer"
                self.nbctl("add", table, datapath, column, self.balancers[name])

    def do_template(self, chassis: str, *pairs: str) -> None:
        named = (self.filled(pair).partition("=") for pair in pairs)
        variables = [f'variables:{key}="{value}"' for key, _, value in named]
        row = self.nbctl("create", "Chassis_Template_Var", f"chassis={chassis}", *variables).strip()
        self.undo.append(("destroy", "Chassis_Template_Var", row))

    def do_global(self, pair: str) -> None:
        self.nbctl("set", "NB_Global", ".", f"options:{pair}")
        self.undo.append(("remove", "NB_Global", ".", "options", pair.partition("=")[0]))

    def do_dhcp4(self, name: str, cidr: str, *pairs: str) -> None:
        escaped = cidr.replace(":", r"\:")
        named = (pair.replace('"', r"\"").partition("=") for pair in pairs)
        settings = [f'options:{key}="{value}"' for key, _, value in named]
        self.rows[name] = self.nbctl("create", "DHCP_Options", f"cidr={escaped}", *settings).strip()
        self.undo.append(("dhcp-options-del", self.rows[name]))

    do_dhcp6 = do_dhcp4

    def do_serve(self, port: str, row: str) -> None:
        self.nbctl("lsp-set-dhcpv4-options", port, self.rows[row])

    def do_port(self, name: str, host: str, switch: str, mac: str, *words: str) -> Plug:
        flags = {word for word in words if word in ("open", "unknown")}
        settings = dict(word.split("=", 1) for word in words if "=" in word)
        ips = [word for word in words if word not in flags and "=" not in word]
        address = " ".join((mac, *ips))
        command = ["lsp-add", switch, name, "--", "lsp-set-addresses", name, address]
        command += ["unknown"] if "unknown" in flags else []
        if not flags and "type" not in settings:
            command += ["--", "lsp-set-port-security", name, address]
        if "type" in settings:
            command += ["--", "lsp-set-type", name, settings["type"]]
        for version in "46":
            if f"dhcp{version}" in settings:
                row = self.rows[settings[f"dhcp{version}"]]
                command += ["--", f"lsp-set-dhcpv{version}-options", name, row]
        self.nbctl(*command)
        self.name(name, mac, ips)
        return Plug(name, host, mac, settings.get("type", ""))


_NAT = {
    "match": "match",
    "priority": "priority",
    "mac": "external_mac",
    "port": "logical_port",
    "ports": "external_port_range",
    "allowed": "allowed_ext_ips",
    "exempted": "exempted_ext_ips",
    "stateless": "options",
    "add_route": "options",
}
"""Columns of NAT by the names that cases give them."""
PHYSICAL = "network_name=physnet1"


def _options(table: str, row: str, pairs: Sequence[str], column: str = "options") -> list[str]:
    """The part of a command that sets options given as KEY=VALUE; nothing if there are none."""
    named = [pair.partition("=") for pair in pairs]
    settings = [f'{column}:{key}="{value}"' for key, _, value in named]
    return ["--", "set", table, row, *settings] if settings else []
