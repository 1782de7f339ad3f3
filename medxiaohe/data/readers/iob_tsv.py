"""Token and tag in two columns, a blank line after a sentence (CoNLL): AnatEM, BioNLP13CG and the other sets
of MTL-Bioinformatics-2016.

https://github.com/cambridgeltl/MTL-Bioinformatics-2016. The files do not say where articles begin, so that
every `sentences` sentences are one sample; tokens are joined by a blank, and `meta.mentions` is [start, end,
text, type].
"""

from collections.abc import Iterator
from pathlib import Path

from medxiaohe import io
from medxiaohe.data.formats import files
from medxiaohe.data.readers import DeadLetter, split_named
from medxiaohe.errors import ConfigError
from medxiaohe.types import Annotations, Mention, Message, Sample

APART = (".tsv",)  # no file of a folder says anything about another
EXAMPLE = {
    "train.tsv": (
        "Chronic\tB-Cancer\nmyeloid\tI-Cancer\nleukemia\tI-Cancer\n.\tO\n\nPurkinje\tB-Cell\ncells\tI-Cell\ndie\tO\n"
    )
}
Sentence = tuple[list[str], list[str]]


def iob_tsv(
    path: Path, *, sentences: int = 10, license: str = "CC BY 4.0 and the terms of the corpora"
) -> Iterator[Sample | DeadLetter]:
    """Read tokens with IOB tags as samples of several sentences.

    Args:
        path: a .tsv file, or a folder of them.
        sentences: sentences in a sample.
        license: of all rows.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    if sentences < 1:
        raise ConfigError(f"sentences must be at least 1, not {sentences}")
    yield from files.each(files.files(path, *APART), lambda file: _groups(file, sentences, license), path)


def _groups(file: Path, sentences: int, license: str) -> Iterator[Sample | DeadLetter]:
    group, first = list[Sentence](), 1
    for number, sentence in _sentences(file):
        if isinstance(sentence, str):
            yield DeadLetter(f"{file.name}:{number}", sentence)
            continue
        group.append(sentence)
        if len(group) == sentences:
            yield _sample(group, file, first, license)
            group, first = [], number + 1
    if group:
        yield _sample(group, file, first, license)


def _sentences(file: Path) -> Iterator[tuple[int, Sentence | str]]:
    """Read sentences with the number of their last line; a malformed one is a message."""
    words, tags, wrong, number = list[str](), list[str](), "", 0
    for number, line in io.lines(file):
        if not line.strip():
            if words or wrong:
                yield number, wrong or (words, tags)
            words, tags, wrong = [], [], ""
            continue
        word, tab, tag = line.partition("\t")
        if not tab or not word.strip() or not (tag == "O" or tag[:2] in ("B-", "I-")):
            wrong = wrong or f"line {number} is not a token, a tab and O, B-type or I-type: {line[:80]!r}"
        words.append(word.strip())
        tags.append(tag.strip())
    if words or wrong:
        yield number, wrong or (words, tags)


def _sample(group: list[Sentence], file: Path, first: int, license: str) -> Sample:
    text, mentions = "", list[tuple[int, int, str]]()
    for words, tags in group:
        open_kind = ""
        for word, tag in zip(words, tags, strict=True):
            start = len(text)
            text += f"{word} "
            if tag != "O" and tag[:2] == "I-" and open_kind == tag[2:]:
                mentions[-1] = (mentions[-1][0], start + len(word), mentions[-1][2])
            elif tag != "O":
                mentions.append((start, start + len(word), tag[2:]))
            open_kind = tag[2:]
        text = text[:-1] + "\n"
    annotated = tuple(Mention(start, end, text[start:end], kind) for start, end, kind in mentions)
    return Sample(
        id=f"{file.parent.name}/{file.stem}:{first}",
        messages=(Message("document", (text.removesuffix("\n"),)),),
        source="iob_tsv",
        license=license,
        study_id=f"{file.parent.name}/{file.stem}:{first}",
        split=split_named(file.stem),
        annotations=Annotations(mentions=annotated),
    )
