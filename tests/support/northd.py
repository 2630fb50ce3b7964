"""A northbound in a few words, for tests of northd without databases.

    switch s1 vlan-passthru=true
    port s1 p1 addresses="0a:00:00:00:00:01 10.0.0.1" security="0a:00:00:00:00:01" dhcpv4=d1 options:hostname=x
    dhcp d1 cidr=10.0.0.0/24 server_id=10.0.0.1 …
    relay d 172.16.0.5                 the server of a DHCP relay, for rport … relay=d
    group pg p1 p2
    set as 10.0.0.1 10.0.0.2
    acl s1 a1 to-lport 1001 "ip4 && outport == @pg" allow-related label=7 log=true options:log-related=true
    acl @pg a2 from-lport 1000 "inport == @pg" drop
    acl s1 a3 to-lport 1001 "ip4" pass tier=1 sample_new=7 sample_est=8
    sample 7 1:100:65535
    app acl-new 42
    unacl a1
    meter m rate=10 fair=true
    router r1 chassis=gw1 options:dnat_force_snat_ip=10.0.0.9
    rport r1 r1-s1 0a:00:00:00:01:fe 10.0.0.254/24 fd00::fe/64 gateways=gw1:20,gw2:10 options:gateway_mtu=1400
    nat r1 dnat_and_snat 172.16.0.10 10.0.0.1 mac=0a:00:00:00:aa:01 port=p1
    nat r1 snat 172.16.0.11 10.0.0.0/24 as=web "match=tcp.dst == 80" priority=5
    unnat r1 dnat_and_snat 172.16.0.10
    hagroup h gw1:20 gw2:10
    route r1 out 0.0.0.0/0 172.16.0.1 table=t policy=src-ip port=r1-out bfd=b options:ecmp_symmetric_reply=true
    policy r1 p 100 "ip4.src == 10.0.0.9" reroute 10.0.0.7 10.0.0.8 pkt_mark=5
    policy r1 q 100 "ip4" jump chain=a to=b
    bfd b r1-out 172.16.0.1 min_tx=500
    said r1-out 172.16.0.1 up
    mac r1-out 172.16.0.7 0a:00:00:00:00:07
    learned r1 r1-out 172.16.0.8 0a:00:00:00:00:08 1000
    fdb 1 2 0a:00:00:00:00:08 1000     an address that a host learned: datapath, port, and when
    dns s1,s2 vm1=10.0.0.1
    qos s1 q1 from-lport 1001 "ip4" dscp=5 rate=100 burst=10
    unqos q1
    lb web 10.9.9.9:80=10.0.0.1:8080,10.0.0.2:8080 protocol=udp fields=ip_src options:reject=true
    lb web 10.9.9.9:80=10.0.0.1:8080 check=10.9.9.9:80 interval=5 map=10.0.0.1=p1:10.0.0.9
    unlb web
    lbgroup g web mail
    balance s1 web @g                  balance s1   takes them away
    templates h1 vip=10.9.9.1
    found p1 10.0.0.1 8080 offline     what a host finds of a backend that it watches
    copp s1,s2 dns=m dhcpv4-opts=m
    global ignore_lsp_down=false
    host h1 nb_cfg=3
    bind p1 h1 true parent=p2 activated=h2
    heard s1 239.1.1.1 h1 p1 p2
    delete p1

A port of a switch is attached to a router port by type=router addresses=router options:router-port=r1-s1; two router
ports are joined by peer=… in both. Several addresses are separated by ";". Rows get uuids from their names.
"""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Collection, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from ovine import northd
from ovine.engine import Engine
from ovine.model import nb, sb
from ovine.model.base import Map, Row, StrMap, Uuid
from ovine.northd.arp_nd import NEIGHBOURS
from ovine.northd.datapaths import KEYS as DATAPATH_KEYS
from ovine.northd.flows import FLOWS, Scope
from ovine.northd.ports import KEYS
from ovine.northd.switching import KNOWN_AT


def row_uuid(name: str) -> Uuid:
    return Uuid(str(uuid.uuid5(uuid.NAMESPACE_OID, name)))


