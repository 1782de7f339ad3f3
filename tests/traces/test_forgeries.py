"""Every forgery is seen, and no honest folder is accused; the stand-alone verifier says the same."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from trace_bundles import bundle
from trace_forgeries import Forger, Forgery, forgeries

from medxiaohe import traces
from medxiaohe.cli.trace_replay import pixels, replayed
from medxiaohe.traces.checkpoint import new_key
from medxiaohe.traces.redact import redacted
from medxiaohe.traces.verdict import Verdict

VERIFIER = Path(__file__).parent.parent.parent / "examples" / "verify_trace.py"
pytest.importorskip("cryptography")
pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A folder of three traces, and the pair of keys."""
    private, public = new_key("clinic")
    return bundle(tmp_path_factory.mktemp("honest") / "traces", [0, 1, 3], private), private, public


def verdict(folder: Path, public: str, since: Path | None = None) -> Verdict:
    return traces.verify(
        folder, public_key=public, since=since, pixels=pixels, replay=lambda one: replayed(one, folder)
    )


def seen(honest: Verdict, forged: Verdict) -> bool:
    """A problem is named, or less could be checked than before, and a level is not green any more."""
    less = any(forged.levels[n].checked < honest.levels[n].checked for n in ("intact", "resolved"))
    return bool(forged.problems) or (less and any(level.not_checked for level in forged.levels.values()))


@pytest.mark.parametrize("half", [0, pytest.param(1, marks=pytest.mark.long)])
def test_every_kind_of_forgery_is_seen_and_the_stand_alone_verifier_says_the_same(
    honest: tuple[Path, str, str], tmp_path: Path, half: int
) -> None:
    """At least 100 kinds in each half; the stand-alone verifier names the same first bad record, at levels
    that it knows."""
    folder, private, public = honest
    alone = runpy.run_path(str(VERIFIER))["verify"]
    whole = verdict(folder, public, folder / "checkpoint")
    assert whole.problems == [] and whole.state("intact") == whole.state("resolved") == "verified"
    kinds = forgeries(folder)
    assert len({kind.name for kind in kinds}) == len(kinds)
    kinds = kinds[half::2]
    assert len(kinds) >= 100
    missed, other = [], []
    for n, kind in enumerate([Forgery("honest", lambda forger: None), *kinds]):
        copy = tmp_path / str(n)
        shutil.copytree(folder, copy)
        kind.do(Forger(copy, private))
        assert (n == 0) != _differs(folder, copy), f"{kind.name} changes nothing"
        since = folder / "checkpoint" if kind.kept else None
        ours = verdict(copy, public, since)
        if n and not seen(whole, ours):
            missed.append(kind.name)
        problems, counts = alone(copy, public, since)
        first = [(p.trace, p.record) for p in ours.problems if p.level in ("intact", "resolved")][:1]
        checked = ours.levels["resolved"].checked
        if first != [row[:2] for row in problems[:1]] or (not problems and counts["checked"] != checked):
            other.append((kind.name, ours.problems[:1], problems[:1], checked, counts))
        shutil.rmtree(copy)
    assert missed == [] and other == []


def _differs(a: Path, b: Path) -> bool:
    def files(folder: Path) -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    return files(a) != files(b)


def test_the_stand_alone_verifier_is_short_and_needs_only_python(honest: tuple[Path, str, str]) -> None:
    folder, _, public = honest
    assert len(VERIFIER.read_text().splitlines()) < 300
    words = [sys.executable, "-I", "-S", str(VERIFIER), str(folder), "--key", public]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "no bad record")


@pytest.mark.parametrize("signed", [True, False])
def test_honest_folders_of_every_kind_of_trace_are_not_accused(tmp_path: Path, signed: bool) -> None:
    """Empty answers, refusals, failed servers, no image, 120 claims; redacted or not."""
    private, public = new_key("clinic") if signed else ("", "")
    folder = bundle(tmp_path / "traces", range(21), private)
    found = verdict(folder, public, folder / "checkpoint")
    assert found.problems == [] and found.traces == 21
    assert found.state("resolved") == "verified" and found.levels["replayed"].checked > 21
    redacted(folder, tmp_path / "closed", ["claim", "ruling"])
    closed = verdict(tmp_path / "closed", public, folder / "checkpoint")
    assert closed.problems == [] and closed.levels["intact"].closed > 100
    assert closed.state("intact") == "partly" and closed.state("resolved") == "not checked"
    assert runpy.run_path(str(VERIFIER))["verify"](tmp_path / "closed", public)[0] == []
