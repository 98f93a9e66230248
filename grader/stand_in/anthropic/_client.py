"""The clients: `messages.create` and `post`, sync and async, over plain HTTP."""

# mypy: ignore-errors
# ruff: noqa: ANN401, ASYNC109 -- the SDK's signatures

from __future__ import annotations

import functools
import json
import os
import time
from typing import TYPE_CHECKING, Any

import httpx2

from anthropic import _errors, types
from anthropic._values import is_given, not_given, omit

if TYPE_CHECKING:
    from collections.abc import Mapping

USUAL_URL = "https://api.anthropic.com"
USUAL_SECONDS = 600.0
PATH = "/v1/messages"
BETA_PATH = "/v1/messages?beta=true"
RETRIED = {408, 409, 429}


class DefaultHttpxClient(httpx2.Client):
    """A transport, for those who use it by itself."""


class DefaultAsyncHttpxClient(httpx2.AsyncClient):
    """An async transport, likewise."""


class DefaultAioHttpClient(httpx2.AsyncClient):
    """The transport over aiohttp, likewise."""


class _RawResponse:
    """An answer before it is parsed."""

    def __init__(self, response: httpx2.Response) -> None:
        self.http_response = response
        self.headers = response.headers
        self.status_code = response.status_code
        self.http_request = response.request
        self.url = response.request.url
        self.method = response.request.method
        self.is_closed = True
        self.retries_taken = 0

    @property
    def request_id(self) -> str | None:
        """Give the id of the request."""
        return self.headers.get("request-id")


class APIResponse(_RawResponse):
    """An answer of the client."""

    def parse(self, *, to: Any = types.Message) -> Any:
        """Parse the answer."""
        return _cast(self.http_response, to)

    def read(self) -> bytes:
        """Give its bytes."""
        return self.http_response.content

    def text(self) -> str:
        """Give its text."""
        return self.http_response.text

    def json(self) -> Any:
        """Give its JSON value."""
        return self.http_response.json()


class AsyncAPIResponse(_RawResponse):
    """An answer of the async client."""

    async def parse(self, *, to: Any = types.Message) -> Any:
        """Parse the answer."""
        return _cast(self.http_response, to)

    async def read(self) -> bytes:
        """Give its bytes."""
        return self.http_response.content

    async def text(self) -> str:
        """Give its text."""
        return self.http_response.text

    async def json(self) -> Any:
        """Give its JSON value."""
        return self.http_response.json()


