"""The network API as an ASGI application: paths and methods to operations, errors to Neutron's bodies.

Invariants: every reply has `X-Openstack-Request-Id`; whatever goes wrong, the client gets an error in Neutron's shape
and the server goes on; nothing but the list of versions is answered without a token.

Tests: tests/api/.
"""

from __future__ import annotations

import logging
import uuid as uuids
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from starlette.types import Receive, Scope, Send

from ovine.api import address_groups, errors, qos_rules, router_actions, subnet_pools, tags, trunks
from ovine.api.bodies import decode
from ovine.api.context import Caller
from ovine.api.extensions import EXTENSIONS
from ovine.api.http import ClientDisconnect, Request, Response, base_url, json_reply, path_parts, read_body
from ovine.api.resources import ADDRESS_GROUP, BY_PATH, PARTS, PORT, QOS_POLICY, ROUTER, SUBNET_POOL, TRUNK, Resource
from ovine.api.service import Service
from ovine.ovsdb import NotConnected

_log = logging.getLogger("ovine.api")


class Authenticator(Protocol):
    """Tells whose a token is."""

    www_authenticate: str

    async def caller(self, token: str) -> Caller | None:
        """The caller, or None if the token is not valid now. Raises ServiceUnavailable if that can't be known."""


class NetworkApi:
    """The ASGI application."""

    def __init__(self, service: Service, authenticator: Authenticator, max_body_bytes: int) -> None:
        self._service, self._authenticator, self._limit = service, authenticator, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request_id = f"req-{uuids.uuid4()}"
        response = await self._answer(Request(scope, receive), request_id)
        response.headers["X-Openstack-Request-Id"] = request_id
        await response(scope, receive, send)

    async def _answer(self, request: Request, request_id: str) -> Response:
        try:
            return await self._route(request)
        except NotConnected as error:
            _log.warning("%s: the database cannot be reached: %s", request_id, error)
            return json_reply(503, errors.body("ServiceUnavailable", errors.UNAVAILABLE))
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:
            told = errors.fault(error)
            if told is None:
                _log.exception("%s: %s %s failed", request_id, request.method, request.scope["path"])
                told = 500, errors.body("HTTPInternalServerError", "Request Failed: internal server error.")
            status, body = told
            headers = {"WWW-Authenticate": self._authenticator.www_authenticate} if status == 401 else {}
            return json_reply(status, body, headers)

    async def _route(self, request: Request) -> Response:
        parts, base = path_parts(request), base_url(request)
        if parts:
            parts[-1] = parts[-1].removesuffix(".json")
        if not parts:
            return _allow(request, "GET", json_reply(200, {"versions": [_version(base)]}))
        caller = await self._caller(request)
        if parts[0] != "v2.0":
            raise errors.http_error(404)
        match parts[1:]:
            case []:
                return _allow(request, "GET", json_reply(200, {"resources": _resource_list(base)}))
            case ["extensions"]:
                return _allow(request, "GET", json_reply(200, {"extensions": list(EXTENSIONS.values())}))
            case ["extensions", alias]:
                return _allow(request, "GET", _extension(alias))
            case ["availability_zones"]:
                _allow(request, "GET", json_reply(204))
                return json_reply(200, self._service.availability_zones(_query(request)))
            case ["network-ip-availabilities", *rest] if len(rest) <= 1:
                return await self._ip_availability(request, caller, rest)
            case ["quotas", *rest]:
                return await self._quotas(request, caller, rest)
            case ["qos", "rule-types"]:
                return _allow(request, "GET", json_reply(200, self._service.rule_types(_query(request))))
            case ["qos", "rule-types", name]:
                return _allow(request, "GET", json_reply(200, self._service.rule_type(caller, name)))
            case ["policies", uuid, "tags", *rest] if len(rest) <= 1:  # where Neutron has them, beside its QoS API
                return await self._resource(request, caller, QOS_POLICY, [uuid, "tags", *rest])
            case ["qos", path, *rest] if f"qos/{path}" in BY_PATH:
                return await self._resource(request, caller, BY_PATH[f"qos/{path}"], rest)
            case [path, *rest] if path in BY_PATH:
                return await self._resource(request, caller, BY_PATH[path], rest)
        raise errors.http_error(404)

    async def _ip_availability(self, request: Request, caller: Caller, rest: list[str]) -> Response:
        async def list() -> Response:
            url = f"{base_url(request)}/v2.0/network-ip-availabilities"
            return json_reply(200, await self._service.ip_availabilities(caller, _query(request), url))

        async def get() -> Response:
            return json_reply(200, await self._service.ip_availability(caller, rest[0], _query(request)))

        return await _by_method(request, GET=get if rest else list)

    async def _quotas(self, request: Request, caller: Caller, rest: list[str]) -> Response:
        service = self._service
        match rest:
            case []:
                return _allow(request, "GET", json_reply(200, await service.quotas(caller)))
            case ["tenant" | "project" as word]:
                own = {word: {f"{word}_id": caller.project_id}}
                return _allow(request, "GET", json_reply(200, own))
            case [project, "default" | "details" as what]:
                return _allow(request, "GET", json_reply(200, await service.quota(caller, project, what)))
            case [project]:
                return await self._quota(request, caller, project)
        raise errors.http_error(404)

    async def _quota(self, request: Request, caller: Caller, project: str) -> Response:
        async def get() -> Response:
            return json_reply(200, await self._service.quota(caller, project))

        async def put() -> Response:
            return json_reply(200, await self._service.set_quota(caller, project, await self._body(request)))

        async def delete() -> Response:
            await self._service.reset_quota(caller, project)
            return json_reply(204)

        return await _by_method(request, GET=get, PUT=put, DELETE=delete)

    async def _caller(self, request: Request) -> Caller:
        caller = await self._authenticator.caller(request.headers.get("x-auth-token", ""))
        if caller is None:
            raise errors.HttpError(401, "HTTPUnauthorized", "The request you have made requires authentication.")
        return caller

    async def _resource(self, request: Request, caller: Caller, resource: Resource, rest: list[str]) -> Response:
        match rest:
            case []:
                return await self._collection(request, caller, resource)
            case [uuid]:
                return await self._member(request, caller, resource, uuid)
            case [uuid, action] if resource is ADDRESS_GROUP and action in address_groups.ACTIONS:
                return await self._addresses(request, caller, resource, uuid, action)
            case [uuid, action] if resource is SUBNET_POOL and action in subnet_pools.ACTIONS:
                return await self._prefixes(request, caller, resource, uuid, action)
            case [uuid, action] if resource is ROUTER and action in router_actions.NAMES:
                return await self._router_action(request, caller, uuid, action)
            case [uuid, "bindings", *more] if resource is PORT:
                return await self._bindings(request, caller, uuid, more)
            case [uuid, action] if resource is TRUNK and action in (*trunks.ACTIONS, "get_subports"):
                return await self._trunk_action(request, caller, uuid, action)
            case [_, word, *_] if resource is QOS_POLICY and word in qos_rules.REFUSED:
                raise errors.bad_request(f"{word} are not offered: no host could keep what they promise")
            case [uuid, word, *rest] if (resource.collection, word) in PARTS:
                return await self._part(request, caller, PARTS[resource.collection, word], uuid, rest)
            case [uuid, "tags"] if resource.is_taggable:
                return await self._tags(request, caller, resource, uuid)
            case [uuid, "tags", tag] if resource.is_taggable:
                return await self._tag(request, caller, resource, uuid, tags.check(tag))
        raise errors.http_error(404)

    async def _part(self, request: Request, caller: Caller, part: Resource, parent: str, rest: list[str]) -> Response:
        parts = self._service.parts

        async def list() -> Response:
            assert part.parent is not None
            url = f"{base_url(request)}/v2.0/{part.parent.path}/{parent}/{part.collection}"
            return json_reply(200, await parts.list(part, caller, parent, _query(request), url))

        async def post() -> Response:
            return json_reply(201, await parts.create(part, caller, parent, await self._body(request)))

        async def get() -> Response:
            return json_reply(200, await parts.show(part, caller, parent, rest[0], _query(request)))

        async def put() -> Response:
            return json_reply(200, await parts.update(part, caller, parent, rest[0], await self._body(request)))

        async def delete() -> Response:
            await parts.delete(part, caller, parent, rest[0])
            return json_reply(204)

        if len(rest) > 1:
            raise errors.http_error(404)
        return await (
            _by_method(request, GET=get, PUT=put, DELETE=delete) if rest else _by_method(request, GET=list, POST=post)
        )

    async def _collection(self, request: Request, caller: Caller, resource: Resource) -> Response:
        async def get() -> Response:
            url = f"{base_url(request)}/v2.0/{resource.path}"
            return json_reply(200, await self._service.list(resource, caller, _query(request), url))

        async def post() -> Response:
            return json_reply(201, await self._service.create(resource, caller, await self._body(request)))

        return await _by_method(request, GET=get, POST=post)

    async def _member(self, request: Request, caller: Caller, resource: Resource, uuid: str) -> Response:
        if_match = request.headers.get("if-match")

        async def get() -> Response:
            return json_reply(200, await self._service.show(resource, caller, uuid, _query(request)))

        async def put() -> Response:
            body = await self._body(request)
            return json_reply(200, await self._service.update(resource, caller, uuid, body, if_match))

        async def delete() -> Response:
            await self._service.delete(resource, caller, uuid, if_match)
            return json_reply(204)

        return await _by_method(request, GET=get, PUT=put, DELETE=delete)

    async def _addresses(
        self, request: Request, caller: Caller, resource: Resource, uuid: str, action: str
    ) -> Response:
        async def put() -> Response:
            body = await self._body(request)
            return json_reply(200, await self._service.change_addresses(resource, caller, uuid, action, body))

        return await _by_method(request, PUT=put)

    async def _prefixes(self, request: Request, caller: Caller, resource: Resource, uuid: str, action: str) -> Response:
        async def put() -> Response:
            body = await self._body(request)
            return json_reply(200, await self._service.change_prefixes(resource, caller, uuid, action, body))

        return await _by_method(request, PUT=put)

    async def _router_action(self, request: Request, caller: Caller, uuid: str, action: str) -> Response:
        async def put() -> Response:
            body, if_match = await self._body(request), request.headers.get("if-match")
            return json_reply(200, await self._service.act_on_router(caller, uuid, action, body, if_match))

        return await _by_method(request, PUT=put)

    async def _bindings(self, request: Request, caller: Caller, port: str, rest: list[str]) -> Response:
        bindings = self._service.bindings

        async def list() -> Response:
            return json_reply(200, await bindings.listed(caller, port, _query(request)))

        async def post() -> Response:
            return json_reply(201, await bindings.create(caller, port, await self._body(request)))

        async def get() -> Response:
            return json_reply(200, await bindings.show(caller, port, rest[0], _query(request)))

        async def put() -> Response:
            return json_reply(200, await bindings.update(caller, port, rest[0], await self._body(request)))

        async def delete() -> Response:
            await bindings.delete(caller, port, rest[0])
            return json_reply(204)

        async def activate() -> Response:
            return json_reply(200, await bindings.activate(caller, port, rest[0]))

        match rest:
            case []:
                return await _by_method(request, GET=list, POST=post)
            case [_]:
                return await _by_method(request, GET=get, PUT=put, DELETE=delete)
            case [_, "activate"]:
                return await _by_method(request, PUT=activate)
        raise errors.http_error(404)

    async def _trunk_action(self, request: Request, caller: Caller, uuid: str, action: str) -> Response:
        async def get() -> Response:
            return json_reply(200, await self._service.subports(caller, uuid))

        async def put() -> Response:
            body, if_match = await self._body(request), request.headers.get("if-match")
            return json_reply(200, await self._service.act_on_trunk(caller, uuid, action, body, if_match))

        return await (_by_method(request, PUT=put) if action in trunks.ACTIONS else _by_method(request, GET=get))

    async def _tags(self, request: Request, caller: Caller, resource: Resource, uuid: str) -> Response:
        change = self._service.change_tags

        async def get() -> Response:
            return json_reply(200, await self._service.tags(resource, caller, uuid))

        async def put() -> Response:
            wanted = tags.parse(await self._body(request))
            return json_reply(
                200, await change(resource, caller, uuid, lambda draft, row: tags.replace(draft, row, wanted))
            )

        async def delete() -> Response:
            await change(resource, caller, uuid, lambda draft, row: tags.replace(draft, row, ()))
            return json_reply(204)

        return await _by_method(request, GET=get, PUT=put, DELETE=delete)

    async def _tag(self, request: Request, caller: Caller, resource: Resource, uuid: str, tag: str) -> Response:
        change = self._service.change_tags

        async def get() -> Response:
            await self._service.has_tag(resource, caller, uuid, tag)
            return json_reply(204)

        async def put() -> Response:
            await change(resource, caller, uuid, lambda draft, row: tags.add(draft, row, tag))
            return json_reply(201)

        async def delete() -> Response:
            await change(resource, caller, uuid, lambda draft, row: tags.remove(draft, row, tag))
            return json_reply(204)

        return await _by_method(request, GET=get, PUT=put, DELETE=delete)

    async def _body(self, request: Request) -> Any:
        return decode(await read_body(request, self._limit))


async def _by_method(request: Request, **handlers: Callable[[], Awaitable[Response]]) -> Response:
    method = "GET" if request.method == "HEAD" else request.method
    if method not in handlers:
        raise errors.http_error(405)
    return await handlers[method]()


def _query(request: Request) -> str:
    return str(request.scope["query_string"], "latin-1")


def _allow(request: Request, method: str, response: Response) -> Response:
    if request.method not in (method, "HEAD"):
        raise errors.http_error(405)
    return response


def _version(base: str) -> dict[str, Any]:
    return {"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": f"{base}/v2.0/"}]}


def _resource_list(base: str) -> list[dict[str, Any]]:
    return [
        {
            "name": resource.name,
            "collection": resource.collection,
            "links": [{"rel": "self", "href": f"{base}/v2.0/{resource.path}"}],
        }
        for resource in BY_PATH.values()
    ]


def _extension(alias: str) -> Response:
    if alias not in EXTENSIONS:
        raise errors.HttpError(404, "HTTPNotFound", f"Extension with alias {alias} does not exist")
    return json_reply(200, {"extension": EXTENSIONS[alias]})
