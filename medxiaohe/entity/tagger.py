"""A tagger that learns from marked texts where mentions begin and end: names no vocabulary has, and words
that only look like names.

    annotator = Annotator.of(tree)
    tagger = Tagger.train(documents, tree, annotate=annotator.annotate_batch)  # a minute for 500 abstracts
    tagger.save(folder)
    tagger = Tagger.load(folder, annotator.annotate_batch)
    tagger.spans("Naloxone reverses the antihypertensive effect of clonidine.")

A linear-chain CRF (entity/tagging/crf.py) over the tags B, I, E, S of every kind and O. Its features are in
entity/tagging/texts.py: the names of the tree, the mentions of dictionary and rules
(entity/linking/annotate.py), the names of the corpus (counted without the text itself), classes of words from
unmarked texts, definitions of abbreviations. entity/tagging/postprocess.py corrects its spans. Needs
`medxiaohe[fast]`. With `Options(encoder=EncoderOptions())` a small transformer is trained on the same texts
and added to it (entity/tagging/encoder.py): better, far slower, and it needs torch.
"""

from __future__ import annotations

import io as streams
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from medxiaohe import assets, io, plugins
from medxiaohe.entity.linking.annotate import Annotator
from medxiaohe.entity.linking.index import Index
from medxiaohe.entity.tagging import encoder as encoders
from medxiaohe.entity.tagging import features as f
from medxiaohe.entity.tagging.encoder import Encoder, EncoderOptions, Start
from medxiaohe.entity.tagging.gold import Document, documents
from medxiaohe.entity.tagging.model import Weights, allowed_of, decoded, fitted, hashed
from medxiaohe.entity.tagging.postprocess import Tagged, put_right
from medxiaohe.entity.tagging.texts import GROUPS, Annotate, Reading, Text, indexes_of, uses_of
from medxiaohe.entity.tagging.training_examples import lesson, tags_of
from medxiaohe.entity.tagging.word_classes import word_classes
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError, DataError, UsageError
from medxiaohe.recipe.settings import InputPath

if TYPE_CHECKING:
    import numpy as np

FORMAT = 2
FILES = {"weights": "weights.npz", "names": "names.json", "words": "words.json", "settings": "tagger.json"}
LEANS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)  # values of `lean` that are tried, in nats
LEAST_GAIN = 0.003  # of F1: a smaller gain is noise
SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Options:
    epochs: int = 20
    penalty: float = 1.0  # of the squared weights, for the whole corpus
    rate: float = 0.03  # of the first step
    least: int = 2  # times a feature is seen
    # parts of the training texts on which `lean` is chosen; 0 leaves it 0, and so does an encoder
    folds: int = 3
    seed: int = 0
    encoder: EncoderOptions | None = None

    def __post_init__(self) -> None:
        if (
            self.epochs < 1
            or self.penalty <= 0
            or self.rate <= 0
            or self.least < 1
            or self.folds < 0
            or self.folds == 1
        ):
            raise ConfigError(
                "epochs and least must be at least 1, penalty and rate above 0, folds 0 or at least 2"
            )


