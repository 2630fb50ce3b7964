"""Which groups and meters logical flows need on this host.

This is a rule of its own since one that asks for a number cannot wait for it. It looks only at flows whose text has a
word that may need one, in the local datapaths where they hold.

Tests: tests/unit/controller/test_controller_groups.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ovine.controller.action_choice import controller_meter, needs
from ovine.controller.action_scope import Scope
from ovine.controller.placed import PORT_TAG, concerns, datapaths_of
from ovine.controller.plans import expanded, parsed, pipeline_of
from ovine.controller.switch_tables import GROUP_NUMBERS, METER_NUMBERS, wants
from ovine.engine import Emit, Index, Reader, rule
from ovine.model import sb
from ovine.model.base import Uuid

_WORDS: Final = ("select(", "fwd_group(", "set_meter(", "ct_lb")


def _may_need(row: Any) -> tuple[Uuid, ...]:
    needs_some = row.controller_meter or any(word in row.actions for word in _WORDS)
    return (row.uuid,) if needs_some else ()


DEMANDING: Final = Index(sb.LogicalFlow, _may_need, "logical flows with groups or meters")


@rule(over=DEMANDING, writes=(GROUP_NUMBERS, METER_NUMBERS))
def demands(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """What one logical flow needs. One that makes no sense needs nothing; whoever compiles it says why."""
    row = q.row(sb.LogicalFlow, uuid)
    if not concerns(q, row.tags.get(PORT_TAG)):
        return
    pipeline = pipeline_of(row)
    try:
        actions = parsed(expanded(q, row.match), expanded(q, row.actions), pipeline).actions
        datapaths = datapaths_of(q, uuid)
        scopes = [Scope(q, datapath, pipeline, row.table_id, uuid) for datapath in datapaths]
        wanted = [content for scope in scopes for content in needs(actions, scope)]
    except ValueError:
        return
    limit = controller_meter(q, row.controller_meter) if datapaths else None
    for content in dict.fromkeys([*wanted, *([limit] if limit is not None else [])]):
        yield wants(content)


RULES = (demands,)
