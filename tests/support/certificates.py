"""A certificate authority for tests: `authority(directory)` makes one, `.issue(NAME)` a key and a certificate."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.ovsdb import DEADLINE

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Keys:
    """PEM files."""

    key: Path
    cert: Path
    ca: Path

    @property
    def options(self) -> tuple[str, ...]:
        """As Open vSwitch's and OVN's programs take them."""
        return (f"--private-key={self.key}", f"--certificate={self.cert}", f"--ca-cert={self.ca}")


@dataclass(frozen=True)
class Authority:
    directory: Path

    @property
    def cert(self) -> Path:
        return self.directory / "ca.pem"

    def issue(self, name: str) -> Keys:
        """Keys whose certificate has `name` as its common name."""
        key, request, cert = (self.directory / f"{name}.{suffix}" for suffix in ("key", "csr", "pem"))
        _openssl("req", "-new", *KEY, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
        signing = ("-CA", str(self.cert), "-CAkey", str(self.directory / "ca.key"), "-CAcreateserial", "-days", "2")
        _openssl("x509", "-req", "-in", str(request), *signing, "-out", str(cert))
        return Keys(key, cert, self.cert)


def authority(directory: Path) -> Authority:
    directory.mkdir(parents=True)
    made = Authority(directory)
    self_signed = ("-x509", *KEY, "-days", "2", "-subj", "/CN=authority")
    _openssl("req", *self_signed, "-keyout", str(directory / "ca.key"), "-out", str(made.cert))
    return made


def _openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
