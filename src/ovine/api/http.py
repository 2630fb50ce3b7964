"""The little that both HTTP services (network and identity) need of HTTP: bodies with a limit, JSON replies.

Tests: tests/api/test_api_bad_input.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ovine.api.errors import http_error

__all__ = ["ClientDisconnect", "Request", "Response", "base_url", "json_reply", "path_parts", "read_body"]


_DRAIN_BYTES = 64 << 20
_DRAIN_SECONDS = 0.3


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
    announced = request.headers.get("content-length", "")
    body = request.stream()
    chunks, size = [], int(announced) if announced.isascii() and announced.isdigit() else 0
    if size <= limit:
        size = 0
        async for chunk in body:
            size += len(chunk)
            if size > limit:
                break
            chunks.append(chunk)
    if size > limit:
        chunks.clear()
        await _drain(body)
        raise http_error(413, f"The request body is larger than {limit} bytes.")
    return b"".join(chunks)


async def _drain(body: AsyncIterator[bytes]) -> None:
    """Takes what the client is still sending, and drops it: many clients read no reply before they have sent all.

    Ends when the body does, when nothing comes for a moment, or when it has become too much.
    """
    size = 0
    with contextlib.suppress(StopAsyncIteration, TimeoutError):
        while size < _DRAIN_BYTES:
            size += len(await asyncio.wait_for(anext(body), _DRAIN_SECONDS))


def json_reply(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Response:
    """A reply; without a body when there is none. A refused body may remain unread, so 413 closes the connection."""
    extra = dict(headers or {})
    if status == 413:
        extra["Connection"] = "close"
    if body is None:
        return Response(status_code=status, headers=extra)
    return Response(_json(body), status, extra, "application/json")


def _json(body: Any) -> bytes:
    """orjson writes integers of up to 64 bits; a network may have more addresses than that."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        return json.dumps(body).encode()
