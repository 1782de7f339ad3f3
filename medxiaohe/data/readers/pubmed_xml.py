"""PubMed baseline and update files: one document (title and abstract) for each article.

Records without an abstract are passed over, and so are those that state a copyright, unless `copyrighted`.
The split is a hash of the PMID (pubmed.split_of), so that every reader and task agrees on it.
"""

from collections.abc import Iterator
from pathlib import Path

from medxiaohe.retrieval import pubmed
from medxiaohe.types import Annotations, Message, Sample

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


def pubmed_xml(path: Path, *, copyrighted: bool = False) -> Iterator[Sample]:
    for article in pubmed.articles(path):
        if not article.abstract or (article.copyright and not copyrighted):
            continue
        yield Sample(
            id=article.pmid,
            messages=(Message("document", (f"{article.title}\n\n{article.abstract}",)),),
            source="pubmed",
            license=LICENSE_STATED + article.copyright if article.copyright else LICENSE,
            study_id=article.pmid,
            split=pubmed.split_of(article.pmid),
            meta={
                "mesh": [{"name": name, "major": major} for name, major in article.mesh],
                "year": article.year,
            },
            annotations=Annotations(publication_types=tuple(article.publication_types)),
        )
