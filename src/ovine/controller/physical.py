"""Between OpenFlow ports and logical ports: where packets come in and go out, on this host and towards others.

Every port of a local datapath is in one of four positions, or in two, if it is in several places: *here* behind an
interface (claimed ports, localports), *here* behind a patch port to a provider bridge (localnet, l2gateway),
*elsewhere* behind a tunnel, or elsewhere on a network that has a localnet port here, by which it is reached. Ports in
no position have no flows. An external port is always elsewhere, also for the chassis that answers for it: on the
provider's network.

A nested port is behind its parent's OpenFlow port, with a VLAN tag. OpenFlow does not output to a packet's own ingress
port, which is theirs in common; so that is hidden at the last moment.

A port in several places gets a copy in each. On a provider's network all of these are reached by tunnels: the physical
network knows one place for an Ethernet address. So does what the port sends (`FROM_SEVERAL`).

Links between datapaths are the matter of `ovine.controller.peers`, redirection to gateways of
`ovine.controller.redirect`.

Tests: tests/cases/controller/physical.txt, localnet.txt, residents.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from ovine.controller.activation import REPORT, is_blocked, signs_of_life
from ovine.controller.config import config
from ovine.controller.flows import FLOWS, bit, flow
from ovine.controller.local import (
    CLAIMS,
    INTERFACE_BY_NAME,
    LOCAL_DATAPATHS,
    NESTED_IN,
    UnsupportedPort,
    chassis,
    localnet,
    ofport,
    plugged,
)
from ovine.controller.tables import (
    CHECK_LOOPBACK,
    DATAPATH,
    FLAGS,
    FROM_LOCALPORT,
    FROM_RAMP,
    FROM_SEVERAL,
    INPORT,
    LOCAL_ONLY,
    LOCAL_OUTPUT,
    LOG_EGRESS,
    LOG_INGRESS,
    LOGICAL_TO_PHYSICAL,
    LOOPBACK,
    OUTPORT,
    PHYSICAL_TO_LOGICAL,
    REMOTE_OUTPUT,
    SAVE_INPORT,
)
from ovine.controller.tunnels import Exit, exit_to, wrap
from ovine.controller.zones import load_zones
from ovine.engine import Emit, Index, Reader, query, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Action, Entry, Output, Pop, PopVlan, Push, PushVlan, Resubmit, SetField

NOT_YET: Final = frozenset({"vtep", "remote"})
"""Port types of hardware gateways and other clouds. They have no flows; `ovine/failures` names them."""
BOUND_TYPES: Final = frozenset({"", "l3gateway", "l2gateway"})
"""Port types that are elsewhere if they are not here."""
ALWAYS_AWAY: Final = frozenset({"external", "virtual"})
"""Port types that are never behind an OpenFlow port of their own, also on the chassis that they are bound to."""
NO_PORT: Final = 0xFFFF
"""OFPP_NONE of OpenFlow 1.0, in which ingress ports have 16 bits."""
PROVIDER_TYPES: Final = frozenset({"localnet", "l2gateway"})
"""Port types behind a patch port to a provider bridge."""


TAG_KINDS = {"802.11q": 0x8100, "802.1q": 0x8100, "802.11ad": 0x88A8, "802.1ad": 0x88A8}
"""options:ethtype, as ovn-nb(5) has it, and as the standards are really called."""
IN_SEVERAL: Final = Index(
    sb.PortBinding, lambda port: (port.datapath,) if port.additional_chassis else (), "ports in several places"
)


class Place(NamedTuple):
    """A port on this host: its key in its datapath, and how packets get to it.

    `tag` is its VLAN there, `tag_kind` the EtherType of its tags.
    """

    datapath: Uuid
    datapath_key: int
    key: int
    name: str
    kind: str
    ofport: int
    tag: int | None = None
    tag_kind: int = 0x8100
    nested: bool = False
    hidden: bool = False
    """Packets may be for the OpenFlow port that they came by."""
    several: bool = False
    """It is elsewhere too, on a provider's network."""


@query
def place(q: Reader, uuid: Uuid) -> Place | None:
    """Where a port is on this host; None if it is not here, or its datapath is not local."""
    port = q.get(sb.PortBinding, uuid)
    if port is None:
        return None
    datapath_key = q.get(LOCAL_DATAPATHS, port.datapath)
    number = _ofport(q, uuid, port) if datapath_key is not None else None
    if datapath_key is None or number is None:
        return None
    nested = bool(port.parent_port)
    return Place(
        port.datapath,
        datapath_key,
        port.tunnel_key,
        port.logical_port,
        port.type,
        number,
        tag=port.tag or None if nested or port.type in PROVIDER_TYPES else None,
        tag_kind=TAG_KINDS.get(port.options.get("ethtype", ""), 0x8100),
        nested=nested,
        hidden=nested or bool(q.find(NESTED_IN, port.logical_port)),
        several=bool(port.additional_chassis) and localnet(q, port.datapath) is not None,
    )


