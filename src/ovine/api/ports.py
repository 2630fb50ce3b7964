"""Ports: planning of create, update and delete.

Tests: tests/api/test_api_ports.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import netaddr
import orjson
from neutron_lib import exceptions as n_exc
from neutron_lib.api import converters
from neutron_lib.exceptions import allowedaddresspairs as pair_exc

from ovine.api import (
    binding,
    floating_ips,
    ipam,
    port_bindings,
    port_forwardings,
    qos_policies,
    router_ports,
    security_groups,
    trunks,
)
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import bad_request, invalid_input
from ovine.api.metadata import is_metadata_port, unused_mac
from ovine.api.networks import visible
from ovine.api.policy import Judge, Target, target_of
from ovine.api.resources import PORT, UNSET, canonical_cidr, is_set
from ovine.model import dns_names
from ovine.model.base import EMPTY, Map, StrMap
from ovine.model.cloud import Network, Port
from ovine.model.dhcp import DISABLED, problem

_PLAIN = ("name", "description", "admin_state_up", "device_id", "device_owner", "dns_name", "dns_domain")
_BINDING = ("binding:host_id", "binding:vnic_type", "binding:profile")
_MAX_PROFILE = 4095


def create(draft: Draft, env: Env, judge: Judge, given: dict[str, Any], parsed: dict[str, Any]) -> Port:
    """A new port with its addresses, bound if the request names a host."""
    network = visible(draft, judge, parsed["network_id"])
    target = Target(parsed["project_id"], network.project_id, network.shared, network.external)
    judge.require_create(PORT, given, parsed, target)
    mac = _new_mac(draft, env, network, parsed["mac_address"])
    secure = (
        network.port_security_enabled if parsed["port_security_enabled"] is UNSET else parsed["port_security_enabled"]
    )
    pairs = _pairs(parsed["allowed_address_pairs"] if is_set(parsed["allowed_address_pairs"]) else (), mac)
    if pairs and not secure:
        raise pair_exc.AddressPairAndPortSecurityRequired()
    _check_name(env, network, parsed["dns_name"], parsed["dns_domain"])
    groups = security_groups.of_new_port(draft, judge, parsed, secure=secure)
    claim = ipam.Claim(network, mac, parsed["device_owner"])
    addresses = ipam.assign(draft, env, claim, parsed["fixed_ips"])
    host = _host_id(parsed["binding:host_id"])
    return draft.insert_resource(
        Port(
            network=network.uuid,
            project_id=parsed["project_id"],
            mac_address=mac,
            fixed_ips=ipam.store(draft, addresses),
            port_security_enabled=secure,
            security_groups=groups,
            allowed_address_pairs=pairs,
            extra_dhcp_opts=_options(EMPTY, parsed["extra_dhcp_opts"] or ()),
            qos_policy=qos_policies.chosen(draft, judge, parsed),
            binding_host_id=host,
            binding_vnic_type=parsed["binding:vnic_type"],
            binding_profile=_profile(parsed["binding:profile"]),
            tags=() if parsed["tags"] is UNSET else tuple(sorted(parsed["tags"])),
            **_bound(env, host, network, parsed["binding:vnic_type"]),
            **{name: parsed[name] for name in _PLAIN},
        ),
        revision=1,
    )


def update(draft: Draft, env: Env, judge: Judge, port: Port, parsed: dict[str, Any]) -> None:
    """Changes a port; a change of host or vnic_type binds it anew."""
    judge.require_update(PORT, parsed, target_of(draft, port))
    network = draft.get(Network, port.network)
    if network is None:
        raise n_exc.NetworkNotFound(net_id=port.network)
    columns: dict[str, Any] = {name: parsed[name] for name in _PLAIN if name in parsed}
    if "dns_name" in columns or "dns_domain" in columns:
        name, domain = (columns.get(key, getattr(port, key)) for key in ("dns_name", "dns_domain"))
        _check_name(env, network, name, domain)
    mac = _changed_mac(draft, env, network, port, parsed)
    columns["mac_address"] = mac
    secure = parsed.get("port_security_enabled", port.port_security_enabled)
    columns["port_security_enabled"] = secure
    pairs = _changed_pairs(port, parsed, mac)
    if pairs and not secure:
        raise pair_exc.AddressPairAndPortSecurityRequired()
    columns["allowed_address_pairs"] = pairs
    columns["security_groups"] = security_groups.of_port(draft, judge, port, parsed, secure=secure)
    if "extra_dhcp_opts" in parsed:
        columns["extra_dhcp_opts"] = _options(port.extra_dhcp_opts, parsed["extra_dhcp_opts"] or ())
    if "fixed_ips" in parsed or mac != port.mac_address:
        columns["fixed_ips"] = _changed_addresses(draft, env, network, port, mac, parsed)
    columns["qos_policy"] = qos_policies.chosen(draft, judge, parsed, port.qos_policy)
    columns |= _changed_binding(env, network, port, parsed)
    _check_service(draft, port, columns)
    if "binding_host_id" in columns:
        port_bindings.settle(draft, port, columns["binding_host_id"])
    draft.update(port, **columns)


def _check_service(draft: Draft, port: Port, columns: dict[str, Any]) -> None:
    """What a router or a floating IP relies on is not changed under it."""
    fixed_ips = columns.get("fixed_ips", port.fixed_ips)
    floating_ips.check_kept(draft, port, fixed_ips)
    port_forwardings.check_kept(draft, port, fixed_ips)
    names = ("device_id", "device_owner", "fixed_ips")
    changed = [name for name in names if name in columns and columns[name] != getattr(port, name)]
    if changed and _is_service(draft, port):
        raise n_exc.BadRequest(
            resource="port", msg=f"{changed[0]} of port {port.uuid}, owned by {port.device_owner}, cannot be changed"
        )


def _is_service(draft: Draft, port: Port) -> bool:
    """Whether a router or a floating IP has this port."""
    return router_ports.router_of(draft, port) is not None or floating_ips.is_floating_port(draft, port)


def delete(draft: Draft, env: Env, judge: Judge, port: Port) -> None:
    """Deletes a port; its addresses are free again, and its floating IPs stand for nobody.

    A network's metadata port goes only with the network, the ports of routers and floating IPs only with these.
    """
    judge.require("delete_port", target_of(draft, port))
    if is_metadata_port(port) or _is_service(draft, port):
        raise n_exc.ServicePortInUse(port_id=port.uuid, reason=f"has device owner {port.device_owner}")
    trunks.check_no_trunk(draft, port)
    port_bindings.drop_all_of(draft, port)
    floating_ips.free_all_of(draft, port)
    port_forwardings.end_all_of(draft, port)
    draft.delete(port)


# --- MAC and addresses ----------------------------------------------------------------------------------------------


def _new_mac(draft: Draft, env: Env, network: Network, asked: Any) -> str:
    if not is_set(asked):
        return unused_mac(draft, env, network)
    mac = str(asked).lower()
    if draft.mac_in_use(network.uuid, mac) is not None:
        raise n_exc.MacAddressInUse(net_id=network.uuid, mac=mac)
    return mac


def _changed_mac(draft: Draft, env: Env, network: Network, port: Port, parsed: dict[str, Any]) -> str:
    mac = parsed.get("mac_address", port.mac_address)
    if mac == port.mac_address:
        return port.mac_address
    unbinds = "binding:host_id" in parsed and not parsed["binding:host_id"]
    if port.binding_vif_type not in (binding.UNBOUND, binding.FAILED) and not unbinds:
        raise n_exc.PortBound(port_id=port.uuid, vif_type=port.binding_vif_type, old_mac=port.mac_address, new_mac=mac)
    return _new_mac(draft, env, network, mac)


def _changed_addresses(
    draft: Draft, env: Env, network: Network, port: Port, mac: str, parsed: dict[str, Any]
) -> tuple[Any, ...]:
    held = draft.addresses_of(port)
    owner = parsed.get("device_owner", port.device_owner)
    asked = parsed.get("fixed_ips")
    if asked is None:
        # A new MAC moves the addresses that are formed from it; the others stay.
        automatic = {s.uuid for s in draft.subnets_of(network.uuid) if ipam.is_automatic(s)}
        asked = [
            {"subnet_id": row.subnet}
            if row.subnet in automatic
            else {"subnet_id": row.subnet, "ip_address": row.ip_address}
            for row in held
        ]
    claim = ipam.Claim(network, mac, owner, held)
    return ipam.store(draft, ipam.assign(draft, env, claim, asked), held)


# --- names ----------------------------------------------------------------------------------------------------------


def _check_name(env: Env, network: Network, name: str, domain: str) -> None:
    """A name must fit into its domain. Raises HttpError."""
    reason = dns_names.problem(name, dns_names.domain_of(domain, network.dns_domain, env.config.dhcp.domain))
    if reason is not None:
        raise bad_request(f"Invalid input for dns_name. Reason: {reason}.")


# --- allowed address pairs and DHCP options -------------------------------------------------------------------------


def _pairs(asked: Sequence[dict[str, str]], mac: str) -> tuple[str, ...]:
    return tuple(sorted({f"{_canonical(pair['ip_address'])} {_pair_mac(pair, mac)}" for pair in asked}))


def _canonical(address: str) -> str:
    if "/" in address:
        return str(canonical_cidr(address))
    return str(converters.convert_ip_to_canonical_format(address))


def _pair_mac(pair: dict[str, str], mac: str) -> str:
    given = pair.get("mac_address")
    return mac if given is None else str(netaddr.EUI(given, dialect=netaddr.mac_unix_expanded))


def _changed_pairs(port: Port, parsed: dict[str, Any], mac: str) -> tuple[str, ...]:
    if "allowed_address_pairs" not in parsed:
        return port.allowed_address_pairs
    return _pairs(parsed["allowed_address_pairs"], mac)


def _options(present: StrMap, asked: Sequence[dict[str, Any]]) -> StrMap:
    """DHCP options after a request: one without a value is removed, others not named stay.

    Neutron takes any, and leaves out what its back end cannot hand out; here that is refused.
    """
    options = dict(present)
    for item in asked:
        version, name = int(item.get("ip_version", 4)), item["opt_name"]
        key, value = f"{version}:{name}", item["opt_value"]
        if value is None:
            options.pop(key, None)
            continue
        if name != DISABLED and (reason := problem(version, name, value)) is not None:
            raise bad_request(f"Invalid input for extra_dhcp_opts. Reason: {reason}.")
        options[key] = value
    return Map(options)


# --- binding --------------------------------------------------------------------------------------------------------


def _host_id(value: Any) -> str:
    if not is_set(value):
        return ""
    if not isinstance(value, str) or len(value) > 255:
        raise bad_request("Invalid input for binding:host_id. Reason: it must be a text of at most 255 characters.")
    return value


def _profile(value: Any) -> str:
    text = orjson.dumps(value if is_set(value) else {}, option=orjson.OPT_SORT_KEYS).decode()
    if len(text) > _MAX_PROFILE:
        raise invalid_input("binding:profile value too large")
    return text


def _bound(env: Env, host: str, network: Network, vnic_type: str) -> dict[str, Any]:
    if not host:
        return {"binding_vif_type": binding.UNBOUND, "binding_vif_details": "{}"}
    kind, details = binding.bind(env.hosts(), host, network, vnic_type, env.config.integration_bridge)
    return {
        "binding_vif_type": kind,
        "binding_vif_details": orjson.dumps(details, option=orjson.OPT_SORT_KEYS).decode(),
    }


def _changed_binding(env: Env, network: Network, port: Port, parsed: dict[str, Any]) -> dict[str, Any]:
    if not any(name in parsed for name in _BINDING):
        return {}
    columns: dict[str, Any] = {}
    host = _host_id(parsed["binding:host_id"]) if "binding:host_id" in parsed else port.binding_host_id
    vnic_type = parsed.get("binding:vnic_type", port.binding_vnic_type)
    if "binding:profile" in parsed:
        columns["binding_profile"] = _profile(parsed["binding:profile"])
    failed = port.binding_vif_type == binding.FAILED and "binding:host_id" in parsed
    if failed or (host, vnic_type) != (port.binding_host_id, port.binding_vnic_type):
        columns |= {"binding_host_id": host, "binding_vnic_type": vnic_type}
        columns |= _bound(env, host, network, vnic_type)
    return columns
