"""Template variables of hosts: copied down. Flows name them as `^NAME`, and each host puts in its own values.

Tests: tests/cases/northd/load_balancers.txt, tests/cases/packets/lb_template.txt.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import nb, sb
from ovine.model.base import Uuid
from ovine.projection import Names, Target

TEMPLATES: Relation[str, sb.ChassisTemplateVar] = Relation("Chassis_Template_Var")
"""By chassis."""


@rule(over=nb.ChassisTemplateVar, writes=(TEMPLATES,))
def template(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The variables of one chassis."""
    row = q.row(nb.ChassisTemplateVar, key)
    yield TEMPLATES(row.chassis, sb.ChassisTemplateVar(chassis=row.chassis, variables=row.variables))


def _key(row: sb.ChassisTemplateVar, names: Names) -> Hashable:
    del names
    return row.chassis


TARGET = Target(TEMPLATES, sb.ChassisTemplateVar, _key, ("chassis", "variables"))
