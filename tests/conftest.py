"""Fixtures that give the public reference images, unpacked with their holes kept.

The images lie in `shared/corpus` beside the repository. Tests that need them skip only where that folder is absent, and never
where the environment variable CI is set: there a missing image is a failure.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable

_BLOCK_BYTES = 64 * 1024
_OPENERS = {"gz": gzip.open, "xz": lzma.open, "none": open}

# Nothing is timed in tests: the machines that run them are shared and noisy.
settings.register_profile("evidex", deadline=None)
settings.load_profile("evidex")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of public reference images; see README.md there."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "corpus"
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail("the reference images are not there, and CI is set")
        pytest.skip("the reference images are not there")
    return folder


@pytest.fixture(scope="session")
def corpus_image(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Unpacks the image of that id, once a session, checks its files against the manifest, and gives the path of the first."""
    manifest = json.loads((corpus / "open" / "MANIFEST.json").read_text())
    images = {image["id"]: image for image in manifest["images"]}
    unpacked: dict[str, Path] = {}

    def first_file(identifier: str) -> Path:
        if identifier not in unpacked:
            folder = tmp_path_factory.mktemp(identifier)
            for file in images[identifier]["files"]:
                target = folder / file["name"]
                digest = _unpack(corpus / "open" / file["stored"], target, file["packing"])
                assert digest == file["sha256"], f"{target} is not what the manifest says"
            unpacked[identifier] = folder / images[identifier]["files"][0]["name"]
        return unpacked[identifier]

    return first_file


@pytest.fixture(scope="session")
def bad_input(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The broken input of that name in `bad/`, unpacked once a session if it is packed; the name may lie in a folder."""
    unpacked: dict[str, Path] = {}

    def path_of(name: str) -> Path:
        stored = corpus / "bad" / name
        packing = stored.suffix[1:] if stored.suffix in (".xz", ".gz") else "none"
        if packing == "none":
            return stored
        if name not in unpacked:
            folder = tmp_path_factory.mktemp("bad")
            if stored.name.endswith(".tar.xz"):
                with tarfile.open(stored) as archive:
                    archive.extractall(folder, filter="data")
                    unpacked[name] = folder / archive.getnames()[0]
            else:
                unpacked[name] = folder / stored.stem
                _unpack(stored, unpacked[name], packing)
        return unpacked[name]

    return path_of


def _unpack(stored: Path, target: Path, packing: str) -> str:
    """Writes the unpacked file, blocks of zeros as holes, and gives its SHA-256."""
    if packing == "none":
        shutil.copyfile(stored, target)
        return hashlib.sha256(target.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    with _OPENERS[packing](stored, "rb") as source, target.open("wb") as file:
        while block := source.read(_BLOCK_BYTES):
            digest.update(block)
            if any(block):
                file.write(block)
            else:
                file.seek(len(block), os.SEEK_CUR)
        file.truncate(file.tell())
    return digest.hexdigest()
