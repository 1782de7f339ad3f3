"""What a disk may hold after a power cut, for every moment of some work: what was synced, and any part of the
rest.

    with Disk(folder, dice) as disk:
        work(folder)
    for state in disk.states: ...       folders as they may be found after a cut, in the order of the moments

Only what `fsync` was called for is safe: the bytes of a file as they were at its last fsync, the names in a
folder as they were at the fsync of that folder (ALICE, Pillai et al. 2014). Of the rest any subset may have
reached the disk, in any order: each name on its own, but the two names of a rename together, and of each
file all of its new bytes, none, or half of them. The folder must lie where inode numbers are not used again
(tmpfs).
"""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Entries = dict[str, tuple[int, bool]]  # name -> inode, whether it is a folder


@dataclass
class Disk:
    """The disk under `folder`; a context that watches fsync and rename.

    Attributes:
        folder: it must exist; its own name is safe.
        out: where the states are written.
        dice: of which parts reach the disk.
        each: states of a moment; the first has nothing that was not synced.
        states: (folder after a cut, number of fsyncs and renames before it).
    """

    folder: Path
    out: Path
    dice: random.Random
    each: int = 3
    states: list[tuple[Path, int]] = field(default_factory=list)

    def __enter__(self) -> "Disk":
        self._bytes: dict[int, bytes] = {}
        self._names: dict[int, Entries] = {}
        self._renames: dict[int, list[set[str]]] = {}
        self._moment = 0
        self._real = os.fsync, os.replace, os.rename
        for path in [self.folder, *self.folder.rglob("*")]:  # what is there before is safe
            self._safe(path)
        os.fsync, os.replace, os.rename = self._fsync, self._replace, self._rename  # type: ignore[assignment]
        return self

    def __exit__(self, *_: object) -> None:
        os.fsync, os.replace, os.rename = self._real

    def cut(self) -> None:
        """Write the states that a cut at this moment may leave."""
        for number in range(self.each):
            place = self.out / f"{len(self.states)}"
            self._write(self.folder, self.folder.stat().st_ino, place, luck=0.0 if number == 0 else 0.5)
            self.states.append((place, self._moment))

    # ---- what is watched ---------------------------------------------------------------------------

    def _fsync(self, handle: Any) -> None:
        number = handle if isinstance(handle, int) else handle.fileno()
        path = Path(os.readlink(f"/proc/self/fd/{number}"))
        self._real[0](handle)
        if self.folder in (path, *path.parents):
            self.cut()
            self._safe(path)
            self._moment += 1

    def _replace(self, source: Any, target: Any, **rest: Any) -> None:
        self._move(self._real[1], source, target, **rest)

    def _rename(self, source: Any, target: Any, **rest: Any) -> None:
        self._move(self._real[2], source, target, **rest)

    def _move(self, move: Any, source: Any, target: Any, **rest: Any) -> None:
        one, other = Path(source), Path(target)
        inside = self.folder in one.parents and one.parent == other.parent
        if inside:
            self.cut()
        move(source, target, **rest)
        if inside:
            self._renames.setdefault(one.parent.stat().st_ino, []).append({one.name, other.name})
            self._moment += 1
            self.cut()

    def _safe(self, path: Path) -> None:
        inode = path.stat().st_ino
        if path.is_dir():
            self._names[inode] = _entries(path)
            self._renames.pop(inode, None)
        else:
            self._bytes[inode] = path.read_bytes()

    # ---- what may be left --------------------------------------------------------------------------

    def _write(self, live: Path | None, inode: int, place: Path, luck: float) -> None:
        """A folder after the cut; `live` is where it is now, None when it is gone."""
        place.mkdir()
        now = _entries(live) if live is not None else {}
        then = self._names.get(inode, {})
        chosen = dict(then)
        changed = {name for name in {*now, *then} if now.get(name) != then.get(name)}
        for group in _groups(changed, self._renames.get(inode, [])):
            if self.dice.random() < luck:  # this change reached the disk
                for name in group:
                    chosen.pop(name, None)
                    if name in now:
                        chosen[name] = now[name]
        by_inode = {own: name for name, (own, _) in now.items()}
        for name, (own, is_folder) in chosen.items():
            where = live / by_inode[own] if live is not None and own in by_inode else None
            if is_folder:
                self._write(where, own, place / name, luck)
            else:
                (place / name).write_bytes(self._content(where, own, luck))

    def _content(self, live: Path | None, inode: int, luck: float) -> bytes:
        safe = self._bytes.get(inode, b"")
        if live is None or self.dice.random() >= luck:
            return safe
        now = live.read_bytes()
        if safe and now.startswith(safe):  # bytes were added: those before them stay
            return now[: self.dice.choice([len(now), (len(now) + len(safe)) // 2, len(safe)])]
        return now[: self.dice.choice([len(now), len(now) // 2, 0])]


def _entries(folder: Path) -> Entries:
    with os.scandir(folder) as found:
        return {one.name: (one.inode(), one.is_dir(follow_symlinks=False)) for one in found}


def _groups(names: set[str], renames: list[set[str]]) -> Iterator[set[str]]:
    """Names that change together: those of one rename, and of renames that share a name."""
    left = sorted(names)
    while left:
        group = {left.pop(0)}
        grown = True
        while grown:
            wider = group.union(*(pair for pair in renames if pair & group))
            grown = wider != group
            group = wider
        left = [name for name in left if name not in group]
        yield group
