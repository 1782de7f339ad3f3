"""Text of data that a command prints moves no cursor, sets no title and paints nothing."""

from pathlib import Path

import pytest
import yaml

from medxiaohe.cli import main
from medxiaohe.cli.printable import printable

ESCAPES = {
    "title": "\x1b]0;pwned\x07", "colour": "\x1b[31m", "clipboard": "\x1b]52;c;cm0gLXJm\x1b\\\\",
    "up": "\x1b[2A", "C1": "\x9b2J", "overwritten": "refused\rallowed", "erased": "no\b\b",
    "reordered": "\u202egnp.exe", "NUL": "\0",
}  # fmt: skip


@pytest.mark.parametrize("kind", ESCAPES)
def test_control_characters_are_shown_as_what_they_are(kind: str) -> None:
    shown = printable(f"before {ESCAPES[kind]} after")
    assert shown.isprintable() and shown.startswith("before ") and shown.endswith(" after")


@pytest.mark.parametrize("text", ["two\nlines", "a\ttab", "Bitte: µg β−α 胰岛素 é", "Windows\r\nlines"])
def test_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text.replace("\r", "")


@pytest.mark.parametrize("kind", ["title", "colour", "up", "C1"])
def test_a_recipe_s_words_in_an_error_do_not_reach_the_terminal(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "r", "stages": {f"s{ESCAPES[kind]}": {"uses": "entity.build"}}}))
    assert main(["run", str(path), "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "a stage name is text of letters" in said and said.replace("\n", "").isprintable()


def test_a_reply_of_a_model_does_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rude.py").write_text(
        "from medxiaohe.models.backends.scripted import scripted\n"
        f"def model(name, **options):\n    return scripted(name, lambda talk: {ESCAPES['title']!r} + 'B')\n"
    )
    command = ["ask", "Well?", "--model", "m", "--backend", f"{tmp_path / 'rude.py'}:model"]
    assert main(command) == 0
    assert capsys.readouterr().out.strip() == "\\x1b]0;pwned\\x07B"
