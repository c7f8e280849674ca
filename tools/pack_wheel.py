"""Packs wheels again with zopfli: the same members, in deflate as before, but smaller.

    python pack_wheel.py WHEEL…

tools/build_wheel.sh runs it. It takes a minute for a wheel.
"""

from __future__ import annotations

import pathlib
import sys
import zipfile

import zopfli

#: 1 makes a module of 21.7 MB 0.2 % larger, 15 takes much longer.
ITERATIONS = 5


def pack(wheel: pathlib.Path) -> None:
    """Replaces a wheel by one with the same members, order, dates and modes."""
    smaller = wheel.with_name(wheel.name + ".new")
    with (
        zipfile.ZipFile(wheel) as old,
        zopfli.ZipFile(smaller, "w", zipfile.ZIP_DEFLATED, iterations=ITERATIONS) as new,
    ):
        for member in old.infolist():
            new.writestr(member, old.read(member))
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(smaller) as new:
        assert described(old) == described(new), f"{smaller} differs from {wheel}"
    before, after = wheel.stat().st_size, smaller.stat().st_size
    smaller.replace(wheel)
    print(f"{wheel.name}: {before / 1e6:.2f} MB, packed again {after / 1e6:.2f} MB")


def described(archive: zipfile.ZipFile) -> list[tuple[object, ...]]:
    """What an installer sees of an archive."""
    return [
        (member.filename, member.date_time, member.external_attr, archive.read(member))
        for member in archive.infolist()
    ]


for argument in sys.argv[1:]:
    pack(pathlib.Path(argument))
