"""The judge of encodings: `ovs-ofctl`, which prints what bytes or text mean."""

import re
import subprocess
from collections.abc import Callable

import pytest


def _ofctl(*words: str, given: bytes) -> str:
    done = subprocess.run(["ovs-ofctl", "-O", "OpenFlow15", *words], input=given, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture(scope="session")
def judge() -> Callable[..., list[str]]:
    """What ovs-ofctl says of each message, without the xid; `inside` messages are parts of others, on own lines."""

    def printed(messages: list[bytes], inside: int = 0) -> list[str]:
        text = _ofctl("ofp-parse", "-", given=b"".join(messages))
        parts = re.split(r"^(?=(?:OFP|NX)[A-Z]+_)", text, flags=re.M)[1:]
        found = [re.sub(r" \(OF1\.5\) \(xid=0x[0-9a-f]+\)", "", part).strip() for part in parts]
        assert len(found) == len(messages) + inside, text
        return found

    return printed


@pytest.fixture(scope="session")
def parse_flows() -> Callable[[list[str]], list[str]]:
    """What ovs-ofctl makes of each line of flow text."""

    def printed(lines: list[str]) -> list[str]:
        text = _ofctl("parse-flows", "-", given="".join(f"{line}\n" for line in lines).encode())
        return re.findall(r"^OFPT_FLOW_MOD.*$", re.sub(r" \(OF1\.5\) \(xid=0x[0-9a-f]+\)", "", text), re.M)

    return printed
