"""Looks at the wheels in dist/ and uses them, the one for 64-bit Arm under qemu.

`make check-wheels` runs it. Every wheel: at most 9 MB, no library that needs a symbol of glibc
beyond 2.28 or another library than glibc's, auditwheel's verdict, and the README as an index
renders it. Then tools/use_wheel.py with it: catalog, layout, a plan on the EC2 stand-in (which runs
on this machine), libfabric over tcp and shm. The Arm one runs in a root of Debian's arm64 packages,
with qemu-aarch64 (Debian: qemu-user). It takes minutes and downloads 20 MB.

With the environment variable EFA_GLIBC_ROOT, the folder that tools/glibc_2_28_root.sh made, the
x86_64 one is used a second time, in that root: glibc 2.28, its CPython, a libfabric, nothing else.
"""

from __future__ import annotations

import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).resolve().parents[1]
WORK = ROOT / "target" / "check-wheels"
USE = ROOT / "tools" / "use_wheel.py"
TOOLS = pathlib.Path(sys.executable).parent
MAXIMUM_BYTES = 9_000_000
NEWEST_GLIBC = (2, 28)
#: What every glibc of these architectures has.
GLIBC_LIBRARIES = re.compile(r"lib(c|m|dl|rt|util|pthread)\.so\.\d|ld-linux-[\w-]+\.so\.\d")
ARM_PACKAGES = ("python3.11", "libfabric1")
#: A libfabric that needs no newer glibc than 2.27 is in the wheel of mpich.
OLD_LIBFABRIC = "mpich==5.0.2"


def run(*words: str | pathlib.Path, **options: object) -> str:
    """The standard output of a command, which must succeed."""
    done = subprocess.run(  # type: ignore[call-overload]
        [str(word) for word in words], stdout=subprocess.PIPE, text=True, check=False, **options
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}")
    return str(done.stdout)


def look_at(wheel: pathlib.Path) -> None:
    """Size, symbol versions, needed libraries, and what auditwheel reports."""
    size = wheel.stat().st_size
    print(f"== {wheel.name}: {size / 1e6:.2f} MB")
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        for member in archive.infolist():
            if ".so" not in member.filename:
                continue
            library = archive.extract(member, folder)
            versions = set(re.findall(r"GLIBC_(\d+)\.(\d+)", run("readelf", "-VW", library)))
            newest = max((int(major), int(minor)) for major, minor in versions)
            needed = re.findall(r"NEEDED.*\[(.+)\]", run("readelf", "-dW", library))
            print(
                f"   {member.filename}: {member.file_size / 1e6:.2f} MB, compressed "
                f"{member.compress_size / 1e6:.2f}, GLIBC up to {newest[0]}.{newest[1]}, "
                f"needs {' '.join(needed)}"
            )
            assert newest <= NEWEST_GLIBC, f"{member.filename} needs glibc {newest}"
            others = [name for name in needed if not GLIBC_LIBRARIES.fullmatch(name)]
            assert not others, f"{member.filename} needs {others}"
    said = " ".join(run(TOOLS / "auditwheel", "show", wheel).split())
    print(f"   auditwheel: {said}")
    assert re.search(r"following platform tag: \"manylinux_2_(\d|1\d|2[0-8])_", said), said
    assert size <= MAXIMUM_BYTES, f"{wheel.name} has {size} bytes, more than {MAXIMUM_BYTES}"


def native_python(wheel: pathlib.Path) -> pathlib.Path:
    """A clean environment with the wheel and the stand-in's packages."""
    home = WORK / "native"
    shutil.rmtree(home, ignore_errors=True)
    run(sys.executable, "-m", "venv", home)
    python = home / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", f"{wheel}[testing]")
    return python


