"""The shape of the code, held by reading it: which floor imports which, who owns a library, where anything may be caught.

    cli -> pipelines -> forensics | chain_of_custody

Imports go down only; the two at the bottom do not know each other. `rules` is data: its folder is looked up by the command line.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).resolve().parents[1]
_MAY_IMPORT = {
    "cli": {"pipelines", "forensics", "chain_of_custody", "rules"},
    "pipelines": {"forensics", "chain_of_custody"},
    "forensics": set(),
    "chain_of_custody": set(),
    "rules": set(),
}
_LONGEST_MODULE = 350
_LONGEST_COMMAND_LINE = 600  # cli.py holds one function a command
# Packages whose module has another name.
_MODULE_OF = {
    "yara-python": "yara",
    "python-magic": "magic",
    "pycryptodome": "Crypto",
    "libewf-python": "pyewf",
    "libfvde-python": "pyfvde",
    "libpff-python": "pypff",
    "libvshadow-python": "pyvshadow",
    "msoffcrypto-tool": "msoffcrypto",
}
_FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}

# Files that import a third-party library: one, so that changing a library is changing one file; where more, why.
_OWNERS: dict[str, tuple[str, ...]] = {
    "Crypto": ("forensics/expansion/zip_encryption.py",),  # pycryptodome
    "archi": ("forensics/expansion/libarchive.py",),
    "backports": ("forensics/expansion/zstandard.py",),  # zstd
    "click": ("cli.py", "pipelines/command_line/"),
    "cryptography": (
        # Keys, what is signed by them, and how they are stored are three things; all speak of the library's key classes.
        "chain_of_custody/checkpoint.py",
        "chain_of_custody/identity.py",
        "chain_of_custody/key_files.py",
        "chain_of_custody/keys.py",
        "chain_of_custody/roster.py",
        # The block ciphers that the modes of disk encryption are built of; the wrapping of keys.
        "forensics/layers/block_ciphers.py",
        "forensics/layers/filevault.py",
    ),
    "dask": ("pipelines/cluster.py",),
    "distributed": ("pipelines/cluster.py",),
    "dissect.apfs": ("forensics/filesystems/apfs_container.py",),
    "dissect.fve": ("forensics/layers/argon2_key.py", "forensics/layers/bitlocker_volume.py"),
    "dissect.hypervisor": ("forensics/containers/disk.py",),
    "dissect.extfs": ("forensics/filesystems/ext_dissect_tree.py",),
    "dissect.fat": ("forensics/filesystems/fat_dissect_tree.py",),
    "dissect.ffs": ("forensics/filesystems/ufs_dissect_tree.py",),
    "dissect.ntfs": (
        "forensics/artifacts/ntfs_names.py",  # corrects what dissect.ntfs does with names, so it raises its error
        "forensics/filesystems/ntfs_dissect_tree.py",
    ),
    "dissect.squashfs": ("forensics/filesystems/squashfs_tree.py",),
    # It runs dissect over an exhibit, and makes the filesystem that dissect reads of files that are no disk.
    "dissect.target": ("forensics/artifacts/dissect_source.py", "forensics/artifacts/logical_source.py"),
    # AlignedStream, the stream that dissect asks for, and RunlistStream, one that it gives; CRC-32C; the decoders of LZO, LZ4, Snappy and
    # LZFSE, each where it is needed.
    "dissect.util": (
        "forensics/containers/aff4_streams.py",
        "forensics/containers/dmg_lzfse.py",
        "forensics/filesystems/bounded_stream.py",
        "forensics/filesystems/btrfs_extents.py",
        "forensics/filesystems/checksums.py",
        "forensics/filesystems/jffs2_tree.py",
        "forensics/source.py",
    ),
    "dissect.vmfs": ("forensics/filesystems/vmfs_tree.py",),
    "dissect.volume": ("forensics/volumes.py",),
    "duckdb": ("pipelines/query.py",),
    "filelock": (
        # Each lock guards one folder and belongs to the module that owns the folder.
        "chain_of_custody/identity.py",
        "chain_of_custody/log.py",
        "chain_of_custody/service_process.py",
        "pipelines/case.py",
    ),
    "mfusepy": ("pipelines/mount.py",),
    "inflate64": ("forensics/expansion/zip_methods.py",),
    "jinja2": ("pipelines/report/rendering.py",),
    "magic": ("forensics/filetype.py",),
    "markupsafe": ("pipelines/report/escaping.py",),
    "msoffcrypto": ("forensics/expansion/office_encryption.py",),
    # Arithmetic over arrays, and over many bytes at once.
    "numpy": (
        "forensics/artifacts/mapper.py",
        "forensics/entropy.py",
        "forensics/ewf_chunks.py",
        "forensics/filesystems/allocation/",
        "forensics/filesystems/unowned.py",
        "forensics/layers/",
    ),
    "platformdirs": ("chain_of_custody/identity.py",),
    "py7zr": ("forensics/expansion/encrypted_7z.py",),
    "pyarrow": ("forensics/", "pipelines/"),  # the form of every table
    "pylibmagic": ("forensics/filetype.py",),  # carries the libmagic that python-magic loads
    "pyewf": ("forensics/logical/l01.py",),
    "pyfvde": ("forensics/layers/corestorage.py",),
    "pypff": ("forensics/expansion/pst.py",),
    # An open filesystem's primitives, and the listing made of them.
    "pytsk3": (
        "forensics/filesystems/tsk_entries.py",
        "forensics/filesystems/tsk_kinds.py",
        "forensics/filesystems/tsk_names.py",
        "forensics/filesystems/tsk_stream.py",
        "forensics/sleuthkit.py",
    ),
    "pyvshadow": ("forensics/layers/shadow_copies.py",),
    "rarfile": ("forensics/expansion/rar.py",),
    "rfc8785": ("chain_of_custody/encoding.py",),
    "rich": ("pipelines/progress_display.py",),
    "yara": ("forensics/yara_rules.py",),
}


def _modules() -> list[str]:
    folders = [name for name in _MAY_IMPORT if name != "cli"]
    found = [path for folder in folders for path in (_ROOT / folder).rglob("*.py")]
    return sorted(str(path.relative_to(_ROOT)) for path in (*found, _ROOT / "cli.py"))


MODULES = _modules()


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((_ROOT / module).read_text(encoding="utf-8"), module)


def imported(module: str) -> Iterator[str]:
    """The dotted names of the modules that the file imports, wherever in it and also for type checking only."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: a relative import"
            yield node.module or ""
            # `from dissect import target` imports dissect.target
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "dissect")


