"""Port forwardings of floating IPs: planning of create, update and delete, and what keeps or ends them.

A floating IP that forwards ports stands for no port as a whole, and keeps to one router: that of its first forwarding.
A forwarding refers to all that it needs, so that none of it can go in the same moment.

Tests: tests/api/test_api_port_forwardings.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from neutron_lib import exceptions as n_exc
from neutron_lib.exceptions import l3 as l3_exc

from ovine.api import floating_ips
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import PortHasBindingFloatingIP, bad_request
from ovine.api.policy import Judge, target_of
from ovine.api.resources import Resource
from ovine.model.base import Row, Uuid
from ovine.model.cloud import FloatingIP, Port, PortForwarding
from ovine.model.protocols import protocol_number

PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}
"""What can be forwarded, by number."""
MOST = 1000
"""The longest range of ports of one forwarding."""


def create(
    draft: Draft, env: Env, judge: Judge, resource: Resource, owner: Row, parsed: dict[str, Any]
) -> PortForwarding:
    """A new forwarding. The floating IP's first chooses its router."""
    floating = cast(FloatingIP, owner)
    judge.require(f"create_{resource.rule}", target_of(draft, floating))
    if floating.port is not None:
        raise l3_exc.FloatingIPPortAlreadyAssociated(
            port_id=floating.port,
            fip_id=floating.uuid,
            floating_ip_address=floating.floating_ip_address,
            fixed_ip=parsed["internal_ip_address"],
            net_id=floating.floating_network,
        )
    columns = _columns(draft, judge, floating, parsed, None)
    _check_apart(draft, floating, columns, None)
    made = draft.insert(PortForwarding(floating_ip=floating.uuid, **columns))
    draft.touch(floating)
    draft.update(floating, router=columns["router"], gateway=columns["gateway"])
    return made


def update(
    draft: Draft, env: Env, judge: Judge, resource: Resource, owner: Row, row: Row, parsed: dict[str, Any]
) -> None:
    """Changes a forwarding."""
    floating, forwarding = cast(FloatingIP, owner), cast(PortForwarding, row)
    judge.require(f"update_{resource.rule}", target_of(draft, forwarding))
    columns = _columns(draft, judge, floating, parsed, forwarding)
    _check_apart(draft, floating, columns, forwarding)
    draft.touch(floating)
    draft.update(forwarding, **columns)


def delete(draft: Draft, judge: Judge, resource: Resource, owner: Row, row: Row) -> None:
    """Ends a forwarding; with the last one its floating IP is free."""
    judge.require(f"delete_{resource.rule}", target_of(draft, row))
    _end(draft, cast(FloatingIP, owner), cast(PortForwarding, row))


def _end(draft: Draft, floating: FloatingIP, forwarding: PortForwarding) -> None:
    draft.delete(forwarding)
    draft.touch(floating)
    if not any(draft.find(PortForwarding, "floating_ip", floating.uuid)):
        draft.update(floating, router=None, gateway=None)


# --- for ports --------------------------------------------------------------------------------------------------------


def end_all_of(draft: Draft, port: Port) -> None:
    """A port that goes ends what is forwarded to it."""
    for forwarding in list(draft.find(PortForwarding, "port", port.uuid)):
        floating = draft.get(FloatingIP, forwarding.floating_ip)
        if floating is not None:
            _end(draft, floating, forwarding)


def check_kept(draft: Draft, port: Port, fixed_ips: Iterable[Uuid | None]) -> None:
    """A port keeps the addresses to which ports are forwarded. Raises BadRequest."""
    for forwarding in draft.find(PortForwarding, "port", port.uuid):
        if forwarding.fixed_ip not in fixed_ips:
            raise n_exc.BadRequest(
                resource="port",
                msg=f"Cannot update the fixed IPs of port {port.uuid}: floating IP {forwarding.floating_ip} forwards "
                "ports to one that would go",
            )


# --- what it says -----------------------------------------------------------------------------------------------------


