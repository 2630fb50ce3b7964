"""Pidfiles: the lock decides, not the text."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ovine.daemons.pidfile import AlreadyRunning, acquire, holder

HOLD = (
    "import sys; from pathlib import Path; from ovine.daemons.pidfile import acquire; "
    "held = acquire(Path(sys.argv[1]), overwrite=len(sys.argv) > 2); print('held', flush=True); sys.stdin.read(); "
    "held.release()"
)


@contextmanager
def other_process(path: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the pidfile until its standard input ends."""
    command = [sys.executable, "-c", HOLD, str(path), *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            yield child
        finally:
            child.kill()


def test_it_holds_the_process_id_and_goes_away(tmp_path):
    path = tmp_path / "p.pid"
    held = acquire(path)
    assert path.read_bytes() == b"%d\n" % os.getpid()
    assert list(tmp_path.iterdir()) == [path]
    held.release()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_another_process_holds_is_not_taken(tmp_path):
    path = tmp_path / "p.pid"
    with other_process(path) as child:
        assert holder(path) == child.pid
        with pytest.raises(AlreadyRunning, match=f"p.pid: already running as pid {child.pid}, aborting"):
            acquire(path)
        assert list(tmp_path.iterdir()) == [path]
        assert path.read_text() == f"{child.pid}\n"


@pytest.mark.parametrize("content", ["", "12345\n", "nonsense", "1\n"])
def test_a_file_that_nobody_holds_is_stale_whatever_it_says(tmp_path, content):
    path = tmp_path / "p.pid"
    path.write_text(content)
    assert holder(path) is None
    held = acquire(path)
    assert path.read_text() == f"{os.getpid()}\n"
    held.release()


def test_the_lock_is_held_after_a_stale_file_was_replaced(tmp_path):
    path = tmp_path / "p.pid"
    path.write_text("1\n")
    with other_process(path) as child:
        assert holder(path) == child.pid


def test_overwrite_takes_a_file_that_is_held_and_the_former_holder_leaves_it_alone(tmp_path):
    path = tmp_path / "p.pid"
    with other_process(path) as first, other_process(path, "overwrite") as second:
        assert holder(path) == second.pid
        first.communicate("")
        assert path.read_text() == f"{second.pid}\n"


def test_nobody_holds_a_file_that_is_not_there(tmp_path):
    assert holder(tmp_path / "none.pid") is None


def test_a_directory_that_is_not_there_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        acquire(tmp_path / "none" / "p.pid")
