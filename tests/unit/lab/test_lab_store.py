"""A lab's files tell every process the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovine.lab import Lab, LabError, LabSpec
from ovine.lab.store import InstanceRecord, Store

RECORD = InstanceRecord("web1", "h1", "x-vm-web1", "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "02:00:00:00:00:01")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr("ovine.lab.spec.LONGEST_DIRECTORY", 1000)
    spec = LabSpec(name="x", northd="c", controllers=("ovine", "c"), directory=tmp_path / "x")
    store = Store(spec.directory)
    store.create(spec, {"color": "red"})
    return store


def test_an_opened_lab_is_described_as_the_one_that_was_started(store: Store) -> None:
    spec = Lab.open(store.directory).spec
    assert (spec.name, spec.northd, spec.controllers, spec.directory) == ("x", "c", ("ovine", "c"), store.directory)


def test_facts_are_kept_beside_the_description(store: Store) -> None:
    store.add_facts(port=9696)
    assert (store.facts()["color"], store.facts()["port"]) == ("red", 9696)
    assert store.spec().name == "x"


def test_the_directory_can_be_made_once(store: Store) -> None:
    with pytest.raises(LabError, match="lab x is up already"):
        store.create(store.spec(), {})


def test_instances_are_found_by_name_and_gone_after_removal(store: Store) -> None:
    store.add_instance(RECORD)
    assert store.instance("web1") == RECORD
    assert store.instances() == [RECORD]
    with pytest.raises(LabError, match="web1 exists already"):
        store.add_instance(RECORD)
    store.remove_instance("web1")
    assert store.instances() == []


def test_the_tap_is_named_as_neutron_names_it() -> None:
    assert RECORD.tap == "tap0a1b2c3d-4e"


def test_a_directory_without_a_lab_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="`ovine lab up` starts one"):
        Lab.open(tmp_path)
