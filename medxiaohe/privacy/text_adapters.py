"""Adapters of other de-identifiers: `text.Redactor(more=(text_adapters.presidio(),))` redacts what either
finds.

Neither package comes with medxiaohe, and both need models that are downloaded once: they add recall, they
replace nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from medxiaohe import plugins
from medxiaohe.errors import MissingExtra
from medxiaohe.io.checkpoint_files import refuse_code
from medxiaohe.privacy.spans import Span

Finder = Callable[[str], Iterable[Span]]
PRESIDIO = {
    "PERSON": "NAME",
    "DATE_TIME": "DATE",
    "PHONE_NUMBER": "PHONE",
    "EMAIL_ADDRESS": "EMAIL",
    "URL": "URL",
    "LOCATION": "PLACE",
}
NER = {"PER": "NAME", "PERSON": "NAME", "PATIENT": "NAME", "STAFF": "NAME", "HCW": "NAME", "DOCTOR": "NAME",
       "DATE": "DATE", "PHONE": "PHONE",
       "LOC": "PLACE", "ORG": "PLACE", "HOSP": "PLACE", "HOSPITAL": "PLACE", "PATORG": "PLACE", "AGE": "AGE",
       "ID": "ID"}  # fmt: skip
WINDOW, OVERLAP = 1200, 200  # characters


def presidio(language: str = "en", least: float = 0.35) -> Finder:
    """Make a finder from Microsoft Presidio with its default recognisers and NLP model.

    Args:
        language: code of the language of the texts.
        least: least score of a result, in [0, 1].

    Returns:
        The finder.

    Raises:
        MissingExtra: Presidio is not installed.
    """
    try:
        from presidio_analyzer import AnalyzerEngine
    except ImportError as error:
        raise MissingExtra(
            "this finder needs Presidio: pip install presidio-analyzer, and a spaCy model for it"
        ) from error
    return analyzer(AnalyzerEngine(), language, least)


def analyzer(engine: object, language: str = "en", least: float = 0.35) -> Finder:
    """Make a finder from an AnalyzerEngine of Presidio that is set up.

    Args:
        engine: the AnalyzerEngine.
        language: code of the language of the texts.
        least: least score of a result, in [0, 1].

    Returns:
        The finder.
    """

    def find(text: str) -> list[Span]:
        """Detect identifiers by Presidio.

        Returns:
            Spans; an entity type that is not in PRESIDIO is an ID.
        """
        results = engine.analyze(text=text, language=language)  # type: ignore[attr-defined]
        return [Span(r.start, r.end, PRESIDIO.get(r.entity_type, "ID")) for r in results if r.score >= least]

    return find


def transformers_ner(model: str, least: float = 0.5) -> Finder:
    """Make a finder from a token classifier, such as one trained on i2b2 2014.

    Args:
        model: a folder in hub layout, or the name of a public model; safetensors only.
        least: least score of a result, in [0, 1].

    Returns:
        The finder.

    Raises:
        MissingExtra: torch or transformers is not installed.
        ModelError: the folder has pickles or code.
    """
    plugins.need("torch", "transformers", why="this finder")
    from transformers import pipeline

    if Path(model).is_dir():
        refuse_code(Path(model))
    tagger = pipeline(
        "token-classification", model=model, aggregation_strategy="simple", device="cpu",
        model_kwargs={"use_safetensors": True},
    )  # fmt: skip

    def find(text: str) -> list[Span]:
        """Detect identifiers in windows of WINDOW characters that overlap by OVERLAP.

        Returns:
            Spans, those of an overlap twice; a label that is not in NER is an ID.
        """
        spans = []
        for start in range(0, max(len(text), 1), WINDOW - OVERLAP):  # a model reads so many words at a time
            for row in tagger(text[start : start + WINDOW]):
                kind = str(row["entity_group"]).upper()
                if float(row["score"]) >= least and kind not in ("O", "MISC"):
                    spans.append(
                        Span(start + int(row["start"]), start + int(row["end"]), NER.get(kind, "ID"))
                    )
        return spans

    return find
