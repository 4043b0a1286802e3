"""The numbers of the images of a folder: an image keeps the one that it was given first, whatever comes into the folder later.

The case remembers which image has which number (case.toml, `folder_images`), by the name of its first file. A new image has the number
behind the highest that is in use, so that none ever means two images.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.case import read_case
from pipelines.exhibits import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipelines.exhibits import Exhibits
    from pipelines.run import ProcessRequest


def numbered(request: ProcessRequest, found: Exhibits, reserved: Iterable[str] = ()) -> tuple[ProcessRequest, ...]:
    """A request for each exhibit; those of a folder are numbered KH-1.1, KH-1.2, …, a single one keeps the number as it is.

    Args:
        request: what was asked for, with the number that stands before the point.
        found: what its paths mean.
        reserved: numbers of other exhibits that are still to be processed.

    Raises:
        CaseError: the case cannot be read.
    """
    if not found.of_folder:
        return (replace(request, images=found.images[0]),)
    case = read_case(request.case) if (request.case / "case.toml").is_file() else None
    own = re.compile(re.escape(request.exhibit) + r"(?:\.([0-9]+))?")
    numbers = {name: number for number, name in (case.folder_images if case else ()) if own.fullmatch(number)}
    names = [name_of(images[0]) for images in found.images]
    if not numbers and len(names) == 1:
        numbers[names[0]] = request.exhibit
    # The bare number counts as the first where an image has it: it was alone in the folder then.
    in_use = [*numbers.values(), *(number for number in (*(case.exhibits if case else ()), *reserved) if number != request.exhibit)]
    highest = max((int(of_own[1] or 1) for number in in_use if (of_own := own.fullmatch(number))), default=0)
    for at, name in enumerate((name for name in names if name not in numbers), start=highest + 1):
        numbers[name] = f"{request.exhibit}.{at}"
    of_folder = tuple((numbers[name], name) for name in names)
    return tuple(
        replace(request, images=images, exhibit=number, folder_images=of_folder)
        for images, (number, _) in zip(found.images, of_folder, strict=True)
    )
