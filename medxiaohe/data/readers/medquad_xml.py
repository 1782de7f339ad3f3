"""MedQuAD (Ben Abacha & Demner-Fushman 2019): consumer-health questions and answers, an article a file.

https://github.com/abachaa/MedQuAD. Three of its collections carry no answers, for copyright: those rows are
dead.
"""

import re
import xml.etree.ElementTree as xml
from collections.abc import Iterator
from pathlib import Path

from medxiaohe.data.formats import files
from medxiaohe.data.formats.markup import parsed
from medxiaohe.data.readers import DeadLetter
from medxiaohe.types import Message, Sample

LICENSE = "CC BY 4.0"
APART = (".xml",)  # no file of a folder says anything about another
EXAMPLE = {
    "0000001_1.xml": """<?xml version="1.0" encoding="UTF-8"?>
<Document id="0000001_1" source="CancerGov" url="https://www.cancer.gov/types/leukemia">
<Focus>Leukemia</Focus>
<FocusAnnotations><UMLS><CUIs><CUI>C0023418</CUI></CUIs></UMLS></FocusAnnotations>
<QAPairs><QAPair pid="1"><Question qid="0000001_1-1" qtype="information">What is (are) Leukemia ?</Question>
<Answer>Leukemia is a cancer of the blood cells.</Answer></QAPair></QAPairs>
</Document>
"""
}


def medquad_xml(path: Path) -> Iterator[Sample | DeadLetter]:
    """Read questions and answers of MedQuAD.

    Args:
        path: an .xml file, or a folder of them.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    yield from files.each(
        files.files(path, *APART),
        lambda file: _document(parsed(file), file),
        path.parent if path.is_file() else path,
    )


def _document(document: xml.Element, file: Path) -> Iterator[Sample | DeadLetter]:
    study = f"{document.get('source', file.parent.name)}/{file.stem}"  # the ids inside the files repeat
    for pair in document.iter("QAPair"):
        question, answer = pair.find("Question"), clean(pair.findtext("Answer") or "")
        if question is None or not answer:
            yield DeadLetter(
                f"{study} pair {pair.get('pid')}", "no question" if question is None else "no answer"
            )
            continue
        yield Sample(
            id=f"{study}-{pair.get('pid')}",
            messages=(Message("user", (_asked(question.text or ""),)), Message("assistant", (answer,))),
            source="medquad",
            license=LICENSE,
            study_id=f"medquad/{study}",
            meta={
                "focus": (document.findtext("Focus") or "").strip(),
                "umls": [cui.text for cui in document.iter("CUI")],
                "question_type": question.get("qtype", ""),
                "url": document.get("url", ""),
            },
        )


def _asked(text: str) -> str:
    """ "What is (are) Leukemia ?" -> "What is Leukemia?" """
    return re.sub(r" \((?:are|is)\)|\s+(?=\?)", "", " ".join(text.split()))


def clean(text: str) -> str:
    """Collapse runs of blanks to one blank and runs of line breaks to one line break.

    Returns:
        The text without blanks at either end.
    """
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[^\S\n]+", " ", text)).strip()
