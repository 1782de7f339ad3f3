"""The client that asks models: keys, stores, budgets, repair, and servers that misbehave."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from rude_for_tests import Rude, started

from medxiaohe import io
from medxiaohe.errors import ConfigError, ModelError, RequestRejected, ServerGone, StorageError
from medxiaohe.models.asking import GIVE_UP_AFTER, Client, Unreadable
from medxiaohe.models.backends.openai_compatible import openai_compatible
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.models.replies import Reply
from medxiaohe.models.reply_store import VERSION, ReplyStore
from medxiaohe.models.request_key import request_key
from medxiaohe.models.spending import CallBudget
from medxiaohe.privacy import post
from medxiaohe.types import ImageRef, Message, Tool, ToolResult

UNREADABLE = ("garbage", "cut", "empty", "none", "half", "error", "object", "brackets")
TRANSIENT = (*UNREADABLE, "busy", "busier", "down", "broken", "reset", "short", "header", "body", "silent")
FOR_EVER = ("garbage!", "cut!", "empty!", "none!", "half!", "long!", "busy!", "reset!", "header!", "body!",
            "object!", "moved!", "keyless!")  # fmt: skip


def ask(text: str) -> list[Message]:
    return [Message("user", (text,))]


def number(text: str) -> int:
    if not text.isdigit():
        raise Unreadable("it must be a number")
    return int(text)


# ---- the address of a request --------------------------------------------------------------------------


def test_a_key_knows_words_roles_pixels_and_tools_and_no_paths(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("a.png", "b.png", "c.png"))
    one.write_bytes(b"pixels")
    same.write_bytes(b"pixels")
    other.write_bytes(b"others")
    keys = {
        path: request_key([Message("user", (ImageRef(str(path)), "Well?"))]) for path in (one, same, other)
    }
    assert keys[one] == keys[same] != keys[other]
    image = ImageRef("a.png", sha256="1" * 64)
    tool = Tool("dose", "Dose.", {"type": "object"}, lambda: ToolResult("", ()))
    talks = [
        request_key([Message("user", (image, "Well?"))]),
        request_key([Message("user", (replace(image, box=(0, 0, 4, 4)), "Well?"))]),
        request_key([Message("user", (image, "Well!"))]),
        request_key([Message("system", (image, "Well?"))]),
        request_key([Message("user", (image, "Well?"))], [tool]),
        request_key([Message("user", (image, "Well?"))], [replace(tool, description="Other.")]),
    ]
    assert len(set(talks)) == len(talks)


def test_a_key_knows_the_pixels_that_a_tool_returned() -> None:
    def returned(path: str, digest: str) -> str:
        return request_key([Message("tool", (ToolResult("c", ("seen", ImageRef(path, digest * 64))),))])

    assert returned("a.png", "1") == returned("b.png", "1") != returned("a.png", "2")


# ---- strict reading ------------------------------------------------------------------------------------


def test_an_unreadable_reply_is_shown_its_problem_once_and_then_is_unreadable() -> None:
    model = scripted("m", ["seven", "7", "a", "b"])
    good, lost = (Client(model).ask([ask("n?")], number)[0] for _ in range(2))
    assert (good.value, good.calls, good.status) == (7, 2, "read")
    assert (
        model.conversations[1][1].text == "seven" and "it must be a number" in model.conversations[1][2].text
    )
    assert (lost.value, lost.calls, lost.status, lost.error) == (None, 2, "unreadable", "it must be a number")
    assert len(model.conversations) == 4


def test_each_conversation_has_its_own_reader() -> None:
    model = scripted("m", lambda talk: talk[0].text)
    found = Client(model).ask([ask("1"), ask("b")], [number, str.upper])
    assert [one.value for one in found] == [1, "B"]


# ---- failures ------------------------------------------------------------------------------------------


def test_the_failure_of_one_conversation_costs_the_others_nothing() -> None:
    def answer(talk: Sequence[Message]) -> str:
        if talk[0].text == "3":
            raise ModelError("too long")
        return talk[0].text

    model = scripted("m", answer)
    found = Client(model).ask([ask(str(i)) for i in range(6)], number)
    assert [one.value for one in found] == [0, 1, 2, None, 4, 5]
    assert (found[3].status, found[3].error) == ("failed", "too long")


def test_a_failed_reply_has_an_error_and_its_conversation_is_not_asked_on() -> None:
    def answer(talk: Sequence[Message]) -> str:
        if talk[0].text == "bad":
            raise ModelError("too long")
        return "fine"

    model = scripted("m", answer)
    client = Client(model)
    good, bad = client.reply([ask("good"), ask("bad")])
    assert good.text == "fine" and bad == Message("assistant", (), error="too long")
    asked = len(model.conversations)
    assert client.reply([[*ask("bad"), bad, *ask("go on")]]) == [bad] and len(model.conversations) == asked
    assert io.message_from_json(json.loads(io.encoded(bad))) == bad


def test_a_model_that_answers_nothing_at_all_ends_the_run() -> None:
    def fails(talk: Sequence[Message]) -> str:
        raise ModelError("no such model")

    with pytest.raises(ModelError, match="no such model"):
        Client(scripted("m", fails)).ask([ask("1"), ask("2")])


def test_many_failures_in_a_row_end_the_run_in_one_sentence_and_rejections_do_not(tmp_path: Path) -> None:
    def client(error: type[ModelError], journal: str) -> Client:
        def answer(talk: Sequence[Message]) -> str:
            if int(talk[0].text) >= 3:
                raise error("away")
            return "ok"

        return Client(scripted("m", answer), journal=ReplyStore(tmp_path / journal), together=8)

    talks = [ask(str(i)) for i in range(3 * GIVE_UP_AFTER)]
    with pytest.raises(ServerGone, match=rf"failed {GIVE_UP_AFTER} requests in a row \(the last: away\)"):
        client(ModelError, "a.sqlite").ask(talks)
    kept = Client(scripted("m", []), journal=ReplyStore(tmp_path / "a.sqlite"))
    assert [one.text for one in kept.ask(talks[:3])] == ["ok"] * 3
    found = client(RequestRejected, "b.sqlite").ask(talks)
    assert Counter(one.status for one in found) == {"read": 3, "failed": len(talks) - 3}


# ---- budgets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "read"),
    [
        (CallBudget(max_calls=3), 3),
        (CallBudget(max_calls=0), 0),
        (CallBudget(max_tokens=100), 2),  # 40 letters are 10 tokens, and so are 160 of a reply 40
        (CallBudget(max_cost=0.0001, price_in=1.0, price_out=1.0), 2),
    ],
)
def test_what_lies_beyond_the_budget_is_not_asked(budget: CallBudget, read: int) -> None:
    model = scripted("m", lambda talk: "r" * 160)
    client = Client(model, budget=budget, together=1)
    found = client.ask([ask(str(i) * 40) for i in range(5)])
    assert [one.status for one in found] == ["read"] * read + ["spent"] * (5 - read)
    assert len(model.conversations) == client.spent.calls == read
    assert all("the budget of" in one.error and "is spent" in one.error for one in found[read:])


def test_a_run_that_resumes_spends_what_one_that_was_never_stopped_does(tmp_path: Path) -> None:
    how, talks = (
        CallBudget(max_calls=4, price_in=1.0, price_out=2.0),
        [ask(f"question {i}") for i in range(6)],
    )
    path = tmp_path / "replies.sqlite"
    whole = Client(scripted("m", lambda talk: "7"), budget=how)
    first = whole.ask(talks, number)
    Client(scripted("m", lambda talk: "7"), budget=how, journal=ReplyStore(path)).ask(talks[:2], number)
    model = scripted("m", lambda talk: "7")
    resumed = Client(model, budget=how, journal=ReplyStore(path))
    again = resumed.ask(talks, number)
    assert [replace(one, known=False) for one in again] == first and resumed.spent == whole.spent
    assert len(model.conversations) == 2


def test_a_budget_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="price"):
        CallBudget(max_cost=1.0)
    with pytest.raises(ConfigError, match="at least 0"):
        CallBudget(max_calls=-1)


# ---- stores --------------------------------------------------------------------------------------------


def test_a_cache_is_free_and_holds_nothing_unreadable(tmp_path: Path) -> None:
    def cache() -> ReplyStore:
        return ReplyStore(tmp_path / "cache.sqlite", shared=True)

    talks = [ask("1"), ask("x")]
    Client(scripted("m", lambda talk: talk[0].text), cache=cache()).ask(talks, number)
    model = scripted("m", lambda talk: "5")
    client = Client(model, cache=cache(), budget=CallBudget(max_calls=1))
    assert [(one.value, one.known) for one in client.ask(talks, number)] == [(1, True), (5, False)]
    assert client.spent.calls == 1 and [talk[0].text for talk in model.conversations] == ["x"]
    assert Client(scripted("other", ["9"]), cache=cache()).ask(talks[:1], number)[0].value == 9


def test_a_journal_gives_each_draw_once_and_only_to_its_part_of_the_run(tmp_path: Path) -> None:
    draws = iter("abcdefgh")
    path = tmp_path / "journal.sqlite"
    first = Client(scripted("m", lambda talk: next(draws)), journal=ReplyStore(path))
    first.begin("window 0")
    assert [m.text for m in first.reply([ask("?"), ask("?")])] == ["a", "b"]
    again = Client(scripted("m", lambda talk: next(draws)), journal=ReplyStore(path))
    again.begin("window 0")
    assert [m.text for m in again.reply([ask("?"), ask("?"), ask("?")])] == ["a", "b", "c"]
    again.begin("window 1")
    assert again.reply([ask("?")])[0].text == "d"
    base = sqlite3.connect(path)
    assert base.execute("SELECT scope, n FROM replies").fetchall() == [("window 1", 0)]


def test_the_cache_of_an_earlier_version_is_migrated(tmp_path: Path) -> None:
    path, talk = tmp_path / "0123456789abcdef.sqlite", ask("Well?")
    base = sqlite3.connect(path)
    base.execute("CREATE TABLE replies (key TEXT PRIMARY KEY, reply TEXT) WITHOUT ROWID")
    reply = '{"role": "assistant", "parts": ["yes"]}'
    base.execute("INSERT INTO replies VALUES (?, ?)", (request_key(talk), reply))
    base.commit()
    base.close()
    for _ in range(2):
        store = ReplyStore(path, shared=True)
        assert store.get(path.stem, request_key(talk)) == Reply(Message("assistant", ("yes",)))
        store.close()


def test_a_file_that_is_no_store_or_a_later_one_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"no database, but longer than a header of one " * 40)
    with pytest.raises(StorageError, match=r"a\.sqlite: .*delete the file"):
        ReplyStore(tmp_path / "a.sqlite")
    base = sqlite3.connect(tmp_path / "b.sqlite")
    base.execute(f"PRAGMA user_version = {VERSION + 1}")
    base.close()
    with pytest.raises(ConfigError, match="later version"):
        ReplyStore(tmp_path / "b.sqlite")
    (tmp_path / "calls.jsonl").touch()
    with pytest.raises(ConfigError, match=r"calls\.jsonl has replies in the format of an earlier version"):
        ReplyStore(tmp_path / "c.sqlite", earlier=[tmp_path / "calls.jsonl"])


def test_replies_are_for_their_owner_only(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "replies" / "a.sqlite")
    store.put("m", [("key", 0, Reply(Message("assistant", ("yes",))))])
    assert {path.stat().st_mode & 0o77 for path in (tmp_path / "replies").iterdir()} == {0}
    store.delete()
    assert not list((tmp_path / "replies").iterdir())


# ---- servers that misbehave ----------------------------------------------------------------------------


@pytest.fixture
def rude() -> Iterator[Rude]:
    with started() as server:
        yield server


@pytest.mark.parametrize("kind", TRANSIENT)
def test_a_server_that_misbehaves_once_is_asked_again(rude: Rude, kind: str) -> None:
    start = time.monotonic()
    assert rude.model().reply([ask(f"item 1 {kind}")])[0].text == "1 is good"
    assert rude.seen() == {"1": [2, 1]}
    assert kind != "busier" or time.monotonic() - start >= 1, "Retry-After is obeyed"


@pytest.mark.parametrize("kind", ["header", "body", "silent"])
def test_the_deadline_is_for_the_whole_request_from_its_first_byte(rude: Rude, kind: str) -> None:
    start = time.monotonic()
    with pytest.raises(ModelError, match=r"did not answer within 0\.4 s, 1 times"):
        rude.model(timeout=0.4, retries=0).reply([ask(f"item 1 {kind}!")])
    assert time.monotonic() - start < 2.4, "the server is slow for longer"


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    from datetime import datetime, timedelta
    from email.utils import format_datetime

    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert post.retry_after("7") == 7.0 and 25 < post.retry_after(soon) <= 30
    assert post.retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert [post.retry_after(wrong) for wrong in ("", "soon", "-3", "1e9", "9" * 40)] == [0.0] * 5


def test_tokens_and_cost_are_those_that_the_server_counts(rude: Rude) -> None:
    client = Client(rude.model(), budget=CallBudget(price_in=100.0, price_out=1000.0))
    found = client.ask([ask("item 1 good"), ask("item 2 good")])
    assert [(one.tokens_in, one.tokens_out) for one in found] == [(10, 3)] * 2
    assert found[0].cost == pytest.approx(10 * 100 / 1e6 + 3 * 1000 / 1e6)
    assert client.spent.cost == pytest.approx(2 * found[0].cost) and client.spent.calls == 2


def check_misbehaviour(rude: Rude, journal: Path, size: int) -> None:
    """All ends, with exact counts; good answers are paid for once, also when everything is asked again."""
    asked = [f"item {i} {kind}" for i, kind in enumerate(_kinds(size))]
    model = rude.model(workers=128)
    assert Client(model).ask([ask("item first good")])[0].value  # before one item is answered 307 or 401
    found = Client(model, journal=ReplyStore(journal), together=size).ask([ask(text) for text in asked])
    for text, one in zip(asked, found, strict=True):
        _, number, kind = text.split()
        if kind.endswith("!"):
            assert (one.status, one.value) == ("failed", None) and "the model server 127.0.0.1" in one.error
        else:
            assert (one.status, one.value) == ("read", f"{number} is good"), (text, one.error)
    seen = rude.seen()
    assert {text.split()[1]: seen[text.split()[1]] for text in asked} == {
        text.split()[1]: [_requests(text.split()[2]), 0 if text.endswith("!") else 1] for text in asked
    }
    quick = [i for i, text in enumerate(asked) if not text.endswith(("header!", "body!"))]
    again = Client(model, journal=ReplyStore(journal)).ask([ask(asked[i]) for i in quick])
    assert [one.value for one in again] == [found[i].value for i in quick]
    assert rude.good == 1 + sum(not text.endswith("!") for text in asked)


def _kinds(size: int) -> list[str]:
    """Each kind of misbehaviour 5 % of the items, spread over them; in sizes below 500 that is one or two."""
    half = [kind for kind in (*TRANSIENT, *FOR_EVER) for _ in range(max(1, size * 5 // 100 // 2))]
    kinds = (half + ["good"] * size)[:size]
    return [kinds[i * 7919 % size] for i in range(size)]  # 7919 is a prime, so this is a permutation


def _requests(kind: str) -> int:
    return 1 if kind in ("good", "long!", "moved!", "keyless!") else 2


def test_a_server_that_misbehaves_in_every_way_leaves_every_good_answer_paid_once(
    rude: Rude, tmp_path: Path
) -> None:
    check_misbehaviour(rude, tmp_path / "journal.sqlite", 200)


@pytest.mark.long
def test_ten_thousand_items_of_a_server_that_misbehaves_end_with_exact_counts(
    rude: Rude, tmp_path: Path
) -> None:
    check_misbehaviour(rude, tmp_path / "journal.sqlite", 10_000)


@pytest.mark.parametrize("how", ["moved", "keyless"])
def test_a_refusal_of_everything_ends_a_run_only_before_the_first_answer_or_when_it_goes_on(
    how: str, rude: Rude
) -> None:
    model = rude.model(workers=2)
    with pytest.raises(ServerGone, match=r"answered 307|answered 401"):
        Client(model).ask([ask(f"item a{how}{i} {how}!") for i in range(100)])
    assert sum(item.startswith(f"a{how}") for item in rude.seen()) <= 12  # and not 100
    model = rude.model(workers=1)  # in order: one refusal, then an answer
    kinds = [f"{how}!", "good", *[f"{how}!"] * 3, "good"]
    found = Client(model).ask([ask(f"item {how}{i} {kind}") for i, kind in enumerate(kinds)])
    assert [one.status for one in found] == ["failed", "read", "failed", "failed", "failed", "read"]
    with pytest.raises(ServerGone, match=f"failed {GIVE_UP_AFTER} requests in a row"):
        Client(model).ask([ask(f"item {how}{i} {how}!") for i in range(100, 100 + 2 * GIVE_UP_AFTER)])


def test_a_server_that_is_away_ends_the_run_and_keeps_what_was_answered(rude: Rude, tmp_path: Path) -> None:
    talks = [ask(f"item {i} good") for i in range(20)]
    path = tmp_path / "journal.sqlite"
    Client(rude.model(), journal=ReplyStore(path)).ask(talks[:12])
    away = openai_compatible("m", "http://127.0.0.1:9/v1", retries=1, first_wait=0.01, workers=4)
    with pytest.raises(ServerGone, match=r"127\.0\.0\.1:9 could not be reached, 2 times: check that it runs"):
        Client(away, journal=ReplyStore(path)).ask(talks)
    found = Client(rude.model(), journal=ReplyStore(path)).ask(talks)
    assert [one.value for one in found] == [f"{i} is good" for i in range(20)]
    assert rude.seen() == {str(i): [1, 1] for i in range(20)}


SCRIPT = """
import sys
from pathlib import Path
from medxiaohe.models.asking import Client
from medxiaohe.models.backends.openai_compatible import openai_compatible
from medxiaohe.models.reply_store import ReplyStore
from medxiaohe.types import Message

