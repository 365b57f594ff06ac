"""Ways to vector files that pyogrio, looking for archives and URLs, does not take apart at "!", ";" or a first "//"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import SettingError

__all__ = ["check_plain", "plain_way"]


def check_plain(path: Path) -> None:
    """Checks that there is a plain way to a vector file.

    Raises:
        SettingError: if there is none.
    """
    drive = path.absolute().drive
    # Windows's paths are left whole but for those of servers, to which a link would take an administrator.
    name = path.name if not drive else "" if drive.endswith(":") else str(path)
    if found := re.search("[!;]", name):
        raise SettingError(f"Vector files cannot be called {name}; choose a name without '{found[0]}'.")


@contextmanager
def plain_way(path: Path) -> Iterator[Path]:
    """Gives a path of the same file that pyogrio does not take apart: through a link, if its folder's would be.

    Raises:
        SettingError: if there is none.
    """
    check_plain(path)
    way = path.absolute()
    if way.drive or not re.search("^//|[!;]", str(way)):
        yield way
        return
    with TemporaryDirectory() as folder:
        link = Path(folder, "link")
        link.symlink_to(way.parent)
        yield link / way.name
