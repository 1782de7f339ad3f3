"""How much of each model's replies could be read, and what that does to a comparison."""

from medxiaohe.evals.statistics.readings import Read, reading, readings, unread, warnings


def items(judged: int, unparsed: int, truncated: int = 0) -> list[Read]:
    kinds = ["judged"] * judged + ["unparsed"] * unparsed + ["truncated"] * truncated
    return [
        Read(f"i{i}", kind, 1.0 if kind == "judged" else 0.0, "the reply", "B")
        for i, kind in enumerate(kinds)
    ]


def test_unread_replies_are_wrong_in_one_reading_and_left_out_of_the_other() -> None:
    found = reading(items(6, 2, 2))
    assert (found["n"], found["unparsed"], found["truncated"], found["refused"]) == (10, 0.2, 0.2, 0.0)
    assert found["wrong"] == 0.6 and found["left_out"] == 1.0


def test_models_that_are_not_read_alike_are_warned_of() -> None:
    runs = {"first": {"quiz": items(100, 0)}, "second": {"quiz": items(96, 4)}}
    lines = warnings(readings(runs))
    assert len(lines) == 1 and "first 0.0%, second 4.0%" in lines[0] and "0.960 / 1.000" in lines[0]
    close = {"first": {"quiz": items(100, 0)}, "second": {"quiz": items(98, 2)}}
    assert warnings(readings(close)) == []


def test_twenty_unread_replies_of_each_model_are_shown() -> None:
    rows = unread({"first": {"quiz": items(1, 30)}, "second": {"quiz": items(5, 1)}})
    assert [row["stage"] for row in rows].count("first") == 20 and rows[-1]["stage"] == "second"
    assert rows[0] == {
        "task": "quiz", "stage": "first", "id": "i1", "status": "unparsed", "target": "B",
        "answer": "the reply",
    }  # fmt: skip
