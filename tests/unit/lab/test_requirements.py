"""Why no lab can run here is said in one line that tells what to do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ovine.lab import LabError
from ovine.lab.requirements import C_PROGRAMS, PROGRAMS, check, missing_packages, why_not

TOOL = Path(__file__).parents[3] / "tools" / "install-system"


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert why_not() == "a lab needs root (network namespaces): run it with sudo"
    with pytest.raises(LabError, match="needs root"):
        check()


def test_on_another_system_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert "needs Linux" in str(why_not())


def test_missing_programs_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ovine.lab.requirements.SBIN", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / "ip").touch(mode=0o755)
    reason = str(why_not(c_daemons=True))
    assert reason.startswith("a lab needs more programs: apt-get install ")
    named = reason.split()[6:]
    assert "openvswitch-switch" in named and "ovn-central" in named
    assert "iproute2" not in named
    assert missing_packages([("ip", "iproute2")]) == []


def test_a_base_installation_is_told_which_extra_a_lab_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for program in PROGRAMS:
        (tmp_path / program).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("ovine.lab.requirements.MODULES", ("os", "no_such_module"))
    assert why_not() == "a lab needs more Python packages: pip install 'ovine[lab]'"


def test_the_makefile_installs_every_package_that_a_lab_asks_for(tmp_path: Path) -> None:
    for program in ("sed", "sort", "sh", "id"):
        (tmp_path / program).symlink_to(
            f"/bin/{program}" if Path(f"/bin/{program}").exists() else f"/usr/bin/{program}"
        )
    text = TOOL.read_text().replace(':/usr/local/sbin:/usr/sbin:/sbin"', '"')
    script = tmp_path / "install-system"
    script.write_text(text)
    done = subprocess.run(
        ["/bin/sh", str(script), "--list", "dev"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {*PROGRAMS.values(), *C_PROGRAMS.values(), "python3", "python3-venv"} <= set(done.stdout.split())
