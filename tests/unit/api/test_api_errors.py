"""Errors to status, type and message."""

from __future__ import annotations

import pytest
import webob.exc
from neutron_lib import exceptions as n_exc

from ovine.api import errors

CASES = [
    (n_exc.NetworkNotFound(net_id="n"), 404, "NetworkNotFound"),
    (n_exc.NetworkInUse(net_id="n"), 409, "NetworkInUse"),
    (n_exc.IpAddressGenerationFailure(net_id="n"), 409, "IpAddressGenerationFailure"),
    (n_exc.InvalidInput(error_message="x"), 400, "InvalidInput"),
    (n_exc.MacAddressInUse(net_id="n", mac="m"), 409, "MacAddressInUse"),
    (n_exc.NoNetworkAvailable(), 503, "NoNetworkAvailable"),
    (errors.IpAddressAlreadyAllocated(ip="i", subnet_id="s"), 409, "IpAddressAlreadyAllocated"),
    (errors.InvalidAddressForSubnet(ip="i", subnet_id="s"), 400, "InvalidIpForSubnet"),
    (errors.PolicyNotAuthorized(rule="r"), 403, "PolicyNotAuthorized"),
    (errors.RevisionNumberConstraintFailed(expected=1, actual=2), 412, "RevisionNumberConstraintFailed"),
    (errors.bad_request("x"), 400, "HTTPBadRequest"),
    (errors.http_error(413), 413, "HTTPRequestEntityTooLarge"),
    (webob.exc.HTTPBadRequest("x"), 400, "HTTPBadRequest"),
]


@pytest.mark.parametrize("error, status, kind", CASES, ids=[c[2] for c in CASES])
def test_an_error_has_neutrons_status_and_type(error: Exception, status: int, kind: str) -> None:
    told = errors.fault(error)
    assert told is not None
    assert (told[0], told[1]["NeutronError"]["type"]) == (status, kind)
    assert told[1]["NeutronError"]["message"]
    assert "%(" not in told[1]["NeutronError"]["message"]


def test_our_own_mistakes_have_none() -> None:
    assert errors.fault(KeyError("x")) is None
    assert errors.fault(AssertionError()) is None
