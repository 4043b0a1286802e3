"""An agency and a finished case, made once, and a copy of the case for every test to spoil."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from custody_cases import Agency, Finished, make_agency, make_case

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def agency(tmp_path_factory: pytest.TempPathFactory) -> Agency:
    return make_agency(tmp_path_factory.mktemp("agency") / "identity")


@pytest.fixture(scope="session")
def pristine(agency: Agency, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("pristine")
    head = make_case(folder / "case", folder / "state", agency)
    return Finished(case=folder / "case", state=folder / "state", head=head, agency=agency)


@pytest.fixture
def finished(pristine: Finished, tmp_path: Path) -> Finished:
    """A copy to spoil, outside of which nothing changes."""
    shutil.copytree(pristine.case, tmp_path / "case", symlinks=True)
    shutil.copytree(pristine.state, tmp_path / "state")
    return Finished(case=tmp_path / "case", state=tmp_path / "state", head=pristine.head, agency=pristine.agency)
