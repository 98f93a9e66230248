"""The few names of the SDK's HTTP library that programs mention beside the stand-in SDK."""

# mypy: ignore-errors
# ruff: noqa: ANN401 -- the SDK's signatures

from __future__ import annotations

import functools
import http.client
import json as jsonlib
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

LANES = 32
USUAL_SECONDS = 5.0
USE_CLIENT_DEFAULT = object()


class HTTPError(Exception):
    """A request has no answer."""


class TransportError(HTTPError):
    """The connection failed."""


class ConnectError(TransportError):
    """There is no connection."""


class TimeoutException(TransportError):  # noqa: N818 -- the library's name
    """No answer came in time."""


class ConnectTimeout(TimeoutException):
    """There was no connection in time."""


class InvalidURL(Exception):  # noqa: N818 -- the library's name
    """A URL can't be asked."""


class Headers(Mapping[str, str]):
    """Headers by name, upper and lower case being the same."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._values = {name.lower(): value for name, value in pairs.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Request:
    """What was sent."""

    def __init__(self, method: str, url: str) -> None:
        self.method = method
        self.url = url


class Response:
    """What came back."""

    def __init__(
        self, status_code: int, headers: Mapping[str, str], content: bytes, request: Request
    ) -> None:
        self.status_code = status_code
        self.headers = Headers(headers)
        self.content = content
        self.request = request

    @property
    def is_success(self) -> bool:
        """Tell whether the status is one of 2xx."""
        return 200 <= self.status_code < 300  # noqa: PLR2004 -- HTTP

    @property
    def text(self) -> str:
        """Decode the content."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Parse the content."""
        return jsonlib.loads(self.content)


class Timeout:
    """Seconds to wait, of which the stand-in knows only the whole."""

    def __init__(self, timeout: float | None = None, **parts: float | None) -> None:
        values = [value for value in (timeout, *parts.values()) if value is not None]
        self.seconds = max(values, default=None)


def send(url: str, content: bytes, headers: Mapping[str, str], seconds: float | None) -> Response:
    """Post to a URL, over a connection of its own."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=seconds)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, content, dict(headers))
        answer = connection.getresponse()
        request = Request("POST", parts.geturl())
        return Response(answer.status, dict(answer.headers), answer.read(), request)
    except TimeoutError as error:
        raise TimeoutException(str(error)) from error
    except (OSError, http.client.HTTPException) as error:
        raise ConnectError(str(error)) from error
    finally:
        connection.close()


class Lanes:
    """Threads for calls that block, so that none starts where nobody calls."""

    def __init__(self) -> None:
        self._pool: Any = None
        self._opening = threading.Lock()

    async def run(self, call: Callable[[], Any]) -> Any:
        """Carry out a call in one of them."""
        import asyncio  # noqa: PLC0415 -- whoever awaits this has it
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 -- comes with it

        with self._opening:
            self._pool = self._pool or ThreadPoolExecutor(LANES)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """End them."""
        if self._pool:
            self._pool.shutdown(wait=False)


class _Posting:
    def __init__(self, *, timeout: Any = USUAL_SECONDS, **options: Any) -> None:
        self.timeout = timeout
        self.options = options

    def _post(  # noqa: PLR0913 -- the library's signature
        self,
        url: object,
        *,
        content: str | bytes | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        auth: Any = None,  # noqa: ARG002 -- the library's signature
        timeout: Any = USE_CLIENT_DEFAULT,
    ) -> Response:
        data = jsonlib.dumps(json) if content is None else content
        own = {"content-type": "application/json"} if content is None else {}
        seconds = self.timeout if timeout is USE_CLIENT_DEFAULT else timeout
        seconds = seconds.seconds if isinstance(seconds, Timeout) else seconds
        data = data.encode() if isinstance(data, str) else data
        return send(str(url), data, {**own, **(headers or {})}, seconds)


class Client(_Posting):
    """A client that only posts."""

    def post(self, url: object, **arguments: Any) -> Response:
        """Post to a URL."""
        return self._post(url, **arguments)

    def close(self) -> None:
        """Close nothing: each call has a connection of its own."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Posting):
    """The same, async."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._lanes = Lanes()

    async def post(self, url: object, **arguments: Any) -> Response:
        """Post to a URL, in a thread."""
        return await self._lanes.run(functools.partial(self._post, url, **arguments))

    async def aclose(self) -> None:
        """End the threads."""
        self._lanes.close()

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
