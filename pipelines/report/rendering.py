"""Templates -> pages in one folder. Owner of jinja2; every value is escaped, whoever forgets to ask for it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines.report import wording
from pipelines.report.errors import ReportError
from pipelines.report.escaping import inline, show, visible

_HERE: Final = Path(__file__).parent
STYLE: Final = "style.css"
# 'self' covers a report behind a web server, file: one that is opened from disk, where browsers differ about 'self'.
POLICY: Final = "default-src 'none'; style-src 'self' file:; base-uri 'none'; form-action 'none'"


def _finalize(value: Any) -> Any:
    """The last hand on every printed value: text of ours stays, hidden characters in any other text become their codes."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "ev": inline,
        "show": show,
        "count": wording.count,
        "size": wording.size,
        "exact": wording.exact_size,
    }
    environment.globals |= {"counted": wording.counted, "share": wording.share, "policy": POLICY, "style": STYLE}
    return environment


class Site:
    """The folder that the pages go to, and what every page shares; `pages` are those written, with their templates.

    A page is written once; its name is ours, never the evidence's, and writing the same name twice is a defect.
    """

    def __init__(self, folder: Path, **shared: Any) -> None:
        self._folder = folder
        self._environment = _environment()
        self._environment.globals |= shared
        self.pages: dict[str, str] = {}
        folder.mkdir(parents=True)
        (folder / STYLE).write_bytes((_HERE / STYLE).read_bytes())

    def write(self, page: str, template: str, **values: Any) -> None:
        """Writes one page from one template."""
        if page in self.pages:
            message = f"page {page} would be written twice"
            raise ReportError(message)
        self.pages[page] = template
        html = self._environment.get_template(template).render(page=page, **values)
        (self._folder / page).write_text(html, encoding="utf-8", newline="\n")


def anchor(volume: str, address: int | None, path: str | None, stream: str) -> str:
    """A name for a row inside its page, from its address; only letters, digits and '-', whatever the evidence holds.

    Path and stream go in as a short digest, because several names may share one metadata address.
    """
    rest = hashlib.sha256(f"{path or ''}\0{stream}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
    safe = "".join(character for character in volume if character.isascii() and character.isalnum())
    return f"{safe or 'image'}-{'none' if address is None else address}-{rest}"
