"""Errors as Neutron tells them: a status, and `{"NeutronError": {"type", "message", "detail"}}`.

Clients (Nova above all) decide by the *type* name, so the types are neutron-lib's exceptions wherever it has one; the
few that live in Neutron itself are declared here under Neutron's names. `http_error` makes those that Neutron takes
from WebOb ("HTTPBadRequest" and its like).

Tests: tests/unit/api/test_api_errors.py.
"""

from __future__ import annotations

from typing import Any

import netaddr
import webob.exc
from neutron_lib import exceptions as n_exc
from neutron_lib.api import faults
from neutron_lib.exceptions.l3_ext_gw_multihoming import UnableToMatchGateways

UNAVAILABLE = "The network database cannot be reached; try again."


class IpAddressAlreadyAllocated(n_exc.Conflict):  # type: ignore[misc]
    message = "IP address %(ip)s already allocated in subnet %(subnet_id)s"


class InvalidAddressForSubnet(n_exc.InvalidIpForSubnet):  # type: ignore[misc]
    message = "IP address %(ip)s does not belong to subnet %(subnet_id)s"


class IpAddressGenerationFailureNoMatchingSubnet(n_exc.IpAddressGenerationFailure):  # type: ignore[misc]
    message = (
        "No valid service subnet for the given device owner, network %(network_id)s, service type %(service_type)s."
    )


class FipInUseByPortForwarding(n_exc.InUse):  # type: ignore[misc]
    message = "Floating IP %(id)s in use by port forwarding resources."


class PortHasBindingFloatingIP(n_exc.InUse):  # type: ignore[misc]
    message = (
        "Cannot create port forwarding to floating IP %(floating_ip_address)s (%(fip_id)s) with port %(port_id)s "
        "using fixed IP %(fixed_ip)s, as that port already has a binding floating IP."
    )


class PortHasPortForwarding(n_exc.InUse):  # type: ignore[misc]
    message = (
        "Cannot associate floating IP %(floating_ip_address)s (%(fip_id)s) with port %(port_id)s using fixed IP "
        "%(fixed_ip)s, as that fixed IP already has a port forwarding."
    )


class PortForwardingNotFound(n_exc.NotFound):  # type: ignore[misc]
    message = "Port Forwarding %(id)s could not be found."


class SubnetAllocationError(n_exc.Conflict):  # type: ignore[misc]
    message = "Failed to allocate subnet: %(reason)s."


class AgentInUse(n_exc.InUse):  # type: ignore[misc]
    message = "Agent %(id)s on host %(host)s is alive, and would announce itself anew."


class RevisionNumberConstraintFailed(n_exc.NeutronException):  # type: ignore[misc]
    message = "Constrained to %(expected)s, but current revision is %(actual)s"


class PolicyNotAuthorized(n_exc.NotAuthorized):  # type: ignore[misc]
    message = "rule:%(rule)s is disallowed by policy"


class TagNotFound(n_exc.NotFound):  # type: ignore[misc]
    message = "Tag %(tag)s could not be found."


class ServiceUnavailable(n_exc.ServiceUnavailable):  # type: ignore[misc]
    message = "%(reason)s"


_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (RevisionNumberConstraintFailed, 412),
    (UnableToMatchGateways, 400),
    (n_exc.PortBindingError, 409),
    *((kind, http.code) for kind, http in faults.FAULT_MAP.items()),
    (n_exc.Invalid, 400),
)
_NAMES = {"InvalidAddressForSubnet": "InvalidIpForSubnet"}


class HttpError(Exception):
    """An error whose type is the name of an HTTP status."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


def http_error(status: int, message: str = "") -> HttpError:
    """The error for a status, in Neutron's words if none are given."""
    kind = webob.exc.status_map[status]
    return HttpError(status, kind.__name__, message or kind.explanation)


def bad_request(message: str) -> HttpError:
    return http_error(400, message)


def invalid_input(message: str) -> Exception:
    """neutron-lib's InvalidInput; the message must end without a full stop, which its text adds."""
    error: Exception = n_exc.InvalidInput(error_message=message)
    return error


def fault(error: Exception) -> tuple[int, dict[str, Any]] | None:
    """Status and body for an error that has one; None for what is our own mistake (a 500)."""
    if isinstance(error, HttpError):
        return error.status, body(error.kind, error.message)
    if isinstance(error, webob.exc.HTTPException):
        response: Any = error
        return response.code, body(type(error).__name__, response.detail or response.explanation)
    if isinstance(error, netaddr.AddrFormatError):
        return 400, body("AddrFormatError", str(error))
    for kind, status in _STATUS:
        if isinstance(error, kind):
            name = type(error).__name__
            return status, body(_NAMES.get(name, name), str(error))
    return None


def body(kind: str, message: str) -> dict[str, Any]:
    return {"NeutronError": {"type": kind, "message": message, "detail": ""}}
