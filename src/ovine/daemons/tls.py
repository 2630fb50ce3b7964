"""TLS for database connections from a daemon's options.

What the options ask for is done or refused, never left out: `check` refuses before the daemon starts.
Tests: tests/unit/daemons/test_daemon_tls.py, tests/interop/test_ovsdb_server.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ovine.daemons.options import OptionError, Parsed

if TYPE_CHECKING:
    from ovine.daemons.service import TlsOptions
    from ovine.ovsdb import Tls


def check(parsed: Parsed) -> None:
    """Refuses TLS options that cannot be obeyed, by OptionError."""
    if parsed.has("ssl-ciphersuites"):
        raise OptionError("--ssl-ciphersuites: the suites of TLS 1.3 cannot be chosen; --ssl-ciphers works up to 1.2")
    bootstrap = parsed.value("bootstrap-ca-cert")
    if bootstrap is not None and not Path(bootstrap).exists():
        raise OptionError(f"--bootstrap-ca-cert: {bootstrap} is not there, and is not fetched; put the CA there")
    if parsed.has("private-key") != parsed.has("certificate"):
        raise OptionError("--private-key and --certificate belong together")
    if parsed.has("private-key") and not (parsed.has("ca-cert") or parsed.has("bootstrap-ca-cert")):
        raise OptionError("--private-key needs --ca-cert; --ca-cert=none trusts any server")


def database_tls(options: TlsOptions) -> Tls | None:
    """The keys that the command line names, and how to use them; None where it names none."""
    from ovine.ovsdb import Tls

    if not options.private_key or not options.certificate:
        return None
    authority = options.ca_cert or options.bootstrap_ca_cert
    return Tls(
        options.private_key,
        options.certificate,
        None if authority == "none" else authority,
        tuple(options.protocols.replace(",", " ").split()) if options.protocols else (),
        options.ciphers,
        options.server_name,
    )
