"""Which databases `ovine trace` asks: those given, a lab's that is named, the environment's, the only lab's."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovine.cli.trace_command import Sources, sources_of
from ovine.lab.errors import LabError
from ovine.lab.spec import LabSpec
from ovine.lab.store import Store


@pytest.fixture(autouse=True)
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVINE_LAB_DIR", str(tmp_path / "labs"))
    monkeypatch.setattr("ovine.lab.spec.LONGEST_DIRECTORY", 1000)
    for name in ("OVN_SB_DB", "OVN_NB_DB"):
        monkeypatch.delenv(name, raising=False)


def lab(name: str, api: bool = True) -> LabSpec:
    spec = LabSpec(name=name, controllers=("c",), api=api)
    Store(spec.directory).create(spec, {})
    return spec


def test_a_database_that_is_given_goes_before_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    lab("blue")
    monkeypatch.setenv("OVN_SB_DB", "unix:/env/sb")
    assert sources_of(Sources("unix:/given/sb"), "blue") == Sources("unix:/given/sb")


def test_the_only_lab_is_asked_and_its_cloud_if_it_has_one() -> None:
    blue = lab("blue")
    assert sources_of(Sources(""), "") == Sources(blue.sb_db, blue.nb_db, blue.cloud_db)


def test_a_bare_lab_has_no_cloud() -> None:
    bare = lab("bare", api=False)
    assert sources_of(Sources("", cloud="unix:/c"), "") == Sources(bare.sb_db, bare.nb_db, "unix:/c")
    assert sources_of(Sources(""), "bare") == Sources(bare.sb_db, bare.nb_db)


def test_a_named_lab_goes_before_the_environment_and_that_before_a_lab_that_is_not_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blue = lab("blue")
    monkeypatch.setenv("OVN_SB_DB", "unix:/env/sb")
    monkeypatch.setenv("OVN_NB_DB", "unix:/env/nb")
    assert sources_of(Sources(""), "blue").southbound == blue.sb_db
    assert sources_of(Sources(""), "") == Sources("unix:/env/sb", "unix:/env/nb")


def test_without_any_it_is_said_how_to_start_one() -> None:
    with pytest.raises(LabError, match="no lab is up"):
        sources_of(Sources(""), "")


def test_the_files_for_ssl_belong_together_and_stay_with_whatever_remote() -> None:
    keys = ("key.pem", "cert.pem", "ca.pem")
    blue = lab("blue")
    chosen = sources_of(Sources("", keys=keys), "")
    assert (chosen.southbound, chosen.keys) == (blue.sb_db, keys)
    assert chosen.tls is not None
    assert chosen.tls.ca == "ca.pem"
    assert Sources("ssl:127.0.0.1:1").tls is None
    with pytest.raises(LabError, match="belong together"):
        _ = Sources("ssl:127.0.0.1:1", keys=("key.pem", "", "")).tls
