"""The wheel holds what an installed Evidex needs, and nothing else; the locks say what is installed, without saying from where."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_FOLDERS = ("forensics", "pipelines", "chain_of_custody", "rules")
_LOCKS = ("requirements.txt", "requirements-dev.txt")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built without fetching anything."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", folder]
    subprocess.run([*command, _ROOT], check=True, capture_output=True, timeout=300)
    (built,) = folder.glob("*.whl")
    return built


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_file_of_the_code_the_rules_and_the_report(wheel: Path) -> None:
    kept = [path for folder in _FOLDERS for path in (_ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    wanted = {str(path.relative_to(_ROOT)) for path in kept} | {"cli.py"}
    assert {".py", ".yar", ".html", ".css", ".toml", ".md"} <= {Path(name).suffix for name in wanted}
    assert wanted - names(wheel) == set()


def test_the_wheel_holds_nothing_else_but_its_own_description(wheel: Path) -> None:
    others = {name for name in names(wheel) if name.split("/")[0] not in {*_FOLDERS, "cli.py"}}
    assert {name.split("/", maxsplit=1)[1] for name in others} == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}


def test_an_installed_wheel_examines_an_image(wheel: Path, tmp_path: Path) -> None:
    """Installed, not as this folder: an environment of its own that borrows the libraries of the one that runs the test."""
    home = tmp_path / "environment"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    (site,) = home.glob("lib/python*/site-packages")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel],
        check=True,
        capture_output=True,
        timeout=300,
    )
    # Behind the wheel's own folder, and without this project's: .pth files are not read from a folder on PYTHONPATH.
    libraries = Path(importlib.metadata.distribution("pyarrow").locate_file(""))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "PYTHONPATH": f"{site}{os.pathsep}{libraries}"}

    def evidex(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [python, "-c", f"import cli; assert cli.__file__ == {str(site / 'cli.py')!r}; cli.main()", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300
        )

    image = _ROOT / "sample_images" / "ewf-split" / "ewf-split.E01"
    done = evidex("process", image, "--case", "case", "--exhibit", "KH-1", "--examiner", "Ada Example")
    assert done.returncode in (0, 3), done.stderr
    assert (tmp_path / "case" / "reports" / "001-KH-1" / "index.html").is_file()
    assert "INTEGRITY     PASS" in evidex("verify", "case").stdout


@pytest.mark.parametrize("lock", _LOCKS)
def test_a_lock_pins_every_package_with_digests_and_names_no_address(lock: str) -> None:
    text = (_ROOT / lock).read_text(encoding="utf-8")
    requirements = re.split(r"\n(?=\S)", text.strip())
    assert len(requirements) > 50
    assert [one for one in requirements if "==" not in one.split()[0] or "--hash=sha256:" not in one] == []
    assert not re.search(r"://|--index|--find-links|--extra", text)


def test_the_locks_hold_every_stated_dependency_and_agree() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    locked = [dict(re.findall(r"^([a-z0-9.-]+)(==[^ ;\\]+)", (_ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)) for lock in _LOCKS]
    stated = [re.split(r"[\[<>=; ]", one)[0] for one in (*project["project"]["dependencies"], *project["dependency-groups"]["build"])]
    tools = [one for one in project["dependency-groups"]["dev"] if isinstance(one, str)]
    assert {name for name in stated if name.lower().replace(".", "-") not in locked[0]} == set()
    assert {name for name in tools if name not in locked[1]} == set()
    assert {name for name, version in locked[0].items() if locked[1].get(name) != version} == set()


def test_no_file_names_where_packages_come_from() -> None:
    """A registry's address belongs to the machine's own set-up of pip."""
    for name in ("Makefile", ".ci/run", "pyproject.toml", "README.md"):
        assert not re.search(r"pypi\.|--index-url|/simple\b|trusted-host", (_ROOT / name).read_text(encoding="utf-8")), name
