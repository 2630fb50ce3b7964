"""Messages to the system log: one datagram each, on /dev/log, on another unix socket, or over UDP.

Nobody listening is no fault: a daemon must run where there is no syslog.
Tests: tests/unit/daemons/test_daemon_vlog.py.
"""

import contextlib
import socket

LONGEST = 8192


class SyslogSink:
    """Sends messages by one of the methods of ovs-appctl(8): `libc`, `unix:FILE`, `udp:IP:PORT`, `null`.

    ValueError if the method is none of these.
    """

    def __init__(self, method: str = "libc") -> None:
        self._socket: socket.socket | None = None
        self._family, self._address = _address(method)

    def send(self, message: str) -> None:
        """Send a message, which begins with its <priority>; lost if nobody listens."""
        if self._address is None:
            return
        with contextlib.suppress(OSError):
            self._sender().sendto(message.encode(errors="backslashreplace")[:LONGEST], self._address)

    def _sender(self) -> socket.socket:
        # Made at the first message: that is after the daemon forked.
        if self._socket is None:
            self._socket = socket.socket(self._family, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        return self._socket


def _address(method: str) -> tuple[int, str | tuple[str, int] | None]:
    kind, _, rest = method.partition(":")
    if method == "null":
        return socket.AF_UNIX, None
    if method == "libc":
        return socket.AF_UNIX, "/dev/log"
    if kind == "unix" and rest:
        return socket.AF_UNIX, rest
    host, _, port = rest.rpartition(":")
    if kind == "udp" and host and port.isdecimal():
        bare = host.strip("[]")
        return (socket.AF_INET6 if ":" in bare else socket.AF_INET), (bare, int(port))
    raise ValueError(f"syslog method '{method}' is none of libc, unix:FILE, udp:IP:PORT, null")
