"""Three tiny stages, real in every way that matters to the engine: settings, inputs, several files, a
summary."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.recipe.settings import InputPath
from medxiaohe.types import Message, Sample


@dataclass(frozen=True)
class Source:
    path: InputPath
    limit: int = 0  # 0 is all


@dataclass(frozen=True)
class WordsSettings:
    sources: tuple[Source, ...]
    case: Literal["lower", "upper"] = "lower"
    shortest: int = 1
    longest: int = 30
    wait: float = 0.0

    def __post_init__(self) -> None:
        if self.shortest > self.longest:
            raise ConfigError(f"shortest: {self.shortest} is more than longest: {self.longest}")


def words(settings: WordsSettings, out: Path) -> dict[str, Any]:
    """Write the words of text files, and how often each is there."""
    found = [word for source in settings.sources for word in _words(source, settings)]
    time.sleep(settings.wait)
    counts = {word: found.count(word) for word in sorted(set(found))}
    io.write_jsonl(out / "words.jsonl", ({"word": word} for word in found))
    io.write_json(out / "parts" / "counts.json", counts)
    return {"words": len(found), "different": len(counts)}


def _words(source: Source, settings: WordsSettings) -> list[str]:
    found = [w for _, line in io.lines(Path(source.path)) for w in line.split()]
    found = [w.upper() if settings.case == "upper" else w.lower() for w in found]
    found = [w for w in found if settings.shortest <= len(w) <= settings.longest]
    return found[: source.limit] if source.limit else found


@dataclass(frozen=True)
class TopSettings:
    most: int = 2


def top(settings: TopSettings, out: Path, *, words: Path) -> dict[str, Any]:
    """Write the most frequent words of a `words` stage."""
    counts = io.read_json(words / "parts" / "counts.json")
    best = sorted(counts, key=lambda word: (-counts[word], word))[: settings.most]
    (out / "plain.txt").write_text("\n".join(best))  # a library that does not write through io
    io.write_json(out / "top.json", best)
    return {"loss_first": 2.5, "loss_last": 0.5, "best": best[0]}


@dataclass(frozen=True)
class JoinSettings:
    separator: str = " "


def join(settings: JoinSettings, out: Path, *, top: Path, words: Path | None = None) -> dict[str, Any]:
    """Join the top words into a page."""
    io.write_text(out / "page.txt", settings.separator.join(io.read_json(top / "top.json")))
    return {"page": "page.txt", "all": sum(1 for _ in io.read_jsonl(words / "words.jsonl")) if words else 0}


@dataclass(frozen=True)
class FillSettings:
    mib: int = 4


def fill(settings: FillSettings, out: Path) -> dict[str, Any]:
    """Write a big file; the one that meets a full disk."""
    io.write(out / "big.bin", lambda file: [file.write(b"x" * 2**20) for _ in range(settings.mib)])
    return {"mib": settings.mib}


@dataclass(frozen=True)
class BreakSettings:
    how: Literal["bug", "nan", "unreadable"] = "bug"
    path: str = ""


def break_(settings: BreakSettings, out: Path) -> dict[str, Any]:
    """Fail in one of the ways stages fail."""
    io.write_text(out / "half.txt", "half")
    if settings.how == "unreadable":
        open(settings.path)
    return {"value": float("nan") if settings.how == "nan" else 1 // 0}


@dataclass(frozen=True)
class PluginSettings:
    reader: str


def plugin(settings: PluginSettings, out: Path) -> None:
    """Name a file of the user's own."""
    io.write_text(out / "reader.txt", settings.reader)


@dataclass(frozen=True)
class LessonsSettings:
    num: int = 4


def lessons(settings: LessonsSettings, out: Path) -> dict[str, Any]:
    """The files of a mixture, small enough to train on at once."""
    rows = [
        Sample(
            f"l/{i}",
            (Message("user", (f"Is {i} even?",)), Message("assistant", ("Yes." if i % 2 == 0 else "No.",))),
        )
        for i in range(settings.num)
    ]
    io.write_json(out / "mixture.json", {"contamination": {"checked": {"held_out": 1}, "removed": 0}})
    return {"rows": io.write_jsonl(out / "instructions.jsonl", rows)}
