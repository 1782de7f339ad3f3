"""Frame of an HTML page: head, contents, sections. It loads nothing, and its Content-Security-Policy
forbids it to."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources

from medxiaohe import STATEMENT
from medxiaohe.pages.elements.html import Html, tag


def document(
    title: str,
    kind: str,
    contents: Sequence[tuple[str, str]],
    sections: Sequence[Html],
    styles: Sequence[str],
    scripts: Sequence[str],
    *,
    refresh: int = 0,
) -> str:
    """Build a whole HTML page from its sections.

    Args:
        title: of the page and of its first heading.
        kind: a line above the heading, such as medxiaohe evaluation.
        contents: (id, name) of each section, for the list of contents; at least one.
        sections: markup in order.
        styles: names of files of pages/assets, in order.
        scripts: names of files of pages/assets, in order.
        refresh: seconds after which a browser loads the page again; 0 is never.

    Returns:
        a self-contained document; its Content-Security-Policy allows these styles and scripts only.
    """
    style, script = (Html("\n".join(map(asset, names))) for names in (styles, scripts))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", http_equiv="refresh", content=str(refresh)) if refresh else None,
        tag("title", title),
        tag("style", style),
    )
    links = [tag("li", tag("a", name, href=f"#{id}")) for id, name in contents]
    body = tag(
        "body",
        tag("a", "Skip to the report", href=f"#{contents[0][0]}", class_="skip"),
        tag("aside", STATEMENT, class_="statement", aria_label="Intended use"),
        tag("header", tag("p", kind, class_="eyebrow"), tag("h1", title), class_="masthead"),
        tag(
            "div", tag("nav", tag("ol", links), aria_label="Contents"), tag("main", sections), class_="frame"
        ),
        tag("footer", tag("p", STATEMENT)),
        tag("script", script),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def asset(name: str) -> Html:
    """Read a style sheet or script of pages/assets as markup.

    Args:
        name: of the file.

    Raises:
        FileNotFoundError: no such file.
    """
    return Html((resources.files("medxiaohe.pages") / "assets" / name).read_text(encoding="utf-8"))


def policy(style: str, script: str) -> str:
    """Build a Content-Security-Policy that allows one style, one script and images inside the page.

    Args:
        style: text of the style element.
        script: text of the script element.

    Returns:
        the value of the header, with SHA-256 hashes of both; a browser refuses everything else.
    """
    hashes = [
        "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
        for text in (style, script)
    ]
    return (
        f"default-src 'none'; img-src data:; style-src {hashes[0]}; script-src {hashes[1]}; base-uri 'none';"
        " form-action 'none'"
    )
