"""The few names of the SDK's HTTP library that programs mention beside the stand-in SDK."""

# mypy: ignore-errors
# ruff: noqa: ANN401 -- the SDK's signatures

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


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
    def text(self) -> str:
        """Decode the content."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Parse the content."""
        return json.loads(self.content)


class Timeout:
    """Seconds to wait, of which the stand-in knows only the whole."""

    def __init__(self, timeout: float | None = None, **parts: float | None) -> None:
        values = [value for value in (timeout, *parts.values()) if value is not None]
        self.seconds = max(values, default=None)
