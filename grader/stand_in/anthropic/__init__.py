"""A stand-in for the SDK that only transports: it takes a tenth of the time to import."""

# mypy: ignore-errors

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from typing import Any

from httpx2 import Timeout

from anthropic import types
from anthropic._client import (
    Anthropic,
    AsyncAnthropic,
    DefaultAioHttpClient,
    DefaultAsyncHttpxClient,
    DefaultHttpxClient,
)
from anthropic._errors import (
    AnthropicError,
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    RequestTooLargeError,
    ServiceUnavailableError,
    UnprocessableEntityError,
)
from anthropic._values import NOT_GIVEN, NotGiven, Omit, absent, not_given, omit

Client = Anthropic
AsyncClient = AsyncAnthropic
HUMAN_PROMPT = "\n\nHuman:"
AI_PROMPT = "\n\nAssistant:"
DEFAULT_MAX_RETRIES = 2
DEFAULT_TIMEOUT = Timeout(600)

__version__ = "2.14.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- any class of the SDK
    """Give any other class, for those who only mention it."""
    try:
        return absent(name)
    except AttributeError:
        if not name.startswith("__"):
            _tell_missing(f"module 'anthropic' has no attribute {name!r}")
        raise


def _tell_missing(message: str) -> None:
    """Say what the stand-in lacks: a program that catches the error may not."""
    os.write(2, f"{message}\n".encode())


class _Types(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Find the modules below `anthropic.types`, each with all that this holds."""

    def find_spec(self, fullname: str, *_: object) -> Any:  # noqa: ANN401 -- importlib's own
        if fullname.startswith("anthropic.types."):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        if fullname.startswith(("anthropic.", "httpx2.")):
            _tell_missing(f"No module named {fullname!r}")
        return None

    def exec_module(self, module: Any) -> None:  # noqa: ANN401 -- importlib's own
        module.__getattr__ = lambda name: getattr(types, name)


types.__path__ = []
sys.meta_path.append(_Types())

__all__ = [
    "AI_PROMPT",
    "DEFAULT_MAX_RETRIES",
    "DEFAULT_TIMEOUT",
    "HUMAN_PROMPT",
    "NOT_GIVEN",
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "Anthropic",
    "AnthropicError",
    "AsyncAnthropic",
    "AsyncClient",
    "AuthenticationError",
    "BadRequestError",
    "Client",
    "ConflictError",
    "DefaultAioHttpClient",
    "DefaultAsyncHttpxClient",
    "DefaultHttpxClient",
    "InternalServerError",
    "NotFoundError",
    "NotGiven",
    "Omit",
    "OverloadedError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTooLargeError",
    "ServiceUnavailableError",
    "Timeout",
    "UnprocessableEntityError",
    "not_given",
    "omit",
    "types",
]