class Northbound:
    """Rows by (table, uuid), changed by commands; `feed` brings an engine up to them."""

    def __init__(self) -> None:
        self.rows: dict[tuple[type[Row], Uuid], Row] = {}
        self._fed: WeakKeyDictionary[Engine, dict[tuple[type[Row], Uuid], Row]] = WeakKeyDictionary()
        self.put(nb.NBGlobal(uuid=row_uuid("global")))

    def put(self, row: Row) -> None:
        self.rows[type(row), row.uuid] = row

    def change(self, table: type[Row], name: str, **columns: Any) -> None:
        key = (table, row_uuid(name))
        self.rows[key] = msgspec.structs.replace(self.rows[key], **columns)

    def apply(self, text: str) -> None:
        for line in text.strip().splitlines():
            words = shlex.split(line, comments=True)
            if words:
                getattr(self, f"_{words[0]}")(*words[1:])

    def feed(self, engine: Engine) -> None:
        """Tells an engine what has changed since it was last fed."""
        before = self._fed.get(engine, {})
        for key in before.keys() - self.rows.keys():
            engine.feed(*key, None)
        for key, row in self.rows.items():
            if before.get(key) != row:
                engine.feed(*key, row)
        self._fed[engine] = dict(self.rows)

    # --- commands ---

    def _switch(self, name: str, *settings: str) -> None:
        before = self.rows.get((nb.LogicalSwitch, row_uuid(name)))
        row = before if isinstance(before, nb.LogicalSwitch) else nb.LogicalSwitch(uuid=row_uuid(name), name=name)
        self.put(msgspec.structs.replace(row, other_config=_map(settings)))

    def _port(self, switch: str, name: str, *settings: str) -> None:
        columns: dict[str, Any] = {}
        options: dict[str, str] = {}
        for key, value in (word.split("=", 1) for word in settings):
            if key.startswith("options:"):
                options[key.removeprefix("options:")] = value
            elif key == "addresses":
                columns["addresses"] = tuple(sorted(value.split(";")))
            elif key == "security":
                columns["port_security"] = tuple(sorted(value.split(";")))
            elif key == "group":
                columns["ha_chassis_group"] = row_uuid(f"hagroup {value}")
            elif key in ("dhcpv4", "dhcpv6"):
                columns[f"{key}_options"] = row_uuid(value)
            elif key == "enabled":
                columns["enabled"] = value == "true"
            elif key in ("tag", "tag_request"):
                columns[key] = int(value)
            else:
                columns[key] = value
        key = row_uuid(f"port {name}")
        self.put(nb.LogicalSwitchPort(uuid=key, name=name, options=StrMap(options), **columns))
        row = self.rows[nb.LogicalSwitch, row_uuid(switch)]
        assert isinstance(row, nb.LogicalSwitch)
        self.put(msgspec.structs.replace(row, ports=tuple(sorted({*row.ports, key}))))

    def _dhcp(self, name: str, cidr: str, *settings: str) -> None:
        self.put(nb.DHCPOptions(uuid=row_uuid(name), cidr=cidr.removeprefix("cidr="), options=_map(settings)))

    def _relay(self, name: str, *servers: str) -> None:
        self.put(nb.DHCPRelay(uuid=row_uuid(f"relay {name}"), name=name, servers=", ".join(servers) or None))

    def _group(self, name: str, *ports: str) -> None:
        members = tuple(sorted(row_uuid(f"port {p}") for p in ports))
        key = row_uuid(f"group {name}")
        before = self.rows.get((nb.PortGroup, key))
        row = before if isinstance(before, nb.PortGroup) else nb.PortGroup(uuid=key, name=name)
        self.put(msgspec.structs.replace(row, ports=members))

    def _acl(self, owner: str, name: str, direction: str, priority: str, match: str, action: str, *more: str) -> None:
        """Makes or changes an ACL, and gives it to a switch or, as @NAME, to a port group; `-` gives it to nobody."""
        key = row_uuid(f"acl {name}")
        given = dict(word.split("=", 1) for word in more)
        options = {k.removeprefix("options:"): given.pop(k) for k in list(given) if k.startswith("options:")}
        samples = {k: row_uuid(f"sample {v}") for k, v in given.items() if k.startswith("sample_")}
        numbers = {k: int(v) for k, v in given.items() if k in ("label", "tier")}
        columns: dict[str, Any] = {k: v == "true" if k == "log" else v for k, v in given.items()} | numbers | samples
        row = nb.ACL(uuid=key, direction=direction, priority=int(priority), match=match, action=action, **columns)
        self.put(msgspec.structs.replace(row, options=StrMap(options)))
        if owner != "-":
            of_group = owner.startswith("@")
            owning = row_uuid(f"group {owner[1:]}" if of_group else owner)
            having = self.rows[nb.PortGroup if of_group else nb.LogicalSwitch, owning]
            assert isinstance(having, nb.PortGroup | nb.LogicalSwitch)
            self.put(msgspec.structs.replace(having, acls=tuple(sorted({*having.acls, key}))))

    def _sample(self, number: str, *collectors: str) -> None:
        """A Sample by its number; collectors are written ID:SET:PROBABILITY."""
        keys = []
        for identity, group, probability in (text.split(":") for text in collectors):
            keys.append(row_uuid(f"collector {identity}"))
            self.put(
                nb.SampleCollector(uuid=keys[-1], id=int(identity), set_id=int(group), probability=int(probability))
            )
        self.put(nb.Sample(uuid=row_uuid(f"sample {number}"), metadata=int(number), collectors=tuple(sorted(keys))))

    def _app(self, purpose: str, number: str) -> None:
        self.put(nb.SamplingApp(uuid=row_uuid(f"app {purpose}"), type=purpose, id=int(number)))

    def _unacl(self, name: str) -> None:
        key = row_uuid(f"acl {name}")
        self.rows.pop((nb.ACL, key), None)
        for row in list(self.rows.values()):
            if isinstance(row, nb.LogicalSwitch | nb.PortGroup) and key in row.acls:
                self.put(msgspec.structs.replace(row, acls=tuple(a for a in row.acls if a != key)))

    def _meter(self, name: str, *settings: str) -> None:
        given = dict(word.split("=", 1) for word in settings)
        band = row_uuid(f"band {name}")
        self.put(nb.MeterBand(uuid=band, action="drop", rate=int(given["rate"])))
        fair = given.get("fair") == "true" or None
        self.put(nb.Meter(uuid=row_uuid(f"meter {name}"), name=name, unit="pktps", bands=(band,), fair=fair))

    def _set(self, name: str, *addresses: str) -> None:
        self.put(nb.AddressSet(uuid=row_uuid(f"set {name}"), name=name, addresses=tuple(sorted(addresses))))

    def _qos(self, switches: str, name: str, direction: str, priority: str, match: str, *settings: str) -> None:
        """Makes or changes a rule, and gives it to some switches besides those that have it; `-` for none."""
        key, given = row_uuid(f"qos {name}"), {k: int(v) for k, v in (word.split("=") for word in settings)}
        action = Map({k: v for k, v in given.items() if k == "dscp"})
        bandwidth = Map({k: v for k, v in given.items() if k != "dscp"})
        made = nb.QoS(uuid=key, direction=direction, priority=int(priority), match=match, action=action)
        self.put(msgspec.structs.replace(made, bandwidth=bandwidth))
        for row in self._switches(switches):
            self.put(msgspec.structs.replace(row, qos_rules=tuple(sorted({*row.qos_rules, key}))))

    def _unqos(self, name: str) -> None:
        key = row_uuid(f"qos {name}")
        self.rows.pop((nb.QoS, key), None)
        for row in self._switches():
            self.put(msgspec.structs.replace(row, qos_rules=tuple(one for one in row.qos_rules if one != key)))

    def _copp(self, switches: str, *meters: str) -> None:
        """A row for some switches and routers, which is theirs alone from now on; `-` for none."""
        key = row_uuid("copp")
        self.put(nb.Copp(uuid=key, name="copp", meters=_map(meters)))
        for row in [row for row in self.rows.values() if isinstance(row, nb.LogicalSwitch | nb.LogicalRouter)]:
            self.put(msgspec.structs.replace(row, copp=key if row.name in switches.split(",") else None))

    def _lb(self, name: str, *settings: str) -> None:
        """Makes or changes a load balancer; what is not said stays as it was."""
        key = row_uuid(f"lb {name}")
        before = self.rows.get((nb.LoadBalancer, key))
        row = before if isinstance(before, nb.LoadBalancer) else nb.LoadBalancer(uuid=key, name=name)
        maps: dict[str, dict[str, str]] = {"vips": {}, "options": {}, "ip_port_mappings": {}}
        checks, asked = [], {}
        columns: dict[str, Any] = {}
        for word, value in (setting.split("=", 1) for setting in settings):
            if word == "protocol":
                columns["protocol"] = value
            elif word == "fields":
                columns["selection_fields"] = tuple(sorted(value.split(",")))
            elif word == "map":
                maps["ip_port_mappings"] |= dict([value.split("=", 1)])
            elif word == "check":
                checks.append(value)
            elif word in ("interval", "timeout", "success_count", "failure_count"):
                asked[word] = value
            elif word.startswith("options:"):
                maps["options"][word.removeprefix("options:")] = value
            else:
                maps["vips"][word] = value
        for vip in checks:
            self.put(nb.LoadBalancerHealthCheck(uuid=row_uuid(f"check {vip}"), vip=vip, options=StrMap(asked)))
        columns |= {column: StrMap({**getattr(row, column), **added}) for column, added in maps.items()}
        columns["health_check"] = tuple(sorted({*row.health_check, *(row_uuid(f"check {vip}") for vip in checks)}))
        self.put(msgspec.structs.replace(row, **columns))

    def _unlb(self, name: str) -> None:
        key = row_uuid(f"lb {name}")
        self.rows.pop((nb.LoadBalancer, key), None)
        for row in list(self.rows.values()):
            if isinstance(row, nb.LogicalSwitch | nb.LogicalRouter | nb.LoadBalancerGroup) and key in row.load_balancer:
                self.put(msgspec.structs.replace(row, load_balancer=tuple(k for k in row.load_balancer if k != key)))

    def _lbgroup(self, name: str, *balancers: str) -> None:
        members = tuple(sorted(row_uuid(f"lb {one}") for one in balancers))
        self.put(nb.LoadBalancerGroup(uuid=row_uuid(f"lbgroup {name}"), name=name, load_balancer=members))

    def _balance(self, datapath: str, *names: str) -> None:
        """What a switch or router has of load balancers and, with "@", of their groups."""
        keys = (row_uuid(datapath), row_uuid(f"router {datapath}"))
        row = next(r for k in keys for t in (nb.LogicalSwitch, nb.LogicalRouter) if (r := self.rows.get((t, k))))
        groups = tuple(sorted(row_uuid(f"lbgroup {name[1:]}") for name in names if name.startswith("@")))
        balancers = tuple(sorted(row_uuid(f"lb {name}") for name in names if not name.startswith("@")))
        self.put(msgspec.structs.replace(row, load_balancer=balancers, load_balancer_group=groups))

    def _templates(self, chassis: str, *pairs: str) -> None:
        self.put(nb.ChassisTemplateVar(uuid=row_uuid(f"templates {chassis}"), chassis=chassis, variables=_map(pairs)))

    def _found(self, port: str, ip: str, number: str, status: str) -> None:
        key = row_uuid(f"found {port} {ip} {number}")
        row = sb.ServiceMonitor(uuid=key, logical_port=port, ip=ip, port=int(number), protocol="tcp", status=status)
        self.put(row)

    def _switches(self, names: str = "") -> list[nb.LogicalSwitch]:
        """The switches of these names, separated by commas, or all."""
        found = [row for row in self.rows.values() if isinstance(row, nb.LogicalSwitch)]
        return [row for row in found if not names or row.name in names.split(",")]

    def _dns(self, switches: str, *records: str) -> None:
        """A row for some switches, which is theirs alone from now on; `-` for none."""
        key = row_uuid("dns")
        self.put(nb.DNS(uuid=key, records=_map(records)))
        for row in self._switches():
            named = (key,) if row.name in switches.split(",") else ()
            self.put(msgspec.structs.replace(row, dns_records=named))

    def _router(self, name: str, *settings: str) -> None:
        """Makes or changes a router; other settings than `enabled` are options."""
        key = row_uuid(f"router {name}")
        given = {word.removeprefix("options:").split("=", 1)[0]: word.split("=", 1)[1] for word in settings}
        enabled = None if "enabled" not in given else given.pop("enabled") == "true"
        before = self.rows.get((nb.LogicalRouter, key))
        row = before if isinstance(before, nb.LogicalRouter) else nb.LogicalRouter(uuid=key, name=name)
        self.put(msgspec.structs.replace(row, options=StrMap(given), enabled=enabled))

    def _rport(self, router: str, name: str, mac: str, *more: str) -> None:
        """Makes or changes a port of a router; words without "=" are its networks."""
        key = row_uuid(f"rport {name}")
        maps: dict[str, dict[str, str]] = {"options": {}, "ra": {}}
        columns: dict[str, Any] = {"networks": tuple(sorted(word for word in more if "=" not in word))}
        for word, value in (one.split("=", 1) for one in more if "=" in one):
            column, _, entry = word.partition(":")
            if entry:
                maps[column][entry] = value
            elif word == "gateways":
                columns["gateway_chassis"] = self._chassis_list(nb.GatewayChassis, name, value.split(","))
            elif word == "hagroup":
                columns["ha_chassis_group"] = row_uuid(f"hagroup {value}")
            elif word == "enabled":
                columns["enabled"] = value == "true"
            elif word == "relay":
                columns["dhcp_relay"] = row_uuid(f"relay {value}")
            else:
                columns[word] = value
        columns |= {"options": StrMap(maps["options"]), "ipv6_ra_configs": StrMap(maps["ra"])}
        self.put(nb.LogicalRouterPort(uuid=key, name=name, mac=mac, **columns))
        row = self.rows[nb.LogicalRouter, row_uuid(f"router {router}")]
        assert isinstance(row, nb.LogicalRouter)
        self.put(msgspec.structs.replace(row, ports=tuple(sorted({*row.ports, key}))))

    def _chassis_list(self, table: Any, owner: str, entries: list[str]) -> tuple[Uuid, ...]:
        keys = []
        for chassis, priority in (entry.split(":") for entry in entries):
            keys.append(row_uuid(f"{owner} on {chassis}"))
            named = {"name": f"{owner}-{chassis}"} if table is nb.GatewayChassis else {}
            self.put(table(uuid=keys[-1], chassis_name=chassis, priority=int(priority), **named))
        return tuple(sorted(keys))

    def _hagroup(self, name: str, *entries: str) -> None:
        members = self._chassis_list(nb.HAChassis, f"group {name}", list(entries))
        self.put(nb.HAChassisGroup(uuid=row_uuid(f"hagroup {name}"), name=name, ha_chassis=members))

    def _nat(self, router: str, kind: str, external: str, logical: str, *more: str) -> None:
        """Makes or changes a NAT rule; `-` gives it to no router, `as=` tells those with the same addresses apart."""
        key = row_uuid(" ".join(("nat", kind, external, logical, *(word for word in more if word.startswith("as=")))))
        given = dict(word.split("=", 1) for word in more)
        options = {k.removeprefix("options:"): given.pop(k) for k in list(given) if k.startswith("options:")}
        columns: dict[str, Any] = {
            "external_mac": given.get("mac"),
            "logical_port": given.get("port"),
            "external_port_range": given.get("ports", ""),
            "allowed_ext_ips": row_uuid(f"set {given['allowed']}") if "allowed" in given else None,
            "exempted_ext_ips": row_uuid(f"set {given['exempted']}") if "exempted" in given else None,
            "gateway_port": row_uuid(f"rport {given['gateway']}") if "gateway" in given else None,
            "match": given.get("match", ""),
            "priority": int(given.get("priority", "0")),
        }
        row = nb.NAT(uuid=key, type=kind, external_ip=external, logical_ip=logical, options=StrMap(options), **columns)
        self.put(row)
        if router != "-":
            having = self.rows[nb.LogicalRouter, row_uuid(f"router {router}")]
            assert isinstance(having, nb.LogicalRouter)
            self.put(msgspec.structs.replace(having, nat=tuple(sorted({*having.nat, key}))))

    def _unnat(self, router: str, kind: str, external: str) -> None:
        """Takes all NAT rules of a kind with an external address from a router."""
        having = self.rows[nb.LogicalRouter, row_uuid(f"router {router}")]
        assert isinstance(having, nb.LogicalRouter)
        for key in having.nat:
            row = self.rows[nb.NAT, key]
            if isinstance(row, nb.NAT) and (row.type, row.external_ip) == (kind, external):
                del self.rows[nb.NAT, key]
        self.put(msgspec.structs.replace(having, nat=tuple(key for key in having.nat if (nb.NAT, key) in self.rows)))

    def _unrouter(self, name: str) -> None:
        """Deletes a router with all that it has (references from switch ports are by name, and stay)."""
        row = self.rows.pop((nb.LogicalRouter, row_uuid(f"router {name}")), None)
        if isinstance(row, nb.LogicalRouter):
            for key in row.ports:
                self.rows.pop((nb.LogicalRouterPort, key), None)
            for key in row.nat:
                self.rows.pop((nb.NAT, key), None)
            for key in row.static_routes:
                self.rows.pop((nb.LogicalRouterStaticRoute, key), None)
            for key in row.policies:
                self.rows.pop((nb.LogicalRouterPolicy, key), None)

    def _unrport(self, name: str) -> None:
        """Deletes a router port."""
        key = row_uuid(f"rport {name}")
        self.rows.pop((nb.LogicalRouterPort, key), None)
        for row in list(self.rows.values()):
            if isinstance(row, nb.LogicalRouter) and key in row.ports:
                self.put(msgspec.structs.replace(row, ports=tuple(p for p in row.ports if p != key)))

    def _route(self, router: str, name: str, prefix: str, next_hop: str, *settings: str) -> None:
        """Makes or changes a static route; `-` gives it to no router."""
        columns: dict[str, Any] = {}
        options: dict[str, str] = {}
        for key, value in (word.split("=", 1) for word in settings):
            if key.startswith("options:"):
                options[key.removeprefix("options:")] = value
            else:
                column = {"table": "route_table", "port": "output_port"}.get(key, key)
                columns[column] = row_uuid(f"bfd {value}") if key == "bfd" else value
        key = row_uuid(f"route {name}")
        made = nb.LogicalRouterStaticRoute(uuid=key, ip_prefix=prefix, nexthop=next_hop, options=StrMap(options))
        self.put(msgspec.structs.replace(made, **columns))
        self._give(router, "static_routes", key)

    def _unroute(self, name: str) -> None:
        self._take(nb.LogicalRouterStaticRoute, "static_routes", row_uuid(f"route {name}"))

    def _policy(self, router: str, name: str, priority: str, match: str, action: str, *more: str) -> None:
        """Makes or changes a policy; words without "=" are its next hops; `-` gives it to no router."""
        key = row_uuid(f"policy {name}")
        hops = tuple(sorted(word for word in more if "=" not in word))
        given = dict(word.split("=", 1) for word in more if "=" in word)
        chains = {"chain": given.pop("chain", ""), "jump_chain": given.pop("to", "")}
        options = StrMap(given)
        made = nb.LogicalRouterPolicy(uuid=key, priority=int(priority), match=match, action=action, options=options)
        self.put(msgspec.structs.replace(made, nexthops=hops, **chains))
        self._give(router, "policies", key)

    def _unpolicy(self, name: str) -> None:
        self._take(nb.LogicalRouterPolicy, "policies", row_uuid(f"policy {name}"))

    def _give(self, router: str, column: str, key: Uuid) -> None:
        for row in [row for row in self.rows.values() if isinstance(row, nb.LogicalRouter)]:
            kept = {one for one in getattr(row, column) if one != key}
            owned = tuple(sorted(kept | ({key} if row.name == router else set())))
            self.put(msgspec.structs.replace(row, **{column: owned}))

    def _take(self, table: type[Row], column: str, key: Uuid) -> None:
        self.rows.pop((table, key), None)
        self._give("", column, key)

    def _bfd(self, name: str, port: str, address: str, *settings: str) -> None:
        given = {key: int(value) for key, value in (word.split("=", 1) for word in settings)}
        made = nb.BFD(uuid=row_uuid(f"bfd {name}"), logical_port=port, dst_ip=address)
        self.put(msgspec.structs.replace(made, **given))

    def _unbfd(self, name: str) -> None:
        """Deletes a BFD session (weak references to it go with it)."""
        key = row_uuid(f"bfd {name}")
        self.rows.pop((nb.BFD, key), None)
        for row in [row for row in self.rows.values() if isinstance(row, nb.LogicalRouterStaticRoute)]:
            if row.bfd == key:
                self.put(msgspec.structs.replace(row, bfd=None))

    def _said(self, port: str, address: str, status: str) -> None:
        """What a host reports of a BFD session."""
        row = sb.BFD(uuid=row_uuid(f"said {port} {address}"), logical_port=port, dst_ip=address, status=status)
        self.put(row)

    def _mac(self, port: str, ip: str, mac: str) -> None:
        self.put(nb.StaticMACBinding(uuid=row_uuid(f"mac {port} {ip}"), logical_port=port, ip=ip, mac=mac))

    def _learned(self, router: str, port: str, ip: str, mac: str, at: str) -> None:
        """A binding that a host learned, at a time in milliseconds."""
        datapath = row_uuid(f"datapath {router}")
        ids = StrMap({"logical-router": row_uuid(f"router {router}")})
        self.put(sb.DatapathBinding(uuid=datapath, external_ids=ids))
        made = sb.MACBinding(uuid=row_uuid(f"learned {port} {ip}"), logical_port=port, ip=ip, mac=mac)
        self.put(msgspec.structs.replace(made, datapath=datapath, timestamp=int(at)))

    def _fdb(self, datapath: str, port: str, mac: str, at: str) -> None:
        """What a host learned of an Ethernet address, with tunnel keys, at a time in milliseconds."""
        row = sb.FDB(uuid=row_uuid(f"fdb {datapath} {mac}"), mac=mac, dp_key=int(datapath), port_key=int(port))
        self.put(msgspec.structs.replace(row, timestamp=int(at)))

    def _global(self, *settings: str) -> None:
        self.put(nb.NBGlobal(uuid=row_uuid("global"), options=_map(settings)))

    def _host(self, name: str, *settings: str) -> None:
        given = dict(word.split("=", 1) for word in settings)
        self.put(sb.Chassis(uuid=row_uuid(f"host {name}"), name=name, hostname=f"{name}.example"))
        self.put(
            sb.ChassisPrivate(
                uuid=row_uuid(f"private {name}"),
                name=name,
                chassis=row_uuid(f"host {name}"),
                nb_cfg=int(given.get("nb_cfg", 0)),
                nb_cfg_timestamp=int(given.get("at", 0)),
            )
        )

    def _bind(self, port: str, host: str = "", up: str = "true", *settings: str) -> None:
        """What a host says of a port; `parent=` of a virtual one, `activated=` of one that is on several."""
        given = dict(word.split("=", 1) for word in settings)
        activated = {"additional-chassis-activated": given["activated"]} if "activated" in given else {}
        row = sb.PortBinding(
            uuid=row_uuid(f"binding {port}"),
            logical_port=port,
            chassis=row_uuid(f"host {host}") if host else None,
            up=up == "true",
            virtual_parent=given.get("parent"),
            options=StrMap(activated),
        )
        self.put(row)

    def _heard(self, switch: str, address: str, host: str, *ports: str) -> None:
        """What a host heard of who wants an address; without ports it forgets."""
        datapath, key = row_uuid(f"datapath {switch}"), row_uuid(f"heard {switch} {address} {host}")
        ids = StrMap({"logical-switch": row_uuid(switch), "name": switch})
        self.put(sb.DatapathBinding(uuid=datapath, external_ids=ids))
        for port in ports:
            if (sb.PortBinding, row_uuid(f"binding {port}")) not in self.rows:
                self.put(sb.PortBinding(uuid=row_uuid(f"binding {port}"), logical_port=port))
        members = tuple(sorted(row_uuid(f"binding {port}") for port in ports))
        chassis = row_uuid(f"host {host}")
        self.put(sb.IGMPGroup(uuid=key, address=address, datapath=datapath, chassis=chassis, ports=members))
        if not ports:
            del self.rows[sb.IGMPGroup, key]

    def _delete(self, name: str) -> None:
        """Deletes a port (as a server does: references go with it), or a switch with its ports."""
        if (nb.LogicalSwitch, row_uuid(name)) in self.rows:
            row = self.rows.pop((nb.LogicalSwitch, row_uuid(name)))
            assert isinstance(row, nb.LogicalSwitch)
            for port in row.ports:
                self._drop_port(port)
        else:
            self._drop_port(row_uuid(f"port {name}"))

    def _drop_port(self, key: Uuid) -> None:
        self.rows.pop((nb.LogicalSwitchPort, key), None)
        for row in list(self.rows.values()):
            if isinstance(row, nb.LogicalSwitch | nb.PortGroup) and key in row.ports:
                self.put(msgspec.structs.replace(row, ports=tuple(p for p in row.ports if p != key)))


