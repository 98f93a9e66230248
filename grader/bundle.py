"""Keep the code of many modules in one file, so that importing them costs no look at the disk.

In the box each look is decided by a supervisor and takes some 60 µs; a plain import takes seven.
As a script: build a bundle. Arguments: the file to write, the standard library, `from=to` where
the last folder will be moved before it is used, and that folder.
"""

import marshal
import mmap
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType
    from typing import Any

external: "Any" = sys.modules["_frozen_importlib_external"]
Entry = tuple[int, int, bool, str]
LEFT_OUT = frozenset(
    {"__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3"}
    | {"tkinter", "turtledemo", "ensurepip", "pydoc_data"}
)
HEADER = 8


class Loader(external.SourceFileLoader):  # type: ignore[misc]
    """Load a module whose code lies in the bundle; its source stays where it is."""

    code: memoryview

    def get_code(self, fullname: str) -> "CodeType":  # noqa: ARG002 -- importlib's signature
        """Give the code without a look at the disk."""
        return marshal.loads(self.code)  # type: ignore[no-any-return]  # noqa: S302 -- our own


class Finder:
    """Find the modules of one folder: those of the bundle, and extension modules."""

    def __init__(self, folder: str, entries: dict[str, Entry], codes: memoryview) -> None:
        self._folder = folder
        self._entries = entries
        self._codes = codes

    def find_spec(self, fullname: str, _target: object = None) -> object:
        """Say where a module is."""
        entry = self._entries.get(fullname.rpartition(".")[2])
        if entry is None:
            return None
        start, size, is_package, name = entry
        if start < 0:
            return self._plain().find_spec(fullname)
        path = f"{self._folder}/{name}"
        if size == 0 and is_package:
            spec = external._bootstrap.ModuleSpec(fullname, None)  # noqa: SLF001 -- CPython's name
            spec.submodule_search_locations = [path]
            return spec
        if size == 0:
            loader = external.ExtensionFileLoader(fullname, path)
            return external.spec_from_file_location(fullname, path, loader=loader)
        loader = Loader(fullname, path)
        loader.code = self._codes[start : start + size]
        within = [os.path.dirname(path)] if is_package else None  # noqa: PTH120 -- start-up
        spec = external.spec_from_file_location(
            fullname, path, loader=loader, submodule_search_locations=within
        )
        spec.cached = path  # there is no other file; finding a name for one takes a while
        return spec

    def _plain(self) -> "Any":  # noqa: ANN401 -- importlib's own
        """Give the finder that looks at the disk, for what is rarely wanted."""
        return external.FileFinder(self._folder, *external._get_supported_file_loaders())  # noqa: SLF001

    def iter_modules(self, prefix: str = "") -> "Iterator[tuple[str, bool]]":
        """List the modules of the folder for `pkgutil`."""
        import pkgutil  # noqa: PLC0415 -- whoever asks has it

        return iter(pkgutil.iter_importer_modules(self._plain(), prefix))  # type: ignore[attr-defined]

    def invalidate_caches(self) -> None:
        """Keep everything: what is in a bundle doesn't change."""


def install(path: str) -> None:
    """Let a bundle answer for its folders."""
    with open(path, "rb") as file:  # noqa: PTH123 -- start-up
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    size = int.from_bytes(data[:HEADER], "big")
    index: dict[str, dict[str, Entry]] = marshal.loads(data[HEADER : HEADER + size])  # noqa: S302
    codes = data[HEADER + size :]

    def hook(folder: str) -> Finder:
        if folder not in index:
            raise ImportError(folder)
        return Finder(folder, index[folder], codes)

    sys.path_hooks.insert(0, hook)  # type: ignore[arg-type]
    for folder in index:
        sys.path_importer_cache.pop(folder, None)


def build(path: str, library: str, move: str, packages: str) -> None:
    """Write the bundle of all modules below two folders."""
    now, _, later = move.partition("=")
    index: dict[str, dict[str, Entry]] = {}
    codes = bytearray()
    for root in (library, packages):
        for folder in _folders(root):
            shown = later + folder[len(now) :] if folder.startswith(now + "/") else folder
            index[shown] = _add_modules(folder, shown, codes)
    head = marshal.dumps(index)
    with open(path, "wb") as file:  # noqa: PTH123 -- start-up
        file.write(len(head).to_bytes(HEADER, "big") + head + codes)


def _folders(root: str) -> "Iterator[str]":
    for folder, names, _files in os.walk(root):
        names[:] = sorted(name for name in names if name not in LEFT_OUT)
        yield folder


def _add_modules(folder: str, shown: str, codes: bytearray) -> dict[str, Entry]:
    """Add what can be imported from a folder; packages go before extensions before sources."""
    names = sorted(os.listdir(folder))  # noqa: PTH208 -- start-up
    spaces: dict[str, Entry] = {}
    packages: dict[str, Entry] = {}
    extensions: dict[str, Entry] = {}
    sources: dict[str, Entry] = {}
    for name in names:
        stem, dot, rest = name.partition(".")
        if name in LEFT_OUT:
            spaces[name] = (-1, 0, True, name)
        elif os.path.isfile(f"{folder}/{name}/__init__.py"):  # noqa: PTH113 -- start-up
            packages[name] = _code(folder, shown, f"{name}/__init__.py", codes)
        elif os.path.isdir(f"{folder}/{name}"):  # noqa: PTH112 -- start-up
            spaces[name] = (0, 0, True, name)
        elif rest == "py":
            sources[stem] = _code(folder, shown, name, codes)
        elif dot + rest in external.EXTENSION_SUFFIXES:
            extensions[stem] = (0, 0, False, name)
    return {**spaces, **sources, **extensions, **packages}


def _code(folder: str, shown: str, name: str, codes: bytearray) -> Entry:
    with open(f"{folder}/{name}", "rb") as file:  # noqa: PTH123 -- start-up
        source = file.read()
    path = f"{shown}/{name}"
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        code = compile(f"raise SyntaxError({str(error)!r})", path, "exec")
    data = marshal.dumps(code)
    codes += data
    return len(codes) - len(data), len(data), name.endswith("/__init__.py"), name


if __name__ == "__main__":
    build(*sys.argv[1:])