class _Base:
    custom_auth = None

    def __init__(  # noqa: PLR0913 -- the SDK's signature
        self,
        *,
        api_key: str | None = None,
        auth_token: str | None = None,
        credentials: Any = None,
        config: Any = None,
        profile: str | None = None,
        webhook_key: str | None = None,
        base_url: Any = None,
        timeout: Any = not_given,
        max_retries: int = 2,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, object] | None = None,
        open_telemetry: Any = None,
        http_client: Any = None,
        middleware: Any = None,
        _strict_response_validation: bool = False,
        _token_cache: Any = not_given,
    ) -> None:
        if api_key is None and auth_token is None:
            api_key = os.environ.get("ANTHROPIC_API_KEY") or None
            auth_token = os.environ.get("ANTHROPIC_AUTH_TOKEN") or None if not api_key else None
        self.api_key = api_key
        self.auth_token = auth_token
        self.credentials = credentials
        self.base_url = base_url or os.environ.get("ANTHROPIC_BASE_URL") or USUAL_URL
        self.timeout = timeout
        self.max_retries = max_retries
        self._headers = dict(default_headers or {})
        self._options = (config, profile, webhook_key, default_query, open_telemetry)
        self._transport = (http_client, middleware, _strict_response_validation, _token_cache)

    @property
    def auth_headers(self) -> dict[str, str]:
        """Give the header that carries the key."""
        token = self.api_key or self.auth_token
        return {"authorization": f"Bearer {token}"} if token else {}

    @property
    def default_headers(self) -> dict[str, str]:
        """Give the headers of every request."""
        return {
            "content-type": "application/json",
            "accept": "application/json",
            "anthropic-version": "2023-06-01",
            **self.auth_headers,
            **_lower(self._headers),
        }

    def _send(
        self, path: str, body: object, headers: Mapping[str, str] | None, timeout: object
    ) -> httpx2.Response:
        """Send a request, again where that may help; give its answer or raise."""
        if not self.auth_headers and not headers and not self._headers:
            raise TypeError("Could not resolve authentication method.")
        for left in range(self.max_retries, -1, -1):
            try:
                response = self._send_once(path, body, headers, timeout)
            except _errors.APIConnectionError:
                if not left:
                    raise
            else:
                failed = response.status_code in RETRIED or response.status_code >= 500  # noqa: PLR2004
                if not failed or not left:
                    return _checked(response)
            time.sleep(0.5)
        raise AssertionError("unreachable")

    def _send_once(
        self, path: str, body: object, headers: Mapping[str, str] | None, timeout: object
    ) -> httpx2.Response:
        url = str(self.base_url).rstrip("/") + path
        sent = {**self.default_headers, **_lower(headers or {})}
        request = httpx2.Request("POST", url)
        try:
            return httpx2.send(
                url, json.dumps(body).encode(), sent, _seconds(timeout, self.timeout)
            )
        except httpx2.TimeoutException as error:
            raise _errors.APITimeoutError(request) from error
        except httpx2.TransportError as error:
            raise _errors.APIConnectionError(request=request) from error


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if is_given(value)}


def _seconds(*choices: object) -> float | None:
    for choice in choices:
        if isinstance(choice, httpx2.Timeout):
            return choice.seconds
        if isinstance(choice, int | float):
            return float(choice)
    return USUAL_SECONDS


def _checked(response: httpx2.Response) -> httpx2.Response:
    if response.status_code >= 400:  # noqa: PLR2004 -- HTTP
        raise _errors.status_error(response)
    return response


def _body(  # noqa: PLR0913 -- the SDK's signature
    *,
    max_tokens: int,
    messages: Any,
    model: str,
    cache_control: Any = omit,
    container: Any = omit,
    diagnostics: Any = omit,
    inference_geo: Any = omit,
    metadata: Any = omit,
    output_config: Any = omit,
    service_tier: Any = omit,
    speed: Any = omit,
    stop_sequences: Any = omit,
    stream: Any = omit,
    system: Any = omit,
    thinking: Any = omit,
    tool_choice: Any = omit,
    tools: Any = omit,
    user_profile_id: Any = omit,
    workspace_id: Any = omit,
    extra_headers: Mapping[str, str] | None = None,
    extra_query: Any = None,
    extra_body: Mapping[str, Any] | None = None,
    timeout: Any = not_given,
) -> tuple[dict[str, Any], Mapping[str, str] | None, Any]:
    """Turn the arguments of `create` into body, headers and timeout."""
    if stream is True:
        raise NotImplementedError("the stand-in doesn't stream")
    if extra_query:
        raise NotImplementedError("the stand-in sends no query")
    named = {
        "max_tokens": max_tokens,
        "messages": messages if isinstance(messages, str) else list(messages),
        "model": model,
        "cache_control": cache_control,
        "container": container,
        "diagnostics": diagnostics,
        "inference_geo": inference_geo,
        "metadata": metadata,
        "output_config": output_config,
        "service_tier": service_tier,
        "speed": speed,
        "stop_sequences": stop_sequences,
        "stream": stream,
        "system": system,
        "thinking": thinking,
        "tool_choice": tool_choice,
        "tools": tools,
        "user_profile_id": user_profile_id,
        "workspace_id": workspace_id,
    }
    body = {name: value for name, value in named.items() if is_given(value)}
    return {**body, **(extra_body or {})}, extra_headers, timeout


