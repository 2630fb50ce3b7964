"""Request bodies: from JSON to a resource's attributes, complete, converted and judged.

Invariants: what `for_create` returns has every attribute of the resource that a POST may set; what `for_update` returns
has just those the request named. Whatever a client sends, the outcome is a value or an error with a status below 500:
neutron-lib's converters and validators are made for honest mistakes, and stumble over stranger ones.

Tests: tests/unit/api/test_api_bodies.py.
"""

from __future__ import annotations

from typing import Any

import netaddr
import orjson
import webob.exc
from neutron_lib import exceptions as n_exc
from neutron_lib.api import attributes as lib_attributes
from oslo_config import cfg

from ovine.api.config import Config
from ovine.api.context import Caller
from ovine.api.errors import HttpError, bad_request
from ovine.api.resources import NOT_OFFERED, UNSET, Resource

Attributes = dict[str, Any]


def configure_library(config: Config) -> None:
    """Tells neutron-lib's validators, which read oslo.config's global, what our configuration says."""
    conf = cfg.CONF
    for option in (
        cfg.IntOpt("max_allowed_address_pair", default=10),
        cfg.StrOpt("base_mac", default="fa:16:3e:00:00:00"),
        cfg.StrOpt("dns_domain", default=""),  # the domain depends on the network: `ports` judges names with it
    ):
        if option.dest not in conf:
            conf.register_opt(option)
    conf.set_override("max_allowed_address_pair", config.max_allowed_address_pairs)
    conf.set_override("base_mac", f"{config.base_mac}:00:00:00")


def decode(raw: bytes) -> Any:
    """JSON text to values. Raises MalformedRequestBody."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise n_exc.MalformedRequestBody(reason=f"not JSON: {error}") from error
    _refuse_nul(value)
    return value


def _refuse_nul(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise n_exc.MalformedRequestBody(reason="a text holds a NUL character")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_nul(key)
            _refuse_nul(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_nul(item)


def items_for_create(resource: Resource, body: Any) -> tuple[list[Any], bool]:
    """The items of a POST body, and whether it was a bulk request. Raises HttpError."""
    if not isinstance(body, dict) or not body:
        raise bad_request("Resource body required")
    if resource.collection in body:
        items = body[resource.collection]
        if not isinstance(items, list) or not items:
            raise bad_request("Resources required")
        return [_unwrapped(resource, item) for item in items], True
    if resource.name not in body:
        raise bad_request(f"Unable to find '{resource.name}' in request body")
    return [body[resource.name]], False


def _unwrapped(resource: Resource, item: Any) -> Any:
    """An item of a bulk request, which may have its kind's name around it: `{"ports": [{"port": {…}}]}`."""
    return item[resource.name] if isinstance(item, dict) and set(item) == {resource.name} else item


def item_for_update(resource: Resource, body: Any) -> Attributes:
    """The object of a PUT body. Raises HttpError."""
    if not isinstance(body, dict) or resource.name not in body:
        raise bad_request(f"Unable to find '{resource.name}' in request body")
    return _object(body[resource.name])


def _object(item: Any) -> Attributes:
    if not isinstance(item, dict):
        raise bad_request("Invalid request body: each resource must be an object")
    return dict(item)


def for_create(resource: Resource, item: Any, caller: Caller) -> Attributes:
    """All attributes of a resource to be made. Raises HttpError and neutron-lib's errors."""
    attributes = _object(item)
    _check_projects(attributes)
    if "project_id" in resource.attributes:
        resource.whole.populate_project_id(caller, attributes, is_create=True)
    _check_known(resource, attributes)
    resource.whole.fill_post_defaults(attributes, exc_cls=webob.exc.HTTPBadRequest)
    return _converted(resource, attributes)


def for_update(resource: Resource, item: Attributes) -> Attributes:
    """The attributes to be changed. Raises HttpError and neutron-lib's errors."""
    attributes = dict(item)
    _check_projects(attributes)
    lib_attributes.populate_project_info(attributes)
    _check_known(resource, attributes)
    for name in attributes:
        if not resource.attributes[name]["allow_put"]:
            raise bad_request(f"Cannot update read-only attribute {name}")
    return _converted(resource, attributes)


def _check_projects(attributes: Attributes) -> None:
    for name in ("project_id", "tenant_id"):
        if name in attributes and not isinstance(attributes[name], str):
            raise bad_request(f"Invalid input for {name}. Reason: '{attributes[name]}' is not a valid string.")


def _check_known(resource: Resource, attributes: Attributes) -> None:
    unknown = sorted(set(attributes) - set(resource.attributes))
    if not unknown:
        return
    message = f"Unrecognized attribute(s) '{', '.join(unknown)}'"
    aliases = sorted({NOT_OFFERED[name] for name in unknown if name in NOT_OFFERED})
    if aliases:
        message += f": not offered here (extension {', '.join(aliases)})"
    raise bad_request(message)


def _converted(resource: Resource, attributes: Attributes) -> Attributes:
    for name in attributes:
        if attributes[name] is not UNSET:
            convert(resource, attributes, name)
    return attributes


def convert(resource: Resource, attributes: Attributes, name: str) -> None:
    """Converts and judges one attribute in place. Raises HttpError and neutron-lib's errors."""
    try:
        resource.infos[name].convert_values(attributes, exc_cls=webob.exc.HTTPBadRequest)
    except (n_exc.NeutronException, webob.exc.HTTPException, HttpError):
        raise
    except (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError, netaddr.AddrFormatError):
        text = repr(attributes[name])
        shown = text if len(text) <= 100 else text[:99] + "…"
        raise bad_request(f"Invalid input for {name}. Reason: {shown} is not a valid value.") from None
