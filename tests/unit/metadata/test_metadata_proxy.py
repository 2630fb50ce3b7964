"""What Nova is told about who asks."""

from __future__ import annotations

import hashlib
import hmac

from ovine.metadata.proxy import Upstream, headers_for
from ovine.metadata.rules import Guest

UPSTREAM = Upstream("http://192.0.2.1:8775", b"secret")
GUEST = Guest("11111111-2222-3333-4444-555555555555", "p1")


def test_nova_is_told_the_instance_its_project_and_its_address_with_a_signature() -> None:
    headers = headers_for(UPSTREAM, GUEST, "10.0.0.11", {"Accept": "*/*"})
    assert headers == {
        "Accept": "*/*",
        "X-Forwarded-For": "10.0.0.11",
        "X-Instance-ID": GUEST.instance,
        "X-Tenant-ID": "p1",
        "X-Instance-ID-Signature": hmac.new(b"secret", GUEST.instance.encode(), hashlib.sha256).hexdigest(),
    }


def test_an_instance_cannot_say_that_it_is_another() -> None:
    lies = {
        "x-instance-id": "other",
        "X-INSTANCE-ID-SIGNATURE": "forged",
        "x-tenant-id": "other",
        "X-Forwarded-For": "10.0.0.99",
        "X-Provider-Id": "other",
    }
    headers = headers_for(UPSTREAM, GUEST, "10.0.0.11", lies)
    assert sorted(headers) == ["X-Forwarded-For", "X-Instance-ID", "X-Instance-ID-Signature", "X-Tenant-ID"]
    assert headers["X-Instance-ID"] == GUEST.instance


def test_headers_of_one_connection_stay_on_it() -> None:
    given = {"Connection": "close, X-Hop", "X-Hop": "1", "Host": "169.254.169.254", "Transfer-Encoding": "chunked"}
    assert not set(headers_for(UPSTREAM, GUEST, "10.0.0.11", given)) & set(given)
