"""What the metadata service says of itself in its host's Chassis_Private."""

from __future__ import annotations

from ovine.metadata.presence import announcement, farewell, identity
from ovine.model import sb
from ovine.model.base import NO_UUID, Map, Row, Uuid
from ovine.ovsdb import Change, Replica

GLOBAL, OURS, OTHER = (Uuid(f"{n}0000000-0000-4000-8000-000000000000") for n in (1, 2, 3))


def southbound(*rows: Row) -> Replica:
    replica = Replica(sb.DATABASE)
    for row in (sb.SBGlobal(uuid=GLOBAL, nb_cfg=7), sb.ChassisPrivate(uuid=OTHER, name="h2"), *rows):
        replica._commit([Change(type(row), row.uuid, None, row)])
    return replica


def private(**marks: str) -> sb.ChassisPrivate:
    return sb.ChassisPrivate(uuid=OURS, name="h1", external_ids=Map({k.replace("_", "-"): v for k, v in marks.items()}))


def said(sequence: str) -> sb.ChassisPrivate:
    marks = {"neutron:ovn-metadata-id": identity("h1"), "neutron:ovn-metadata-sb-cfg": sequence, "other": "x"}
    return sb.ChassisPrivate(uuid=OURS, name="h1", external_ids=Map(marks))


def test_a_host_that_has_not_registered_is_not_announced() -> None:
    assert not announcement(southbound(), "h1")
    assert not farewell(southbound(), "h1")


def test_the_service_names_itself_and_says_how_far_it_has_come() -> None:
    steps = announcement(southbound(private()), "h1").operations
    assert steps[-1]["mutations"] == [
        ["external_ids", "insert", ["map", [["neutron:ovn-metadata-id", identity("h1")],
                                            ["neutron:ovn-metadata-sb-cfg", "7"]]]]
    ]  # fmt: skip
    assert identity("h1") != identity("h2") != NO_UUID


def test_only_what_changed_is_written() -> None:
    assert not announcement(southbound(said("7")), "h1")
    steps = announcement(southbound(said("6")), "h1").operations
    assert [mutation for step in steps for mutation in step["mutations"]] == [
        ["external_ids", "delete", ["set", ["neutron:ovn-metadata-sb-cfg"]]],
        ["external_ids", "insert", ["map", [["neutron:ovn-metadata-sb-cfg", "7"]]]],
    ]


def test_a_service_that_ends_takes_its_marks_away_and_no_others() -> None:
    (step,) = farewell(southbound(said("7")), "h1").operations
    keys = ["set", ["neutron:ovn-metadata-id", "neutron:ovn-metadata-sb-cfg"]]
    assert step["mutations"] == [["external_ids", "delete", keys]]
    assert not farewell(southbound(private(other="x")), "h1")
