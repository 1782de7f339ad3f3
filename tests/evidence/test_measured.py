"""Reports of pictures in which a tool finds cells: counted and placed as the tool found them."""

from pathlib import Path

import pytest

from medxiaohe.agents.report import report
from medxiaohe.evidence.revision import revise
from medxiaohe.evidence.verifiers.measured import measured, regions, statements
from medxiaohe.images import ref
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.reports.document import of_trace, to_json
from medxiaohe.reports.fhir import fhir
from medxiaohe.tools.toolbox import open_tools
from medxiaohe.types import Claim, Evidence, Locator, Message, Prompt


def cell(n: int, box: tuple[int, int, int, int]) -> Evidence:
    text = f"white cell at {list(box)} of 640 x 480 pixels"
    return Evidence(f"r{n}", text, "smear", kind="region", at=Locator(box=box))


TWO = (cell(1, (10, 20, 130, 140)), cell(2, (400, 300, 520, 420)))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("There are two white blood cells.", "supported"),
        ("Several leukocytes are seen.", "supported"),
        ("There are 3 WBCs.", "contradicted"),
        ("No white cells are seen.", "contradicted"),
        ("A white cell lies in the lower left.", "contradicted"),
        ("One white cell.", "contradicted"),
        ("Platelets are numerous.", "unsupported"),
        ("Red cells are normal.", "unsupported"),
        ("The smear is thin.", "unjudged"),
    ],
)
def test_a_count_is_right_or_not(text: str, label: str) -> None:
    (ruling,) = measured([Claim("c", text)], TWO)
    assert ruling.label == label


def test_without_the_size_of_the_picture_its_parts_are_not_known() -> None:
    unsized = Evidence(
        "r", "white cell at [10, 20, 130, 140]", "x", kind="region", at=Locator(box=(10, 20, 130, 140))
    )
    (ruling,) = measured([Claim("c", "A white cell lies in the upper left.")], [unsized])
    assert ruling.label == "unsupported" and regions([unsized])[0].part == ""


def test_wrong_counts_become_what_was_measured_and_what_was_measured_is_added_once() -> None:
    said = "There are two white blood cells, in the lower right and in the upper left."
    assert [text for text, _ in statements(TWO)] == [said]
    for draft in ("", "There are five leukocytes.", "Platelets are numerous. No white cells are seen.", said):
        made = revise(draft, TWO)
        assert made.text == said, draft
        assert made.lines[0].evidence == ("r1", "r2") and revise(made.text, TWO).text == said
        assert [one.name for one in made.lines[0].findings] == ["2 white blood cells"]


def test_a_report_of_a_smear_has_the_boxes_of_the_tool_in_every_format(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    from PIL import Image

    from medxiaohe.tools.vision.drawn import smear

    Image.fromarray(smear()).save(tmp_path / "smear.png")
    shown = ref(tmp_path / "smear.png")
    prompt = Prompt("smear/1", (Message("user", (shown, "Describe.")),))
    (trace,) = report(
        [prompt], scripted("m", ["There are nine white blood cells. Malaria."]), open_tools(["detect"])
    )
    found = of_trace(trace)
    boxes = [item.at.box for item in found.evidence if item.at and item.at.box]
    assert boxes and found.verified and "nine" not in found.text and "Malaria" not in found.text
    row = to_json(found)
    assert row["sections"]["Findings"][0]["evidence"] == [item.id for item in found.evidence]
    assert all(image["uri"].startswith("sha256:") for item in row["evidence"] for image in item["images"])
    observed = [e["resource"] for e in fhir(found)["entry"] if e["resource"]["resourceType"] == "Observation"]
    assert len(observed) == 1 and "white blood cell" in observed[0]["code"]["text"]
