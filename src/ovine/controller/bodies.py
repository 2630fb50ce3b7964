"""What the flows of a logical flow do: its actions as OpenFlow ones, once the groups and meters they use have numbers.

Tests: tests/unit/controller/test_controller_groups.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ovine.controller.action_choice import controller_meter, needs
from ovine.controller.action_scope import Scope
from ovine.controller.actions import encode
from ovine.controller.flows import Body, cookie_of
from ovine.controller.switch_tables import number
from ovine.language import actions as act


def body_of(scope: Scope, actions: Iterable[act.Action], meter: str | None = None) -> Body | None:
    """What the flows of a logical flow do; None as long as a group or meter has no number.

    `meter` is the Meter row that limits what goes to the controller. Raises what `encode` raises.
    """
    q = scope.q
    limit = controller_meter(q, meter)
    if any(number(q, content) is None for content in needs(actions, scope)):
        return None
    if limit is not None:
        scope = replace(scope, meter_id=number(q, limit))
        if scope.meter_id is None:
            return None
    return Body(encode(actions, scope), cookie_of(scope.flow))
