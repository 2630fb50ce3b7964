"""The little that both HTTP services (network and identity) need of HTTP: bodies with a limit, JSON replies.

Tests: tests/api/test_api_bad_input.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ovine.api.errors import http_error

__all__ = ["ClientDisconnect", "Request", "Response", "base_url", "json_reply", "path_parts", "read_body"]


def path_parts(request: Request) -> list[str]:
    """The words of the path, decoded; not from `request.url`, where a "?" in a word would end the path."""
    return [part for part in request.scope["path"].split("/") if part]


def base_url(request: Request) -> str:
    """Scheme, host and port as the client names them. Raises HttpError for a Host header that is none."""
    try:
        url = request.url
        if url.port is not None or url.hostname:
            return f"{url.scheme}://{url.netloc}"
    except ValueError:
        pass
    raise http_error(400, "The Host header is not valid.")


async def read_body(request: Request, limit: int) -> bytes:
    """The request's body. Raises HttpError 413 as soon as it is known to be larger than `limit` bytes."""
    message = f"The request body is larger than {limit} bytes."
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise http_error(413, message)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise http_error(413, message)
        chunks.append(chunk)
    return b"".join(chunks)


def json_reply(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Response:
    """A reply; without a body when there is none. A refused body may remain unread, so 413 closes the connection."""
    extra = dict(headers or {})
    if status == 413:
        extra["Connection"] = "close"
    if body is None:
        return Response(status_code=status, headers=extra)
    return Response(orjson.dumps(body), status, extra, "application/json")
