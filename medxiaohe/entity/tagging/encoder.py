"""Encoder of a tagger: a small transformer over whole paragraphs, fine-tuned on the tags that the CRF
learns.

Devlin et al. (2019), token classification. Besides word pieces it gets the features of the CRF: the names of
the tree and of the corpus, the rules, short forms, brackets, and the shape of the word, since small encoders
read lower case. Its log-probabilities, times `share`, are added to the scores of the CRF: a product of
experts (Hinton 2002). Runs on the CPU; needs torch and transformers.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from medxiaohe import assets, plugins
from medxiaohe.entity.tagging import texts as t
from medxiaohe.entity.tagging.training_examples import Lesson
from medxiaohe.entity.tagging.windows import (
    NUM_CODES,
    WINDOW,
    batch,
    codes_of,
    first_tokens,
    steps,
    windows_of,
)
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.io.checkpoint_files import refuse_code
from medxiaohe.progress import track

if TYPE_CHECKING:
    import numpy as np

TOP, HIDDEN = 128, 256  # width of the codes' table above the transformer, and of the layer above both
DROPPED = 0.1  # share of codes that are not seen in training, so that the text is read too
TOP_RATE, WARM = 1e-3, 0.1  # of the parts that begin at random; share of the steps with a growing rate
FOLDER, HEADS = "encoder", "heads.safetensors"


@dataclass(frozen=True)
class EncoderOptions:
    model: str = "minilm"  # the package's encoder of general English, or a folder with one in hub layout
    epochs: int = 5
    first_epochs: int = 3  # on other corpora, where there are any
    rate: float = 1e-4
    pieces: int = 1500  # in one step
    share: float = 0.5  # of its log-probabilities in the scores; chosen in train
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.epochs, self.first_epochs) < 1 or self.rate <= 0 or self.pieces < 1 or self.share <= 0:
            raise ConfigError("of the encoder, epochs and pieces must be at least 1, rate and share above 0")


class Start(NamedTuple):
    """The network before its last layer is trained: transformer, embedding tables of codes, and the layer
    above.
    """

    parts: Any
    tokenizer: Any


class Encoder:
    """A fine-tuned network, whose last layer scores the tags of one corpus."""

    def __init__(self, parts: Any, tokenizer: Any, tags: Sequence[str], share: float):
        self.parts, self.tokenizer, self.tags, self.share = parts, tokenizer, tuple(tags), share

    def scores(self, texts: Sequence[t.Text]) -> np.ndarray:
        """Log-probabilities of the tags by the encoder, times `share`.

        Args:
            texts: tokenised texts with their codes.

        Returns:
            (tokens of all texts, tags) float64, in nats; 0 for tokens that did not fit in a window
        """
        import numpy as np
        import torch

        self.parts.eval()
        first = first_tokens(texts)
        log_probs, codes = np.zeros((first[-1], len(self.tags))), codes_of(texts)
        windows = windows_of(texts, self.tokenizer)
        with torch.inference_mode():
            for numbers in steps(windows, 4 * WINDOW):
                inputs, places = batch([windows[i] for i in numbers], codes, first)
                log_probs[places] = (
                    self.share
                    * torch.log_softmax(self.parts["last"](_hidden(self.parts, *inputs)).double(), -1).numpy()
                )
        return log_probs

    def save(self, folder: Path) -> None:
        """Save the transformer in hub layout and the layers above it as safetensors, in a folder of its own;
        no pickle.

        Args:
            folder: of the tagger.
        """
        from safetensors.torch import save_file

        path = folder / FOLDER
        path.mkdir(parents=True, exist_ok=True)
        self.parts["encoder"].save_pretrained(path)
        self.tokenizer.save_pretrained(path)
        heads = {
            name: value for name, value in self.parts.state_dict().items() if not name.startswith("encoder.")
        }
        save_file(heads, path / HEADS, metadata={"share": str(self.share)})

    @classmethod
    def load(cls, folder: Path, tags: Sequence[str]) -> Encoder:
        """Load the encoder that `save` wrote.

        Args:
            folder: of the tagger.
            tags: of the tagger, in the order of training.

        Raises:
            MissingExtra: torch or transformers is not installed.
            ConfigError: the transformer cannot be loaded.
            DataError: the layers above it are missing, truncated or of another shape.
            ModelError: the folder has code or pickles.
        """
        plugins.need("torch", "transformers", why="a tagger with an encoder")
        import torch
        from safetensors import SafetensorError, safe_open

        path = folder / FOLDER
        refuse_code(path)
        encoder, tokenizer = _transformer(path)
        parts = _parts(encoder)
        parts["last"] = torch.nn.Linear(HIDDEN, len(tags))
        try:
            with safe_open(path / HEADS, "pt") as file:
                share = float(file.metadata()["share"])
                result = parts.load_state_dict(
                    {name: file.get_tensor(name) for name in file.keys()}, strict=False
                )
        except (OSError, SafetensorError, RuntimeError, KeyError, TypeError) as error:
            raise DataError(
                f"{path / HEADS}: not the heads of a tagger, or cut off: train it again ({error})"
            ) from error
        if missing := [name for name in result.missing_keys if not name.startswith("encoder.")]:
            raise DataError(f"{path / HEADS}: has no {missing[0]}: train it again with entity.tagger")
        return cls(parts, tokenizer, tags, share)


def place_of(model: str) -> Path:
    """Folder of a pretrained encoder.

    Args:
        model: name of an asset, or a folder in hub layout.

    Raises:
        ConfigError: there is no such encoder.
        ModelError: the folder has code or pickles.
    """
    if model in assets.available():
        return assets.folder(model)
    folder = Path(model)
    if not (folder / "config.json").is_file():
        raise ConfigError(f"no encoder {model!r}: name minilm, or a folder in hub layout with config.json")
    refuse_code(folder)
    return folder


def started(options: EncoderOptions, lessons: Sequence[Lesson] = ()) -> Start:
    """Load the transformer, initialise the layers above it, and train it on other corpora first.

    Args:
        options: of the encoder; its seed decides the random layers.
        lessons: corpora to train on first, each with its own last layer; () trains nothing.

    Returns:
        the network without a last layer

    Raises:
        ConfigError: the encoder cannot be loaded.
    """
    plugins.need("torch", "transformers", why="a tagger with an encoder")
    import torch

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(options.seed)
        encoder, tokenizer = _transformer(place_of(options.model))
        start = Start(_parts(encoder), tokenizer)
        if lessons:
            _learn(start, lessons, options, options.first_epochs)
    return start


def trained(taught: Lesson, options: EncoderOptions, start: Start | None = None) -> Encoder:
    """Fine-tune the encoder on one corpus.

    Args:
        taught: training texts with gold tags.
        options: of the encoder.
        start: network to copy and train further; None begins with the pretrained model of the options.

    Returns:
        an encoder that scores the tags of the corpus
    """
    import torch

    start = copy.deepcopy(start) if start else started(options)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(options.seed)
        (start.parts["last"],) = _learn(start, [taught], options, options.epochs)
    return Encoder(start.parts, start.tokenizer, taught.tags, options.share)


def _learn(start: Start, lessons: Sequence[Lesson], options: EncoderOptions, epochs: int) -> list[Any]:
    """Train on all lessons, in shuffled batches; returns the last layer of each."""
    import numpy as np
    import torch

    rng = np.random.default_rng(options.seed)
    parts, width = start.parts, HIDDEN
    lasts = [torch.nn.Linear(width, len(lesson.tags)) for lesson in lessons]
    first = [first_tokens(lesson.texts) for lesson in lessons]
    codes = [codes_of(lesson.texts) for lesson in lessons]
    windows = [windows_of(lesson.texts, start.tokenizer) for lesson in lessons]
    # all steps of all epochs: (corpus, windows of the batch)
    plan = list[tuple[int, list[int]]]()
    for _ in range(epochs):
        epoch = [
            (corpus, step)
            for corpus, of_corpus in enumerate(windows)
            for step in steps(of_corpus, options.pieces, rng)
        ]
        rng.shuffle(epoch)
        plan += epoch
    # two learning rates: a small one for pretrained layers, TOP_RATE for those that begin at random
    body = [value for value in parts["encoder"].parameters() if value.requires_grad]
    own = [value for name, value in parts.named_parameters() if not name.startswith("encoder.")]
    own += [value for last in lasts for value in last.parameters()]
    groups = [{"params": body, "lr": options.rate}, {"params": own, "lr": TOP_RATE}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
    # linear warm-up over the share WARM of the steps, and linear decay to 0
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (WARM * len(plan)), 1.0) * (1 - step / len(plan))
    )
    parts.train()
    for corpus, numbers in track(plan, f"encoder on {sum(len(lesson.texts) for lesson in lessons)} texts"):
        inputs, places = batch([windows[corpus][i] for i in numbers], codes[corpus], first[corpus])
        pieces, mask, codes_in, joins, codes_on = inputs
        with torch.autocast("cpu", torch.bfloat16):
            logits = lasts[corpus](_hidden(parts, pieces, mask, codes_in, joins, codes_on, dropped=DROPPED))
        loss = torch.nn.functional.cross_entropy(
            logits.float(), torch.from_numpy(lessons[corpus].gold[places])
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*body, *own], 1.0)
        optimizer.step()
        schedule.step()
    return lasts


# ---- the network ---------------------------------------------------------------------------------


def _parts(encoder: Any) -> Any:
    """Network around a transformer: embedding tables of the codes below and above it, and the layer above
    both.
    """
    from torch import nn

    width = encoder.config.hidden_size
    below = nn.EmbeddingBag(NUM_CODES, width, mode="sum", padding_idx=0)
    above = nn.EmbeddingBag(NUM_CODES, TOP, mode="sum", padding_idx=0)
    for table, spread in ((below, 0.01), (above, 0.05)):
        nn.init.normal_(table.weight, std=spread)
        table.weight.data[0] = 0
    layer = nn.Sequential(nn.Dropout(0.2), nn.Linear(width + TOP, HIDDEN), nn.GELU(), nn.Dropout(0.2))
    encoder.get_input_embeddings().requires_grad_(False)
    return nn.ModuleDict({"encoder": encoder, "below": below, "above": above, "layer": layer})


def _hidden(
    parts: Any, pieces: Any, mask: Any, codes_in: Any, joins: Any, codes_on: Any, dropped: float = 0.0
) -> Any:
    """Hidden vector of each token, (rows, HIDDEN), from the mean of its pieces; a share of the codes is
    `dropped`.
    """
    import torch

    if dropped:
        codes_in, codes_on = (
            codes.masked_fill(torch.rand(codes.shape) < dropped, 0) for codes in (codes_in, codes_on)
        )
    encoder, (num, length) = parts["encoder"], pieces.shape
    # input: embedding of the piece + sum of the embeddings of its token's codes
    inputs = encoder.get_input_embeddings()(pieces) + parts["below"](codes_in.view(num * length, -1)).view(
        num, length, -1
    )
    hidden = (
        encoder(inputs_embeds=inputs, attention_mask=mask).last_hidden_state.reshape(num * length, -1).float()
    )
    # a token's vector is the mean over its pieces: sum by row, divided by the number of pieces
    sums = torch.zeros(len(codes_on), hidden.shape[1]).index_add(0, joins[1], hidden[joins[0]])
    means = sums / torch.bincount(joins[1], minlength=len(codes_on))[:, None]
    return parts["layer"](torch.cat([means, parts["above"](codes_on)], 1))


def _transformer(folder: Path) -> tuple[Any, Any]:
    """Load the pretrained transformer and its tokenizer; ConfigError where they do not fit."""
    plugins.need("torch", "transformers", why="a tagger with an encoder")
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(folder)
        # half the time of a step, and no better
        for name in ("attention_probs_dropout_prob", "attention_dropout"):
            if hasattr(config, name):
                setattr(config, name, 0.0)
        encoder = AutoModel.from_pretrained(folder, config=config, use_safetensors=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ConfigError(
            f"cannot load the encoder {folder}: {' '.join(str(error).split())[:300]}"
        ) from error
    if encoder.config.max_position_embeddings < WINDOW + 4:
        raise ConfigError(
            f"{folder}: reads {encoder.config.max_position_embeddings} pieces at once, and {WINDOW + 4} are"
            " needed"
        )
    if not tokenizer.is_fast or tokenizer.cls_token_id is None or tokenizer.sep_token_id is None:
        raise ConfigError(
            f"{folder}: its tokenizer has no marks of begin and end, or no tokenizer.json: take an encoder"
            " like BERT"
        )
    return encoder, tokenizer
