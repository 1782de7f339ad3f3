"""Sets of replies in five languages (`replies/*.yaml`), written before they were read."""

from pathlib import Path

import pytest
import yaml

from medxiaohe.scoring import choice, yes_no

KINDS = yaml.safe_load((Path(__file__).parent / "kinds.yaml").read_text(encoding="utf-8"))
FILES = sorted((Path(__file__).parent / "replies").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_replies_of_a_language_are_read_as_they_say(path: Path) -> None:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    rows = [(reply, said, choice.parse(reply, found["options"])) for reply, said in found["rows"]]
    wrong = [(reply, said, read) for reply, said, read in rows if read and read != said]
    unread = [(reply, said) for reply, said, read in rows if said and not read]
    assert not wrong, wrong
    assert len(rows) >= 30 and len(unread) <= 0.035 * len(rows), unread


@pytest.mark.parametrize("name", KINDS)
def test_replies_of_the_kinds_that_parsers_fail_at_are_read_as_they_say(name: str) -> None:
    group = KINDS[name]
    for reply, said in group["rows"]:
        maybe = name.endswith("maybe")
        read = choice.parse(reply, group["options"]) if "options" in group else yes_no.parse(reply, maybe)
        assert read == said, reply
