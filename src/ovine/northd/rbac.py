"""What a host may write: the RBAC rows for role `ovn-controller`, for connections that enforce roles (ovn-sb(5))."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import NamedTuple

from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import Map
from ovine.projection import Names, Target, ref

ROLE = "ovn-controller"


class Permission(NamedTuple):
    """`owner` is the column that has the host's name where rows belong to hosts, "" where any host may write."""

    owner: str
    insert_delete: bool
    update: tuple[str, ...]


HOSTS: dict[str, Permission] = {
    "Chassis": Permission(
        "name",
        True,
        ("encaps", "external_ids", "nb_cfg", "other_config", "transport_zones", "vtep_logical_switches"),
    ),
    "Chassis_Private": Permission("name", True, ("chassis", "external_ids", "nb_cfg", "nb_cfg_timestamp")),
    "Encap": Permission("chassis_name", True, ("ip", "options", "type")),
    "Port_Binding": Permission(
        "", False, ("additional_chassis", "additional_encap", "chassis", "encap", "options", "up", "virtual_parent")
    ),
    "MAC_Binding": Permission("", True, ("datapath", "ip", "logical_port", "mac", "timestamp")),
    "FDB": Permission("", True, ("dp_key", "mac", "port_key", "timestamp")),
    "Service_Monitor": Permission("", False, ("status",)),
    "BFD": Permission("", False, ("status",)),
    "IGMP_Group": Permission("", True, ("address", "chassis", "datapath", "ports")),
    "Controller_Event": Permission("", True, ("chassis", "event_info", "event_type", "seq_num")),
}

PERMISSIONS: Relation[str, sb.RBACPermission] = Relation("RBAC_Permission")
ROLES: Relation[str, sb.RBACRole] = Relation("RBAC_Role")


@rule(writes=(PERMISSIONS, ROLES))
def host_role(q: Reader, _: tuple[()]) -> Iterator[Emit]:
    for table, allowed in HOSTS.items():
        row = sb.RBACPermission(
            table=table,
            authorization=(allowed.owner,),
            insert_delete=allowed.insert_delete,
            update=tuple(sorted(allowed.update)),
        )
        yield PERMISSIONS(table, row)
    yield ROLES(ROLE, sb.RBACRole(name=ROLE, permissions=Map({table: ref(PERMISSIONS, table) for table in HOSTS})))


def _table(row: sb.RBACPermission, names: Names) -> Hashable:
    return row.table


def _name(row: sb.RBACRole, names: Names) -> Hashable:
    return row.name


TARGETS: tuple[Target[sb.RBACPermission] | Target[sb.RBACRole], ...] = (
    Target(PERMISSIONS, sb.RBACPermission, _table, ("table", "authorization", "insert_delete", "update")),
    Target(ROLES, sb.RBACRole, _name, ("name", "permissions")),
)
