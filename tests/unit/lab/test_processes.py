"""Processes are recorded before they run, are told apart from later ones of the same pid, and end when told to."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ovine.lab import LabError
from ovine.lab.processes import Processes
from ovine.lab.waiting import wait_for


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    (tmp_path / "log").mkdir()
    found = Processes(tmp_path)
    yield found
    found.end(found.recorded(), grace=0)


def test_a_started_process_is_in_the_journal_of_every_reader(processes: Processes) -> None:
    process = processes.start("sleeper", ["sleep", "1000"])
    assert process.alive
    assert Processes(processes.directory).recorded() == [process]
    assert Processes(processes.directory).find("sleeper") == process


def test_the_process_gets_its_words_as_they_are_and_its_output_is_kept(processes: Processes) -> None:
    process = processes.start("speaker", ["printf", "<%s>\n", "two words", "", "$HOME 'q'"])
    wait_for(lambda: not process.alive, "the end", 10)
    assert processes.output("speaker").read_text() == "<two words>\n<>\n<$HOME 'q'>\n"


def test_ending_reaches_a_process_that_another_reader_started(processes: Processes) -> None:
    process = processes.start("sleeper", ["sleep", "1000"])
    Processes(processes.directory).end([process])
    assert not process.alive


def test_a_process_that_ignores_sigterm_or_is_stopped_is_ended_too(processes: Processes) -> None:
    deaf = processes.start("deaf", ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"])
    wait_for(lambda: processes.output("deaf").read_text(), "the trap", 10)
    stopped = processes.start("stopped", ["sleep", "1000"])
    processes.signal(stopped, signal.SIGSTOP)
    processes.end([deaf, stopped], grace=0.2)
    assert not deaf.alive and not stopped.alive


def test_a_pid_with_another_start_time_is_left_alone(processes: Processes) -> None:
    process = processes.start("sleeper", ["sleep", "1000"])
    stranger = replace(process, started=process.started - 1)
    assert not stranger.alive
    processes.end([stranger])
    processes.signal(stranger, signal.SIGKILL)
    assert process.alive


def test_one_that_ended_is_reported_with_its_status_and_its_last_words(processes: Processes) -> None:
    process = processes.start("broken", ["sh", "-c", "echo no database >&2; exit 7"])
    wait_for(lambda: not process.alive, "the end", 10)
    with pytest.raises(LabError, match="broken ended with status 7") as failure:
        processes.must_run(process)
    assert "no database" in failure.value.details


def test_a_program_that_does_not_exist_is_reported(processes: Processes) -> None:
    process = processes.start("nothing", ["/no/such/program"])
    wait_for(lambda: not process.alive, "the end", 10)
    with pytest.raises(LabError, match="nothing ended with status 127") as failure:
        processes.must_run(process)
    assert "/no/such/program" in failure.value.details


def test_a_torn_line_of_the_journal_is_passed_over(processes: Processes) -> None:
    process = processes.start("sleeper", ["sleep", "1000"])
    with processes.journal.open("a") as journal:
        journal.write("12")
    assert processes.recorded() == [process]