def arm_root() -> pathlib.Path:
    """A folder with Debian's arm64 packages unpacked; this machine's packages stay as they are."""
    root = WORK / "arm64"
    if (root / "usr/bin/python3.11").exists():
        return root
    apt = WORK / "apt"
    for folder in ("state", "lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    options = [
        "APT::Architecture=arm64",
        "APT::Architectures::=arm64",
        "APT::Install-Recommends=false",
        f"Dir::State={apt / 'state'}",
        f"Dir::State::lists={apt / 'lists'}",
        f"Dir::State::status={apt / 'status'}",
        f"Dir::Cache={apt / 'cache'}",
    ]
    apt_get = ["apt-get", "-q", *(word for option in options for word in ("-o", option))]
    run(*apt_get, "update")
    run(*apt_get, "install", "-y", "--download-only", *ARM_PACKAGES)
    for package in sorted((apt / "cache/archives").glob("*.deb")):
        run("dpkg-deb", "-x", package, root)
    return root


def arm_command(wheel: pathlib.Path) -> list[str | pathlib.Path]:
    """Debian's arm64 Python with the wheel, under qemu."""
    root = arm_root()
    unpacked = WORK / "arm64-wheel"
    shutil.rmtree(unpacked, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    library = root / "usr/lib/aarch64-linux-gnu/libfabric.so.1"
    variables = [f"PYTHONPATH={unpacked}", f"EFA_FABRIC_LIB={library}"]
    return [
        *("qemu-aarch64", "-L", root),
        *(word for variable in variables for word in ("-E", variable)),
        root / "usr/bin/python3.11",
    ]


def in_glibc_root(python: pathlib.Path, wheel: pathlib.Path, root: pathlib.Path) -> None:
    """Uses the wheel in a root of its own, as the loader of glibc 2.28 finds it there."""
    packages = root / "usr/lib/python3.11/site-packages"
    shutil.rmtree(packages, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", OLD_LIBFABRIC)
    (library,) = python.parents[1].glob("lib/mpich/libfabric.so.1")
    shutil.copytree(library.parent, root / "opt/mpich", dirs_exist_ok=True)
    shutil.copy(USE, root / "tmp")
    # shm needs /dev/shm; the mounts go with the namespace.
    inside = """
        mount --rbind /dev "$0/dev" && mount --rbind /proc "$0/proc" && mount --rbind /sys "$0/sys"
        exec chroot "$0" /usr/bin/python3.11 "$@"
    """
    enter = ["unshare", "--mount", "bash", "-ec", inside, root]
    version = "import os; print(os.confstr('CS_GNU_LIBC_VERSION'))"
    said = run(*enter, "-c", version).strip()
    assert said == "glibc 2.28", said
    use(python, ["env", "EFA_FABRIC_LIB=/opt/mpich/libfabric.so.1", *enter], "/tmp/use_wheel.py")


#: Runs in the clean environment: a stand-in, and with it the command that follows.
DRIVE = """
import os, subprocess, sys
from efa_sdk.testing import StandIn
with StandIn() as ec2:
    net = ec2.default_network()
    where = [net.subnet_for("p5.48xlarge"), net.image_for("p5.48xlarge")]
    environ = {**os.environ, **ec2.environ}
    sys.exit(subprocess.run([*sys.argv[1:], ec2.endpoint_url, *where], env=environ).returncode)
"""


def use(
    python: pathlib.Path, command: Sequence[str | pathlib.Path], script: str | pathlib.Path = USE
) -> None:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP", "EFA"))}
    print(run(python, "-c", DRIVE, *command, script, env=environ, cwd=WORK), end="")


def main() -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    wheels = sorted((ROOT / "dist").glob("efa_sdk-*.whl"))
    if not wheels:
        sys.exit("dist/ has no wheel: make wheel, make wheel-aarch64")
    run(TOOLS / "twine", "check", "--strict", *wheels)
    for wheel in wheels:
        look_at(wheel)
    (native,) = (w for w in wheels if w.stem.endswith(platform.machine()))
    python = native_python(native)
    use(python, [python])
    root = os.environ.get("EFA_GLIBC_ROOT")
    if root is None:
        print("glibc 2.28: not used in a root with it (EFA_GLIBC_ROOT)")
    else:
        (of_x86_64,) = (w for w in wheels if w.stem.endswith("x86_64"))
        in_glibc_root(python, of_x86_64, pathlib.Path(root).resolve())
    for wheel in wheels:
        if wheel.stem.endswith("aarch64") and wheel != native:
            use(python, arm_command(wheel))


main()
