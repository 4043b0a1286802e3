"""Makes the picture of a report's first page that README.md shows, with a headless Chromium.

python docs/images/make_picture.py REPORT/index.html PICTURE.png
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_WINDOW = "1100,800"
_MOST_BYTES = 300_000


def make_picture(page: Path, picture: Path) -> None:
    """Writes the upper part of the page as PNG.

    Raises:
        SystemExit: there is no browser, it failed, or the picture is larger than a README should carry.
    """
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        message = f"none of {', '.join(_BROWSERS)} is installed"
        raise SystemExit(message)
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--hide-scrollbars",
            "--blink-settings=preferredColorScheme=1",  # the light one, whatever this desktop prefers
            f"--user-data-dir={profile}",
            f"--window-size={_WINDOW}",
            f"--screenshot={picture.resolve()}",
            page.resolve().as_uri(),
        ]
        if os.geteuid() == 0:  # Chromium's sandbox refuses to run as root
            command.insert(1, "--no-sandbox")
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    size = picture.stat().st_size
    if size > _MOST_BYTES:
        message = f"{picture} has {size} bytes, more than {_MOST_BYTES}"
        raise SystemExit(message)


if __name__ == "__main__":
    make_picture(Path(sys.argv[1]), Path(sys.argv[2]))
