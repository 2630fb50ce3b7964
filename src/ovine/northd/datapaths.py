"""Logical switches and routers become datapaths: Datapath_Binding rows with tunnel keys, and the scopes they are in.

A router with `enabled` false has no datapath. Switches and routers share the tunnel keys.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from ovine.engine import Emit, Index, Reader, Sticky, query, rule
from ovine.model import nb, sb
from ovine.model.base import Map, StrMap, Uuid
from ovine.northd.flows import DATAPATHS, MEMBERS, Member, Scope, scope
from ovine.northd.inputs import SWITCH_OF_PORT
from ovine.northd.thresholds import told_of_router, told_of_switch
from ovine.projection import Names, Target

KEYS: Sticky[Uuid] = Sticky("datapath tunnel keys", 1, 2**24 - 1)
"""24 bits of Geneve's VNI. The lowest free one is given, so that VXLAN's 12 bits suffice for the first 4095."""
VXLAN_KEYS = 2**12 - 1
LOCAL_KEYS = 2**24 - 1 - 65535
"""Keys above are kept for interconnection; told to others as options:max_tunid."""

SWITCHES = scope("switches")
ROUTERS = scope("routers")
UNTAGGED = scope("switches that refuse VLAN tags")


def requested_key(options: Map[str, str], high: int) -> tuple[int | None, tuple[str, ...]]:
    """options:requested-tnl-key, and what is wrong with it, if that is no number from 1 to `high`."""
    text = options.get("requested-tnl-key")
    if text is None:
        return None, ()
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= high:
        return None, (f"requested-tnl-key {text!r} is not a number from 1 to {high}; it is given another",)
    return int(text), ()


@query
def vxlan_mode(q: Reader) -> bool:
    """Whether some chassis speaks VXLAN, which has room for 12 bits of datapath key only."""
    return any(q.row(sb.Encap, key).type == "vxlan" for key in q.keys(sb.Encap))


@query
def keys_up_to(q: Reader) -> int:
    """The greatest datapath key that all tunnels can carry."""
    return VXLAN_KEYS if vxlan_mode(q) else LOCAL_KEYS


ENABLED_ROUTERS = Index(
    nb.LogicalRouter, lambda router: (router.uuid,) if router.enabled is not False else (), "enabled routers"
)


def _any_datapath_key(q: Reader, datapath: Uuid) -> Iterator[Emit]:
    yield KEYS.request(datapath)


@rule(over=nb.LogicalSwitch, writes=(KEYS,), on_failure=_any_datapath_key)
def ask_datapath_key(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """Asks for a tunnel key; one that cannot be had as requested is reported, and any other taken."""
    row = q.row(nb.LogicalSwitch, switch)
    yield _request(switch, row.other_config, f"switch {row.name}")


@rule(over=ENABLED_ROUTERS, writes=(KEYS,), on_failure=_any_datapath_key)
def ask_router_key(q: Reader, router: Uuid) -> Iterator[Emit]:
    """As `ask_datapath_key`, for a router."""
    row = q.row(nb.LogicalRouter, router)
    yield _request(router, row.options, f"router {row.name}")


def _request(datapath: Uuid, options: Map[str, str], who: str) -> Emit:
    wanted, complaint = requested_key(options, KEYS.high)
    if complaint:
        raise ValueError(f"{who}: {complaint[0]}")
    return KEYS.request(datapath, wanted=wanted)


def _key_of(q: Reader, datapath: Uuid, who: str) -> int | None:
    key = q.get(KEYS, datapath)
    if key is not None and key > VXLAN_KEYS and vxlan_mode(q):
        raise ValueError(f"tunnel key {key} of {who} does not fit into VXLAN's 12 bits")
    return key


@rule(over=nb.LogicalSwitch, writes=(DATAPATHS,))
def datapath(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """One Datapath_Binding for each logical switch."""
    row = q.row(nb.LogicalSwitch, switch)
    key = _key_of(q, switch, f"switch {row.name}")
    if key is None:
        return
    ids = {"logical-switch": str(switch), "name": row.name}
    if name := row.external_ids.get("neutron:network_name"):
        ids["name2"] = name
    if transit := row.other_config.get("interconn-ts"):
        ids["interconn-ts"] = transit
    ids |= told_of_switch(q, switch)
    yield DATAPATHS(switch, sb.DatapathBinding(tunnel_key=key, external_ids=StrMap(ids)))


@rule(over=ENABLED_ROUTERS, writes=(DATAPATHS, MEMBERS))
def router_datapath(q: Reader, router: Uuid) -> Iterator[Emit]:
    """One Datapath_Binding for each logical router that is enabled; hosts read some of its options there."""
    row = q.row(nb.LogicalRouter, router)
    yield member(ROUTERS, router)
    key = _key_of(q, router, f"router {row.name}")
    if key is None:
        return
    ids = {"logical-router": str(router), "name": row.name}
    if name := row.external_ids.get("neutron:router_name"):
        ids["name2"] = name
    if row.options.get("always_learn_from_arp_request", "").lower() == "false":
        ids["always_learn_from_arp_request"] = "false"
    if zone := row.options.get("snat-ct-zone"):
        ids["snat-ct-zone"] = zone
    ids |= told_of_router(q, router)
    yield DATAPATHS(router, sb.DatapathBinding(tunnel_key=key, external_ids=StrMap(ids)))


@rule(over=nb.LogicalSwitch, writes=(MEMBERS,))
def scopes(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """The scopes that depend on the switch's own row; others are written by the features that define them."""
    yield member(SWITCHES, switch)
    if not passes_tags(q, switch):
        yield member(UNTAGGED, switch)


@query
def passes_tags(q: Reader, switch: Uuid) -> bool:
    """other_config:vlan-passthru."""
    return q.row(nb.LogicalSwitch, switch).other_config.get("vlan-passthru", "").lower() == "true"


def member(of: Scope, datapath: Uuid) -> Emit:
    one = Member(of, datapath)
    return MEMBERS(one, one)


def switch_of(q: Reader, port: Uuid) -> Uuid | None:
    """The switch that has this port. Raises ValueError if several have it."""
    switches: tuple[Uuid, ...] = q.find(SWITCH_OF_PORT, port)
    if len(switches) > 1:
        raise ValueError(f"the port is in {len(switches)} switches: {', '.join(switches)}")
    return switches[0] if switches else None


def _key(row: sb.DatapathBinding, names: Names) -> Hashable:
    for kind in ("logical-switch", "logical-router"):
        if kind in row.external_ids:
            return row.external_ids[kind]
    return row.uuid  # not made from any northbound row: not wanted


TARGET = Target(DATAPATHS, sb.DatapathBinding, _key, ("tunnel_key", "external_ids"))
