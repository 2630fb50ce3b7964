"""TLS options: obeyed, or refused before the daemon starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovine.daemons.context import TlsOptions
from ovine.daemons.options import COMMON_OPTIONS, OptionError, parse
from ovine.daemons.tls import check, database_tls
from ovine.ovsdb import RemoteError, Tls


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ssl-ciphersuites=X"], "cannot be chosen"),
        (["--bootstrap-ca-cert=/nonexistent/ca.pem"], "is not there"),
        (["-p", "key.pem"], "belong together"),
        (["-c", "cert.pem"], "belong together"),
        (["-p", "key.pem", "-c", "cert.pem"], "needs --ca-cert"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        check(parse(words, COMMON_OPTIONS))


def tls_of(*words: str) -> Tls | None:
    parsed = parse(words, COMMON_OPTIONS)
    check(parsed)
    return database_tls(TlsOptions.parsed(parsed))


def test_what_is_asked_for_is_what_the_client_gets(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    tls = tls_of("-p", "/k", "-c", "/c", f"--bootstrap-ca-cert={ca}", "--ssl-protocols=TLSv1.2,TLSv1.3")
    assert tls == Tls("/k", "/c", str(ca), ("TLSv1.2", "TLSv1.3"))
    tls = tls_of("-p", "/k", "-c", "/c", "-C", "none", "--ssl-ciphers=HIGH", "--ssl-server-name=db")
    assert tls == Tls("/k", "/c", None, (), "HIGH", "db")
    assert tls_of() is None


def test_versions_and_ciphers_that_there_are_not_are_refused(tmp_path: Path) -> None:
    import subprocess

    key, cert = tmp_path / "k.pem", tmp_path / "c.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*command, "-subj", "/CN=x", "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = Tls(key, cert, cert, ("TLSv1.2",)).context()
    assert context.maximum_version.name == context.minimum_version.name == "TLSv1_2"
    with pytest.raises(RemoteError, match="SSLv2"):
        Tls(key, cert, cert, ("SSLv2",)).context()
    with pytest.raises(RemoteError, match="no TLS cipher"):
        Tls(key, cert, cert, (), "NOT-A-CIPHER").context()
