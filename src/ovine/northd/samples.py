"""Samples for IPFIX: of packets that are dropped, and of what ACLs decide about.

Dropped packets are sampled while NB_Global options:debug_drop_domain_id (8 bits) and debug_drop_collector_set say how:
by the flow that drops, or by the ACL (or the default) that denies, so that the observation point, the first 32 bits of
that flow's uuid, leads to the reason.

ACLs are sampled where `sample_new` or `sample_est` refers to a Sample: packets that are of no known connection, and
those of one that is known, in both directions (`ovine.northd.acl`). A Sample says the observation point, its
collectors where samples go and how many of 65535 packets; Sampling_App has the observation domain for each purpose.
Without one, packets are not sampled for it.

Source: ovn-nb(5), of OVN 23.03 for dropped packets and of 24.09 for ACLs.
Tests: tests/unit/northd/test_northd_samples.py, tests/interop/test_acl_samples.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

import msgspec

from ovine.engine import Emit, Index, Reader, Rule, query
from ovine.model import nb, sb
from ovine.model.base import Uuid
from ovine.northd.acl_shared import SOURCE as ACL
from ovine.northd.flows import FLOWS
from ovine.northd.inputs import nb_option
from ovine.northd.pipeline import IN_RULING

ALL = 65535
"""A probability: each packet."""
DROP = "drop;"
_DENIES = f"{IN_RULING.denied.field} = 1;"
APPS = Index(nb.SamplingApp, lambda row: (row.type,), "sampling applications by purpose")


def _number(text: str, most: int) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) <= most else None


@query
def drop_sample(q: Reader) -> str:
    """The action that samples a packet that is dropped; "" if none shall be."""
    domain = _number(nb_option(q, "debug_drop_domain_id"), 0xFF)
    collectors = _number(nb_option(q, "debug_drop_collector_set"), 0xFFFFFFFF)
    if not domain or not collectors:
        return ""
    return f"sample(probability={ALL},collector_set={collectors},obs_domain={domain},obs_point=$cookie); "


def _decides(row: sb.LogicalFlow) -> bool:
    """Whether a flow is why a packet is dropped. What ACLs have denied is only carried out by another flow."""
    if row.external_ids.get("source") == ACL and (_DENIES in row.actions or row.match == IN_RULING.denied.field):
        return _DENIES in row.actions
    return row.actions == DROP


def sampling(rule: Rule) -> Rule:
    """The rule, whose flows take samples of what they drop while that is wanted."""
    if FLOWS not in rule.writes:
        return rule

    def wrapped(function: Callable[[Reader, Any], Iterable[Emit]]) -> Callable[[Reader, Any], Iterator[Emit]]:
        @wraps(function)
        def emit(q: Reader, key: Any) -> Iterator[Emit]:
            for one in function(q, key):
                yield _sampled(q, one) if one.relation is FLOWS and _decides(one.value) else one

        return emit

    failing = wrapped(rule.on_failure) if rule.on_failure is not None else None
    return Rule(wrapped(rule.function), rule.over, rule.writes, failing)


def _sampled(q: Reader, emit: Emit) -> Emit:
    action = drop_sample(q)
    if not action:
        return emit
    # `drop;` must stand alone; a packet that nothing more is done with is dropped as well.
    actions = f"{action}/* drop */" if emit.value.actions == DROP else action + emit.value.actions
    return emit._replace(value=msgspec.structs.replace(emit.value, actions=actions))


@query
def domain_of(q: Reader, purpose: str) -> int | None:
    """The observation domain of samples for a purpose; None where they are not taken."""
    found: tuple[Uuid, ...] = q.find(APPS, purpose)
    return q.row(nb.SamplingApp, found[0]).id if found else None


@query
def sample_of(q: Reader, key: Uuid | None, purpose: str) -> str:
    """The actions that take a Sample for a purpose, one for each collector; "" if there is none."""
    row, domain = (q.get(nb.Sample, key) if key is not None else None), domain_of(q, purpose)
    if row is None or domain is None:
        return ""
    collectors = [q.get(nb.SampleCollector, one) for one in row.collectors]
    return "".join(
        f"sample(probability={one.probability},collector_set={one.set_id},obs_domain={domain},"
        f"obs_point={row.metadata}); "
        for one in sorted((one for one in collectors if one is not None), key=lambda one: one.set_id)
        if one.probability
    )
