"""The corpus that the grader is measured with: right programs, wrong programs, cheats."""

from __future__ import annotations

import os
import py_compile
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from grader.errors import GraderError
from grader.patch import apply_patch
from grader.places import FIXTURES, GRADER, REFERENCE, REPOSITORY, STARTER

if TYPE_CHECKING:
    from collections.abc import Collection

Kind: TypeAlias = Literal["starter", "reference", "alternative", "mutant", "cheat"]
SPARSE_BYTES = 1 << 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One submission of the corpus: what it must get, and why it is there.

    `kills` are the checks that fail it; of some joined by "|" at least one does.
    """

    name: str
    kind: Kind
    source: Path
    base: str = ""
    why: str = ""
    breaks: tuple[str, ...] = ()
    kills: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        """Tell whether it must pass."""
        return self.kind in {"reference", "alternative"}

    def survived(self, failed: Collection[str]) -> list[str]:
        """List the checks that should fail it and are not among those that `failed`."""
        return [kill for kill in self.kills if set(kill.split("|")).isdisjoint(failed)]


def members() -> list[Member]:
    """List the whole corpus."""
    found = [
        Member(name="starter", kind="starter", source=STARTER),
        Member(name="reference", kind="reference", source=REFERENCE),
    ]
    found += [
        Member(name=folder.name, kind="alternative", source=folder)
        for folder in _folders(FIXTURES / "alternatives")
    ]
    found += [_mutant(path) for path in sorted((FIXTURES / "mutants").glob("*.patch"))]
    found += [_cheat(folder) for folder in _folders(FIXTURES / "cheats")]
    return found


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.glob("*") if path.is_dir() and path.name[0] not in "._")


def _mutant(path: Path) -> Member:
    header = mutant_header(path.read_text(encoding="utf-8"))
    return Member(
        name=path.stem,
        kind="mutant",
        source=path,
        base=header["base"],
        why=header.get("why", ""),
        breaks=tuple(header.get("breaks", "").replace(",", " ").split()),
        kills=tuple(header.get("kills", "").replace(",", " ").split()),
    )


def mutant_header(text: str) -> dict[str, str]:
    """Read the lines before a diff: `key: value`."""
    header = {}
    for line in text.splitlines():
        if line.startswith(("--- ", "diff ")):
            break
        key, colon, value = line.partition(":")
        if colon:
            header[key.strip().lstrip("# ")] = value.strip()
    return header


def _cheat(folder: Path) -> Member:
    settings = _cheat_settings(folder)
    return Member(
        name=folder.name,
        kind="cheat",
        source=folder,
        base=settings["base"],
        why=settings.get("why", ""),
        damage=tuple(str(item) for item in settings.get("damage", ())),
    )


def _cheat_settings(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "cheat.toml").read_text(encoding="utf-8"))


def write_member(member: Member, folder: Path) -> Path:
    """Write a member out as a folder to be graded."""
    base = FIXTURES / member.base if member.base else member.source
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("__pycache__"))
    if member.kind == "mutant":
        apply_patch(member.source.read_text(encoding="utf-8"), folder)
    if member.kind == "cheat":
        tree = member.source / "tree"
        if tree.is_dir():
            shutil.copytree(tree, folder, dirs_exist_ok=True, symlinks=True)
        for special in _cheat_settings(member.source).get("special", ()):
            _make_special(special, folder)
    return folder


def _make_special(special: dict[str, Any], folder: Path) -> None:
    """Make what git can't hold."""
    path = folder / special["path"]
    target = _place(str(special.get("target", "")))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir() and special["kind"] in {"symlink", "hardlink"}:
        shutil.rmtree(path)
    match special["kind"]:
        case "fifo":
            os.mkfifo(path)
        case "symlink":
            path.symlink_to(target)
        case "hardlink":
            _link_tree(folder / target if not os.path.isabs(target) else Path(target), path)  # noqa: PTH117
        case "pyc":
            py_compile.compile(
                str(folder / target),
                cfile=str(path),
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        case "sparse":
            with path.open("wb") as file:
                file.truncate(int(target or SPARSE_BYTES))
        case kind:
            raise GraderError(f"{folder.name}: no such kind of special file: {kind}")


def _place(target: str) -> str:
    places = {"fixtures": FIXTURES, "grader": GRADER, "repository": REPOSITORY}
    for name, place in places.items():
        target = target.replace(f"{{{name}}}", str(place))
    return target


def _link_tree(source: Path, path: Path) -> None:
    """Link a file, or each file of a folder."""
    if source.is_dir():
        shutil.copytree(source, path, copy_function=os.link)
    else:
        path.hardlink_to(source)


def write_corpus(folder: Path) -> list[Path]:
    """Write every member out, as `kind-name`."""
    folder.mkdir(parents=True, exist_ok=True)
    return [write_member(item, folder / f"{item.kind}-{item.name}") for item in members()]
