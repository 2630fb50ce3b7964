"""TLS for database connections from a daemon's options."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovine.daemons.service import TlsOptions
    from ovine.ovsdb import Tls


def database_tls(options: TlsOptions) -> Tls | None:
    """The keys that the command line names; None where it names none (or not all three that are needed)."""
    from ovine.ovsdb import Tls

    if options.private_key and options.certificate and options.ca_cert:
        return Tls(options.private_key, options.certificate, options.ca_cert)
    return None
