"""The Messages API through Anthropic's SDK: one request a call, no retries of its own."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import re
import warnings
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_experiment_profiler.clients import ANTHROPIC_URL, CREDENTIALS, hide_userinfo
from pytest_experiment_profiler.errors import (
    UNREACHABLE,
    ClientError,
    RateLimit,
    UsageError,
    say_error,
)
from pytest_experiment_profiler.experiment import Prompt, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import anthropic
    import httpx2

    from pytest_experiment_profiler.errors import Scope

SAMPLING_VERSION = "2023-06-01"
"""The API version that still takes a temperature; later ones refuse it with a 400."""

_HOPELESS = frozenset({"enforced_spend_limit_reached", "contract_spend_limit_reached"})
_OF_ACCOUNT = frozenset({401, 402, 403})
_BAD_REQUEST, _NOT_FOUND, _TOO_MANY = 400, 404, 429
_RETRYABLE = frozenset({408, 409, _TOO_MANY})
_SAMPLING = re.compile(r"\b(temperature|top_p|top_k)\b")
_SPENT = re.compile(r"\b(spend(ing)? limit|usage limits?|credit balance)\b", re.IGNORECASE)
_LIMITS = {
    kind: f"anthropic-ratelimit-{kind}-"
    for kind in ("requests", "tokens", "input-tokens", "output-tokens")
}
_BASE_URL = re.compile(r"https?://[^/?#\s]+(/[^?#\s]*)?")
_SHOWN_BYTES = 200


class AnthropicClient:
    """Answer prompts by a POST to /v1/messages each.

    The SDK settles credentials, headers and transport; the requests go straight to its HTTP client,
    because `create()` raises on a deprecated model where warnings are errors, and what the SDK
    does for each request costs as much processor time as sending it.
    """

    def __init__(self, timeout_s: float) -> None:
        _check_base_url()
        self._sdk, self._http = _open_sdk(timeout_s)
        _check_credentials(self._sdk)
        key = self._sdk.api_key or self._sdk.auth_token or ""
        self.account = (str(self._sdk.base_url), hashlib.sha256(key.encode()).hexdigest())
        self._url = f"{str(self._sdk.base_url).rstrip('/')}/v1/messages"
        self._headers = _list_headers(self._sdk)
        self._sampling_headers = self._headers | {"anthropic-version": SAMPLING_VERSION}

    async def complete(self, prompt: Prompt) -> Reply:
        """Send a prompt once; raise ClientError for everything that is no message."""
        import httpx2  # noqa: PLC0415 -- comes with the SDK, loaded by __init__

        plain = prompt.temperature is None
        try:
            response = await self._http.post(
                self._url,
                content=json.dumps(_body(prompt)).encode(),
                headers=self._headers if plain else self._sampling_headers,
                auth=self._sdk.custom_auth or httpx2.USE_CLIENT_DEFAULT,
            )
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise _no_answer(error, str(self._sdk.base_url)) from error
        if not response.is_success:
            raise _refused_request(response.status_code, response.headers, response.content)
        return _reply(response.status_code, response.headers, response.content)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sdk.close()


def _open_sdk(timeout_s: float) -> tuple[anthropic.AsyncAnthropic, httpx2.AsyncClient]:
    with _without_collecting():
        import anthropic  # noqa: PLC0415 -- 1 s
        import httpx2  # noqa: PLC0415 -- comes with it

    url = os.environ.get("ANTHROPIC_BASE_URL") or ANTHROPIC_URL
    http = anthropic.DefaultAioHttpClient(timeout=timeout_s)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of several credentials the first one counts
            sdk = anthropic.AsyncAnthropic(
                base_url=url,
                http_client=http,
                open_telemetry=False,
            )
    except (anthropic.AnthropicError, ValueError) as error:
        raise UsageError(f"the credentials can't be used: {error}") from error
    except httpx2.InvalidURL as error:
        raise _no_url(url) from error
    return sdk, http


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Keep the garbage collector from looking through all that an import makes, time and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _check_base_url() -> None:
    url = os.environ.get("ANTHROPIC_BASE_URL", "")
    if url != hide_userinfo(url):
        raise UsageError("ANTHROPIC_BASE_URL must hold no user and password")
    if url.rstrip("/").endswith("/v1"):
        raise UsageError(f"ANTHROPIC_BASE_URL={url} must not end in /v1: the client adds it")
    if url and not _BASE_URL.fullmatch(url):
        raise _no_url(url)


def _no_url(url: str) -> UsageError:
    return UsageError(f"ANTHROPIC_BASE_URL={url!r} must be a URL such as {ANTHROPIC_URL}")


def _check_credentials(sdk: anthropic.AsyncAnthropic) -> None:
    if not (sdk.api_key or sdk.auth_token or sdk.credentials):
        raise UsageError(f"no credentials: set one of {', '.join(CREDENTIALS[:3])}")
    named = {"ANTHROPIC_API_KEY": sdk.api_key, "ANTHROPIC_AUTH_TOKEN": sdk.auth_token}
    for name, key in named.items():
        if key and not (key == key.strip() and key.isascii() and key.isprintable()):
            raise UsageError(f"{name} holds white space or characters that no key has")


def _list_headers(sdk: anthropic.AsyncAnthropic) -> dict[str, str]:
    """List what the SDK sends with each request; a later spelling of a name wins."""
    headers: dict[str, str] = {}
    for name, value in sdk.default_headers.items():
        headers.pop(name.lower(), None)
        if isinstance(value, str):
            headers[name.lower()] = value
    return headers


def _body(prompt: Prompt) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": prompt.model,
        "max_tokens": prompt.max_tokens,
        "messages": [{"role": m.role, "content": m.content} for m in prompt.messages],
    }
    if prompt.system is not None:
        body["system"] = prompt.system
    if prompt.temperature is not None:
        body["temperature"] = prompt.temperature
    return body


def _no_answer(error: Exception, url: str) -> ClientError:
    import httpx2  # noqa: PLC0415 -- comes with the SDK

    late = isinstance(error, httpx2.TimeoutException)
    unsent = _is_unsent(error)
    kind = "APITimeoutError" if late else "APIConnectionError"
    return ClientError(
        f"no answer from {url}: {say_error(error)}",
        retryable=True,
        kind=UNREACHABLE if unsent else kind,
        lost=not unsent,
    )


def _is_unsent(error: Exception) -> bool:
    import aiohttp  # noqa: PLC0415 -- comes with the SDK
    import httpx2  # noqa: PLC0415 -- likewise

    # The transport calls a connection that broke later a ConnectError as well.
    return isinstance(error, httpx2.ConnectTimeout | httpx2.InvalidURL) or isinstance(
        error.__cause__, aiohttp.ClientConnectorError
    )


def _refused_request(status: int, headers: Mapping[str, str], content: bytes) -> ClientError:
    told = _read_error(content)
    details = told.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    code = code if isinstance(code, str) else None
    message = str(told.get("message") or f"HTTP {status}: {_show(content)}")
    asked = {"true": True, "false": False}.get(headers.get("x-should-retry", ""))
    retryable = status in _RETRYABLE or status >= 500 if asked is None else asked  # noqa: PLR2004
    final = status == _TOO_MANY and asked is False
    scope: Scope = "account" if final else _find_scope(status, code, message)
    return ClientError(
        message,
        retryable=retryable and scope == "call",
        retry_after_s=_retry_after(headers),
        status=status,
        kind=str(code or told.get("type") or "http_error"),
        scope=scope,
        limits=_read_limits(headers),
    )


def _read_error(content: bytes) -> Mapping[str, Any]:
    """Read the error object of an answer; empty where it has none."""
    try:
        error = json.loads(content)["error"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return {}
    return error if isinstance(error, dict) else {}


def _find_scope(status: int, code: str | None, message: str) -> Scope:
    """Tell what else would be refused alike: all for a key or for want of money, a run's calls."""
    spent = code in _HOPELESS or bool(_SPENT.search(message))
    if status in _OF_ACCOUNT or (spent and status in (_BAD_REQUEST, _TOO_MANY)):
        return "account"
    sampling = status == _BAD_REQUEST and bool(_SAMPLING.search(message))
    return "run" if status == _NOT_FOUND or sampling else "call"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how long to wait: retry-after-ms, else retry-after in seconds or as a date."""
    for name, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * factor
        except ValueError:
            continue
        if 0 < seconds < float("inf"):
            return seconds
    return _seconds_until(headers.get("retry-after", ""))


def _seconds_until(date: str) -> float | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 -- likewise

    try:
        at = parsedate_to_datetime(date)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    seconds = (at - datetime.now(UTC)).total_seconds()
    return seconds if seconds > 0 else None


def _read_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """Read the rate-limit headers that are there; servers of one's own send few or none."""
    limits = []
    for kind, start in _LIMITS.items():
        if f"{start}limit" not in headers:
            continue
        try:
            limit, remaining = float(headers[f"{start}limit"]), float(headers[f"{start}remaining"])
            reset = datetime.fromisoformat(headers[f"{start}reset"])
            reset_s = (reset - datetime.now(UTC)).total_seconds()
        except (KeyError, ValueError, TypeError):
            continue
        if 0 <= remaining <= limit and 0 < limit < float("inf"):
            limits.append(RateLimit(kind, limit, remaining, max(0.0, reset_s)))
    return tuple(limits)