class Tagger:
    """Mention tagger: a linear-chain CRF, optionally with an encoder. `lean` is added to the scores of each
    kind.
    """

    def __init__(
        self,
        kinds: Sequence[str],
        reading: Reading,
        weights: Weights,
        lean: Mapping[str, float],
        encoder: Encoder | None = None,
    ):
        self.kinds, self.reading, self.weights, self.lean, self.encoder = (
            tuple(kinds),
            reading,
            weights,
            dict(lean),
            encoder,
        )
        self.tags = tags_of(self.kinds)

    @classmethod
    def train(
        cls,
        documents: Sequence[Document],
        tree: Tree | None = None,
        *,
        classes: Mapping[str, Sequence[int]] | None = None,
        annotate: Annotate | None = None,
        options: Options = Options(),
        knowledge: tuple[Mapping[str, Index], Mapping[str, str]] | None = None,
        start: Start | None = None,
    ) -> Tagger:
        """Train a tagger on annotated documents.

        Args:
            documents: texts with gold mentions.
            tree: whose names are features; None: none.
            classes: word -> classes, from `word_classes` on unmarked texts.
            annotate: `annotate_batch` of an Annotator of the tree without a tagger; its mentions are
                features.
            options: of training.
            knowledge: `knowledge_of(tree)`, where several taggers are trained.
            start: network of `begin`, for an encoder that was trained on other corpora first.

        Raises:
            DataError: no document has a mention.
            MissingExtra: numba, or for an encoder torch or transformers, is not installed.
            ConfigError: the encoder cannot be loaded.
        """
        if not any(document.spans for document in documents):
            raise DataError("the training texts have no marked mention: a tagger learns from mentions")
        indexes, uses = knowledge or knowledge_of(tree)
        knows = (
            indexes,
            classes or {},
            uses,
            _remembered(annotate, [document.text for document in documents]),
        )
        result = cls._trained(documents, knows, options, start)
        if options.folds and len(documents) >= 2 * options.folds and not options.encoder:
            result.lean = _best_lean(documents, knows, options)
        result.reading.annotate = annotate
        return result

    @classmethod
    def _trained(
        cls,
        documents: Sequence[Document],
        knows: tuple[Any, ...],
        options: Options,
        start: Start | None = None,
    ) -> Tagger:
        taught = lesson(documents, knows)
        weights = fitted(taught.reading.words, taught.texts, taught.gold, allowed_of(taught.tags), options)
        encoder = encoders.trained(taught, options.encoder, start) if options.encoder else None
        return cls(taught.kinds, taught.reading, weights, {}, encoder)

    # ---- tagging ---------------------------------------------------------------------------------

    def spans(self, text: str) -> list[Tagged]:
        """Find the mentions of a text.

        Args:
            text: to tag.

        Returns:
            mentions in order of start, with code-point offsets; the score is the least marginal probability
            of a token
        """
        return self.spans_batch([text])[0]

    def spans_batch(self, texts: Sequence[str]) -> list[list[Tagged]]:
        """Find the mentions of many texts.

        Args:
            texts: to tag.

        Returns:
            for each text what `spans` returns
        """
        return self._with_lean(texts, self.reading.texts(texts), self.lean)

    def _with_lean(
        self, texts: Sequence[str], read: Sequence[Text], lean: Mapping[str, float], features: Any = None
    ) -> list[list[Tagged]]:
        extra = self.encoder.scores(read) if self.encoder else None
        tags, sure = decoded(
            self.weights, features or hashed(self.reading.words, read), self.tags, lean, extra
        )
        result, at = [], 0
        for text, tokens in zip(texts, read, strict=True):
            n = len(tokens.words)
            result.append(put_right(text, self._spans(tokens, tags[at : at + n].tolist(), sure[at : at + n])))
            at += n
        return result

    def _spans(self, text: Text, tags: list[int], sure: np.ndarray) -> list[Tagged]:
        result, begin = [], 0
        for i, number in enumerate(tags):
            position, _, kind = self.tags[number].partition(" ")
            begin = i if position in ("B", "S") else begin
            if position in ("E", "S"):
                score = min(float(sure[j, tags[j]]) for j in range(begin, i + 1))
                result.append(Tagged(text.starts[begin], text.ends[i], kind, round(score, 4)))
        return result

    # ---- on disk ---------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Save the tagger as arrays, JSON and indexes; no pickle.

        The features of a word's letters are not saved: they are computed again after loading.

        Args:
            folder: is created where needed.
        """
        import numpy as np

        buffer = streams.BytesIO()
        np.savez_compressed(buffer, **cast(Any, self.weights.arrays()))
        io.write(folder / FILES["weights"], lambda out: out.write(buffer.getvalue()))
        io.write_json(folder / FILES["names"], self.reading.corpus.to_json())
        io.write_json(folder / FILES["words"], {"classes": self.reading.classes, "uses": self.reading.uses})
        for group, index in self.reading.indexes.items():
            index.save(folder / f"{group}.index")
        if self.encoder:
            self.encoder.save(folder)
        rules, encoder = self.reading.annotate is not None, self.encoder is not None
        settings = {
            "format": FORMAT,
            "kinds": self.kinds,
            "lean": self.lean,
            "rules": rules,
            "encoder": encoder,
        }
        io.write_json(folder / FILES["settings"], settings)

    @classmethod
    def load(cls, folder: Path, annotate: Annotate | None = None) -> Tagger:
        """Load the tagger that `save` wrote.

        Args:
            folder: of the stage entity.tagger.
            annotate: as in training, and only where the tagger was trained with one.

        Raises:
            DataError: a file is missing, truncated or of another version.
            UsageError: `annotate` is given to a tagger that was trained without it, or the other way round.
        """
        import numpy as np

        files = {name: _json(folder / FILES[name]) for name in ("settings", "names", "words")}
        if files["settings"].get("format") != FORMAT:
            raise DataError(
                f"{folder}: a tagger of another version of medxiaohe: train it again with entity.tagger"
            )
        if bool(files["settings"]["rules"]) != (annotate is not None):
            expected = "with" if annotate is None else "without"
            raise UsageError(
                f"{folder}: this tagger was trained {expected} the rules of entity.annotate: load it so"
            )
        indexes = {group: Index.load(folder / f"{group}.index") for group in GROUPS}
        reading = Reading(
            indexes,
            f.CorpusNames.from_json(files["names"]),
            files["words"]["classes"],
            files["words"]["uses"],
            annotate,
        )
        try:
            with np.load(folder / FILES["weights"], allow_pickle=False) as arrays:
                weights = Weights.of(**{name: arrays[name] for name in arrays.files})
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"{folder / FILES['weights']}: not the weights of a tagger, or cut off: train it again"
                f" ({error})"
            ) from error
        kinds = files["settings"]["kinds"]
        encoder = Encoder.load(folder, tags_of(kinds)) if files["settings"]["encoder"] else None
        return cls(kinds, reading, weights, files["settings"]["lean"], encoder)


def _json(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: not a file of a tagger ({error}): name the folder that entity.tagger left"
        ) from error
    if not isinstance(result, dict):
        raise DataError(f"{path}: not a file of a tagger: train it again with entity.tagger")
    return result


# ---- training ------------------------------------------------------------------------------------


def knowledge_of(tree: Tree | None) -> tuple[dict[str, Index], dict[str, str]]:
    """Compile the names of a tree, and count what their words are used for.

    Args:
        tree: None knows no names.

    Returns:
        (index for each group of kinds, word -> uses), as `Tagger.train` takes them
    """
    tree = tree or Tree(())
    return indexes_of(tree), uses_of(tree)


def begin(
    corpora: Sequence[Sequence[Document]],
    options: EncoderOptions,
    tree: Tree | None = None,
    *,
    classes: Mapping[str, Sequence[int]] | None = None,
    annotate: Annotate | None = None,
    knowledge: tuple[Mapping[str, Index], Mapping[str, str]] | None = None,
) -> Start:
    """Train an encoder on other corpora first, each with layers of its own for its own kinds (Caruana 1997).

    Args:
        corpora: annotated documents of each corpus.
        options: of the encoder.
        tree: whose names the encoder sees; None: none.
        classes: word -> classes from `word_classes`.
        annotate: `Annotator.annotate_batch`, whose mentions the encoder sees.
        knowledge: `knowledge_of(tree)`, where it is computed already.

    Returns:
        the network to give to `Tagger.train` as `start`

    Raises:
        DataError: a corpus has no gold mention.
        ConfigError: the encoder cannot be loaded.
    """
    if any(not any(document.spans for document in documents) for documents in corpora):
        raise DataError("one of the corpora that the encoder learns first has no marked mention: take it out")
    indexes, uses = knowledge or knowledge_of(tree)
    lessons = [lesson(documents, (indexes, classes or {}, uses, annotate)) for documents in corpora]
    return encoders.started(options, lessons)


def _remembered(annotate: Annotate | None, texts: Sequence[str]) -> Annotate | None:
    """Cache of the annotations of the training texts, computed once for all folds."""
    if annotate is None:
        return None
    result = dict(zip(texts, annotate(texts), strict=True))
    return lambda requested: [result[text] for text in requested]


def _best_lean(documents: Sequence[Document], knows: tuple[Any, ...], options: Options) -> dict[str, float]:
    """Choose for each kind the offset of its tag scores with the best strict F1, by cross-validation."""
    order = sorted(documents, key=lambda document: io.unit_interval("fold", document.id))
    counts: dict[tuple[str, float], list[int]] = {}
    for fold in range(options.folds):
        left_out = order[fold :: options.folds]
        trained = Tagger._trained(
            [document for i, document in enumerate(order) if i % options.folds != fold], knows, options
        )
        texts = [item.text for item in left_out]
        read = trained.reading.texts(texts)
        features = hashed(trained.reading.words, read)
        for lean in LEANS:
            for document, predicted in zip(
                left_out,
                trained._with_lean(texts, read, dict.fromkeys(trained.kinds, lean), features),
                strict=True,
            ):
                right = {(span.start, span.end, span.kind) for span in document.spans}
                guessed = {span[:3] for span in predicted}
                for kind in {span[2] for span in right | guessed}:
                    count = counts.setdefault((kind, lean), [0, 0])
                    # F1 = 2 |right and predicted| / (|right| + |predicted|): numerator and denominator
                    count[0] += 2 * sum(item[2] == kind for item in right & guessed)
                    count[1] += sum(item[2] == kind for item in right) + sum(
                        item[2] == kind for item in guessed
                    )
    kinds = sorted({kind for kind, _ in counts})
    best = {kind: max(LEANS, key=lambda lean: _share(counts.get((kind, lean)))) for kind in kinds}
    gains = {
        kind: _share(counts.get((kind, lean))) - _share(counts.get((kind, 0.0)))
        for kind, lean in best.items()
    }
    return {kind: lean if gains[kind] >= LEAST_GAIN else 0.0 for kind, lean in best.items()}


def _share(count: list[int] | None) -> float:
    return count[0] / count[1] if count and count[1] else 0.0


# ---- stage ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Corpus:
    reader: str  # pubtator, iob_tsv, or a file of yours whose samples have meta.mentions
    path: InputPath
    kinds: tuple[str, ...] = ()  # only mentions of these types, as the tagger calls them; empty is all


@dataclass(frozen=True)
class TaggerSettings:
    gold: tuple[Corpus, ...]  # marked texts
    splits: tuple[str, ...] = ("train",)  # of the gold files; files that name no split are always taken
    # unmarked texts, for the classes of words: {reader: pubmed_xml, path: asset:pubmed_2021}
    texts: tuple[Corpus, ...] = ()
    # marked texts of other kinds, which the encoder learns first; each its own kinds
    before: tuple[Corpus, ...] = ()
    options: Options = field(default_factory=Options)  # of learning: epochs, context, kinds, encoder

    def __post_init__(self) -> None:
        if self.before and not self.options.encoder:
            raise ConfigError(
                "before is for the encoder: set options.encoder too, for example {model: minilm}, or take"
                " before out"
            )
        if not self.gold:
            raise ConfigError(
                "gold must name marked texts, for example {reader: pubtator, path:"
                " CDR_TrainingSet.PubTator.txt}"
            )
        if wrong := [split for split in self.splits if split not in SPLITS]:
            raise ConfigError(
                f"splits are of {', '.join(SPLITS)}, not {wrong[0]!r}: nothing is learned from a test split"
            )


def tagger(settings: TaggerSettings, out: Path, *, tree: Path) -> dict[str, Any]:
    """Stage entity.tagger: train a Tagger on marked texts and the tree, and save it in `out`.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        tree: folder of a built tree.

    Returns:
        the summary of the stage: `documents`, `mentions`, `features`, `lean`, `words_in_classes`,
        `encoder`, `before`

    Raises:
        DataError: there is no marked text to learn from.
    """
    if settings.options.encoder:
        encoders.place_of(settings.options.encoder.model)  # before minutes of reading
    marked = _marked(settings.gold, settings.splits)
    before = [list(_marked([corpus], settings.splits).values()) for corpus in settings.before]
    classes = (
        word_classes(sample.text for corpus in settings.texts for sample in _samples(corpus))
        if settings.texts
        else {}
    )
    loaded = Tree.load(tree)
    knows: dict[str, Any] = {
        "classes": classes,
        "annotate": Annotator.of(tree).annotate_batch,
        "knowledge": knowledge_of(loaded),
    }
    start = begin(before, settings.options.encoder, loaded, **knows) if settings.options.encoder else None
    result = Tagger.train(list(marked.values()), loaded, options=settings.options, start=start, **knows)
    result.save(out)
    spans = [span for document in marked.values() for span in document.spans]
    return {
        "documents": len(marked),
        "mentions": {kind: sum(span.kind == kind for span in spans) for kind in result.kinds},
        "features": len(result.weights.keys),
        "lean": result.lean,
        "words_in_classes": len(classes),
        "encoder": settings.options.encoder.model if settings.options.encoder else "",
        "before": [len(texts) for texts in before],
    }


def _marked(corpora: Sequence[Corpus], splits: Sequence[str]) -> dict[str, Document]:
    result: dict[str, Document] = {}
    for corpus in corpora:
        samples = (sample for sample in _samples(corpus) if sample.split in ("", *splits))
        for document in documents(samples):
            selected = tuple(span for span in document.spans if not corpus.kinds or span.kind in corpus.kinds)
            if document.id in result and result[document.id].text != document.text:
                raise DataError(f"two gold files have a document {document.id} with different texts")
            result.setdefault(document.id, replace(document, spans=selected))
    return result


def _samples(corpus: Corpus) -> Any:
    reader = plugins.load("readers", corpus.reader)
    path = (
        assets.folder(corpus.path[len("asset:") :]) if corpus.path.startswith("asset:") else Path(corpus.path)
    )
    return (item for item in reader(path) if hasattr(item, "split"))
