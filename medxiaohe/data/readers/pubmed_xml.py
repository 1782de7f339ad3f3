"""PubMed baseline and update files: one document (title and abstract) for each article.

Records without an abstract are passed over, and so are those that state a copyright, unless `copyrighted`.
The split is a hash of the PMID (pubmed.split_of), so that every reader and task agrees on it.
"""

from collections.abc import Iterator
from pathlib import Path

from medxiaohe.data.formats import files
from medxiaohe.data.readers import DeadLetter
from medxiaohe.errors import DataError
from medxiaohe.retrieval import pubmed
from medxiaohe.types import Message, Sample

LICENSE = "NLM terms of use for PubMed; the record states no copyright"
LICENSE_STATED = "copyright stated in the record: "
EXAMPLE = {
    "pubmed.xml": (
        """<?xml version="1.0" encoding="utf-8"?>
<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID Version="1">399296</PMID>
<Article><Journal><JournalIssue><PubDate><Year>1979</Year></PubDate></JournalIssue></Journal>
<ArticleTitle>Plasma potassium in renal failure.</ArticleTitle>
<Abstract><AbstractText>Forty patients with renal failure were followed for a year.</AbstractText></Abstract>
<PublicationTypeList><PublicationType UI="D016428">Journal Article</PublicationType></PublicationTypeList></Article>
<MeshHeadingList><MeshHeading><DescriptorName UI="D011188" MajorTopicYN="Y">Potassium</DescriptorName></MeshHeading>
</MeshHeadingList></MedlineCitation></PubmedArticle></PubmedArticleSet>
"""  # noqa: E501
    )
}


def pubmed_xml(path: Path, *, copyrighted: bool = False) -> Iterator[Sample | DeadLetter]:
    """Read abstracts of PubMed.

    Args:
        path: an .xml or .xml.gz file, or a folder of them.
        copyrighted: keep records that state a copyright.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    yield from files.each(files.files(path, ".xml"), lambda file: _file(file, copyrighted), path)


def _file(file: Path, copyrighted: bool) -> Iterator[Sample | DeadLetter]:
    """Read the articles of a file; a record that cannot be used is a rejected row."""
    letters: list[DeadLetter] = []
    articles = pubmed.articles(
        file, refused=lambda error: letters.append(files.rejected(file.name, error, str(error)))
    )
    try:
        for article in articles:
            yield from letters
            letters.clear()
            if article.abstract and (copyrighted or not article.copyright):
                yield _sample(article)
    except DataError:
        yield from letters
        raise  # about the file: `files.each` makes a letter of it
    yield from letters


def _sample(article: pubmed.Article) -> Sample:
    return Sample(
        id=article.pmid,
        messages=(Message("document", (f"{article.title}\n\n{article.abstract}",)),),
        source="pubmed",
        license=LICENSE_STATED + article.copyright if article.copyright else LICENSE,
        study_id=article.pmid,
        split=pubmed.split_of(article.pmid),
        meta={
            "mesh": [{"name": name, "major": major} for name, major in article.mesh],
            "publication_types": list(article.publication_types),
            "year": article.year,
        },
    )