class Anthropic(_Base):
    """The client."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.messages = Messages(self)
        self.beta = Beta(Messages(self, path=BETA_PATH))

    def post(
        self, path: str, *, cast_to: Any, body: object = None, options: Any = None, **_: Any
    ) -> Any:
        """Send a request of one's own."""
        return _cast(self._send(path, body, (options or {}).get("headers"), None), cast_to)

    def with_options(self, **options: Any) -> Anthropic:
        """Give a client with other options."""
        return Anthropic(**{**_settings(self), **options})

    copy = with_options

    def close(self) -> None:
        """Close nothing: each call has a connection of its own."""

    def is_closed(self) -> bool:
        """Tell that there is nothing to close."""
        return False

    def __enter__(self) -> Anthropic:  # noqa: PYI034 -- this very class
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncAnthropic(_Base):
    """The async client; blocking calls go on in threads of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.messages = AsyncMessages(self)
        self.beta = Beta(AsyncMessages(self, path=BETA_PATH))
        self._lanes = httpx2.Lanes()

    async def send(
        self, path: str, body: object, headers: Mapping[str, str] | None, timeout: object
    ) -> httpx2.Response:
        """Send a request in a thread."""
        return await self._lanes.run(functools.partial(self._send, path, body, headers, timeout))

    async def post(
        self, path: str, *, cast_to: Any, body: object = None, options: Any = None, **_: Any
    ) -> Any:
        """Send a request of one's own."""
        response = await self.send(path, body, (options or {}).get("headers"), None)
        return _cast(response, cast_to)

    def with_options(self, **options: Any) -> AsyncAnthropic:
        """Give a client with other options."""
        return AsyncAnthropic(**{**_settings(self), **options})

    copy = with_options

    async def close(self) -> None:
        """End the threads."""
        self._lanes.close()

    def is_closed(self) -> bool:
        """Tell that there is nothing to close."""
        return False

    async def __aenter__(self) -> AsyncAnthropic:  # noqa: PYI034 -- this very class
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _settings(client: _Base) -> dict[str, Any]:
    return {
        "api_key": client.api_key,
        "auth_token": client.auth_token,
        "base_url": client.base_url,
        "timeout": client.timeout,
        "max_retries": client.max_retries,
    }


def _cast(response: httpx2.Response, cast_to: Any) -> Any:
    if cast_to is httpx2.Response:
        return response
    body = response.json()
    if cast_to is not types.Message:
        return body
    message = types.message_of(body)
    message._request_id = response.headers.get("request-id")  # noqa: SLF001 -- the SDK's name
    return message


class Beta:
    """`beta` of a client."""

    def __init__(self, messages: Messages | AsyncMessages) -> None:
        self.messages = messages


class Messages:
    """`messages` of the client."""

    def __init__(self, client: Anthropic, *, raw: bool = False, path: str = PATH) -> None:
        self._client = client
        self._raw = raw
        self._path = path

    def create(self, **arguments: Any) -> Any:
        """Ask for one message."""
        response = self._client._send(self._path, *_body(**arguments))  # noqa: SLF001
        return APIResponse(response) if self._raw else _cast(response, types.Message)

    @property
    def with_raw_response(self) -> Messages:
        """Give answers before they are parsed."""
        return Messages(self._client, raw=True, path=self._path)


class AsyncMessages:
    """`messages` of the async client."""

    def __init__(self, client: AsyncAnthropic, *, raw: bool = False, path: str = PATH) -> None:
        self._client = client
        self._raw = raw
        self._path = path

    async def create(self, **arguments: Any) -> Any:
        """Ask for one message."""
        response = await self._client.send(self._path, *_body(**arguments))
        return AsyncAPIResponse(response) if self._raw else _cast(response, types.Message)

    @property
    def with_raw_response(self) -> AsyncMessages:
        """Give answers before they are parsed."""
        return AsyncMessages(self._client, raw=True, path=self._path)