def _map(settings: tuple[str, ...]) -> Map[str, str]:
    return StrMap(dict(word.split("=", 1) for word in settings))


def compiled(northbound: Northbound) -> Engine:
    """A new engine that has compiled it."""
    engine = northd.new_engine()
    northbound.feed(engine)
    engine.run()
    return engine


def start(text: str) -> tuple[Northbound, Engine]:
    """A northbound of these commands, and a new engine that has compiled it."""
    northbound = Northbound()
    northbound.apply(text)
    return northbound, compiled(northbound)


def rules_run(northbound: Northbound, engine: Engine, text: str) -> list[str]:
    """Applies commands to what was compiled; returns the rules and queries that run for that, without `northd.`."""
    northbound.apply(text)
    northbound.feed(engine)
    engine.log = []
    engine.run()
    return [name.removeprefix("northd.") for name, _ in engine.log]


def known_lines(engine: Engine) -> Iterator[str]:
    """What switches know, as "SWITCH has MAC at PORT" and "SWITCH has IP at MAC"."""
    names = {key: row.name for key, row in engine.rows(nb.LogicalSwitch).items()}
    switches = {number: names[key] for key, number in engine.rows(DATAPATH_KEYS).items() if key in names}
    ports = {(names[switch], number): name for (switch, name), number in engine.rows(KEYS).items() if switch in names}
    for (number, mac), known in engine.rows(KNOWN_AT).items():
        switch = switches[number]
        yield f"{switch} has {mac} at {ports[switch, known.port_key]}"
    for (key, ip), neighbour in engine.rows(NEIGHBOURS).items():
        yield f"{names[key]} has {ip} at {neighbour.mac}"


