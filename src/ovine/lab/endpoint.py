"""A namespace that takes part in traffic: an instance, or a machine outside the cloud on a provider network.

Everything here happens inside the namespace, as its user would do it. Tests: tests/lab/.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO

from ovine.lab import netns
from ovine.lab.errors import LabTimeout
from ovine.lab.processes import Processes
from ovine.lab.traffic import Capture, Ping, last_answer, read_ping, read_running_ping
from ovine.lab.waiting import wait_for


class Endpoint:
    def __init__(self, name: str, namespace: str, interface: str, processes: Processes) -> None:
        self.name = name
        self.netns = namespace
        self.interface = interface
        self._processes = processes

    # --- addresses

    def add_address(self, address: str) -> None:
        """Sets "ADDRESS/LENGTH" by hand, as a tenant may."""
        netns.add_address(self.netns, self.interface, address)

    def add_route(self, target: str, gateway: str) -> None:
        """Sets a route to "ADDRESS/LENGTH" or "default" by hand."""
        netns.add_route(self.netns, target, gateway)

    @property
    def addresses(self) -> list[str]:
        """The addresses of the interface, each as "ADDRESS/LENGTH"."""
        return netns.addresses(self.netns, self.interface)

    # --- doing things inside

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` inside; ip-netns(8) gives it the instance's resolv.conf as well."""
        return ["ip", "netns", "exec", self.netns, *argv]

    def run(self, *argv: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Runs a command inside and returns its status and output; LabTimeout after `timeout` seconds."""
        try:
            return subprocess.run(
                self.command(argv),
                capture_output=True,
                text=True,
                timeout=timeout,
                env=self._environment(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LabTimeout(f"{' '.join(argv)} in {self.name}: still running after {timeout:g} s") from None

    def start(self, name: str, argv: Sequence[str]) -> None:
        """Starts a command inside that goes on in the background; its output is in the lab's log directory."""
        self._processes.start(f"{self.name}-{name}", argv, netns=self.netns, env=self._environment())

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "LC_ALL": "C", "OVINE_INSTANCE": self.name}

    def ping(
        self,
        target: str,
        *,
        count: int = 3,
        interval: float = 0.2,
        wait: float = 1.0,
        size: int | None = None,
        fragment: bool = True,
        source: str | None = None,
    ) -> Ping:
        """Pings an address. `size` is the ICMP payload in bytes; `wait` how long the last answer may take, in s."""
        options = ["-n", "-c", str(count), "-i", str(interval), "-W", str(wait)]
        if size is not None:
            options += ["-s", str(size)]
        if not fragment:
            options += ["-M", "do"]
        if source is not None:
            options += ["-I", source]
        done = self.run("ping", *options, target, timeout=count * max(interval, wait) + 10)
        return read_ping(done.stdout + done.stderr)

    def wait_reaches(self, target: str, timeout: float = 10.0) -> None:
        """Returns at the first answered ping."""
        wait_for(
            lambda: self.ping(target, count=1, wait=0.2).received,
            f"{self.name} reaching {target}",
            timeout,
            diagnose=lambda: self.ping(target, count=1).output,
        )

    def ping_in_background(self, target: str, interval: float = 0.01) -> BackgroundPing:
        """Starts a ping that goes on until it is asked for its outcome; its output has the time of each answer."""
        output = tempfile.TemporaryFile("w+")  # noqa: SIM115 (`stop` closes it)
        child = subprocess.Popen(
            self.command(["ping", "-D", "-n", "-i", str(interval), target]),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=self._environment(),
        )
        return BackgroundPing(child, output)

    def socket(self, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        """A socket of this process that is inside the instance: to listen there, or to connect from there."""
        return netns.call_inside(self.netns, lambda: socket.socket(family, kind))

    def send(self, frame: bytes) -> None:
        """Sends one Ethernet frame as it is, whatever source it claims."""
        with netns.packet_socket(self.netns, self.interface) as opened:
            opened.send(frame)

    def capture(self) -> Capture:
        """The frames that the instance's interface sends and receives, from `with` on."""
        return Capture(netns.packet_socket(self.netns, self.interface))


class BackgroundPing:
    """A ping that runs beside something else; `stop` ends it and tells what was lost."""

    def __init__(self, child: subprocess.Popen[bytes], output: IO[str]) -> None:
        self._child = child
        self._output = output

    def stop(self, patience: float = 2.0) -> Ping:
        """Ends the ping. What was under way at that moment is not counted as lost.

        It first waits for one more answer, and counts only up to that; if none comes within `patience` seconds, all
        that was sent counts.
        """
        before = last_answer(self._so_far())
        try:
            wait_for(lambda: last_answer(self._so_far()) > before, "one more answer", patience)
            answered = True
        except LabTimeout:
            answered = False
        self._child.send_signal(signal.SIGINT)
        self._child.wait(timeout=10)
        text = self._so_far()
        self._output.close()
        return read_running_ping(text) if answered else read_ping(text)

    def _so_far(self) -> str:
        # ping has the same file open, and this position is its own too: pread leaves that alone.
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(errors="replace")
