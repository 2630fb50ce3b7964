"""Starting, watching and ending daemons, as init scripts do it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ovine.daemons import process
from ovine.daemons.pidfile import holder


def eventually(claim: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not claim():
        assert time.monotonic() < end, "the claim did not come true in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def test_a_detached_start_returns_when_pidfile_and_control_socket_serve(demo):
    done = demo.call("--detach", "--pidfile", "-vsyslog:off", "-vconsole:off")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pid = demo.pid()
    assert demo.pidfile.read_text() == f"{pid}\n"
    assert holder(demo.pidfile) == pid
    assert (demo.run / f"demod.{pid}.ctl").is_socket()
    assert "demod" in demo.ask("version")


def test_a_detached_daemon_lets_go_of_terminal_directory_and_session(demo):
    pid = demo.start()
    assert {Path(f"/proc/{pid}/fd/{number}").readlink() for number in (0, 1, 2)} == {Path("/dev/null")}
    assert demo.ask("cwd") == "/\n"
    assert os.getsid(pid) != os.getsid(0)
    assert os.getsid(pid) != pid  # no session leader: it can never acquire a terminal
    assert Path(f"/proc/{pid}/comm").read_text() == "demod\n"


def test_no_chdir_keeps_the_directory(demo, tmp_path):
    demo.start("--no-chdir", cwd=tmp_path)
    assert demo.ask("cwd") == f"{tmp_path}\n"


def test_a_relative_log_file_stays_where_it_was_when_the_directory_changes(demo, tmp_path):
    demo.start("--log-file=own.log", cwd=tmp_path)
    demo.ask("vlog/reopen")
    assert "opened log file" in (tmp_path / "own.log").read_text()
    assert (tmp_path / "own.log").stat().st_mode & 0o777 == 0o640


def test_a_second_start_is_refused_and_the_first_goes_on(demo):
    pid = demo.start()
    second = demo.call("--detach", "--pidfile", "-vconsole:off", "-vsyslog:off")
    assert second.returncode == 1
    assert second.stderr == f"demod: {demo.pidfile}: already running as pid {pid}, aborting\n"
    assert demo.pid() == pid
    assert demo.ask("echo", "still", "here") == "still here\n"


def test_many_starts_at_once_leave_one_daemon(demo):
    words = [demo.executable, "--detach", "--pidfile", "-vconsole:off", "-vsyslog:off"]
    starts = [subprocess.Popen(words, env=demo.environment, stderr=subprocess.DEVNULL) for _ in range(5)]
    statuses = sorted(start.wait(30) for start in starts)
    assert statuses == [0, 1, 1, 1, 1]
    eventually(lambda: demo.processes() == [demo.pid()])
    assert [path.name for path in demo.run.iterdir() if ".pid" in path.name] == ["demod.pid"]


def test_overwrite_pidfile_starts_beside_and_the_first_leaves_the_file_alone(demo):
    first = demo.start()
    second = demo.start("--overwrite-pidfile")
    assert first != second
    demo.appctl("exit", target=str(demo.run / f"demod.{first}.ctl"))
    eventually(lambda: not alive(first))
    assert demo.pid() == second
    assert "demod" in demo.ask("version")


def test_after_kill_9_the_stale_pidfile_does_not_hinder_a_start(demo):
    first = demo.start()
    os.kill(first, signal.SIGKILL)
    eventually(lambda: not alive(first))
    assert demo.pid() == first
    second = demo.start()
    assert second != first
    assert demo.ask("echo", "up") == "up\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_terminating_signal_ends_the_process_and_removes_its_files(demo, number):
    pid = demo.start()
    os.kill(pid, number)
    eventually(lambda: not alive(pid))
    assert not demo.pidfile.exists()
    assert list(demo.run.iterdir()) == []
    assert "demo|INFO|clean-up False ()" in demo.log


def test_in_the_foreground_a_signal_is_the_cause_of_death_for_who_started_it(demo):
    child = subprocess.Popen([demo.executable, "--pidfile", "-vconsole:off", "-vsyslog:off"], env=demo.environment)
    eventually(lambda: bool(list(demo.run.glob("*.ctl"))))
    assert demo.pid() == child.pid
    os.kill(child.pid, signal.SIGTERM)
    assert child.wait(30) == -signal.SIGTERM


def test_sigterm_ends_a_daemon_that_never_returns_to_its_event_loop(demo):
    pid = demo.start()
    spinning = subprocess.Popen(["ovs-appctl", "-t", "demod", "spin"], env=demo.environment, stderr=subprocess.DEVNULL)
    eventually(lambda: "spinning" in demo.log)
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not alive(pid))
    spinning.wait(30)
    assert list(demo.run.iterdir()) == []


def test_stop_and_continue_are_survived(demo):
    pid = demo.start()
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T")
    os.kill(pid, signal.SIGCONT)
    assert demo.ask("echo", "back") == "back\n"


def test_hangup_reopens_the_log(demo, tmp_path):
    pid = demo.start()
    log = tmp_path / "log" / "demod.log"
    log.rename(tmp_path / "log" / "demod.log.1")
    os.kill(pid, signal.SIGHUP)
    eventually(log.exists)
    demo.ask("log", "ovine.demo", "WARNING", "after")
    assert "demo|WARN|after" in demo.log


def test_the_monitor_starts_a_crashed_daemon_again(demo):
    first = demo.start("--monitor")
    monitor = parent_of(first)
    assert Path(f"/proc/{monitor}/comm").read_text() == "mon:demod\n"
    os.kill(first, signal.SIGSEGV)
    eventually(lambda: demo.pidfile.exists() and demo.pid() != first and holder(demo.pidfile) == demo.pid())
    second = demo.pid()
    assert parent_of(second) == monitor
    eventually(lambda: demo.appctl("echo", "again").stdout == "again\n")
    assert f"daemon|ERR|pid {first} died of signal 11 (Segmentation fault), starting again" in demo.log


def test_the_monitor_starts_a_daemon_again_whose_main_failed(demo):
    first = demo.start("--monitor")
    demo.ask("fail")
    eventually(lambda: demo.pidfile.exists() and demo.pid() != first)
    assert "demo|INFO|clean-up False ()" in demo.log
    assert "demo|EMER|demod failed\\nTraceback" in demo.log


@pytest.mark.parametrize("end", ["exit", "KILL", "TERM to the monitor"])
def test_the_monitor_ends_with_a_daemon_that_was_meant_to_end(demo, end):
    pid = demo.start("--monitor")
    monitor = parent_of(pid)
    match end:
        case "exit":
            demo.ask("exit")
        case "KILL":
            os.kill(pid, signal.SIGKILL)
        case _:
            os.kill(monitor, signal.SIGTERM)
    eventually(lambda: not alive(pid) and not alive(monitor))


def test_the_monitor_works_in_the_foreground(demo):
    words = [demo.executable, "--monitor", "--pidfile", "-vconsole:off", "-vsyslog:off"]
    monitor = subprocess.Popen(words, env=demo.environment)
    eventually(demo.pidfile.exists)
    assert parent_of(demo.pid()) == monitor.pid
    eventually(lambda: demo.appctl("exit").returncode == 0)
    assert monitor.wait(30) == 0


def test_without_monitor_a_failed_main_is_told_and_ends_with_status_1(demo):
    child = subprocess.Popen(
        [demo.executable, "--pidfile", "-vsyslog:off"], env=demo.environment, stderr=subprocess.PIPE, text=True
    )
    eventually(lambda: bool(list(demo.run.glob("*.ctl"))))
    eventually(lambda: demo.appctl("fail").returncode == 0)
    error = child.communicate(timeout=30)[1]
    assert child.returncode == 1
    assert [line for line in error.splitlines() if "|EMER|" in line and line.endswith("told to fail\\nin two lines")]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--nosuch"], "unrecognized option '--nosuch'"),
        (["surplus"], "unexpected argument 'surplus'; use --help for usage"),
        (["--n-threads=0"], "--n-threads: at least 1"),
        (["--n-threads", "many"], "--n-threads: 'many' is not a whole number"),
        (["-vfoo:dbg"], 'processing "foo:dbg": no destination, level, or module "foo"'),
        (["--syslog-method=pigeon"], "syslog method 'pigeon' is none of libc, unix:FILE, udp:IP:PORT, null"),
        (["--log-file=/nonexistent/x.log"], "/nonexistent/x.log: cannot open log file: No such file or directory"),
        (["--hold=/"], "--hold: a file is needed"),
        (["--pidfile=/nonexistent/x.pid"], "/nonexistent/x.pid: cannot create pidfile: No such file or directory"),
        (
            ["--unixctl=/nonexistent/x.ctl"],
            "/nonexistent/x.ctl: cannot listen for control commands: No such file or directory",
        ),
    ],
)
@pytest.mark.parametrize("how", [["--detach"], ["--detach", "--monitor"], []])
def test_what_cannot_be_obeyed_is_refused_in_one_line(demo, words, complaint, how):
    done = demo.call(*how, "-vconsole:off", "-vsyslog:off", *words)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"demod: {complaint}\n")
    eventually(lambda: demo.processes() == [])
    assert list(demo.run.iterdir()) == []


@pytest.mark.parametrize("how", [["--detach"], ["--detach", "--monitor"], ["--monitor"], []])
def test_a_bug_at_the_start_is_told_and_not_repeated(demo, how):
    done = demo.call(*how, "--pidfile", "-vsyslog:off", "--watch=/")
    assert done.returncode in ((1,) if "--monitor" not in how or "--detach" in how else (-signal.SIGABRT,))
    assert done.stderr.count("RuntimeError: a bug at the start") == 1
    eventually(lambda: demo.processes() == [])
    assert list(demo.run.iterdir()) == []


def test_it_runs_on_asyncios_own_loop_where_uvloop_is_missing(demo):
    text = demo.executable.read_text()
    demo.executable.write_text(text.replace("import sys\n", "import sys\nsys.modules['uvloop'] = None\n"))
    demo.start()
    assert demo.ask("loop") == "asyncio.unix_events\n"
    assert demo.ask("exit") == ""
    pid = demo.start()
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: demo.processes() == [])
    assert list(demo.run.iterdir()) == []


def test_help_and_version_are_printed_without_starting_anything(demo):
    helped = demo.call("--help")
    assert helped.returncode == 0
    assert helped.stdout.startswith("demod: a daemon for tests\nusage: demod [OPTIONS]\n")
    assert "-p, --private-key=FILE" in helped.stdout
    versioned = demo.call("-V")
    assert (versioned.returncode, versioned.stderr) == (0, "")
    assert versioned.stdout == demo.call("--version").stdout
    assert list(demo.run.iterdir()) == []


def test_the_program_is_named_by_the_environment_before_its_file_name(make_demo):
    demo = make_demo(OVN_PROGRAM="ovn-controller")
    demo.call("--detach", "--pidfile", "--log-file", "-vsyslog:off")
    assert {path.name.split(".")[0] for path in demo.run.iterdir()} == {"ovn-controller"}
    assert (demo.directory / "log" / "ovn-controller.log").exists()


def test_the_version_makes_debians_scripts_stop_it_by_exit(make_demo):
    # ovs-lib and ovn-lib compare the last word of the first line with 2.5.90.
    demo = make_demo()
    last = demo.call("--version").stdout.splitlines()[0].split()[-1]
    assert tuple(map(int, last.split("."))) >= (2, 5, 90)


@pytest.mark.skipif(not Path("/usr/share/ovn/scripts/ovn-ctl").exists(), reason="needs Debian's ovn-common")
def test_debians_ovn_ctl_starts_asks_and_stops_it_in_the_place_of_ovn_northd(make_demo, tmp_path):
    demo = make_demo("ovn-northd", OVN_DBDIR=str(tmp_path), OVN_SYSCONFDIR=str(tmp_path), OVS_LOGDIR=str(tmp_path))

    def ovn_ctl(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/usr/share/ovn/scripts/ovn-ctl", "--ovn-manage-ovsdb=no", f"--db-nb-sock={tmp_path}/nb", command],
            env=demo.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )

    started = ovn_ctl("start_northd")
    assert started.returncode == 0, started.stdout
    pid = demo.pid()
    assert "ovn-northd is already running" in ovn_ctl("start_northd").stdout
    assert f"ovn-northd is running with pid {pid}" in ovn_ctl("status_northd").stdout
    stopped = ovn_ctl("stop_northd")
    assert stopped.returncode == 0, stopped.stdout
    assert "Exiting ovn-northd" in stopped.stdout
    assert "Killing" not in stopped.stdout
    assert "demo|INFO|clean-up True ()" in demo.log
    eventually(lambda: demo.processes() == [])


@pytest.mark.skipif(shutil.which("start-stop-daemon") is None, reason="needs start-stop-daemon")
def test_start_stop_daemon_starts_and_stops_it_by_its_pidfile(demo):
    base = ["start-stop-daemon", "--pidfile", str(demo.pidfile)]
    start = [*base, "--start", "--startas", str(demo.executable), "--", "--detach", "--pidfile", "-vsyslog:off"]
    assert subprocess.run(start, env=demo.environment, timeout=60).returncode == 0
    pid = demo.pid()
    again = subprocess.run(start, env=demo.environment, timeout=60, stdout=subprocess.DEVNULL)
    assert again.returncode == 1
    stop = [*base, "--stop", "--retry", "TERM/20"]
    assert subprocess.run(stop, env=demo.environment, timeout=60).returncode == 0
    assert not alive(pid)


def test_the_error_signals_are_those_of_the_manual():
    names = {number.name.removeprefix("SIG") for number in process.ERROR_SIGNALS}
    assert names == {"ABRT", "ALRM", "BUS", "FPE", "ILL", "PIPE", "SEGV", "XCPU", "XFSZ"}
