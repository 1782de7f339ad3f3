"""Filters of replies before scoring, by `filter_list`. Semantics: lm_eval/filters, v0.4.9."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medxiaohe.errors import ConfigError
from medxiaohe.plugins import nearest

CHANGES: dict[str, Callable[[str], str]] = {
    "remove_whitespace": lambda text: text.lstrip(), "lowercase": str.lower, "uppercase": str.upper,
}  # fmt: skip
INVALID = "[invalid]"  # what lm-eval puts where a pattern matches nothing
NAMES = (
    "regex", "take_first", "take_first_k", "majority_vote", "remove_whitespace", "lowercase", "uppercase",
    "map",
)  # fmt: skip


def check(pipelines: Sequence[Mapping[str, Any]], origin: str) -> None:
    """Check the filter pipelines of a file.

    Args:
        pipelines: entries of `filter_list`.
        origin: name of the file, for messages.

    Raises:
        ConfigError: a filter is not done here, or a pattern is no regular expression.
    """
    for pipeline in pipelines:
        for step in pipeline.get("filter") or ():
            name = str(step.get("function"))
            if name not in NAMES:
                raise ConfigError(f"{origin}: no filter {name!r} here{nearest(name, NAMES)}")
            try:
                re.compile(str(step.get("regex_pattern", "")))
            except re.error as error:
                raise ConfigError(
                    f"{origin}: {step['regex_pattern']!r} is no regular expression ({error})"
                ) from error


def filtered(replies: Sequence[str], steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Apply the steps of a pipeline to the replies of one item.

    Args:
        replies: of one item, in order.
        steps: of one pipeline, checked by `check`.

    Returns:
        Replies after the last step; one after `take_first` or `majority_vote`.
    """
    result = list(replies)
    for step in steps:
        name = str(step["function"])
        if name == "regex":
            result = [_matched(text, step) for text in result]
        elif name == "take_first":
            result = result[:1]
        elif name == "take_first_k":
            result = result[: int(step["k"])]
        elif name == "majority_vote":
            result = [Counter(result).most_common(1)[0][0]] if result else []
        elif name == "map":
            table = {str(key): str(value) for key, value in dict(step["mapping_dict"]).items()}
            result = [table.get(text, str(step.get("default_value", ""))) for text in result]
        else:
            result = [CHANGES[name](text) for text in result]
    return result


def _matched(text: str, step: Mapping[str, Any]) -> str:
    """The match of a `regex` step: the group that is not empty, of the match that `group_select` counts."""
    fallback = str(step.get("fallback", INVALID))
    matches = re.findall(str(step.get("regex_pattern", r"#### (\-?[0-9\.\,]+)")), text)
    try:
        match = matches[int(step.get("group_select", 0))]
    except IndexError:
        return fallback
    if isinstance(match, tuple):
        match = next((item for item in match if item), fallback)
    return str(match).strip()
