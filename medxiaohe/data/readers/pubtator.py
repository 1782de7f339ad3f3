"""PubTator text files (NCBI disease, BC5CDR, PubTator Central): abstracts with their annotated mentions.

The mentions and their ids (MeSH, OMIM) are kept in `meta.mentions`: [start, end, text, type, ids].
A document with a mention whose offsets do not fit the text is a rejected row.
The split is read from the file name (train, devel or dev, test) as the official distributions name theirs.
"""

from collections.abc import Iterator
from pathlib import Path

from medxiaohe import io
from medxiaohe.data.formats import files
from medxiaohe.data.readers import DeadLetter, split_named
from medxiaohe.types import Annotations, Mention, Message, Sample

APART = (".txt", ".pubtator")  # no file of a folder says anything about another
EXAMPLE = {
    "sample_trainset.txt": "227508|t|Naloxone reverses the antihypertensive effect of clonidine.\n"
    "227508|a|In hypertensive rats the decrease in blood pressure was inhibited by naloxone.\n"
    "227508\t0\t8\tNaloxone\tChemical\tD009270\n"
}


def pubtator(
    path: Path, *, license: str = "shared-task corpus for public research, made from PubMed"
) -> Iterator[Sample | DeadLetter]:
    """Read abstracts with annotated mentions.

    Args:
        path: a PubTator text file, or a folder of them.
        license: of all rows.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    yield from files.each(files.files(path, *APART), lambda file: _abstracts(file, license), path)


def _abstracts(file: Path, license: str) -> Iterator[Sample | DeadLetter]:
    for number, block in io.blocks(file):
        try:
            yield _sample(block, file, license)
        except ValueError as error:
            yield DeadLetter(f"{file.name}:{number}", str(error))


def _sample(block: list[str], file: Path, license: str) -> Sample:
    texts: dict[str, tuple[str, str]] = {}
    mentions: list[Mention] = []
    for line in block:
        head = line.split("|", 2)
        if len(head) == 3 and head[1] in ("t", "a"):
            texts[head[1]] = (head[0], head[2])
        elif len(columns := line.split("\t")) >= 5 and columns[1].isdigit():
            values = (column.strip() for column in columns[3:6])
            mentions.append(Mention(int(columns[1]), int(columns[2]), *values))
        elif len(columns) != 4:  # four columns are a relation
            raise ValueError(f"neither PMID|t|, PMID|a|, a mention nor a relation: {line[:80]!r}")
    if "t" not in texts or not texts.get("a", ("", ""))[1].strip():
        raise ValueError("no title or no abstract")
    pmid, title = texts["t"]
    # offsets count one character between the two
    text = f"{title}\n{texts['a'][1]}"
    for start, end, surface, *_ in mentions:
        if text[start:end].strip() != surface.strip():
            raise ValueError(
                f"the offsets of a mention do not fit the text: {start} to {end} is"
                f" {text[start:end][:40]!r}, not {surface[:40]!r}"
            )
    return Sample(
        id=pmid,
        messages=(Message("document", (text,)),),
        source="pubtator",
        license=license,
        study_id=pmid,
        split=split_named(file.name),
        annotations=Annotations(mentions=tuple(mentions)),
    )