def flow_lines(engine: Engine, *, shared: bool = False, sources: Collection[str] = ()) -> Iterator[str]:
    """Logical flows as "PLACE STAGE PRIORITY | MATCH | ACTIONS", those of single datapaths or those of scopes.

    With `sources`, only those of these features.
    """
    names = {key: row.name for key, row in engine.rows(nb.LogicalSwitch).items()}
    names |= {key: row.name for key, row in engine.rows(nb.LogicalRouter).items()}
    groups = {f"port group {key}": row.name for key, row in engine.rows(nb.PortGroup).items()}
    balancers = {key: f"{{lb {row.name}}}" for key, row in engine.rows(nb.LoadBalancer).items()}
    balancers |= {key: f"{{lbgroup {row.name}}}" for key, row in engine.rows(nb.LoadBalancerGroup).items()}

    def readable(text: str) -> str:
        """The text with names in place of the uuids of load balancers."""
        for key, name in balancers.items():
            text = text.replace(f"load balancer {key}", name).replace(key, name)
        return text

    for (place, *_), row in engine.rows(FLOWS).items():
        ours = "source" in row.external_ids and "stage-hint" not in row.external_ids
        if ours == shared and (not sources or row.external_ids["source"] in sources):
            where = groups.get(place.scope, place.scope) if isinstance(place, Scope) else names.get(place, place)
            yield readable(f"{where} {row.external_ids['stage-name']} {row.priority} | {row.match} | {row.actions}")
