"""Who may go by a name and by an address, when several hosts want to."""

from __future__ import annotations

from uuid import NAMESPACE_DNS, uuid5

from ovine.controller.chassis import Presence
from ovine.controller.identity import LAST, SETTLED, Identity
from ovine.model import sb
from ovine.model.base import StrMap
from ovine.model.schema import to_json
from ovine.ovsdb import Replica
from ovine.ovsdb.plan import monitors_of, plan

OURS = Presence("h1", "here", (("geneve", "10.0.0.1"), ("vxlan", "10.0.0.1")), StrMap(), StrMap(), ())
THEIRS = (("geneve", "10.0.0.2"),)
LONG = SETTLED + 1


class Southbound:
    """A replica in which chassis come and go; `registers` does what a controller does that registers."""

    def __init__(self) -> None:
        self.replica = Replica(sb.DATABASE)
        self._plan = plan(sb.DATABASE, monitors_of(sb.DATABASE, (sb.Chassis, sb.Encap)), to_json(sb.DATABASE))

    def registers(self, name: str, hostname: str, *encaps: tuple[str, str]) -> None:
        self.is_removed(name)
        uuids = [str(uuid5(NAMESPACE_DNS, f"{name} {kind} {ip}")) for kind, ip in encaps]
        inserted = {
            uuid: {"insert": {"type": kind, "ip": ip, "chassis_name": name}}
            for uuid, (kind, ip) in zip(uuids, encaps, strict=True)
        }
        row = {"name": name, "hostname": hostname, "encaps": ["set", [["uuid", uuid] for uuid in uuids]]}
        chassis = {str(uuid5(NAMESPACE_DNS, name)): {"insert": row}}
        self.replica.apply(self._plan, {"Encap": inserted, "Chassis": chassis})

    def is_removed(self, name: str) -> None:
        chassis = self.replica.index(sb.Chassis, "name").find(name)
        encaps = self.replica.index(sb.Encap, "chassis_name").find(name)
        gone = {"Chassis": {row.uuid: {"delete": None} for row in chassis}}
        self.replica.apply(self._plan, gone | {"Encap": {row.uuid: {"delete": None} for row in encaps}})


def test_a_host_registers_where_nobody_is_and_stays() -> None:
    below, identity = Southbound(), Identity()
    assert identity.settle(below.replica, OURS, 0.0) == (OURS, [])
    below.registers("h1", "here", *OURS.encaps)
    assert identity.settle(below.replica, OURS, 1.0) == (OURS, [])


def test_an_address_of_another_chassis_is_left_to_it_and_the_rest_is_registered() -> None:
    below, identity = Southbound(), Identity()
    below.registers("h2", "there", ("geneve", "10.0.0.1"))
    may, complaints = identity.settle(below.replica, OURS, 0.0)
    assert may is not None and may.encaps == (("vxlan", "10.0.0.1"),)
    assert complaints == [
        "ovn-encap-ip: geneve 10.0.0.1 belongs to chassis h2; each host needs an address of its own"
        " (if that chassis is gone: ovn-sbctl chassis-del h2)"
    ]
    below.is_removed("h2")
    assert identity.settle(below.replica, OURS, 1.0) == (OURS, [])


def test_a_host_without_an_address_of_its_own_does_not_register() -> None:
    below, identity = Southbound(), Identity()
    below.registers("h2", "there", *OURS.encaps)
    may, complaints = identity.settle(below.replica, OURS, 0.0)
    assert may is None and len(complaints) == 2


def test_a_row_of_our_name_that_is_there_at_the_start_is_taken_over() -> None:
    below, identity = Southbound(), Identity()
    below.registers("h1", "here", ("geneve", "10.0.0.9"))
    assert identity.settle(below.replica, OURS, 0.0) == (OURS, [])


def test_the_newcomer_of_two_hosts_of_one_name_gives_way_until_the_other_is_gone() -> None:
    below, identity = Southbound(), Identity()
    below.registers("h1", "there", *THEIRS)
    identity.settle(below.replica, OURS, 0.0)
    below.registers("h1", "here", *OURS.encaps)
    identity.settle(below.replica, OURS, 0.1)
    below.registers("h1", "there", *THEIRS)
    for now in (0.2, LONG):
        may, complaints = identity.settle(below.replica, OURS, now)
        assert may is None and identity.given_way
        assert complaints == [
            "system-id: another host goes by h1 (there, 10.0.0.2); this host is not registered until one of them has"
            " another external_ids:system-id"
        ]
    below.is_removed("h1")
    assert identity.settle(below.replica, OURS, LONG + 1) == (OURS, [])


def test_a_host_that_has_long_had_its_name_takes_it_back_but_not_for_ever() -> None:
    below, identity = Southbound(), Identity()
    identity.settle(below.replica, OURS, 0.0)
    for loss in range(1, LAST + 1):
        below.registers("h1", "here", *OURS.encaps)
        assert identity.settle(below.replica, OURS, LONG) == (OURS, [])
        below.registers("h1", "there", *THEIRS)
        assert (identity.settle(below.replica, OURS, LONG)[0] is None) == (loss == LAST)


def test_who_has_given_way_tries_again_with_new_settings() -> None:
    below, identity = Southbound(), Identity()
    below.registers("h1", "here", *OURS.encaps)
    identity.settle(below.replica, OURS, 0.0)
    below.registers("h1", "there", *THEIRS)
    assert identity.settle(below.replica, OURS, 0.1)[0] is None
    renamed = OURS._replace(name="h3")
    assert identity.settle(below.replica, renamed, 0.2) == (renamed, [])


def test_the_row_of_a_former_name_is_ours_with_its_addresses() -> None:
    below, identity = Southbound(), Identity()
    below.registers("h0", "here", *OURS.encaps)
    identity.renamed("h0")
    assert identity.settle(below.replica, OURS, 0.0) == (OURS, [])
    assert identity.former(below.replica, "h1") == ("h0",)
    below.is_removed("h0")
    assert identity.former(below.replica, "h1") == ()


def test_the_name_that_was_given_way_is_not_a_former_one() -> None:
    below, identity = Southbound(), Identity()
    below.registers("h1", "here", *OURS.encaps)
    identity.settle(below.replica, OURS, 0.0)
    below.registers("h1", "there", *THEIRS)
    identity.settle(below.replica, OURS, 0.1)
    identity.renamed("h1")
    assert identity.former(below.replica, "h3") == ()
