"""Control commands and the log, driven by Debian's ovs-appctl and ovn-appctl; our client, driven by their server."""

import contextlib
import re
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from ovine.daemons.appctl import Unreachable, appctl
from ovine.daemons.unixctl import CommandError

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\|\d{5,}\|[a-z_]+(\([^)]*\))?\|(EMER|ERR|WARN|INFO|DBG)\|.*")


def eventually(claim: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not claim():
        assert time.monotonic() < end, "the claim did not come true in time"
        time.sleep(0.02)


def raw(path: Path, data: bytes) -> bytes:
    """What the server says to some bytes, until it closes the connection."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(path))
        connection.sendall(data)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                answer += part
        return answer


@pytest.mark.parametrize("tool", ["ovs-appctl", "ovn-appctl"])
def test_debians_tools_talk_to_it_by_name_and_by_socket(demo, tool):
    pid = demo.start()
    for target in ("demod", str(demo.run / f"demod.{pid}.ctl")):
        done = demo.appctl("echo", 'a "b"', "ü{", "", tool=tool, target=target)
        assert (done.returncode, done.stdout, done.stderr) == (0, 'a "b" ü{ \n', "")


def test_list_commands_shows_names_and_arguments_in_order(demo):
    demo.start()
    lines = demo.ask("list-commands").splitlines()
    assert lines[0] == "The available commands are:"
    assert lines[1:] == sorted(lines[1:])
    assert "  exit                    [--restart]" in lines
    names = {line.split()[0] for line in lines[1:]}
    assert names >= {"version", "list-commands", "vlog/set", "vlog/list", "vlog/reopen", "vlog/close"}
    assert names >= {"vlog/disable-rate-limit", "vlog/enable-rate-limit", "inc-engine/show-stats"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["foo"], '"foo" is not a valid command (use "list-commands" to see a list of valid commands)'),
        (["crash"], '"crash" command requires at least 1 arguments'),
        (["version", "1"], '"version" command takes at most 0 arguments'),
        (["refuse"], "not today"),
        (["exit", "--now"], '"exit" takes no argument but --restart, not "--now"'),
        (["vlog/set", "nosuch:dbg"], 'no destination, level, or module "nosuch"'),
        (["vlog/set", "info:dbg"], "cannot specify multiple levels"),
        (["vlog/set", "FACILITY:nosuch"], "invalid facility"),
        (["vlog/set", "PATTERN:nosuch:x"], 'unknown destination "nosuch"'),
        (["vlog/disable-rate-limit", "nosuch"], "unknown module"),
        (["inc-engine/show-stats", "nosuch"], "no node 'nosuch'; inc-engine/show-stats lists them all"),
    ],
)
def test_what_it_refuses_is_told_and_the_daemon_goes_on(demo, words, complaint):
    demo.start()
    done = demo.appctl(*words)
    assert (done.returncode, done.stdout, done.stderr.splitlines()[0]) == (2, "", complaint)
    assert demo.ask("echo", "on") == "on\n"


def test_a_bug_in_a_command_is_answered_and_logged(demo):
    demo.start()
    demo.ask("vlog/set", "info")
    done = demo.appctl("bug")
    assert done.returncode == 2 and "internal error: IndexError" in done.stderr
    assert "unixctl|ERR|command bug failed\\nTraceback" in demo.log


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage",
        b"[1]",
        b"{]}",
        b'{"method": 3, "params": [], "id": 0}',
        b'{"method": "version", "params": [1], "id": 0}',
        b'{"method": "version", "params": "x", "id": 0}',
        b'{"method": "version", "params": [], "id": null}',
        b'{"id": 3, "result": 3, "error": null}',
        b"\xff\xfe\x00" * 100,
        b'{"method": "' + b"x" * (2 << 20),
    ],
)
def test_garbage_on_the_control_socket_ends_that_connection_only(demo, garbage):
    pid = demo.start()
    path = demo.run / f"demod.{pid}.ctl"
    with contextlib.suppress(BrokenPipeError):
        assert raw(path, garbage) == b""
    assert demo.ask("echo", "well") == "well\n"
    assert "|WARN|" not in demo.log and "|ERR|" not in demo.log


def test_a_client_that_goes_away_before_the_answer_harms_nobody(demo):
    pid = demo.start()
    request = orjson.dumps({"method": "wait", "params": [], "id": 0})
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(demo.run / f"demod.{pid}.ctl"))
        connection.sendall(request)
        assert demo.ask("echo", "meanwhile") == "meanwhile\n"
    assert demo.ask("echo", "after") == "after\n"
    assert demo.appctl("exit").returncode == 0


def test_requests_of_one_connection_are_answered_in_order(demo):
    pid = demo.start()
    requests = b" ".join(orjson.dumps({"method": "echo", "params": [str(number)], "id": number}) for number in range(3))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(demo.run / f"demod.{pid}.ctl"))
        connection.sendall(requests)
        answer = b""
        while answer.count(b"}") < 3:
            answer += connection.recv(65536)
    assert answer == b"".join(b'{"id":%d,"result":"%d\\n","error":null}' % (n, n) for n in range(3))


def test_a_path_too_long_for_a_socket_address_works(make_demo, tmp_path):
    long = tmp_path / ("long-" * 30)
    long.mkdir()
    demo = make_demo()
    demo.start(f"--unixctl={long}/demo.ctl")
    assert demo.appctl("echo", "far", target=f"{long}/demo.ctl").stdout == "far\n"
    assert appctl(f"{long}/demo.ctl", "echo", "far") == "far\n"


def test_unixctl_may_be_a_relative_name_or_none(demo):
    demo.start("-u", "own.ctl")
    assert demo.appctl("echo", "x", target=str(demo.run / "own.ctl")).stdout == "x\n"
    assert demo.appctl("exit", target=str(demo.run / "own.ctl")).returncode == 0
    demo.start("--unixctl=none")
    assert {path.name for path in demo.run.iterdir()} == {"demod.pid"}


# The end.


def test_exit_is_answered_at_the_end_of_the_clean_up(demo, tmp_path):
    pid = demo.start(f"--hold={tmp_path}/go")
    asked = subprocess.Popen(["ovs-appctl", "-t", "demod", "exit"], env=demo.environment, stdout=subprocess.PIPE)
    eventually(lambda: "demo" in demo.ask("version"))
    assert asked.poll() is None
    assert demo.pid() == pid
    (tmp_path / "go").touch()
    assert asked.communicate(timeout=30)[0] == b""
    assert asked.returncode == 0
    assert list(demo.run.iterdir()) == []
    assert "clean-up True ()" in demo.log
    eventually(lambda: demo.processes() == [])


def test_exit_restart_is_told_to_the_clean_up(demo):
    demo.start()
    assert demo.ask("exit", "--restart") == ""
    assert "clean-up False ('--restart',)" in demo.log


def test_exit_ends_a_main_that_waits_for_what_never_comes(demo):
    demo.start("--stuck-thread")
    assert demo.ask("exit") == ""
    eventually(lambda: demo.processes() == [])
    assert "|WARN|" not in demo.log


def test_exit_gives_up_on_a_clean_up_that_never_ends(demo, tmp_path):
    demo.start(f"--hold={tmp_path}/never")
    assert demo.ask("exit") == ""
    assert "demo|WARN|clean-up not over after 5 seconds: leaving the rest" in demo.log


def test_a_main_that_watches_for_the_end_ends_by_itself(demo, tmp_path):
    demo.start(f"--watch={tmp_path}/watched")
    demo.ask("exit")
    assert (tmp_path / "watched").read_text() == "ended by itself"


def test_everyone_who_asks_for_the_end_is_answered(demo, tmp_path):
    pid = demo.start(f"--hold={tmp_path}/go")
    request = orjson.dumps({"method": "exit", "params": [], "id": 0})
    connections = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for connection in connections:
        connection.settimeout(30)
        connection.connect(str(demo.run / f"demod.{pid}.ctl"))
        connection.sendall(request)
    demo.ask("version")
    (tmp_path / "go").touch()
    for connection in connections:
        assert orjson.loads(connection.recv(4096)) == {"id": 0, "result": "", "error": None}
        connection.close()


# The log.


def test_every_line_of_the_log_has_the_format_and_normal_operation_warns_of_nothing(demo):
    demo.start()
    demo.ask("log", "ovine.demo.part", "INFO", "several\nlines|and bars")
    demo.ask("exit")
    lines = demo.log.splitlines()
    assert all(LINE.fullmatch(line) for line in lines), lines
    assert [int(line.split("|")[1]) for line in lines] == list(range(1, len(lines) + 1))
    assert lines[0].split("|")[2:] == ["vlog", "INFO", f"opened log file {demo.directory}/log/demod.log"]
    assert any(line.endswith("|demo_part|INFO|several\\nlines|and bars") for line in lines)
    assert {line.split("|")[3] for line in lines} == {"INFO"}


def test_levels_change_at_run_time_for_one_module_and_for_all(demo):
    demo.start()
    demo.ask("log", "ovine.demo", "DEBUG", "one")
    demo.ask("vlog/set", "demo:file:dbg")
    demo.ask("log", "ovine.demo", "DEBUG", "two")
    demo.ask("log", "ovine.other", "DEBUG", "three")
    demo.ask("vlog/set", "dbg")
    demo.ask("log", "ovine.other", "DEBUG", "four")
    demo.ask("vlog/set", "off")
    demo.ask("log", "ovine.other", "CRITICAL", "five")
    messages = [line.rsplit("|", 1)[1] for line in demo.log.splitlines()]
    assert [word for word in ("one", "two", "three", "four", "five") if word in messages] == ["two", "four"]


def test_a_bad_word_among_several_changes_nothing(demo):
    demo.start()
    before = demo.ask("vlog/list")
    assert demo.appctl("vlog/set", "demo:dbg", "nosuch:dbg").returncode == 2
    assert demo.ask("vlog/list") == before


def test_vlog_list_looks_as_in_open_vswitch(demo):
    demo.start("-vconsole:off", "-vdemo:file:warn", "-vunixctl:syslog:err")
    lines = demo.ask("vlog/list").splitlines()
    assert lines[:2] == ["                 console    syslog    file", "                 -------    ------    ------"]
    assert "demo               OFF        OFF       WARN" in lines
    assert "unixctl            OFF        ERR       INFO" in lines
    demo.ask("vlog/disable-rate-limit", "demo")
    assert "demo               OFF        OFF       WARN    (rate limiting disabled)" in demo.ask("vlog/list")


def test_close_and_reopen_serve_log_rotation(demo, tmp_path):
    demo.start()
    log = tmp_path / "log" / "demod.log"
    demo.ask("vlog/close")
    demo.ask("log", "ovine.demo", "WARNING", "unheard")
    log.rename(log.with_suffix(".old"))
    demo.ask("vlog/reopen")
    demo.ask("log", "ovine.demo", "WARNING", "heard")
    assert "unheard" not in demo.log + log.with_suffix(".old").read_text()
    assert demo.log.splitlines()[-1].endswith("|demo|WARN|heard")


def test_reopen_without_a_file_says_so(demo):
    demo.call("--detach", "--pidfile", "-vsyslog:off")
    assert demo.ask("vlog/reopen") == "Logging to file not configured\n"


def test_a_log_that_cannot_be_reopened_is_an_error_and_logging_goes_on(demo, tmp_path):
    demo.start()
    log = tmp_path / "log" / "demod.log"
    (tmp_path / "log").rename(tmp_path / "away")
    assert "cannot open log file: No such file or directory" in demo.appctl("vlog/reopen").stderr
    demo.ask("log", "ovine.demo", "WARNING", "still")
    assert not log.exists()
    assert "|demo|WARN|still" in (tmp_path / "away" / "demod.log").read_text()


def test_frequent_messages_are_limited_until_that_is_switched_off(demo):
    demo.start()
    demo.ask("repeat", "10")
    assert demo.log.count("|message ") == 3
    demo.ask("vlog/disable-rate-limit", "demo")
    demo.ask("repeat", "10")
    assert demo.log.count("|message ") == 13
    demo.ask("vlog/enable-rate-limit", "demo")
    demo.ask("repeat", "10")
    assert demo.log.count("|message ") == 13


def test_patterns_change_the_lines(demo):
    pid = demo.start("-vPATTERN:file:%A %P %p %m")
    demo.ask("log", "ovine.demo", "ERROR", "boom")
    assert demo.log.splitlines()[-1] == f"demod {pid} ERR boom"
    assert "FILE     %A %P %p %m" in demo.ask("vlog/list-pattern")


def test_syslog_gets_the_messages_over_a_unix_socket(demo, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(tmp_path / "dev-log"))
        syslog.settimeout(30)
        demo.start(f"--syslog-method=unix:{tmp_path}/dev-log", "-vsyslog:err", "-vFACILITY:local0")
        demo.ask("log", "ovine.demo", "WARNING", "not this")
        demo.ask("log", "ovine.demo", "ERROR", "but this")
        text = syslog.recv(8192).decode()
    # local0 is 16, an error 3
    assert re.fullmatch(r"<131>\w{3} [ \d]\d \d\d:\d\d:\d\d demod: ovs\|\d{5}\|demo\|ERR\|but this", text)


def test_the_console_gets_lines_without_fractions_of_seconds(demo):
    child = subprocess.Popen([demo.executable, "--pidfile"], env=demo.environment, stderr=subprocess.PIPE, text=True)
    eventually(lambda: bool(list(demo.run.glob("*.ctl"))))
    eventually(lambda: demo.appctl("exit").returncode == 0)
    first = child.communicate(timeout=30)[1].splitlines()[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\|00001\|demo\|INFO\|demod \(Ovine .*\) started", first)


def test_a_console_that_nobody_reads_does_not_stop_it(demo):
    child = subprocess.Popen([demo.executable, "--pidfile"], env=demo.environment, stderr=subprocess.PIPE)
    assert child.stderr is not None
    child.stderr.close()
    eventually(lambda: bool(list(demo.run.glob("*.ctl"))))
    eventually(lambda: demo.appctl("log", "ovine.demo", "ERROR", "into the void").returncode == 0)
    assert demo.appctl("exit").returncode == 0
    assert child.wait(30) == 0


# What else a daemon gets from its shell.


def test_statistics_are_shown_whole_by_node_and_by_counter_and_cleared(demo):
    demo.start()
    whole = "Node: flows\n- recompute:            2\n- compute:              40\n- cancel:               0\n"
    assert demo.ask("inc-engine/show-stats") == whole
    assert demo.ask("inc-engine/show-stats", "flows") == whole
    assert demo.ask("inc-engine/show-stats", "flows", "compute") == "40\n"
    assert demo.ask("inc-engine/clear-stats") == ""
    assert demo.ask("inc-engine/show-stats", "flows", "recompute") == "0\n"


def test_it_runs_on_uvloop(demo):
    demo.start()
    assert demo.ask("loop") == "uvloop\n"


def test_remotes_come_from_the_option_then_the_environment_then_the_default(make_demo, tmp_path):
    demo = make_demo()
    demo.start()
    assert demo.ask("remote") == "unix:default\n"
    demo.ask("exit")
    demo.environment["OVN_NB_DB"] = "tcp:127.0.0.1:1"
    demo.start()
    assert demo.ask("remote") == "tcp:127.0.0.1:1\n"
    demo.ask("exit")
    demo.start("--ovnnb-db", "unix:given")
    assert demo.ask("remote") == "unix:given\n"


def test_tls_files_are_absolute_as_the_directory_changes(demo, tmp_path):
    demo.start("-p", "key.pem", "-c", "cert.pem", "--ca-cert=none", cwd=tmp_path)
    assert demo.ask("tls") == f"True {tmp_path}/key.pem none\n"


# Our client.


def test_our_client_finds_a_daemon_by_name_and_tells_refusals_apart_from_absence(demo, monkeypatch):
    demo.start()
    monkeypatch.setenv("OVN_RUNDIR", str(demo.run))
    assert appctl("demod", "echo", "a", "b") == "a b\n"
    assert appctl("demod", "vlog/set", "dbg") == ""
    with pytest.raises(CommandError, match="not today"):
        appctl("demod", "refuse")
    with pytest.raises(Unreachable, match=r"timed out"):
        appctl("demod", "wait", timeout=0.2)
    demo.ask("exit")
    with pytest.raises(Unreachable, match=r"cannot read pidfile .*/demod.pid: No such file or directory"):
        appctl("demod", "version")
    with pytest.raises(Unreachable, match=r"/nonexistent.ctl: No such file or directory"):
        appctl("/nonexistent.ctl", "version")


def test_our_client_talks_to_open_vswitchs_own_server(tmp_path):
    control = tmp_path / "ovsdb.ctl"
    database = tmp_path / "x.db"
    subprocess.run(["ovsdb-tool", "create", database, "/usr/share/openvswitch/vswitch.ovsschema"], check=True)
    server = subprocess.Popen(["ovsdb-server", f"--unixctl={control}", "-vconsole:off", "-vsyslog:off", database])
    try:
        eventually(control.exists)
        assert "list-commands" in appctl(str(control), "list-commands")
        with pytest.raises(CommandError, match='"nosuch" is not a valid command'):
            appctl(str(control), "nosuch")
    finally:
        server.kill()
        server.wait()
