"""What a task file makes of the rows of a data set: question, options, target, pictures, few-shot examples.

Semantics: `ConfigurableTask.doc_to_*` and `ContextSampler.get_context` of lm_eval/api, v0.4.9, and the
doc_to_visual and doc_to_messages of lmms-eval.
"""

from __future__ import annotations

import ast
import inspect
import io as buffers
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import images, io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models import templates
from medxiaohe.tasks import _rows
from medxiaohe.tasks._common import stored
from medxiaohe.tasks._lm_eval.config import Function
from medxiaohe.types import ImageRef, Message, Part

Row = Mapping[str, Any]
FEWSHOT_SEED = 1234  # of lm_eval.evaluator.simple_evaluate
SAMPLERS = ("default", "first_n")
PLAIN = (str, int, float, bool, type(None))


class Documents:
    """Rows of a task file and the items that it makes of them.

    Args:
        config: the checked keys of the file.
        origin: name of the file, for messages.
        path: a file or folder in the layout of the data set; "" for what the file names.
        revision: of a data set of the hub.
    """

    def __init__(
        self, config: Mapping[str, Any], origin: str, path: str = "", revision: str | None = None
    ) -> None:
        self.config, self.origin, self._path, self._revision = config, origin, path, revision
        self._fewshot: Sequence[Row] | None = None

    # ---- rows ------------------------------------------------------------------------------------------

    def rows(self, split: str) -> Sequence[Row]:
        """Load the rows of a split, processed by `process_docs`.

        Args:
            split: name in the data set.

        Returns:
            Rows in the order of the data set.

        Raises:
            DataError: the data is missing or unreadable, or the function fails.
        """
        kwargs = self.config.get("dataset_kwargs") or {}
        name = self._path or str(self.config["dataset_path"])
        config = str(self.config.get("dataset_name") or "")
        files = kwargs.get("data_files") or {}
        if name in ("json", "csv", "parquet") and files:  # a loader of `datasets` and its files
            file = files if isinstance(files, str) else files.get(split, "")
            result = _rows.rows(self._beside(str(file)), split)
        elif (root := self._local(name)) is not None:
            pattern = files.get(split, "") if isinstance(files, Mapping) else ""
            result = _rows.rows(root, split, config, str(pattern))
        else:
            result = _rows.hub(name, split, config, self._revision or kwargs.get("revision"))
        process = self.config.get("process_docs")
        if process is not None:
            import datasets

            dataset = datasets.Dataset.from_list([dict(row) for row in result])
            result = list(self._called(process, dataset))
        return result

    def _local(self, name: str) -> Path | None:
        beside = Path(self.origin).parent / name
        return beside if not self._path and beside.exists() else _rows.local(name)

    def _beside(self, file: str) -> Path:
        beside = Path(self.origin).parent / file
        result = beside if beside.exists() else Path(file)
        if not result.exists():
            raise DataError(f"{self.origin}: no such file: {file}")
        return result

    # ---- one row ---------------------------------------------------------------------------------------

    def text(self, row: Row, key: str = "doc_to_text") -> str:
        """Write the question of a row.

        Args:
            row: of the data set.
            key: of the file, whose template, column or function it is.

        Returns:
            The text.

        Raises:
            DataError: the template cannot be filled, or the function fails.
        """
        return str(self._of(self._given(key), row))

    def choices(self, row: Row) -> list[str]:
        """List the options of a row.

        Args:
            row: of the data set.

        Returns:
            Texts in order; [] where the file has no doc_to_choice.

        Raises:
            DataError: doc_to_choice gives no list.
        """
        requested = self._given("doc_to_choice")
        if requested is None:
            return []
        if isinstance(requested, Mapping):
            return [str(item) for item in requested.values()]
        if isinstance(requested, list):
            return [str(item) for item in requested]
        options = self._of(requested, row)
        options = self._literal(options) if isinstance(options, str) else options
        if isinstance(options, Mapping):
            options = list(options.values())
        if not isinstance(options, (list, tuple)) or not options:
            raise DataError(f"doc_to_choice gives no list of options, but {str(options)[:60]!r}")
        return [str(item) for item in options]

    def target(self, row: Row, key: str = "doc_to_target") -> Any:
        """Read the target of a row.

        Args:
            row: of the data set.
            key: of the file, whose template, column or function it is.

        Returns:
            Index of an option, a text, or a list of either.

        Raises:
            DataError: the template cannot be filled, or the function fails.
        """
        requested = self._given(key)
        if isinstance(requested, (int, list)):
            return requested
        result = self._of(requested, row)
        if isinstance(requested, str) and requested not in row and isinstance(result, str):
            if result.isdigit() and self._given("doc_to_choice") is not None:
                return int(result)
            if result.startswith("[") and result.endswith("]"):
                try:
                    return self._literal(result)
                except DataError:
                    return result
        return result

    def gold(self, row: Row, choices: Sequence[str]) -> list[int]:
        """Find the indices of the right options.

        Args:
            row: of the data set.
            choices: its options.

        Returns:
            Indices from 0.

        Raises:
            DataError: the target is not one of them; lm-eval counts such a row as wrong, whatever is
                answered.
        """
        answer = self.target(row)
        numbers = []
        for item in answer if isinstance(answer, (list, tuple)) else [answer]:
            number = choices.index(item) if isinstance(item, str) and item in choices else item
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(choices):
                raise DataError(f"the target {item!r} is not one of the options {', '.join(choices)[:120]!r}")
            numbers.append(number)
        return numbers

    def pictures(self, row: Row) -> list[ImageRef]:
        """Collect the images that doc_to_visual (lmms-eval) or doc_to_image (lm-eval) gives.

        Args:
            row: of the data set.

        Returns:
            References to files; bytes and PIL images are stored below the cache.

        Raises:
            DataError: an image is neither a path, bytes nor a PIL image.
            Rejected: a path leads out of the folder of the data.
        """
        requested = self.config.get("doc_to_visual") or self.config.get("doc_to_image")
        if not requested:
            return []
        if isinstance(requested, list):
            values: Any = [row.get(name) for name in requested]
        else:
            values = self._of(requested, row)
        every = values if isinstance(values, (list, tuple)) else [values]
        return [self._picture(item) for item in every if item is not None]

    def _picture(self, value: Any) -> ImageRef:
        task = str(self.config["task"])
        if isinstance(value, Mapping):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes):
            return stored(value, task)
        if hasattr(value, "save"):  # of PIL
            out = buffers.BytesIO()
            value.save(out, "PNG")
            return stored(out.getvalue(), task)
        if not isinstance(value, str):
            raise DataError(f"an image must be a path, bytes or a picture, not {str(value)[:60]!r}")
        root = self._local(self._path or str(self.config["dataset_path"])) or Path(self.origin).parent
        folder = root if root.is_dir() else root.parent
        return images.ref(io.confined(root, [folder]).path(value, folder))

    def messages(self, row: Row) -> tuple[Message, ...] | None:
        """Build the conversation that doc_to_messages gives.

        Args:
            row: of the data set.

        Returns:
            Messages in order; None where the file has no doc_to_messages.

        Raises:
            DataError: the function fails, or gives a part that is neither text nor image.
        """
        requested = self.config.get("doc_to_messages")
        if requested is None:
            return None
        results = []
        for turn in self._called(requested, self._shown(row)):
            content = turn["content"]
            parts: list[Part] = (
                [content] if isinstance(content, str) else [self._part(item) for item in content]
            )
            results.append(Message(turn["role"], tuple(parts)))
        return tuple(results)

    def _part(self, part: Mapping[str, Any]) -> Part:
        if part.get("type") == "text":
            return str(part["text"])
        if part.get("type") == "image":
            return self._picture(part.get("url") or part.get("image"))
        raise DataError(f"doc_to_messages gives a part of type {part.get('type')!r}: text and image are read")

    # ---- few-shot --------------------------------------------------------------------------------------

    def sampler(self, number: int, split: str) -> Callable[[Row], str]:
        """Build the few-shot sampler, which draws examples as lm-eval does (`ContextSampler.get_context`,
        seed 1234).

        Args:
            number: of examples before each question.
            split: not used: lm-eval draws one more where the source is `test_split`, whatever split is built.

        Returns:
            Row -> text of its examples; an example that equals the row is left out.

        Raises:
            ConfigError: the file names another kind of sampler.
            DataError: there are fewer rows than examples.
        """
        if not number:
            return lambda row: ""
        about = self.config.get("fewshot_config") or {}
        kind = about.get("sampler", "default")
        if kind not in SAMPLERS:
            raise ConfigError(
                f"{self.origin}: the sampler {kind!r} is not done here: {', '.join(SAMPLERS)} are"
            )
        source = self.config.get("fewshot_split") or about.get("split")
        samples = about.get("samples")
        if not source and samples is not None:
            rows: Sequence[Row] = samples() if isinstance(samples, Function) else samples
        else:
            keys = ("training_split", "validation_split", "test_split")
            source = source or next(self.config[key] for key in keys if self.config.get(key))
            rows = list(self.rows(str(source)))
        # one example more where the row itself may be drawn: it is dropped
        own = source == self.config.get("test_split")
        drawn = number + own
        if drawn > len(rows):
            raise DataError(
                f"{self.origin}: {drawn} few-shot examples are drawn and there are only {len(rows)}"
            )
        dice = random.Random(FEWSHOT_SEED)
        end = str(self.config.get("fewshot_delimiter", "\n\n"))
        texts: dict[int, str] = {}

        def context(row: Row) -> str:
            chosen = list(range(drawn)) if kind == "first_n" else dice.sample(range(len(rows)), drawn)
            selected = [i for i in chosen if rows[i] != row][:number]
            for i in selected:
                if i not in texts:
                    texts[i] = self._example(rows[i]) + end
            return "".join(texts[i] for i in selected)

        return context

    def _example(self, row: Row) -> str:
        target = self.target(row)
        if isinstance(target, (list, tuple)):
            target = target[0]
        elif not isinstance(target, str) and (choices := self.choices(row)):
            target = choices[target]
        prefix = f"{self.config['gen_prefix']} " if self.config.get("gen_prefix") else ""
        return f"{self.text(row)}{self.delimiter}{prefix}{target}"

    @property
    def delimiter(self) -> str:
        """Text between a question and its answer.

        Returns:
            `target_delimiter`, by default one blank.
        """
        return str(self.config.get("target_delimiter", " "))

    # ---- templates and functions -----------------------------------------------------------------------

    def _given(self, key: str) -> Any:
        return self.config.get(key)

    def _of(self, source: Any, row: Row) -> Any:
        """The value of a column, of a template filled with the row, or of a function of the row."""
        if isinstance(source, Function):
            return self._called(source, self._shown(row))
        if not isinstance(source, str):
            return source
        if source in row:
            return row[source]
        from jinja2 import TemplateError

        try:
            return templates.render(source, plain(row), strict=True)
        except TemplateError as error:
            columns = ", ".join(map(str, row))
            raise DataError(
                f"{source[:80]!r} cannot be filled: {error}; the columns are {columns[:200]}"
            ) from error

    def _called(self, function: Function, value: Any) -> Any:
        """The result of a function; lmms-eval's take the texts around a question as well."""
        loaded = function.load()
        prompts = self.config.get("lmms_eval_specific_kwargs")
        extra = (
            {"lmms_eval_specific_kwargs": prompts.get("default", prompts)}
            if isinstance(prompts, Mapping)
            else {}
        )
        takes = inspect.signature(loaded).parameters
        try:
            return loaded(value, **{key: value for key, value in extra.items() if key in takes})
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise DataError(
                f"{Path(function.file).name}:{function.name} fails on a row: {error!r}"
            ) from error

    def _shown(self, row: Row) -> dict[str, Any]:
        """The row as a function of the file expects it: its pictures opened."""
        return {key: _opened(value) for key, value in row.items()}

    def _literal(self, text: str) -> Any:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise DataError(f"not a list: {text[:80]!r}") from error


def plain(value: Any) -> Any:
    """Reduce a row to text, numbers, lists and mappings: what templates and metrics receive.

    Args:
        value: a row or a part of one.

    Returns:
        A copy without bytes and objects.
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items() if not isinstance(v, bytes) and _is_plain(v)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value if _is_plain(item)]
    return value


def _is_plain(value: Any) -> bool:
    return isinstance(value, (*PLAIN, list, tuple, Mapping))


def _opened(value: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes):
        from PIL import Image

        return Image.open(buffers.BytesIO(value["bytes"]))
    return value
