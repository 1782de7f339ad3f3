"""Stage: train what finds and orders passages, from pairs of a question and what answers it.

    model/          kind bi: an embedder in hub layout; kind cross: a cross-encoder; both for `data.index` and
                    `rerank:`, as folders
    model/heads.*   kind heads: linear maps behind frozen towers of images and texts, one space for both
    metrics.jsonl   {step, loss}
    recall.json     recall@5 of held-out pairs, before and after

Pairs come from `samples.jsonl`: a user's message and the target or the assistant's answer (BioASQ, MedQuAD),
the first line of a document and the rest of it (title and abstract), or an image and the words of its row.
Rows of the split `validation` are held out and measured; rows of `test` are refused. The rows must have been
compared with the tasks (`data.curate`), as for every other training.

paper says                              we do, and why
contrastive training within batches     the same: every other passage of the batch is a negative; InfoNCE
(DPR, arXiv 2004.04906)                 with a fixed temperature
hard negatives by BM25                  the same for kind cross, from a text store of the passages
ModCLIP (HeteroRAG, arXiv 2508.12778)   towers stay frozen and linear maps are trained, since whole towers
trains whole towers for each modality   need a large batch on a GPU; one run for each `modality`
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medxiaohe import assets, io, plugins, progress
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.io.checkpoint_files import refuse_code
from medxiaohe.models import embed, embed_images
from medxiaohe.recipe.settings import InputPath
from medxiaohe.retrieval.store import MOST_CHARACTERS
from medxiaohe.retrieval.text import TextStore, build_text
from medxiaohe.train.loop.contamination_check import refuse_unchecked
from medxiaohe.types import Evidence, ImageRef, Sample

if TYPE_CHECKING:
    import numpy as np

LABEL = "retriever"
MAX_TOKENS = 128  # of a question or passage while training
# cosines lie in [-1, 1]: divided by 0.05 the softmax can tell them apart
TEMPERATURE = 0.05
HEAD_DIM = 256  # dimensions of the common space of images and texts
MOST_TITLE = 300  # characters of a first line that can be a title


@dataclass(frozen=True)
class RetrieverSettings:
    # bi: an embedder; cross: a cross-encoder; heads: linear maps
    kind: Literal["bi", "cross", "heads"] = "bi"
    base: InputPath = "minilm"  # of kinds bi and cross: minilm, e5, or a folder
    tower: InputPath = "dinov2"  # of kind heads: an embedder of images
    embedder: InputPath = "minilm"  # of kind heads: an embedder of texts
    modality: str = ""  # of kind heads: only rows whose source begins so
    steps: int = 200  # optimizer steps
    batch: int = 16  # pairs
    negatives: int = 3  # of kind cross: passages that BM25 finds and that are not the right one
    learning_rate: float = 2e-5  # of kind heads 50 times as much
    seed: int = 0
    allow_contaminated: bool = False

    def __post_init__(self) -> None:
        if min(self.steps, self.negatives) < 1 or self.batch < 2 or self.learning_rate <= 0:
            raise ConfigError("steps and negatives are at least 1, batch at least 2, learning_rate above 0")


Pair = tuple[str | ImageRef, str]


def retriever(settings: RetrieverSettings, out: Path, *, data: Path) -> dict[str, Any]:
    """Train on the pairs of a stage's samples; DataError where there are none, or rows of a test split.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder of a stage with samples.jsonl.

    Returns:
        the summary of the stage: `pairs`, `held_out`, `loss_first`, `loss_last`, recall before and after

    Raises:
        DataError: fewer pairs than a batch, or rows of a test split.
    """
    plugins.need("torch", "transformers", why="training a retriever")
    refuse_unchecked(data, settings.allow_contaminated, LABEL)
    train, held = pairs(data / "samples.jsonl", settings)
    if len(train) < settings.batch:
        raise DataError(
            f"{data} has {len(train)} pairs of a question and its passage, and a batch is {settings.batch}"
        )
    (out / "model").mkdir(parents=True)
    run = {"bi": _bi, "cross": _cross, "heads": _heads}[settings.kind]
    losses, measured = run(settings, out / "model", train, held)
    io.write_jsonl(out / "metrics.jsonl", ({"step": n, "loss": loss} for n, loss in enumerate(losses, 1)))
    io.write_json(out / "recall.json", measured)
    return {
        "pairs": len(train),
        "held_out": len(held),
        "loss_first": losses[0],
        "loss_last": losses[-1],
        **measured,
    }


def pairs(path: Path, settings: RetrieverSettings) -> tuple[list[Pair], list[Pair]]:
    """Extract pairs for contrastive training, each passage once.

    Args:
        path: samples.jsonl.
        settings: `kind` and `modality`.

    Returns:
        (pairs of the split train and of rows without one, pairs of the split validation); a pair is (question
        or image, passage)

    Raises:
        DataError: a row of a test split.
    """
    result: dict[str, list[Pair]] = {"train": [], "validation": []}
    seen: set[str] = set()
    for sample in io.read_samples(path):
        if sample.split == "test":
            raise DataError(f"{path}: {sample.id!r} is of a test split, which nothing is trained on")
        pair = _pair(sample, settings)
        if pair and pair[1] not in seen:
            seen.add(pair[1])
            result["validation" if sample.split == "validation" else "train"].append(pair)
    return result["train"], result["validation"]


def _pair(sample: Sample, settings: RetrieverSettings) -> Pair | None:
    if settings.kind == "heads":
        if not sample.images or not sample.source.startswith(settings.modality):
            return None
        words = " ".join(filter(None, (sample.text, sample.target))).strip()
        return (sample.images[0], words) if words else None
    question = next((message.text for message in sample.messages if message.role == "user"), "")
    answered = sample.target or next((m.text for m in sample.messages if m.role == "assistant"), "")
    if not question:  # a document: its title and the rest
        question, _, answered = sample.text.strip().partition("\n")
        if len(question) > MOST_TITLE:
            return None
    question, answered = question.strip(), answered.strip()
    return (question, answered) if question and answered else None


def _bi(
    settings: RetrieverSettings, out: Path, train: Sequence[Pair], held: Sequence[Pair]
) -> tuple[list[float], dict[str, float]]:
    import torch

    model, tokenizer, folder = _base(settings.base)
    before = _recall_of(embed.embedder(settings.base), held)
    prompts = embed.prompts(folder)

    def vectors(texts: Sequence[str], kind: str) -> Any:
        """Embed texts: the mean over tokens, L2-normalised.

        Args:
            texts: n texts.
            kind: "query" or "document", for the model's prompt.

        Returns:
            (n, width), with gradient.
        """
        # mean over the tokens without padding, as sentence-transformers pools; length one
        batch = _tokens(tokenizer, [prompts.get(kind, "") + text for text in texts])
        hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)

    def loss(rows: Sequence[Pair]) -> Any:
        """Compute InfoNCE with in-batch negatives.

        Args:
            rows: pairs of a batch.

        Returns:
            A scalar in nats.
        """
        queries, passages = (
            vectors([str(q) for q, _ in rows], "query"),
            vectors([p for _, p in rows], "document"),
        )
        # InfoNCE (DPR, arXiv 2004.04906, eq. 2) over cosine / temperature, (B, B): the right passage of a
        # question is on the diagonal
        logits = queries @ passages.T / TEMPERATURE
        return torch.nn.functional.cross_entropy(logits, torch.arange(len(rows)))

    losses = _optimise(model.parameters(), loss, train, settings, settings.learning_rate)
    _save(model, tokenizer, folder, out)
    after = _recall_of(embed.embedder(str(out)), held)
    return losses, {"recall_before": before, "recall_after": after}


def _cross(
    settings: RetrieverSettings, out: Path, train: Sequence[Pair], held: Sequence[Pair]
) -> tuple[list[float], dict[str, float]]:
    import torch
    from transformers import AutoModelForSequenceClassification

    from medxiaohe.models.rerank import cross_encoder

    _, tokenizer, folder = _base(settings.base)
    torch.manual_seed(settings.seed)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1).float().train()
    mined = _mined([*train, *held], settings.negatives)

    def loss(rows: Sequence[Pair]) -> Any:
        """Compute the softmax cross-entropy of the right passage among those that BM25 finds.

        Args:
            rows: pairs of a batch.

        Returns:
            A scalar in nats.
        """
        # the right passage first, then those that BM25 found beside it
        texts = [(str(q), p) for q, right in rows for p in (right, *mined[right])]
        batch = _tokens(tokenizer, [q for q, _ in texts], [p for _, p in texts])
        # scores (B, 1 + negatives), the right passage in column 0
        logits = model(**batch).logits.view(len(rows), -1)
        return torch.nn.functional.cross_entropy(logits, torch.zeros(len(rows), dtype=torch.long))

    usable = [pair for pair in train if len(mined[pair[1]]) == settings.negatives]
    if len(usable) < settings.batch:
        raise DataError(
            f"only {len(usable)} pairs have {settings.negatives} passages that BM25 finds beside theirs"
        )
    losses = _optimise(model.parameters(), loss, usable, settings, settings.learning_rate)
    _save(model, tokenizer, folder, out)
    # share of held-out questions whose passage scores above all mined negatives; a tie is wrong
    score = cross_encoder(out)
    first = []
    for question, right in (pair for pair in held if mined[pair[1]]):
        scores = score([(str(question), passage) for passage in (right, *mined[right])])
        first.append(scores[0] > max(scores[1:]))
    share = sum(first) / len(first) if first else 0.0
    return losses, {"right_before_mined": share, "judged": float(len(first))}


def _heads(
    settings: RetrieverSettings, out: Path, train: Sequence[Pair], held: Sequence[Pair]
) -> tuple[list[float], dict[str, float]]:
    import numpy as np
    import torch

    tower, words = embed_images.image_embedder(settings.tower), embed.embedder(settings.embedder)

    def features(rows: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
        """Embed images and texts with the frozen towers.

        Args:
            rows: n pairs.

        Returns:
            (n, width of the images' tower), (n, width of the texts' embedder)
        """
        return tower.encode([q for q, _ in rows if isinstance(q, ImageRef)]), words.encode(
            [p for _, p in rows]
        )

    pictures, texts = features(train)
    # centred features: the mean vector of a tower is common to all pairs and tells none apart
    means = pictures.mean(0), texts.mean(0)
    torch.manual_seed(settings.seed)
    # maps W ~ N(0, 1 / d): outputs as large as inputs
    image_map, text_map = (
        torch.nn.Parameter(torch.randn(dim, HEAD_DIM) / dim**0.5) for dim in (tower.dim, words.dim)
    )
    centred = [torch.from_numpy(rows - mean) for rows, mean in zip((pictures, texts), means, strict=True)]
    number = {pair: i for i, pair in enumerate(train)}

    def loss(rows: Sequence[Pair]) -> Any:
        """Compute the symmetric InfoNCE of CLIP over the mapped vectors.

        Args:
            rows: pairs of a batch.

        Returns:
            A scalar in nats.
        """
        at = [number[pair] for pair in rows]
        image_vectors = torch.nn.functional.normalize(centred[0][at] @ image_map, dim=1)
        text_vectors = torch.nn.functional.normalize(centred[1][at] @ text_map, dim=1)
        logits, right = image_vectors @ text_vectors.T / TEMPERATURE, torch.arange(len(rows))
        # CLIP (arXiv 2103.00020): the mean of image -> text and text -> image
        cross_entropy = torch.nn.functional.cross_entropy
        return (cross_entropy(logits, right) + cross_entropy(logits.T, right)) / 2

    def recalled() -> float:
        """Recall@5 of the held-out pairs with the maps as they are.

        Returns:
            A share; 0.0 without held-out pairs.
        """
        if not held:
            return 0.0
        image_features, text_features = features(held)
        maps = image_map.detach().numpy(), text_map.detach().numpy()
        return recall((image_features - means[0]) @ maps[0], (text_features - means[1]) @ maps[1])

    before = recalled()
    losses = _optimise([image_map, text_map], loss, train, settings, 50 * settings.learning_rate)
    np.savez(out / "heads.npz", image=image_map.detach().numpy(), text=text_map.detach().numpy())
    io.write_json(
        out / embed_images.HEADS,
        {
            "name": settings.modality or "of all modalities", "tower": settings.tower,
            "embedder": settings.embedder, "image_mean": means[0].tolist(), "text_mean": means[1].tolist(),
        },
    )  # fmt: skip
    return losses, {"recall_before": before, "recall_after": recalled()}


def recall(queries: np.ndarray, passages: np.ndarray, top: int = 5) -> float:
    """Compute recall@top by cosine similarity; a passage that ties with the right one counts as nearer.

    Args:
        queries: (n, d).
        passages: (n, d); row i answers query i.
        top: passages that count.

    Returns:
        Share of the n queries whose own passage is among the `top` nearest.
    """
    import numpy as np

    # cosines (n, n); passages that score at least as high as the right one, itself not counted
    scores = embed_images.unit(queries) @ embed_images.unit(passages).T
    better = (scores >= np.diag(scores)[:, None]).sum(1) - 1
    return float((better < top).mean())


def _recall_of(encoder: embed.Embedder, held: Sequence[Pair]) -> float:
    if not held:
        return 0.0
    queries = encoder.encode([str(q) for q, _ in held], kind="query")
    return recall(queries, encoder.encode([p for _, p in held], kind="document"))


def _base(name: str) -> tuple[Any, Any, Path]:
    from transformers import AutoModel, AutoTokenizer

    folder = assets.folder({"e5": "e5_small"}.get(name, name)) if name in ("minilm", "e5") else Path(name)
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{name} is no embedder in hub layout: give minilm, e5, or a folder")
    refuse_code(folder)
    model = AutoModel.from_pretrained(folder, use_safetensors=True).float().train()
    return model, AutoTokenizer.from_pretrained(folder), folder


def _tokens(tokenizer: Any, texts: list[str], seconds: list[str] | None = None) -> Any:
    return tokenizer(
        texts, seconds, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    )


def _optimise(
    parameters: Any, loss: Callable[[Sequence[Pair]], Any], rows: Sequence[Pair], settings: RetrieverSettings,
    rate: float,
) -> list[float]:  # fmt: skip
    """AdamW with a rate that falls to 0 in a line; batches in an order of the seed."""
    import torch

    torch.manual_seed(settings.seed)
    optimiser = torch.optim.AdamW(parameters, lr=rate)
    losses = []
    batches = _batches(rows, settings)
    for step in progress.track(range(settings.steps), LABEL, total=settings.steps):
        for group in optimiser.param_groups:
            # linear decay to 0
            group["lr"] = rate * (1 - step / settings.steps)
        value = loss(next(batches))
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        losses.append(float(value.detach()))
    return losses


def _batches(rows: Sequence[Pair], settings: RetrieverSettings) -> Iterator[list[Pair]]:
    draw = random.Random(settings.seed)
    order: list[int] = []
    while True:
        # a new epoch where no full batch is left
        if len(order) < settings.batch:
            order = list(range(len(rows)))
            draw.shuffle(order)
        yield [rows[order.pop()] for _ in range(settings.batch)]


def _mined(rows: Sequence[Pair], count: int) -> dict[str, tuple[str, ...]]:
    """For the passage of each pair, the first ones that BM25 finds for its question and that are not it."""
    passages = {f"{n}": passage for n, (_, passage) in enumerate(rows)}
    with tempfile.TemporaryDirectory() as folder:
        build_text(Path(folder), (Evidence(id, text, "") for id, text in passages.items()))
        store = TextStore(Path(folder))
        mined = {}
        for question, right in rows:
            try:
                # more than needed: the right passage, and several parts of one passage, are among the results
                (hits,) = store.search([str(question)[:MOST_CHARACTERS]], 4 * count + 4)
            except DataError:  # stop words only
                hits = ()
            others = dict.fromkeys(passages[item.id.partition("#")[0]] for item in hits)
            mined[right] = tuple(text for text in others if text != right)[:count]
    return mined


def _save(model: Any, tokenizer: Any, folder: Path, out: Path) -> None:
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    for name in ("config_sentence_transformers.json", "sentence_bert_config.json", "1_Pooling/config.json"):
        if (folder / name).is_file():
            (out / name).parent.mkdir(exist_ok=True)
            io.write_json(out / name, io.read_json(folder / name))
