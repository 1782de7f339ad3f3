"""Tasks with their workflow and tools as environments of other trainers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io
from medxiaohe.errors import ConfigError

gymnasium = pytest.importorskip("gymnasium")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    text = "The capital of Peru is Lima."
    io.write_jsonl(tmp_path / "passages.jsonl", [{"id": "p1", "text": text, "source": "made up"}])
    return tmp_path / "passages.jsonl"


def made(library: Path, **more: Any) -> Any:
    import medxiaohe.train.environments.gymnasium_env  # noqa: F401

    options = {"split": "test", "workflow": "rwr", "tools": ["search"], "library": str(library), **more}
    return gymnasium.make("medxiaohe/Talk-v0", task="everyday", disable_env_checker=True, **options)


def test_gymnasiums_own_checker_passes(library: Path) -> None:
    from gymnasium.utils.env_checker import check_env

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        check_env(made(library, render_mode="ansi").unwrapped)
    assert not [str(one.message) for one in seen]


def test_a_conversation_with_a_tool_ends_with_the_score_of_the_task(library: Path) -> None:
    env = made(library)
    index = next(i for i, one in enumerate(env.unwrapped.talks.samples) if "Peru" in one.text)
    seen, info = env.reset(seed=0, options={"index": index})
    assert "Peru" in seen and info["messages"][-1]["role"] == "user"
    seen, reward, done, cut, info = env.step("<think>look</think><query>capital of Peru</query>")
    assert "Lima" in seen and (reward, done, cut) == (0.0, False, False)
    seen, reward, done, cut, info = env.step("<think>read</think><answer>Lima</answer>")
    assert (reward, done, cut) == (1.0, True, False) and info["status"] == "judged"
    with pytest.raises(ConfigError, match="call reset first"):
        env.unwrapped.step("more")
    env.reset(options={"index": index})
    *_, info = env.step("<answer>Quito</answer>")
    assert (
        info["answer"]
        and env.unwrapped.talks.score(env.unwrapped.talks.samples[index], env.unwrapped._talk.trace).value
        == 0
    )


def test_a_talk_without_an_end_is_truncated_and_the_same_seed_draws_the_same_sample(library: Path) -> None:
    env = made(library, max_turns=2)
    first, again = env.reset(seed=7)[1]["sample"], env.reset(seed=7)[1]["sample"]
    assert first == again
    for _ in range(2):
        *_, done, cut, _ = env.step("<think>look</think><query>Lima</query>")
    assert cut and not done


def test_what_cannot_be_meant_is_one_sentence(library: Path) -> None:
    with pytest.raises(ConfigError, match="no workflows named 'pannel'"):
        made(library, workflow="pannel")
    with pytest.raises(ConfigError, match="max_turns and max_action must be at least 1"):
        made(library, max_turns=0)
    with pytest.raises(ConfigError, match="the role '', which is not the policy"):
        made(library, policy="nurse").reset(seed=0)
