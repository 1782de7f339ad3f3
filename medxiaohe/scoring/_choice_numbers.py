"""Options that a reply names by their place though the prompt letters them: "정답은 ③", "정답은 2번", "(다)".

Korean papers number their options, and models that learned from them answer so. A number is a place where the
language file says how options are numbered (`places`), no letter of an option stands alone in the reply, and
the number is circled, counted ("2번"), announced or called right; "하루 2번" (twice a day) is none.
"""

from __future__ import annotations

import re
from functools import lru_cache

from medxiaohe.scoring._languages import any_of, rules
from medxiaohe.scoring._options import LETTERS

CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩"
LONE = re.compile(r"(?<![A-Za-z0-9])[A-J](?![A-Za-z0-9])")
NEAR = 12  # characters before a number that make it one of something else


def lettered(text: str, count: int, names: tuple[str, ...]) -> str:
    """Replace option numbers by option letters where the language numbers its options.

    Args:
        text: a reply without its thinking.
        count: number of options.
        names: languages of the reply (`spoken`).

    Returns:
        The text with letters; the text unchanged where a letter of an option stands in it, or no language of
        it numbers options.
    """
    names = tuple(name for name in names if rules()[name].get("places"))
    if not names or any(mark in LETTERS[:count] for mark in LONE.findall(text)):
        return text
    order = "".join(symbol for name in names for symbol in rules()[name]["places"])
    patterns, counted = _patterns(names, order)

    def letter(mark: re.Match[str]) -> str:
        symbol = mark["place"]
        at = int(symbol) - 1 if symbol.isascii() else (CIRCLED if symbol in CIRCLED else order).index(symbol)
        before = mark.string[max(0, mark.start("place") - NEAR) : mark.start("place")]
        if at >= count or counted.search(before):
            return mark[0]
        return (
            mark[0][: mark.start("place") - mark.start()]
            + LETTERS[at]
            + mark[0][mark.end("place") - mark.start() :]
        )

    for pattern in patterns:
        text = pattern.sub(letter, text)
    return text


@lru_cache(maxsize=8)
def _patterns(names: tuple[str, ...], order: str) -> tuple[tuple[re.Pattern[str], ...], re.Pattern[str]]:
    """What finds the places of options, and what stands before a number of something else."""
    noun, counter = any_of(names, "answer", "option"), any_of(names, "counter")
    link, right = any_of(names, "link"), any_of(names, "right", "answer")
    alone = r"(?<![0-9A-Za-z.,/\-])(?P<place>[1-9])"
    announced = rf"{noun}[\s\"'*】\])]*(?:{link})?[\s:：=→\"'*]*[(\[]?"
    end = rf"(?=[\s)\]*\"']*(?:$|[.,;:\n)]|{any_of(names, 'link', 'wrong', 'place_end')}))"
    patterns = (
        rf"(?P<place>[{CIRCLED}])",
        rf"{alone}(?=\s?{counter}(?!{any_of(names, 'counts')}))",
        rf"{announced}(?P<place>[1-9]){end}",
        rf"{alone}(?=\)?\s?{link}\s*{right})",
        rf"{announced}(?P<place>[{order}]){end}",
        rf"(?:^|\n)[ \t*#>]*\((?P<place>[{order}])(?=\))",
    )
    return tuple(map(re.compile, patterns)), re.compile(rf"{any_of(names, 'counted')}\s*(?:총 ?|약 ?)?$")