port, journal, size = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
model = openai_compatible("m", f"http://127.0.0.1:{port}/v1", workers=8)
client = Client(model, journal=ReplyStore(journal))
found = client.ask([[Message("user", (f"item {i} good 10",))] for i in range(size)])
print(sum(one.value == f"{i} is good" for i, one in enumerate(found)))
"""


def test_kill_9_in_the_middle_repeats_nothing_that_was_answered(rude: Rude, tmp_path: Path) -> None:
    size, journal = 400, tmp_path / "journal.sqlite"
    words = [sys.executable, "-c", SCRIPT, str(rude.port), str(journal), str(size)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    kills = 0
    for enough in (60, 150, 250):
        process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and rude.good < enough:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 3
    before = set(_answered(journal))
    asked = {item: requests for item, (requests, _) in rude.seen().items()}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == str(size), done.stderr[-500:]
    seen = rude.seen()
    assert len(before) > 200 and all(seen[item][0] == asked[item] for item in before)
    # of those that were under way at a kill, at most one for each worker was asked again
    assert sum(requests for requests, _ in seen.values()) <= size + 8 * kills


def _answered(journal: Path) -> list[str]:
    replies = sqlite3.connect(journal).execute("SELECT reply FROM replies").fetchall()
    return [json.loads(reply)["parts"][0].split()[0] for (reply,) in replies]
