"""Adapter of a family of vision-language models: everything that differs between their processors.

`of(processor)` is the adapter of a processor, `named("Qwen3VLProcessor")` that of a class of processors. Most
models need no file: the default uses the names that transformers has for all of them. A new family is a file
in this folder with one `FAMILY = Family(...)`, and a row of tests/models/test_families.py.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from medxiaohe.errors import ConfigError

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]


def of(processor: Any) -> Family:
    """Select the adapter of a processor by the name of its class.

    Returns:
        the default adapter where no file of this folder names the class.
    """
    return named(type(processor).__name__)


def named(processor_class: str) -> Family:
    """Select the adapter of a processor class by its name.

    Args:
        processor_class: as the key `processor_class` of a checkpoint has it, such as "Qwen3VLProcessor".

    Returns:
        the default adapter where no file of this folder names the class.
    """
    return _table().get(processor_class, DEFAULT)


def known() -> list[Family]:
    """List the families that have a file of their own.

    Returns:
        in the order of their names.
    """
    return sorted(
        {family.name: family for family in _table().values()}.values(), key=lambda adapter: adapter.name
    )


@functools.cache
def _table() -> dict[str, Family]:
    """Map names of processor classes to adapters, from the files of this folder."""
    package = __package__ or "medxiaohe.models.families"
    folder = importlib.import_module(package).__path__
    files = sorted(m.name for m in pkgutil.iter_modules(folder) if m.name != "family")
    families = [importlib.import_module(f"{package}.{name}").FAMILY for name in files]
    return {name: family for family in families for name in family.processors}


def image_token_id(processor: Any) -> int | None:
    """Look up the token that stands for one feature vector of an image.

    Returns:
        its id, None for a model that reads text only.
    """
    return getattr(processor, "image_token_id", None)


def placeholder(processor: Any) -> str:
    """Look up the text that the processor expands to the tokens of an image.

    Returns:
        such as "<image>".
    """
    return str(getattr(processor, "image_token", "<image>"))


def expanded(processor: Any, sizes: Sequence[tuple[int, int]]) -> list[str]:
    """Write the tokens that the processor puts in place of each image, from sizes alone, by its own
    arithmetic.

    Args:
        processor: of a model that reads images.
        sizes: (width, height) in pixels of the images that are rendered together.

    Returns:
        one text for each image: its tokens repeated.
    """
    counts = processor._get_num_multimodal_tokens(image_sizes=[(height, width) for width, height in sizes])
    token = processor.tokenizer.convert_ids_to_tokens(of(processor).image_token_id(processor))
    return [token * number for number in counts.num_image_tokens]


def cannot_limit(processor: Any, smallest: int, largest: int) -> None:
    """Refuse a limit of pixels, for processors that do not resize by area.

    Args:
        smallest: least area in pixels, as configured.
        largest: greatest area in pixels.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(
        f"min_pixels and max_pixels are not for a {type(processor).__name__}, which does not resize images by"
        " their area: leave them at 0"
    )


def stacked(name: str, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Concatenate features along their first dimension; other dimensions are padded with zeros at their end.

    Args:
        name: of the model input, such as `pixel_values`.
        tensors: [n, ...] each; all but the first dimension may differ in size.

    Returns:
        [sum of n, ...], each other dimension as large as its largest.
    """
    import torch
    from torch.nn.functional import pad

    # largest size of each dimension after the first
    sizes = [max(size) for size in zip(*(t.shape[1:] for t in tensors), strict=True)]
    widened = []
    for tensor in tensors:
        # torch counts paddings from the last dimension: (left, right) of the last one, then of the one before
        gaps = [side for size, own in zip(sizes, tensor.shape[1:], strict=True) for side in (size - own, 0)]
        widened.append(pad(tensor, gaps[::-1]) if any(gaps) else tensor)
    return torch.cat(widened)


def plain_positions(processor: Any, tokens: Sequence[int], features: Tensors) -> torch.Tensor:
    """Number the tokens of a conversation 0, 1, 2, ...

    Args:
        tokens: token ids.
        features: not used.

    Returns:
        position ids, (1, tokens), int64.
    """
    import torch

    return torch.arange(len(tokens))[None]


def leave(model: Any) -> None:
    """Leave the model unchanged: the default of `prepare`."""


@dataclass(frozen=True)
class Family:
    """Adapter of one family; each field defaults to what most families share.

    Attributes:
        name: for messages and the table of docs/models.md.
        processors: names of the processor classes of the family.
        token_types: model input with one number a token, 1 where it is of an image, 0 elsewhere; "" for none.
        image_token_id: the id of an image's tokens, None where there are no images.
        placeholder: text of an image where no chat template writes it.
        expanded: text of the tokens of images, from their sizes.
        limit_pixels: sets the least and the greatest area in pixels to which the processor resizes, 0 leaves
            it; saved with the processor, so that evaluation and serving use the same limits.
        join: features of several conversations as one tensor, called for each of the processor's outputs.
        positions: of conversations that share a sequence, from their tokens and image features; each
            conversation is numbered by itself.
        prepare: changes a model that was loaded, such as a mask that packed rows need.
        packages: import names that the processor needs besides transformers and Pillow.
        language: model type of the language half -> the plain language model of the same weights, where it
            has another name.
        backend: library that preprocesses pixels, "pil" or "torchvision"; None: torchvision if installed.
    """

    name: str = "default"
    processors: tuple[str, ...] = ()
    token_types: str = ""
    image_token_id: Callable[[Any], int | None] = image_token_id
    placeholder: Callable[[Any], str] = placeholder
    expanded: Callable[[Any, Sequence[tuple[int, int]]], list[str]] = expanded
    limit_pixels: Callable[[Any, int, int], None] = cannot_limit
    join: Callable[[str, Sequence[torch.Tensor]], torch.Tensor] = stacked
    positions: Callable[[Any, Sequence[int], Tensors], torch.Tensor] = plain_positions
    prepare: Callable[[Any], None] = leave
    packages: tuple[str, ...] = ()
    language: Mapping[str, str] = field(default_factory=dict)
    backend: str | None = None

    def joined(self, parts: Sequence[Tensors]) -> dict[str, torch.Tensor]:
        """Join the image features of several pieces or conversations as inputs of one forward pass.

        Args:
            parts: tensors by input name; a name may be missing in a part without images.

        Returns:
            one tensor for each name, joined by `self.join`.
        """
        names = sorted({name for part in parts for name in part})
        return {name: self.join(name, [part[name] for part in parts if name in part]) for name in names}

    def per_token(self, input_ids: torch.Tensor, processor: Any) -> dict[str, torch.Tensor]:
        """Build the model input that says for each token whether it is of an image (`token_type_ids`).

        Args:
            input_ids: token ids, any shape.

        Returns:
            {token_types: int64 of the shape of `input_ids`, 1 at image tokens}, {} for a family without
            this input.
        """
        token = self.image_token_id(processor)
        if not self.token_types or token is None:
            return {}
        return {self.token_types: (input_ids == token).long()}


DEFAULT = Family()
PER_TOKEN = (
    "token_type_ids"  # outputs of a processor whose name ends so are per token, not features of images
)
