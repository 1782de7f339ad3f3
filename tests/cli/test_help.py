"""Every verb has a help that prints, words that shells complete, and a time left that can be believed."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from medxiaohe import progress
from medxiaohe.cli import colour, main
from medxiaohe.cli.parser import Parser, parser
from medxiaohe.types import Message


def every(made: Parser, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Parser]]:
    yield words, made
    for action in made._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                yield from every(inner, (*words, word))


def test_every_verb_prints_its_help() -> None:
    verbs = dict(every(parser()))
    assert len(verbs) > 40
    for words, made in verbs.items():
        assert "usage: " in made.format_help(), words


def test_a_verb_without_its_second_word_prints_help_and_ends_with_0(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in ([], ["train"], ["tree"], ["eval"], ["trace"], ["data"], ["knowledge"]):
        assert main(words) == 0
        assert "verbs:" in capsys.readouterr().out


def test_the_first_help_names_the_second_words() -> None:
    shown = " ".join(parser().format_help().split())
    for word in ("build", "curate", "sft", "compare", "verify"):
        assert word in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_verbs(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("argcomplete")
    assert main(["completion", shell]) == 0
    assert "medxiaohe" in capsys.readouterr().out


def test_what_a_shell_asks_for_is_answered_and_nothing_runs() -> None:
    pytest.importorskip("argcomplete")
    line = "medxiaohe train s"
    ask = {
        "_ARGCOMPLETE": "1",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": "/dev/stdout",
    }
    done = subprocess.run(
        [sys.executable, "-m", "medxiaohe"],
        env={**os.environ, **ask},
        capture_output=True,
        text=True,
        check=False,
    )
    assert {word.strip() for word in done.stdout.split("\n")} >= {"sft", "select"}


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(7, "0:07"), (750, "12:30"), (3599, "59:59"), (21579, "5:59:39"), (360000, "100:00:00")],
)
def test_a_clock_has_hours(seconds: float, shown: str) -> None:
    assert progress.clock(seconds) == shown


def test_no_time_left_is_shown_before_a_step_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    meter = progress.Meter("steps", 18)
    now[0] += 60
    meter.advance(0)
    assert "0/18 estimating the time left" in capsys.readouterr().err
    now[0] += 60
    meter.advance(2)
    assert "2/18 16:00 left" in capsys.readouterr().err  # 2 steps in 120 s, 16 to go


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert colour.red("x", Terminal()) == "\x1b[31mx\x1b[0m" and colour.red("x", io.StringIO()) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert colour.bold("x", Terminal()) == "x"


def test_a_message_is_not_spelled() -> None:
    with pytest.raises(TypeError, match="write Message"):
        Message("user", "abc")  # type: ignore[arg-type]


def test_no_bytes_of_pictures_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "readers", "image_folder"]) == 0
    assert "x89PNG" not in capsys.readouterr().out


def test_tasks_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "medqa", "vqa_rad"]) == 0
    out = capsys.readouterr().out
    assert "modality" in out and "CC0-1.0" in out and "image" in out