def _columns(
    draft: Draft, judge: Judge, floating: FloatingIP, parsed: dict[str, Any], present: PortForwarding | None
) -> dict[str, Any]:
    outer = _ports(parsed, "external", present.external_ports if present else None)
    inner = _ports(parsed, "internal", present.internal_ports if present else None)
    if len(_range(inner)) not in (1, len(_range(outer))):
        raise _bad(f"{inner} are neither one port nor as many as {outer}")
    port_id = parsed["internal_port_id"] if present is None else parsed.get("internal_port_id", present.port)
    port = floating_ips.port_inside(draft, judge, floating, port_id)
    address = parsed.get("internal_ip_address")
    if address is None and present is not None and port.uuid == present.port:
        held = next((row for row in draft.addresses_of(port) if row.uuid == present.fixed_ip), None)
        address = held.ip_address if held is not None else None
    inside = floating_ips.address_inside(draft, port, address)
    for other in draft.find(FloatingIP, "port", port.uuid):
        if other.fixed_ip == inside.uuid:
            raise PortHasBindingFloatingIP(
                floating_ip_address=floating.floating_ip_address,
                fip_id=floating.uuid,
                port_id=port.uuid,
                fixed_ip=inside.ip_address,
            )
    router, interface, gateway = floating_ips.way(draft, floating, port, inside)
    return {
        "description": parsed.get("description", present.description if present else ""),
        "protocol": _protocol(parsed["protocol"]) if "protocol" in parsed or present is None else present.protocol,
        "external_ports": outer,
        "internal_ports": inner,
        "port": port.uuid,
        "fixed_ip": inside.uuid,
        "router": router.uuid,
        "interface": interface.uuid,
        "gateway": gateway.uuid,
    }


def _protocol(given: Any) -> str:
    number = protocol_number(str(given))
    if number not in PROTOCOLS:
        raise bad_request(f"Invalid input for protocol. Reason: {given} is none of {', '.join(PROTOCOLS.values())}.")
    return PROTOCOLS[number]


def _ports(parsed: dict[str, Any], side: str, present: str | None) -> str:
    """The ports of a side as "FIRST:LAST". Raises HttpError."""
    one, several = parsed.get(f"{side}_port"), parsed.get(f"{side}_port_range")
    first, _, last = str(several if several is not None else one).partition(":")
    if one is None and several is None:
        if present is not None:
            return present
        raise bad_request(f"Invalid input for {side}_port. Reason: neither a port nor a range of ports is named.")
    low, high = int(first), int(last or first)
    if not low <= high < low + MOST:
        raise bad_request(f"Invalid input for {side}_port_range. Reason: it is not a range of 1 to {MOST} ports.")
    if one is not None and (low, high) != (int(one), int(one)):
        raise bad_request(f"Invalid input for {side}_port. Reason: {side}_port_range names other ports.")
    return f"{low}:{high}"


def _range(text: str) -> range:
    first, _, last = text.partition(":")
    return range(int(first), int(last) + 1)


def _check_apart(draft: Draft, floating: FloatingIP, columns: dict[str, Any], present: PortForwarding | None) -> None:
    """Each port of a floating IP is forwarded once, and none inside is reached by two. Raises BadRequest."""
    for other in draft.find(PortForwarding, "floating_ip", floating.uuid):
        if (present is not None and other.uuid == present.uuid) or other.protocol != columns["protocol"]:
            continue
        same = other.fixed_ip == columns["fixed_ip"]
        for side, shared in (("external_ports", True), ("internal_ports", same)):
            one, two = _range(getattr(other, side)), _range(columns[side])
            if shared and one.start < two.stop and two.start < one.stop:
                raise _bad(
                    "A duplicate port forwarding entry with same attributes already exists, conflicting values are "
                    f"{side.replace('_', ' ')} {getattr(other, side)} of {other.uuid}"
                )


def _bad(message: str) -> Exception:
    error: Exception = n_exc.BadRequest(resource="port_forwarding", msg=message)
    return error
