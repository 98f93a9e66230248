"""Read what a submission left on the disk: hostile bytes in, strict JSON values out."""

from __future__ import annotations

import json
import math
import os
import stat
from typing import TYPE_CHECKING, NoReturn

from grader.errors import OUR_ERRNOS, ArtifactError

if TYPE_CHECKING:
    from pathlib import Path

JsonValue = object
FILE_LIMIT = 16 << 20
LINE_LIMIT = 10_000
VALUES_LIMIT = 300_000
DIGITS_LIMIT = 400


def read_file(folder: Path, parts: tuple[str, ...], owner: int) -> bytes:
    """Read a regular file below a trusted folder, following no link on the way."""
    where = "/".join(parts)
    handle = _open(os.fspath(folder), os.O_DIRECTORY, where)
    try:
        for part in parts[:-1]:
            handle = _step(handle, part, os.O_DIRECTORY, where)
        handle = _step(handle, parts[-1], os.O_NONBLOCK, where)
        return _read_checked(handle, owner, where)
    finally:
        os.close(handle)


def _step(handle: int, name: str, flags: int, where: str) -> int:
    following = _open(name, os.O_NOFOLLOW | flags, where, handle)
    os.close(handle)
    return following


def _open(name: str, flags: int, where: str, folder: int | None = None) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC | flags, dir_fd=folder)
    except OSError as error:
        if error.errno in OUR_ERRNOS:
            raise
        raise ArtifactError(f"{where}: {error.strerror}") from error


def _read_checked(handle: int, owner: int, where: str) -> bytes:
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_uid != owner:
        raise ArtifactError(f"{where}: not a regular file of its own")
    if status.st_size > FILE_LIMIT:
        raise ArtifactError(f"{where}: larger than {FILE_LIMIT} bytes")
    with os.fdopen(os.dup(handle), "rb") as file:
        return file.read(FILE_LIMIT)


def parse_json(text: str, where: str) -> JsonValue:
    """Parse strict JSON: no duplicate keys, no NaN, no nesting or number without end."""
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_read_integer,
        )
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{where}: not strict JSON: {error}") from error


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _read_integer(digits: str) -> int:
    if len(digits) > DIGITS_LIMIT:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def parse_object(text: str, where: str) -> dict[str, JsonValue]:
    """Parse one strict JSON object."""
    value = parse_json(text, where)
    if not isinstance(value, dict):
        raise ArtifactError(f"{where}: not an object")
    return value


def decode(data: bytes, where: str) -> str:
    """Decode UTF-8, unless so many JSON values may stand in it that parsing takes long."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{where}: not UTF-8: {error.reason}") from error
    if sum(map(text.count, ",[{")) > VALUES_LIMIT:
        raise ArtifactError(f"{where}: more than {VALUES_LIMIT} values")
    return text


def parse_lines(data: bytes, where: str) -> list[dict[str, JsonValue]]:
    """Parse JSON Lines, each line an object; the last one may lack its line feed."""
    lines = decode(data, where).removesuffix("\n").split("\n")
    if len(lines) > LINE_LIMIT:
        raise ArtifactError(f"{where}: {len(lines)} lines")
    return [parse_object(line, f"{where}:{number}") for number, line in enumerate(lines, 1)]


def is_number(value: JsonValue) -> bool:
    """Tell whether a value is a finite JSON number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
