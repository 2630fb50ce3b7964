"""Identity v3 over HTTP, as far as clients need it: tokens, catalog, and read-only projects, users, roles, domains.

References: OpenStack's Identity API v3. Errors have Keystone's shape, `{"error": {"code", "title", "message"}}`.
Invariants: a wrong user, a wrong password and a disabled user are told apart by nobody; only administrators see others.

Tests: tests/api/test_api_identity.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from ovine.api.errors import HttpError
from ovine.api.http import ClientDisconnect, Request, Response, base_url, json_reply, path_parts, read_body
from ovine.api.identity.tokens import Token, Tokens
from ovine.api.identity.users import ROLES, Directory, Project, User, hash_password, verify_password

_log = logging.getLogger("ovine.api")
_DOMAIN = {"id": "default", "name": "Default"}
_MAX_BODY = 1 << 16
_UNAUTHORIZED = "The request you have made requires authentication."

Endpoints = Callable[[str], dict[str, str]]
"""From the host name that a client used to the URLs of the services, by type."""


class IdentityError(Exception):
    """An error reply."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class IdentityApi:
    """The ASGI application."""

    def __init__(self, tokens: Tokens, endpoints: Endpoints) -> None:
        self._tokens, self._endpoints = tokens, endpoints
        # Checked when there is no such user, so that the time taken does not tell.
        self._nobody = hash_password("")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._route(request)
        except IdentityError as error:
            response = _error(error.status, error.message)
        except HttpError as error:
            response = _error(error.status, error.message)
        except ClientDisconnect:
            response = Response(status_code=400)
        except Exception:
            _log.exception("%s %s failed", request.method, request.scope["path"])
            response = _error(500, "An unexpected error prevented the server from fulfilling your request.")
        response.headers["Vary"] = "X-Auth-Token"
        await response(scope, receive, send)

    async def _route(self, request: Request) -> Response:
        parts, base = path_parts(request), f"{base_url(request)}/v3"
        if not parts:
            return json_reply(300, {"versions": {"values": [_version(base)]}})
        if parts[0] != "v3":
            raise IdentityError(404, "The resource could not be found.")
        if parts == ["v3"]:
            return json_reply(200, {"version": _version(base)})
        if parts[1:] == ["auth", "tokens"]:
            return await self._token(request)
        token = self._authenticated(request)
        if request.method not in ("GET", "HEAD"):
            raise IdentityError(
                403, "Users, projects and roles are kept in the identity file; this service only shows them."
            )
        return json_reply(200, self._read(request, token, parts[1:], base))

    # --- tokens -----------------------------------------------------------------------------------------------------

    async def _token(self, request: Request) -> Response:
        if request.method == "POST":
            token = await self._issue(_json(await read_body(request, _MAX_BODY)))
            return json_reply(201, self._shown(request, token), {"X-Subject-Token": token.text})
        own = self._authenticated(request)
        subject = self._tokens.find(request.headers.get("x-subject-token", ""))
        if subject is None:
            raise IdentityError(404, "Could not find token.")
        if subject.user.id != own.user.id and "admin" not in own.roles and "service" not in own.roles:
            raise IdentityError(403, "You are not authorized to perform the requested action.")
        if request.method == "DELETE":
            self._tokens.revoke(subject)
            return json_reply(204)
        if request.method not in ("GET", "HEAD"):
            raise IdentityError(405, "The method is not allowed for this resource.")
        return json_reply(200, self._shown(request, subject), {"X-Subject-Token": subject.text})

    def _authenticated(self, request: Request) -> Token:
        token = self._tokens.find(request.headers.get("x-auth-token", ""))
        if token is None:
            raise IdentityError(401, _UNAUTHORIZED)
        return token

    async def _issue(self, body: Any) -> Token:
        auth = _at(body, "auth")
        identity = _at(auth, "identity")
        methods = identity.get("methods")
        if methods == ["password"]:
            user = await self._by_password(_at(_at(identity, "password"), "user"))
            return self._tokens.issue(user, self._scope(user, auth.get("scope"), default=True), ("password",))
        if methods == ["token"]:
            old = self._tokens.find(str(_at(identity, "token").get("id", "")))
            if old is None:
                raise IdentityError(401, _UNAUTHORIZED)
            project = self._scope(old.user, auth.get("scope"), default=False)
            return self._tokens.issue(old.user, project, (*old.methods, "token"), old.expires)
        raise IdentityError(401, "Attempted to authenticate with an unsupported method; password and token are known.")

    async def _by_password(self, asked: dict[str, Any]) -> User:
        password = asked.get("password")
        if not isinstance(password, str):
            raise IdentityError(400, "The password must be a text.")
        directory = self._tokens.directory
        if isinstance(asked.get("id"), str):
            user = directory.user(asked["id"])
        else:
            user = directory.user_named(str(asked.get("name", ""))) if _is_default(asked.get("domain")) else None
        hashed = self._nobody if user is None else user.password
        right = await asyncio.to_thread(verify_password, password, hashed)
        if user is None or not right or not user.enabled:
            raise IdentityError(401, _UNAUTHORIZED)
        return user

    def _scope(self, user: User, scope: Any, *, default: bool) -> Project | None:
        """The project that a request asks for; an unscoped password request gets the user's default project."""
        directory = self._tokens.directory
        if scope == "unscoped" or (isinstance(scope, dict) and "unscoped" in scope):
            return None
        if scope is None:
            project = directory.project_named(user.default_project) if default else None
            return project if project in directory.projects_of(user) else None
        asked = _at(scope, "project")
        if isinstance(asked.get("id"), str):
            project = directory.project(asked["id"])
        else:
            project = directory.project_named(str(asked.get("name", ""))) if _is_default(asked.get("domain")) else None
        if project is None or project not in directory.projects_of(user):
            raise IdentityError(401, _UNAUTHORIZED)
        return project

    def _shown(self, request: Request, token: Token) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "methods": list(token.methods),
            "user": {"id": token.user.id, "name": token.user.name, "domain": _DOMAIN, "password_expires_at": None},
            "audit_ids": [token.id],
            "issued_at": _time(token.issued),
            "expires_at": _time(token.expires),
        }
        if token.project is not None:
            shown |= {
                "project": {"id": token.project.id, "name": token.project.name, "domain": _DOMAIN},
                "is_domain": False,
                "roles": [{"id": role, "name": role} for role in token.roles],
                "catalog": self._catalog(request),
            }
        return {"token": shown}

    def _catalog(self, request: Request) -> list[dict[str, Any]]:
        names = {"identity": "keystone", "network": "neutron"}
        return [
            {
                "id": kind,
                "type": kind,
                "name": names[kind],
                "endpoints": [
                    {
                        "id": f"{kind}-{where}",
                        "interface": where,
                        "region": "RegionOne",
                        "region_id": "RegionOne",
                        "url": url,
                    }
                    for where in ("admin", "internal", "public")
                ],
            }
            for kind, url in self._endpoints(request.url.hostname or "127.0.0.1").items()
        ]

    # --- what can be read -------------------------------------------------------------------------------------------

    def _read(self, request: Request, token: Token, parts: list[str], base: str) -> dict[str, Any]:
        directory = self._tokens.directory
        mine = directory.projects_of(token.user)
        admin = "admin" in token.roles
        match parts:
            case ["auth", "catalog"] if token.project is not None:
                return {"catalog": self._catalog(request), "links": _links(request)}
            case ["auth", "projects"]:
                return _listed(request, "projects", [_project(p, base) for p in mine])
            case ["auth", "domains"] | ["domains"]:
                return _listed(request, "domains", [_domain(base)])
            case ["domains", "default" | "Default"]:
                return {"domain": _domain(base)}
            case ["users", id, "projects"] if admin or id == token.user.id:
                return _listed(
                    request, "projects", [_project(p, base) for p in directory.projects_of(_found(directory.user(id)))]
                )
            case ["users", id] if admin or id == token.user.id:
                return {"user": _user(directory, _found(directory.user(id)), base)}
            case ["users"] if admin:
                return _listed(request, "users", [_user(directory, user, base) for user in directory.users])
            case ["projects", id] if admin or any(p.id == id for p in mine):
                return {"project": _project(_found(directory.project(id)), base)}
            case ["projects"] if admin:
                return _listed(request, "projects", [_project(p, base) for p in directory.projects])
            case ["roles"] if admin:
                return _listed(request, "roles", [_role(role, base) for role in ROLES])
            case ["roles", id] if admin and id in ROLES:
                return {"role": _role(id, base)}
            case ["role_assignments"] if admin:
                return _listed(request, "role_assignments", _assignments(directory))
            case ["users" | "projects" | "roles" | "role_assignments", *_] if not admin:
                raise IdentityError(403, "You are not authorized to perform the requested action.")
        raise IdentityError(404, "The resource could not be found.")


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise IdentityError(400, f"Invalid JSON: {error}") from error


