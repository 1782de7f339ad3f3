"""A chat template is rendered within limits, to the text that transformers makes of it."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medxiaohe.errors import ModelError
from medxiaohe.models import templates

utils = pytest.importorskip("transformers.utils.chat_template_utils")
jinja2 = pytest.importorskip("jinja2")

LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
DOUBLE = "{% set n = namespace(x='xx') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n }}"
HOSTILE = {
    "loops in loops": LOOP,
    "a text that doubles": DOUBLE,
    "a list that doubles": DOUBLE.replace("'xx'", "[1, 2]").replace("~", "+"),
    "a constant that is folded": "{{ 'x' * 10**10 }}",
    "a list of a billion": "{{ [0] * 10**9 }}",
    "a wide field": "{{ 'x'.ljust(10**9) }}",
    "a wide format": "{{ '%1000000000d' % 3 }}",
    "a long power": "{{ 9 ** (9 ** 9) }}",
    "much text": "{% for i in range(99999) %}{{ 'y' * 9999 }}{% endfor %}",
    "loops only for some conversations": "{% if messages|length > 1 %}" + LOOP + "{% endif %}",
}
ASKED = [{"role": "user", "content": "Is there an effusion?"}]
TALK = [*ASKED, {"role": "assistant", "content": "No 🫁 <|im_end|>\n"}, *ASKED]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_template_without_end_is_stopped_and_the_next_one_is_rendered(kind: str) -> None:
    with pytest.raises(ModelError, match=r"the chat template needs more than (1 s|100 MiB|32 MiB of text) "):
        templates.render(HOSTILE[kind], {"messages": TALK})
    assert templates.render("{{ messages[0].role }}", {"messages": TALK}) == "user"


def test_a_template_that_calls_itself_without_end_is_an_error_of_the_template() -> None:
    with pytest.raises(jinja2.TemplateError, match="recursion"):
        templates.render("{% macro f(n) %}{{ f(n + 1) }}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}", {})
    with pytest.raises(jinja2.TemplateError, match=r"^roles must alternate$"):
        templates.render("{{ raise_exception('roles must alternate') }}", {})


def test_templates_of_the_hub_give_what_transformers_gives() -> None:
    spec = importlib.util.find_spec("trl")
    if spec is None or spec.origin is None:
        pytest.skip("the templates are those that TRL ships")
    folder = Path(spec.origin).parent / "chat_templates"
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.jinja"))[::6]]
    assert len(texts) > 3
    values: dict[str, Any] = {"messages": TALK, "tools": None, "documents": None}
    for text in texts:
        for generation in (True, False):
            given = {**values, "add_generation_prompt": generation}
            assert rendered(templates.render, text, given) == rendered(directly, text, given)


def directly(text: str, values: dict[str, Any]) -> str:
    return str(utils._cached_compile_jinja_template(text).render(**values))


def rendered(render: Callable[[str, dict[str, Any]], str], text: str, values: dict[str, Any]) -> str:
    try:
        return render(text, values)
    except jinja2.TemplateError:
        return "refused"


def test_all_that_transformers_renders_in_this_process_is_bounded(tiny_vlm: Path) -> None:
    from medxiaohe.models import checkpoint

    processor = checkpoint.processor(str(tiny_vlm))
    with pytest.raises(ModelError, match="the chat template needs more than"):
        processor.apply_chat_template(ASKED, tokenize=False, chat_template=DOUBLE)
    with pytest.raises(ModelError, match="the chat template needs more than"):
        processor.tokenizer.apply_chat_template(ASKED, tokenize=False, chat_template=LOOP)


def test_threads_and_forks_get_the_texts_they_asked_for() -> None:
    found: dict[int, str] = {}

    def ask(number: int) -> None:
        for _ in range(20):
            found[number] = templates.render("{{ n }}", {"n": number})

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: str(number) for number in range(8)}
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.starmap(templates.render, [("{{ n }}", {"n": n}) for n in range(4)]) == list("0123")
    os.kill(templates._children[os.getpid()]._process.pid, signal.SIGKILL)
    templates._children[os.getpid()]._process.wait()
    assert templates.render("{{ n }}", {"n": 5}) == "5"
