"""The notebook runs from first cell to last, without weights and a network, and ships no outputs."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from doc_blocks import ROOT

NOTEBOOK = ROOT / "examples" / "first_steps.ipynb"


def cells(kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"] if cell["cell_type"] == kind]


def test_outputs_are_stripped() -> None:
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells("code"))


def test_links_of_the_notebook_lead_somewhere() -> None:
    import re

    text = "".join("".join(cell["source"]) for cell in cells("markdown"))
    targets = re.findall(r"\]\(([^)#]+)\)", text)
    assert targets and all((NOTEBOOK.parent / target).exists() for target in targets)


def test_every_cell_runs_in_order(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    names: dict[str, Any] = {"__name__": "__main__"}
    said = io.StringIO()
    with contextlib.chdir(tmp_path), contextlib.redirect_stdout(said):
        for number, cell in enumerate(cells("code")):
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    printed = said.getvalue()
    assert "pneumonia my:1 pneumonia negated: True" in printed
    assert ".' 1.0 judged" in printed and "' 0.0 judged" in printed, printed
    assert "'I am not a doctor.' 0.0 unparsed" in printed, printed
    row = names["results"]["triage"]
    assert row["n"] == 4 and row["mean"] == pytest.approx(0.75) and row["unparsed"] == 0