@query
def may_be_reached(q: Reader, uuid: Uuid) -> bool:
    """Whether there is a way from here to a port: to an instance that is nowhere there is none."""
    port = q.get(sb.PortBinding, uuid)
    if port is None or port.type != "" or port.chassis is not None or port.additional_chassis:
        return port is not None
    return place(q, uuid) is not None or localnet(q, port.datapath) is not None


@query
def may_enter(q: Reader, uuid: Uuid) -> bool:
    """Whether packets can come in by a port here: by an instance's only where the instance is."""
    port = q.get(sb.PortBinding, uuid)
    return port is not None and (port.type != "" or place(q, uuid) is not None)


def _ofport(q: Reader, uuid: Uuid, port: Any) -> int | None:
    if port.type == "localnet":
        return _patch_ofport(q, port)
    if port.type == "localport":
        behind = plugged(q, port.logical_port)
        return behind.ofport if behind is not None else None
    claim = q.get(CLAIMS, uuid)
    if claim is not None and port.type == "l2gateway":
        return _patch_ofport(q, port)
    return claim.ofport or None if claim is not None else None


def _patch_ofport(q: Reader, port: Any) -> int | None:
    settings = config(q)
    if settings is None or port.options.get("network_name", "") not in settings.bridges:
        return None
    for interface in q.find(INTERFACE_BY_NAME, patch_name(settings.bridge, port.logical_port)):
        return ofport(q, interface)
    return None


def patch_name(near: str, far: str) -> str:
    """The name of one end of a pair of patch ports."""
    return f"patch-{near}-to-{far}"


@query
def remotes(q: Reader, uuid: Uuid) -> tuple[Exit, ...]:
    """The tunnels to the other chassis where a port is bound: usually one, or none if that is nowhere, or here."""
    port, claim, own = q.get(sb.PortBinding, uuid), q.get(CLAIMS, uuid), chassis(q)
    if port is None:
        return ()
    places = [(one, encap_at(q, port.additional_encap, one)) for one in port.additional_chassis if one != own]
    if port.chassis not in (None, own) and (claim is None or claim.additional):
        places.append((port.chassis, port.encap))
    found = {exit_to(q, there, encap) for there, encap in places}
    return tuple(sorted(one for one in found if one is not None))


def encap_at(q: Reader, encaps: tuple[Uuid, ...], there: Uuid) -> Uuid | None:
    """The one of several encapsulations that belongs to a chassis."""
    row = q.get(sb.Chassis, there) if encaps else None
    return next((encap for encap in encaps if row is not None and encap in row.encaps), None)


@query
def senders_in_several(q: Reader, datapath: Uuid) -> bool:
    """Whether a port of a datapath is here, and elsewhere too."""
    return any(place(q, uuid) is not None for uuid in q.find(IN_SEVERAL, datapath))


# --- flows of one port ------------------------------------------------------------------------------------------------


