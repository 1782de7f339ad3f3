"""Which MeSH heading an indexer of the National Library of Medicine gave an article, from its title, four
options.

Gold is one heading marked as a major topic; the three others are about as common in the corpus and were not
given to the article at all. The split is that of the PubMed reader: an article asked about in test is never
read in training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

from medxiaohe import io
from medxiaohe.retrieval.pubmed import Article, articles, split_of
from medxiaohe.scoring.choice import choice
from medxiaohe.tasks._common import known_split, multiple_choice, place, shuffled
from medxiaohe.types import Sample, Task

LICENSE = "courtesy of the U.S. National Library of Medicine (PubMed terms); titles and MeSH headings"
FINGERPRINTS = {"train": "382f2873facd4091", "validation": "e71719c9fae6147c", "test": "2447332baca230ee"}
NEIGHBOURS = 30  # distractors come from this many headings of about the same frequency
MIN_ARTICLES = 3  # a heading that is major in fewer is not asked about
TOO_SHORT = 25  # characters of a title: "Editorial." says nothing


def mesh_topic(path: str = "asset:pubmed_2020") -> Task:
    """MeSH heading of an article from its title, of four options.

    Args:
        path: PubMed XML file, or a folder of them, or asset:NAME.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "mesh_topic",
        partial(samples, path),
        (choice,),
        example(),
        LICENSE,
        prompt="choice",
        cluster="article",
        tags=("text", "english", "literature"),
        fingerprints=FINGERPRINTS if path == "asset:pubmed_2020" else {},
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        One item for each article with a major heading and three distractors, in an order that depends only on
        the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the file or folder is missing or not of PubMed.
    """
    known_split(split)
    usable = _usable(place(path))
    counts = Counter(name for article in usable.values() for name, major in article.mesh if major)
    # headings by number of articles; ties are ordered by hash
    common = sorted(
        (name for name in counts if counts[name] >= MIN_ARTICLES),
        key=lambda n: (counts[n], io.unit_interval("mesh", n)),
    )
    rank = {name: i for i, name in enumerate(common)}
    for article in shuffled(usable.values(), key=lambda a: a.pmid):
        majors = sorted(name for name, major in article.mesh if major and name in rank)
        if majors and split_of(article.pmid) == split:
            gold = min(majors, key=lambda name: io.unit_interval("gold", article.pmid, name))
            others = _distractors(article, common, rank[gold])
            if len(others) == 3:
                yield _question(article, gold, others, split)


@lru_cache(maxsize=1)
def _usable(path: Path) -> dict[str, Article]:
    """Read once for all splits: parsing takes longer than asking."""
    return {a.pmid: a for a in map(_slim, articles(path)) if len(a.title) >= TOO_SHORT and a.mesh}


def _slim(article: Article) -> Article:
    """Title and headings only: the corpus is held in memory to count its headings."""
    return Article(article.pmid, article.title.strip().removesuffix(".").strip("[]"), mesh=article.mesh)


def _distractors(article: Article, common: list[str], place_of_gold: int) -> list[str]:
    # window of NEIGHBOURS headings around the gold in the order of their frequency, within the list
    start = max(0, min(place_of_gold - NEIGHBOURS // 2, len(common) - NEIGHBOURS))
    assigned = {name for name, _ in article.mesh}
    near = [name for name in common[start : start + NEIGHBOURS] if name not in assigned]
    return sorted(near, key=lambda name: io.unit_interval("distractor", article.pmid, name))[:3]


def _question(article: Article, gold: str, others: list[str], split: str) -> Sample:
    return multiple_choice(
        f"mesh_topic/{article.pmid}",
        f"Title: {article.title}\nWhich subject heading fits best?",
        gold,
        others,
        key=article.pmid,
        license=LICENSE,
        study_id=article.pmid,
        split=split,
    )


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    article = Article("0", "Deep venous thrombosis after hip replacement: a trial of two doses of heparin")
    return _question(article, "Thrombophlebitis", ["Dental Caries", "Malaria", "Retina"], "test")