def _at(body: Any, key: str) -> dict[str, Any]:
    """The object in a request at a key. Raises IdentityError."""
    found = body.get(key) if isinstance(body, dict) else None
    if not isinstance(found, dict):
        raise IdentityError(400, f"Expecting to find an object named {key} in the request.")
    return found


def _found(item: Any) -> Any:
    if item is None:
        raise IdentityError(404, "The resource could not be found.")
    return item


def _is_default(domain: Any) -> bool:
    if domain is None:
        return True
    return isinstance(domain, dict) and (domain.get("id") == "default" or domain.get("name") == "Default")


def _error(status: int, message: str) -> Response:
    headers = {"WWW-Authenticate": 'Keystone uri="/v3"'} if status == 401 else {}
    title = HTTPStatus(status).phrase
    return json_reply(status, {"error": {"code": status, "title": title, "message": message}}, headers)


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def _version(base: str) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{base}/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def _links(request: Request) -> dict[str, Any]:
    return {"self": str(request.url), "previous": None, "next": None}


def _listed(request: Request, name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """A list, filtered by the query's attributes as far as the items have them."""
    wanted = {key: value for key, value in request.query_params.items() if items and key in items[0]}
    kept = [item for item in items if all(_text(item[key]) == value.lower() for key, value in wanted.items())]
    return {name: kept, "links": _links(request)}


def _text(value: Any) -> str:
    return str(value).lower()


def _project(project: Project, base: str) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "description": project.description,
        "enabled": project.enabled,
        "domain_id": "default",
        "parent_id": "default",
        "is_domain": False,
        "options": {},
        "tags": [],
        "links": {"self": f"{base}/projects/{project.id}"},
    }


