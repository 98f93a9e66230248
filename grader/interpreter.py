"""The Python that runs the box: one that the box's user can reach and start."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from grader.errors import GraderError

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SYSTEM_FOLDERS = ("/usr/bin", "/usr/local/bin", "/opt/python/bin")
ZONES = ("/etc/localtime", "/usr/share/zoneinfo")
CERTIFICATES = (
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/usr/lib/ssl",
    "/usr/share/ca-certificates",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
)
TYPES = ("/etc/mime.types",)  # `mimetypes` reads what is there, or fails
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/proc")


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """A Python for the box, and what it has to read."""

    path: Path
    library: Path

    @property
    def readable(self) -> list[str]:
        """List the program, its library and what programs need to start."""
        prefix = self.library.parent
        shared = [str(path) for path in prefix.glob("libpython*")]
        candidates = [str(self.path), str(self.library), *shared, *_system_libraries()]
        return [
            path
            for path in (*candidates, *ZONES, *CERTIFICATES, *TYPES, *DEVICES)
            if Path(path).exists()
        ]

    @property
    def denied(self) -> list[str]:
        """List what lies inside the library and is none of the box's business."""
        names = ("site-packages", "dist-packages")
        return [str(self.library / name) for name in names if (self.library / name).is_dir()]


def _system_libraries() -> list[str]:
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    own = [f"{base}/{multiarch}" for base in ("/lib", "/usr/lib") if multiarch]
    own = [path for path in own if Path(path).is_dir()] or ["/lib", "/usr/lib"]
    return [*own, "/lib64", "/usr/lib64", "/etc/ld.so.cache"]


def find_interpreter(requested: Path | None, uid: int) -> Interpreter:
    """Find a Python of this minor version that the given user can start."""
    if requested is not None:
        return _requested(requested, uid)
    own = Path(getattr(sys, "_base_executable", sys.executable))
    for path in (own, *(Path(folder) / f"python{VERSION}" for folder in SYSTEM_FOLDERS)):
        found = _inspect(path)
        if found and _reachable(found.path, uid) and _reachable(found.library / "os.py", uid):
            return found
    raise GraderError(
        f"no Python {VERSION} that an unprivileged user can start: "
        "name one with --python (one below a closed home folder can't be used)"
    )


def _requested(path: Path, uid: int) -> Interpreter:
    question = "import sys; print('%d.%d' % sys.version_info[:2], sys._base_executable)"
    try:
        answer = subprocess.run(  # noqa: S603 -- the caller named it
            [path, "-I", "-S", "-c", question], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise GraderError(f"{path} is no Python that starts: {error}") from error
    version, _, base = answer.stdout.strip().partition(" ")
    found = _inspect(Path(base)) if version == VERSION else None
    if found is None or not _reachable(found.path, uid):
        raise GraderError(f"{path} must be a Python {VERSION} that an unprivileged user can start")
    return found


def _inspect(path: Path) -> Interpreter | None:
    real = Path(os.path.realpath(path))
    for folder in ("lib", "lib64"):
        library = real.parent.parent / folder / f"python{VERSION}"
        if real.is_file() and (library / "os.py").is_file():
            return Interpreter(path=real, library=library)
    return None


def _reachable(path: Path, uid: int) -> bool:
    """Tell whether a user without special groups can pass to a file and read it."""
    if uid == os.getuid():
        return os.access(path, os.R_OK)
    passing = all(parent.stat().st_mode & 0o001 for parent in path.parents)
    return passing and bool(path.stat().st_mode & 0o004)
