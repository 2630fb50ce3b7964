"""A draft reads its own changes, guards what it relied on, and becomes one transaction."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ovine.api import segments
from ovine.api.config import from_dict
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.resources import UNSET
from ovine.model import cloud
from ovine.model.base import Row, Uuid
from ovine.model.cloud import IPAllocation, Network, Port, Subnet
from ovine.ovsdb import Change, Replica

NET, SUB, PORT = (Uuid(f"{n}0000000-0000-4000-8000-000000000000") for n in (1, 2, 3))
IP = Uuid("40000000-0000-4000-8000-000000000000")


def replica(*rows: Row) -> Replica:
    made = Replica(cloud.DATABASE)
    for row in rows:
        made._commit([Change(type(row), row.uuid, None, row)])
    return made


@pytest.fixture
def draft() -> Draft:
    return Draft(
        replica(
            Network(uuid=NET, name="n", revision_number=4, segmentation_id=1),
            Subnet(uuid=SUB, network=NET, cidr="10.0.0.0/24", revision_number=2),
            Port(uuid=PORT, network=NET, mac_address="fa:16:3e:00:00:01", fixed_ips=(IP,), revision_number=7),
            IPAllocation(uuid=IP, subnet=SUB, ip_address="10.0.0.5"),
        ),
        "2026-01-01T00:00:00Z",
    )


def get(draft: Draft, table: type[Any], uuid: Uuid) -> Any:
    row = draft.get(table, uuid)
    assert row is not None
    return row


def operations(draft: Draft) -> list[tuple[str, str]]:
    return [(op["op"], op.get("table", "")) for op in draft.transaction().operations]


def test_what_was_written_is_read_back(draft: Draft) -> None:
    port = draft.insert_resource(Port(network=NET, mac_address="fa:16:3e:00:00:02"), revision=1)
    address = draft.insert(IPAllocation(subnet=SUB, ip_address="10.0.0.6"))
    assert draft.mac_in_use(NET, "fa:16:3e:00:00:02") == port
    assert draft.allocation(SUB, "10.0.0.6") == address
    assert {p.uuid for p in draft.ports_of(NET)} == {PORT, port.uuid}
    draft.update(get(draft, Network, NET), name="m")
    assert get(draft, Network, NET).name == "m"
    draft.delete(get(draft, Port, PORT))
    assert draft.get(Port, PORT) is None
    assert draft.mac_in_use(NET, "fa:16:3e:00:00:01") is None


def test_a_changed_row_is_guarded_by_the_revision_that_was_seen(draft: Draft) -> None:
    network = draft.update(get(draft, Network, NET), name="m")
    draft.update(network, name="o")
    txn = draft.transaction()
    assert operations(draft) == [("wait", "Network"), ("update", "Network")]
    assert txn.operations[0]["rows"] == [{"revision_number": 4}]
    assert txn.operations[1]["row"] == {"name": "o", "revision_number": 5, "updated_at": "2026-01-01T00:00:00Z"}


def test_an_update_to_the_same_values_is_none_but_a_touch_is_one(draft: Draft) -> None:
    network = get(draft, Network, NET)
    assert draft.update(network, name="n", segmentation_id=1) == network
    assert not draft.transaction()
    assert draft.touch(network).revision_number == 5
    assert operations(draft) == [("wait", "Network"), ("update", "Network")]


def test_what_is_only_relied_on_is_guarded_and_not_changed(draft: Draft) -> None:
    draft.rely(get(draft, Subnet, SUB))
    assert not draft.transaction()
    draft.insert_resource(Port(network=NET), revision=1)
    assert operations(draft) == [("wait", "Subnet"), ("insert", "Port")]


def test_the_set_of_ports_can_be_guarded(draft: Draft) -> None:
    draft.guard_ports(NET)
    draft.touch(get(draft, Network, NET))
    wait = next(op for op in draft.transaction().operations if op["op"] == "wait" and op["table"] == "Port")
    assert wait["rows"] == [{"mac_address": "fa:16:3e:00:00:01"}]


def test_a_draft_without_changes_sends_nothing(draft: Draft) -> None:
    assert not draft.transaction()
    draft.update(get(draft, IPAllocation, IP), position=0)
    assert not draft.transaction()


def test_segments_are_the_lowest_free_ones_also_within_one_draft(draft: Draft) -> None:
    config = from_dict(
        {"geneve_vni_ranges": ["1:3"], "vlan_ranges": {"p": ["5:5"]}, "tenant_network_types": ["geneve", "vlan"]}
    )
    asked = {f"provider:{name}": UNSET for name in ("network_type", "physical_network", "segmentation_id")}
    found = []
    for _ in range(3):
        segment = segments.choose(draft, config, asked)
        found.append(segment)
        draft.insert(
            Network(network_type=segment.kind, physical_network=segment.physical, segmentation_id=segment.number)
        )
    assert found == [("geneve", "", 2), ("geneve", "", 3), ("vlan", "p", 5)]
    with pytest.raises(Exception, match="No project network is available"):
        segments.choose(draft, config, asked)


def test_generated_macs_have_the_configured_prefix() -> None:
    env = Env(from_dict({"base_mac": "02:AB:CD"}), hosts=lambda: (), chance=random.Random(1))
    macs = {env.random_mac() for _ in range(50)}
    assert len(macs) == 50
    assert all(mac.startswith("02:ab:cd:") and len(mac) == 17 for mac in macs)
