"""De-identify free text offline, by patterns and a list of words that may stay.

    from medxiaohe.privacy import text
    text.redact("Mr. Quxley (MRN 4711223) was seen on 3/4/2021").text      -> "Mr. [NAME-1] (MRN [ID-1]) was
    seen on [DATE-1]"

Patterns find dates, ages over 89, telephone numbers, addresses and ids (`text_patterns`, `text_chinese`);
every other word must be a word of general text in lower case, a term of medicine or an abbreviation, else it
is taken for a name (`text_names`). So a name is found because it is in no list of words; no list of names is
needed. docs/privacy.md has recall and precision.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from medxiaohe.privacy import text_chinese, text_names, text_patterns
from medxiaohe.privacy.spans import Span, merged

# no word of a language: encoded bytes, a very long address
ENDLESS = re.compile(r"[^\s\u3000-\u303f\u3400-\u9fff\uff00-\uffef]{300,}")
Finder = Callable[[str], Iterable[Span]]


@dataclass(frozen=True)
class Redacted:
    """A redacted text, and the spans of the original that were replaced."""

    text: str
    spans: tuple[Span, ...]  # where the original had them


@dataclass
class Redactor:
    """Redacts the texts of one document or conversation: the same name gets the same number in all of them.

    Attributes:
        more: other finders, such as `text_adapters.presidio()`; what they find is redacted as well.
    """

    more: tuple[Finder, ...] = ()
    # kind -> what was said -> number
    _numbers: dict[str, dict[str, int]] = field(default_factory=dict, repr=False)

    def __call__(self, text: str) -> Redacted:
        spans = find(text, self.more)
        out, at = [], 0
        for span in spans:
            out += [text[at : span.start], self._tag(span.kind, text[span.start : span.end])]
            at = span.end
        return Redacted("".join([*out, text[at:]]), tuple(spans))

    def _tag(self, kind: str, surface: str) -> str:
        numbers = self._numbers.setdefault(kind, {})
        number = numbers.setdefault(" ".join(surface.casefold().split()).strip(".,"), len(numbers) + 1)
        return f"[{kind}-{number}]"

    def value(self, value: Any) -> Any:
        """Redact the strings of a JSON value at any depth, keys included where they are not names of fields.

        Returns:
            The value; integers of six digits or more are redacted as text.
        """
        if isinstance(value, str):
            return self(value).text
        if isinstance(value, Mapping):
            return {self.key(str(k)): self.value(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(v) for v in value]
        if isinstance(value, float) or value is None or isinstance(value, bool):
            return value
        return value if abs(int(value)) < 10**5 else self(str(value)).text

    def key(self, key: str) -> str:
        """Redact the name of a field.

        Returns:
            The key unchanged if its words are words.
        """
        spaced = key.replace("_", " ").replace("-", " ")
        return key if not find(spaced, self.more) else self(key).text


def redact(text: str, more: tuple[Finder, ...] = ()) -> Redacted:
    """Redact one text by itself.

    Args:
        text: to redact.
        more: other finders, such as `text_adapters.presidio()`.

    Returns:
        The text with tags such as [NAME-1], and the spans that they replace.
    """
    return Redactor(more)(text)


def find(text: str, more: Iterable[Finder] = ()) -> list[Span]:
    """Detect identifiers in a text.

    Args:
        text: in English, Spanish, German or Chinese.
        more: other finders.

    Returns:
        Spans in the order of the text, without overlaps.
    """
    long = [Span(*match.span(), "ID") for match in ENDLESS.finditer(text)]
    # patterns take quadratic time in a word without an end
    bounded = ENDLESS.sub(lambda match: " " * len(match[0]), text)
    fixed = [*text_patterns.find(bounded), *text_chinese.find(bounded)]
    results = [*long, *fixed, *text_names.find(bounded, merged([*long, *fixed], text))]
    for finder in more:
        results += finder(text)
    return merged(results, text)
