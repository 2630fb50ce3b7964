"""Errors about trunks, under Neutron's names: they live in its own tree."""

from __future__ import annotations

from neutron_lib import exceptions as n_exc


class TrunkNotFound(n_exc.NotFound):  # type: ignore[misc]
    message = "Trunk %(trunk_id)s could not be found."


class SubPortNotFound(n_exc.NotFound):  # type: ignore[misc]
    message = "SubPort on trunk %(trunk_id)s with parent port %(port_id)s could not be found."


class DuplicateSubPort(n_exc.InUse):  # type: ignore[misc]
    message = (
        "segmentation_type %(segmentation_type)s and segmentation_id %(segmentation_id)s already in use on trunk "
        "%(trunk_id)s."
    )


class PortInUseAsTrunkParent(n_exc.InUse):  # type: ignore[misc]
    message = "Port %(port_id)s is currently a parent port for trunk %(trunk_id)s."


class PortInUseAsSubPort(n_exc.InUse):  # type: ignore[misc]
    message = "Port %(port_id)s is currently a subport for trunk %(trunk_id)s."


class TrunkDisabled(n_exc.Conflict):  # type: ignore[misc]
    message = "Trunk %(trunk_id)s is currently disabled."


class SubPortMtuGreaterThanTrunkPortMtu(n_exc.Conflict):  # type: ignore[misc]
    message = "MTU %(port_mtu)s of subport %(port_id)s cannot be greater than MTU %(trunk_mtu)s of trunk %(trunk_id)s."