def _reply(status: int, headers: Mapping[str, str], content: bytes) -> Reply:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    if not _is_message(body):
        message = f"the answer is no message of the API: {_show(content)}"
        raise ClientError(message, retryable=True, status=status, kind="not_a_message", lost=True)
    texts = [block["text"] for block in body["content"] if block.get("type") == "text"]
    thinking = [str(b.get("thinking", "")) for b in body["content"] if b.get("type") == "thinking"]
    metadata = {"message_id": body.get("id"), "stop_details": body.get("stop_details")}
    if thinking:
        metadata["thinking"] = "\n\n".join(thinking)
    return Reply(
        text="".join(texts),
        stop_reason=body.get("stop_reason"),
        usage=body["usage"],
        request_id=headers.get("request-id"),
        model=body.get("model"),
        metadata={key: value for key, value in metadata.items() if value is not None},
        limits=_read_limits(headers),
    )


def _is_message(body: object) -> bool:
    return (
        isinstance(body, dict)
        and body.get("type") == "message"
        and isinstance(body.get("content"), list)
        and all(map(_is_block, body["content"]))
        and isinstance(body.get("usage"), dict)
        and isinstance(body.get("stop_reason"), str | None)
    )


def _is_block(block: object) -> bool:
    return isinstance(block, dict) and (
        block.get("type") != "text" or isinstance(block.get("text"), str)
    )


def _show(content: bytes) -> str:
    shown = repr(content[:_SHOWN_BYTES])[1:]
    return shown if len(content) <= _SHOWN_BYTES else f"{shown} … ({len(content)} bytes)"
