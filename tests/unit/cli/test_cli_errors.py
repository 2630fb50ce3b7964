"""What cannot be done is said in one line: status 1; a wrong command line is status 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ovine.cli import main as entry
from ovine.cli.main import main
from ovine.lab.spec import LabSpec
from ovine.lab.store import InstanceRecord, Store


@pytest.fixture(autouse=True)
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "labs"
    monkeypatch.setenv("OVINE_LAB_DIR", str(directory))
    monkeypatch.delenv("OVINE_LAB", raising=False)
    monkeypatch.setattr("ovine.lab.spec.LONGEST_DIRECTORY", 1000)
    monkeypatch.setattr("ovine.lab.requirements.why_not", lambda **_: None)
    return directory


def make_lab(name: str) -> Store:
    spec = LabSpec(name=name, controllers=("c", "c"), api=False)
    store = Store(spec.directory)
    store.create(spec, {})
    return store


def said(arguments: list[str], capsys: pytest.CaptureFixture[str], status: int = 1) -> str:
    """The one line on stderr of a command that ends with `status`."""
    assert main(arguments) == status
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["ssh", "web1"], ["exec", "web1", "true"], ["ping", "web1", "web2"], ["delete", "web1"]],
    ids=lambda arguments: arguments[0],
)
def test_without_a_lab_it_is_said_how_to_start_one(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert said(arguments, capsys) == "ovine: no lab is up: `ovine lab up` starts one"


def test_an_unknown_lab_is_answered_with_those_that_are_up(capsys: pytest.CaptureFixture[str]) -> None:
    make_lab("blue")
    assert said(["status", "--lab", "red"], capsys) == "ovine: no lab red: up are blue"


def test_several_labs_need_a_choice(capsys: pytest.CaptureFixture[str]) -> None:
    make_lab("blue")
    make_lab("red")
    assert "several labs are up (blue, red)" in said(["ssh", "web1"], capsys)


def test_an_unknown_instance_is_answered_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    store = make_lab("blue")
    assert said(["exec", "web9", "--", "true"], capsys) == "ovine: no instance web9: there are none"
    store.add_instance(InstanceRecord("web1", "h1", "blue-vm-web1", "p1", "02:00:00:00:00:01"))
    assert said(["ping", "web9", "web1"], capsys) == "ovine: no instance web9: there are web1"


def test_a_lab_without_an_api_cannot_boot(capsys: pytest.CaptureFixture[str]) -> None:
    make_lab("blue")
    assert "lab blue has no API" in said(["boot", "web1", "--network", "n", "--host", "h1"], capsys)


def test_a_name_that_cannot_be_a_labs_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "is no name for a lab" in said(["lab", "up", "--name", "No/Name"], capsys)


def test_more_controllers_than_hosts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["lab", "up", "--hosts", "1", "--controller", "c", "--controller", "ovine"]
    assert said(arguments, capsys) == "ovine: 2 controllers were chosen for 1 hosts"


def test_why_no_lab_can_run_here_is_said_before_anything_is_made(
    labs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ovine.lab.requirements.why_not", lambda **_: "a lab needs root: run it with sudo")
    assert main(["lab", "up"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "ovine: a lab needs root: run it with sudo"
    assert not labs.exists()


def test_an_unknown_schema_is_answered_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(["schema", "southbound"], capsys) == "ovine: no schema southbound: there are cloud, nb, sb, vs"


@pytest.mark.parametrize(
    "arguments",
    [["--wrong"], ["lab", "up", "--hosts", "none"], ["lab", "up", "--northd", "java"], ["boot", "web1"], ["nothing"]],
    ids=" ".join,
)
def test_a_wrong_command_line_has_status_2_and_is_told_in_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = said(arguments, capsys, status=2)
    assert line.startswith("ovine: ") and line.endswith(" --help`")


def test_an_interrupt_is_told_in_one_line_and_by_the_status(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ovine.cli.schema_command.show", interrupted)
    assert said(["schema", "nb"], capsys, status=130) == "ovine: interrupted"


def test_a_ping_to_what_is_neither_an_address_nor_an_instance_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    make_lab("blue").add_instance(InstanceRecord("web1", "h1", "blue-vm-web1", "p1", "02:00:00:00:00:01"))
    assert said(["ping", "web1", "web9"], capsys) == "ovine: no instance web9: there are web1"


def test_the_schema_that_is_printed_is_the_declared_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "nb"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "OVN_Northbound"


def test_called_by_the_name_of_an_ovn_daemon_the_command_is_that_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[str, list[str], str | None]] = []
    monkeypatch.setattr(entry, "run_daemon", lambda *given: called.append(given) or 0)
    monkeypatch.setattr("sys.argv", ["/usr/bin/ovn-northd", "--dry-run"])
    assert main() == 0
    assert called == [("northd", ["--dry-run"], "ovn-northd")]
