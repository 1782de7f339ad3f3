"""Sentences of real chest reports beside other wordings and other contents: only the same findings agree
in full.
"""

from pathlib import Path

import pytest

from medxiaohe.scoring import findings
from medxiaohe.scoring._findings import lexicon

FILES = sorted((Path(__file__).parent / "reports").glob("*.tsv"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_findings_agree_where_two_sentences_say_the_same(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    pairs = [line.split("\t") for line in lines]
    missed = [
        (one, other, kind)
        for one, other, kind in pairs
        if (findings.compare(one, other, lexicon()).f1 >= 1) != (kind == "same")
    ]
    assert len(pairs) >= 50 and len(missed) <= 0.05 * len(pairs), missed
    assert not [row for row in missed if row[2] == "other"], "another content never agrees in full"


@pytest.mark.parametrize("words", ["The patient was extubated.", "Interval extubation."])
def test_a_tube_that_a_word_says_is_out_is_absent(words: str) -> None:
    assert findings.compare(words, "No endotracheal tube.", lexicon()).f1 == 1
    assert findings.compare(words, "Endotracheal tube in place.", lexicon()).f1 == 0