def floor(module: str) -> str:
    return module.split("/", maxsplit=1)[0].removesuffix(".py")


def library(name: str) -> str | None:
    """The third-party library of a dotted module name; None for our own and Python's. dissect is a family: two parts count."""
    first, *rest = name.split(".")
    if first in _MAY_IMPORT or first in sys.stdlib_module_names or first == "compression":  # Python's own from 3.14 on
        return None
    return f"dissect.{rest[0]}" if first == "dissect" and rest else first


def is_called(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in names


def test_the_floors_are_read_at_all() -> None:
    assert {floor(module) for module in MODULES} == set(_MAY_IMPORT)
    assert "forensics" in {name.split(".")[0] for name in imported("cli.py")}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_only(module: str) -> None:
    own = {name.split(".")[0] for name in imported(module)} & {*_MAY_IMPORT, "tests", "sample_images", "benchmarks"}
    assert own - {floor(module)} <= _MAY_IMPORT[floor(module)]


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_imported_through_a_package(module: str) -> None:
    """One name, one import path: an `__init__` holds a docstring and nothing else."""
    if module.endswith("__init__.py"):
        assert [type(node) for node in tree(module).body] in ([], [ast.Expr])


@pytest.mark.parametrize("module", MODULES)
def test_a_library_is_imported_by_its_owners_only(module: str) -> None:
    for name in filter(None, map(library, imported(module))):
        owners = _OWNERS.get(name)
        assert owners is not None, f"{module} imports {name}, which has no owner"
        assert any(module == owner or (owner.endswith("/") and module.startswith(owner)) for owner in owners), f"{module} imports {name}"


def test_every_owner_named_does_import_its_library() -> None:
    stale = [
        (name, owner)
        for name, owners in _OWNERS.items()
        for owner in owners
        if not any(library(found) == name for module in MODULES if module.startswith(owner) for found in imported(module))
    ]
    assert stale == []


def test_every_library_imported_is_a_stated_dependency() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    stated = " ".join(project["dependencies"])
    for package, module in _MODULE_OF.items():
        stated = stated.replace(package, module)
    names = {name for module in MODULES for name in map(library, imported(module)) if name}
    assert {name for name in names if name not in stated} == set()


@pytest.mark.parametrize("module", MODULES)
def test_whatever_may_be_raised_is_caught_in_the_boundary_only(module: str) -> None:
    handlers = [node for node in ast.walk(tree(module)) if isinstance(node, ast.ExceptHandler)]
    for handler in handlers:
        caught = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else {"Exception"}
        if "Exception" in caught:
            assert module == "forensics/boundary.py", f"line {handler.lineno}"
        if "BaseException" in caught:  # to undo or record, never to go on
            assert any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler)), f"line {handler.lineno}"


@pytest.mark.parametrize("module", [module for module in MODULES if module != "cli.py"])
def test_nothing_below_the_command_line_prints_or_exits(module: str) -> None:
    found = [node.lineno for node in ast.walk(tree(module)) if is_called(node, "print", "sys.exit", "exit", "quit")]
    assert found == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_short_named_for_its_concept_and_says_what_it_is(module: str) -> None:
    longest = _LONGEST_COMMAND_LINE if module == "cli.py" else _LONGEST_MODULE
    assert len((_ROOT / module).read_text(encoding="utf-8").splitlines()) <= longest
    assert not set(Path(module).with_suffix("").parts) & _FORBIDDEN_NAMES
    assert (ast.get_docstring(tree(module)) or "").strip()


@pytest.mark.parametrize("module", MODULES)
def test_a_library_is_never_shadowed_by_a_module_of_ours(module: str) -> None:
    assert Path(module).stem not in {name.split(".")[-1] for name in _OWNERS} - {"archive", "target", "volume"}
