"""Why a flow drops what it matches, in words: the northbound row that it was made for, or what its stage is about.

A flow whose action is just `drop` has no more to say than its match. If it was made for a row (a policy, a route), that
row is the reason. Flows that all datapaths share have none, but their stage and match tell what was missing: a route, a
receiver, time to live. Stages go by the names that our northd gives them, or OVN's.

Tests: tests/unit/trace/test_trace_drops.py, tests/interop/test_trace_cloud.py.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ovine.trace.explain import Origins
from ovine.trace.tree import NO_REASON, Dropped, Step


class _Known(NamedTuple):
    """Flows of these stages whose match begins like this ("1": is this) drop for this reason."""

    stages: tuple[str, ...]
    match: str
    reason: str


_ROUTERS_OWN: Final = "it is for the router itself, which has no use for it"

_KNOWN: Final = (
    _Known(("lr_in_admit", "lr_in_admission"), "1", "it is not sent to the MAC address of the router's port"),
    _Known(("lr_in_route", "lr_in_ip_routing"), "1", "the router has no route to its destination"),
    _Known(("lr_in_input", "lr_in_ip_input"), "ip.ttl == {0, 1}", "its time to live is over, and nobody is to be told"),
    _Known(("lr_in_input", "lr_in_ip_input"), "ip4.dst ==", _ROUTERS_OWN),
    _Known(("lr_in_input", "lr_in_ip_input"), "ip6.dst ==", _ROUTERS_OWN),
    _Known(("lr_in_input", "lr_in_ip_input"), "ip4.src ==", "its source is an address of the router itself"),
    _Known(("lr_in_input", "lr_in_ip_input"), "ip4.src_mcast", "its source or destination is no address to be routed"),
    _Known(("lr_in_resolve",), "inport ==", "it is for an address of the router, and belongs to no connection"),
    _Known(("lr_in_resolve", "lr_in_arp_resolve"), "ip4.dst ==", _ROUTERS_OWN),
    _Known(
        ("ls_in_unknown", "ls_in_l2_unknown"),
        'outport == "none"',
        "no port is known to have its destination address, and none takes what is for unknown ones",
    ),
    _Known(("ls_in_admit", "ls_in_check_port_sec"), "eth.src[40]", "its source MAC address is a multicast address"),
    _Known(("ls_in_admit", "ls_in_check_port_sec"), "vlan.present", "it has a VLAN tag"),
)


def reason(node: Dropped, step: Step | None, origins: Origins) -> str:
    """Why a packet was dropped: what was found then, or what the stage is about and the rows behind the flow."""
    if node.reason != NO_REASON or step is None:
        return node.reason
    told = next((known.reason for known in _KNOWN if _is(known, step)), "")
    # An ACL's verdict stands in a line of its own.
    rows = ", ".join(map(str, origins.because(step))) if "acl" not in step.stage else ""
    because = f"because of {rows}" if rows else ""
    return ": ".join(filter(None, (told, because))) or node.reason


def _is(known: _Known, step: Step) -> bool:
    match = step.flow.match
    return step.stage in known.stages and (match == "1" if known.match == "1" else match.startswith(known.match))
