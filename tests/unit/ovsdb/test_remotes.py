"""Remotes, TLS files and back-off."""

from __future__ import annotations

import pytest

from ovine.ovsdb.errors import RemoteError
from ovine.ovsdb.remotes import Backoff, Remote, Tls, parse_remotes


def test_remotes_of_every_kind_are_read():
    assert parse_remotes("unix:/run/x.sock,tcp:127.0.0.1:6641, ssl:[::1]:6642 tcp:[fe80::1%eth0] ssl:db.example") == (
        Remote("unix:/run/x.sock", path="/run/x.sock"),
        Remote("tcp:127.0.0.1:6641", host="127.0.0.1", port=6641),
        Remote("ssl:[::1]:6642", host="::1", port=6642, tls=True),
        Remote("tcp:[fe80::1%eth0]", host="fe80::1%eth0", port=6640),
        Remote("ssl:db.example", host="db.example", port=6640, tls=True),
    )


@pytest.mark.parametrize(
    "text", ["", " , ", "unix:", "/run/x", "tcp:", "tcp:::1:6641", "tcp:h:0", "tcp:h:65536", "tcp:h:x", "ptcp:6641"]
)
def test_a_wrong_remote_is_refused_with_advice(text):
    with pytest.raises(RemoteError, match="write"):
        parse_remotes(text)


def test_unreadable_tls_files_are_refused(tmp_path):
    with pytest.raises(RemoteError, match="cannot use the TLS files"):
        Tls(tmp_path / "key", tmp_path / "cert", tmp_path / "ca").context()


def test_the_delay_doubles_from_one_second_to_eight():
    backoff = Backoff(1)
    assert [backoff.failed() for _ in range(6)] == [1, 2, 4, 8, 8, 8]
    backoff.succeeded()
    assert backoff.failed() == 1


def test_every_remote_is_tried_before_the_first_delay():
    backoff = Backoff(3)
    assert [backoff.failed() for _ in range(7)] == [0, 0, 1, 0, 0, 2, 0]
