"""Answers as objects: attributes, and `model_dump` for those who want a dict."""

# mypy: ignore-errors
# ruff: noqa: ANN401 -- the SDK's signatures

from __future__ import annotations

import json
from typing import Any

from anthropic._values import absent


class BaseModel:
    """Hold the fields of a JSON object as attributes."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._fields() == other._fields()

    def _fields(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name[0] != "_"}

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._fields().items())
        return f"{type(self).__name__}({fields})"

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """Give the fields as a dict."""
        return {name: _plain(value) for name, value in self._fields().items()}

    def model_dump_json(self, **_: Any) -> str:
        """Give the fields as JSON."""
        return json.dumps(self.model_dump())

    to_dict = model_dump
    to_json = model_dump_json
    dict = model_dump


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump()
    return [_plain(item) for item in value] if isinstance(value, list) else value


class TextBlock(BaseModel):
    """A block of text."""


class Usage(BaseModel):
    """Tokens."""


class Message(BaseModel):
    """An answer of the Messages API."""

    _request_id: str | None = None


def __getattr__(name: str) -> Any:
    """Give any other type, for those who only mention it."""
    return absent(name, dict if name.endswith(("Param", "Params")) else BaseModel)


def message_of(body: dict[str, Any]) -> Message:
    """Build an answer from its JSON."""
    content = [TextBlock(**{"citations": None, **block}) for block in body["content"]]
    return Message(**{**body, "content": content, "usage": Usage(**body["usage"])})