@rule(over=sb.PortBinding, writes=(FLOWS,))
def port_flows(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The physical flows of one port of a local datapath."""
    port = q.row(sb.PortBinding, uuid)
    datapath_key = q.get(LOCAL_DATAPATHS, port.datapath)
    if datapath_key is None:
        return
    if port.type in NOT_YET:
        raise UnsupportedPort(f"port {port.logical_port!r}: ports of type {port.type!r} are not supported")
    here = place(q, uuid)
    if here is not None:
        yield from _here(q, uuid, here)
    elif port.type in ALWAYS_AWAY or (port.type in BOUND_TYPES and q.get(CLAIMS, uuid) is None):
        yield from _elsewhere(q, uuid, port.datapath, datapath_key, port.tunnel_key)


def _here(q: Reader, uuid: Uuid, here: Place) -> Iterator[Emit]:
    to_port: tuple[Entry, ...] = ((OUTPORT, here.key, None), (DATAPATH, here.datapath_key, None))
    zones = load_zones(q, here.datapath, here.name)
    blocked = is_blocked(q, uuid)
    for priority, match, actions in arrival(q, here):
        yield flow(PHYSICAL_TO_LOGICAL, priority, match, () if blocked else actions, uuid)
        if blocked:
            for sign in signs_of_life(q, uuid):
                yield flow(
                    PHYSICAL_TO_LOGICAL, priority + 100, (*match, *sign), (*actions[:-1], REPORT, actions[-1]), uuid
                )
    yield flow(LOCAL_OUTPUT, 100, to_port, (*zones, Resubmit(table=CHECK_LOOPBACK)), uuid)
    back = (*to_port, (INPORT, here.key, None), bit(FLAGS, LOOPBACK, 0))
    yield flow(CHECK_LOOPBACK, 100, back, (), uuid)
    if here.kind == "localnet":
        # What must stay on this host must not leave it by the provider's network either.
        for kept in (LOCAL_ONLY, FROM_LOCALPORT):
            yield flow(CHECK_LOOPBACK, 160, (*to_port, bit(FLAGS, kept)), (), uuid)
    yield flow(LOGICAL_TO_PHYSICAL, 100, to_port, () if blocked else departure(here), uuid)
    copies = [action for kind, number in remotes(q, uuid) for action in wrap(kind, number, here.datapath_key, here.key)]
    if copies:
        yield flow(REMOTE_OUTPUT, 100, to_port, (*copies, Resubmit(table=LOCAL_OUTPUT)), uuid)


def arrival(q: Reader, here: Place) -> Iterator[tuple[int, tuple[Entry, ...], tuple[Action, ...]]]:
    """How packets of a port behind an OpenFlow port come in: priority, match, actions."""
    here_in: tuple[Entry, ...] = (("in_port", here.ofport, None),)
    zones = load_zones(q, here.datapath, here.name)
    logical: tuple[Action, ...] = (*zones, SetField(DATAPATH, here.datapath_key), SetField(INPORT, here.key))
    if here.kind == "localport":
        logical = (*logical, SetField(FLAGS, 1 << FROM_LOCALPORT, 1 << FROM_LOCALPORT))
    if here.several:
        logical = (*logical, SetField(FLAGS, 1 << FROM_SEVERAL, 1 << FROM_SEVERAL))
    enter = (*logical, Resubmit(table=LOG_INGRESS))
    if here.kind not in PROVIDER_TYPES and not here.nested:
        yield 100, here_in, enter
        return
    # A tag of this network goes; so does tag 0 of an untagged one, which only carries a priority.
    tagged = (*here_in, ("vlan_vid", 0x1000 | (here.tag or 0), None))
    yield 150, tagged, (PopVlan(), *enter)
    if here.tag is None and not here.nested:
        yield 100, here_in, enter


def departure(here: Place) -> tuple[Action, ...]:
    """How packets leave by an OpenFlow port; they are as before afterwards."""
    out: tuple[Action, ...] = (Output(here.ofport),)
    if here.tag is not None:
        out = (PushVlan(here.tag_kind), SetField("vlan_vid", 0x1000 | here.tag), *out, PopVlan())
    if here.hidden:
        out = (Push("in_port", 0, 16), SetField("in_port", NO_PORT), *out, Pop("in_port", 0, 16))
    return out


def _elsewhere(q: Reader, uuid: Uuid, datapath: Uuid, datapath_key: int, key: int) -> Iterator[Emit]:
    to_port: tuple[Entry, ...] = ((OUTPORT, key, None), (DATAPATH, datapath_key, None))
    by = localnet(q, datapath)
    way = place(q, by) if by is not None else None
    tunnelled = tuple(action for kind, number in remotes(q, uuid) for action in wrap(kind, number, datapath_key, key))
    if way is None or (tunnelled and q.row(sb.PortBinding, uuid).additional_chassis):
        if tunnelled:
            yield flow(REMOTE_OUTPUT, 100, to_port, tunnelled, uuid)
        return
    yield flow(LOCAL_OUTPUT, 100, to_port, (SetField(OUTPORT, way.key), Resubmit(table=LOCAL_OUTPUT)), uuid)
    if tunnelled and senders_in_several(q, datapath):
        yield flow(REMOTE_OUTPUT, 110, (*to_port, bit(FLAGS, FROM_SEVERAL)), tunnelled, uuid)


# --- flows that are always there --------------------------------------------------------------------------------------


@rule(writes=(FLOWS,))
def fixed_flows(q: Reader, _key: tuple[()]) -> Iterator[Emit]:
    """What happens in each table to packets of which nothing special is known."""
    if config(q) is None:
        return
    stay = (Resubmit(table=LOCAL_OUTPUT),)
    yield flow(PHYSICAL_TO_LOGICAL, 0, (), ())
    yield flow(REMOTE_OUTPUT, 150, (bit(FLAGS, LOCAL_ONLY),), stay)
    yield flow(REMOTE_OUTPUT, 150, (bit(FLAGS, FROM_LOCALPORT),), stay)
    yield flow(REMOTE_OUTPUT, 150, (bit(FLAGS, FROM_RAMP), bit(FLAGS, LOOPBACK, 0)), stay)
    yield flow(REMOTE_OUTPUT, 0, (), stay)
    yield flow(LOCAL_OUTPUT, 0, (), ())
    forget = tuple(SetField(f"reg{n}", 0) for n in range(10))
    yield flow(CHECK_LOOPBACK, 0, (), (*forget, Resubmit(table=LOG_EGRESS)))
    # OpenFlow never outputs to a packet's own ingress port, so flags.loopback hides it for a moment. With a port that
    # is not there, such as 0, a packet of the controller's would not come back from connection tracking: without one,
    # it does.
    out = Resubmit(table=LOGICAL_TO_PHYSICAL)
    hidden = (Push("in_port", 0, 16), SetField("in_port", NO_PORT), out, Pop("in_port", 0, 16))
    yield flow(SAVE_INPORT, 100, (bit(FLAGS, LOOPBACK),), hidden)
    yield flow(SAVE_INPORT, 0, (), (out,))
    yield flow(LOGICAL_TO_PHYSICAL, 0, (), ())


RULES = (port_flows, fixed_flows)