def _user(directory: Directory, user: User, base: str) -> dict[str, Any]:
    default = directory.project_named(user.default_project)
    return {
        "id": user.id,
        "name": user.name,
        "enabled": user.enabled,
        "domain_id": "default",
        "default_project_id": default.id if default is not None else None,
        "password_expires_at": None,
        "options": {},
        "links": {"self": f"{base}/users/{user.id}"},
    }


def _role(name: str, base: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "domain_id": None,
        "description": None,
        "options": {},
        "links": {"self": f"{base}/roles/{name}"},
    }


def _domain(base: str) -> dict[str, Any]:
    return {
        **_DOMAIN,
        "enabled": True,
        "description": "",
        "options": {},
        "tags": [],
        "links": {"self": f"{base}/domains/default"},
    }


def _assignments(directory: Directory) -> list[dict[str, Any]]:
    found = []
    for user in directory.users:
        for name, roles in user.roles.items():
            project = directory.project_named(name)
            if project is not None:
                found += [
                    {
                        "role": {"id": role, "name": role},
                        "user": {"id": user.id, "name": user.name, "domain": _DOMAIN},
                        "scope": {"project": {"id": project.id, "name": project.name, "domain": _DOMAIN}},
                        "links": {},
                    }
                    for role in roles
                ]
    return found
