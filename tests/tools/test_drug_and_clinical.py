"""The tools drug and clinical: names in English and French, classes for their members, spans that point at
the source, and "not listed" that never reads as "none"."""

import json
from collections.abc import Sequence

import pytest

from medxiaohe import assets
from medxiaohe.errors import AssetError
from medxiaohe.retrieval import assets as knowledge
from medxiaohe.retrieval.drugs import RENAL, RXNORM, SUBSTANCES, THESAURUS, Interactions, RenalDoses
from medxiaohe.retrieval.guidelines import DIFFERENTIALS, Guidelines
from medxiaohe.retrieval.json_parts import json_parts
from medxiaohe.tools.toolbox import call_tool, open_tools
from medxiaohe.types import ToolCall, ToolResult


def entry(first: str, second: str, *levels: str) -> dict[str, object]:
    grades = [{"level": level, "info": ""} for level in levels]
    return {
        "main_drug": first,
        "plus_drug": second,
        "severity_levels": grades,
        "interaction_mechanism": f"Mécanisme de {first}.",
    }


def interactions() -> Interactions:
    entries = [
        entry(
            "ANTICOAGULANTS ORAUX", "ACIDE ACÉTYLSALICYLIQUE", "Association DECONSEILLEE", "CONTRE-INDICATION"
        ),
        entry(
            "ACIDE ACÉTYLSALICYLIQUE", "ANTICOAGULANTS ORAUX", "Association DECONSEILLEE", "CONTRE-INDICATION"
        )
        | {"interaction_mechanism": "Mécanisme de ANTICOAGULANTS ORAUX."},
        entry("ACIDE VALPROÏQUE", "WARFARINE", "A prendre en compte"),
        entry("PAMPLEMOUSSE (JUS ET FRUIT)", "SIMVASTATINE", "Précaution d'emploi"),
    ]
    substances = [
        {"substance": "warfarine", "drug_classes": ["anticoagulants oraux"]},
        {"substance": "acide acétylsalicylique", "drug_classes": []},
        {"substance": "acide valproïque", "drug_classes": []},
        {"substance": "simvastatine", "drug_classes": []},
    ]
    return Interactions(
        {
            THESAURUS: json.dumps(entries, ensure_ascii=False, indent=1),
            SUBSTANCES: json.dumps(substances),
            RXNORM: "substance\tRxNorm\nwarfarine\t11289\nsimvastatine\tNA\n",
        }
    )


def renal() -> RenalDoses:
    tiers = [
        {"min": 50, "max": None, "dose": "1 g", "dialysis_note": None, "warnings": []},
        {"min": 30, "max": 49, "dose": "500 mg", "dialysis_note": None, "warnings": ["Watch it"]},
        {"min": 0, "max": 29, "dose": "250 mg", "dialysis_note": "after dialysis", "warnings": []},
    ]
    drug = {
        "drug_name": "examplin", "brand_names": ["Exa"], "route": "PO", "label_renal_metric": "crcl",
        "normal_dose": "1 g", "source_doi": "10.1/x", "source_description": "Label", "tiers": tiers,
    }  # fmt: skip
    return RenalDoses({RENAL: json.dumps({"examplin": drug})})


def drug(**arguments: object) -> ToolResult:
    tools = open_tools(["drug"], {"interactions": interactions(), "renal_doses": renal()})
    return call_tool(ToolCall("1", "drug", arguments), tools)


@pytest.mark.parametrize(
    "name, other, level",
    [
        ("warfarin", "aspirin", "contraindicated"),
        ("Acetylsalicylic acid", "WARFARINE", "contraindicated"),
        ("valproic acid", "warfarin", "take into account"),
        ("acide valproique", "warfarine", "take into account"),
        ("grapefruit", "simvastatin", "precaution for use"),
        ("anticoagulants oraux", "aspirin", "contraindicated"),
    ],
)
def test_an_interaction_is_found_by_names_of_either_language(name: str, other: str, level: str) -> None:
    result = drug(name=name, other=other)
    assert result.data["level"] == level and len(result.evidence) == 1


def test_evidence_points_at_its_entry_in_the_thesaurus() -> None:
    (found,) = drug(name="warfarin", other="valproate").evidence
    source = interactions().files[THESAURUS]
    assert (
        found.at
        and found.at.span
        and json.loads(source[slice(*found.at.span)])["main_drug"] == "ACIDE VALPROÏQUE"
    )
    assert found.sha256 and found.license and found.date == "2020-10-20" and found.kind == "relation"


@pytest.mark.parametrize(
    "name, other, sentence",
    [
        ("warfarin", "simvastatin", "not listed does not mean that there is none"),
        ("unheardofin", "warfarin", "unheardofin is not listed under this name"),
        ("warfarin", "unheardofin", "nothing is known here about its interactions"),
    ],
)
def test_what_is_not_listed_does_not_read_as_no_interaction(name: str, other: str, sentence: str) -> None:
    result = drug(name=name, other=other)
    assert sentence in str(result.parts[0]) and not result.evidence and not result.error


@pytest.mark.parametrize(
    "clearance, dose",
    [(300, "1 g"), (50, "1 g"), (49.5, "500 mg"), (30, "500 mg"), (29.9, "250 mg"), (0, "250 mg")],
)
def test_every_clearance_has_one_dose(clearance: float, dose: str) -> None:
    text = str(drug(name="Exa", creatinine_clearance=clearance).parts[0])
    others = {"1 g", "500 mg", "250 mg"} - {dose}
    tiers = "\n".join(text.splitlines()[1:])
    assert dose in tiers and not any(other in tiers for other in others)


@pytest.mark.parametrize(
    "arguments, problem",
    [
        ({"name": "Exa", "creatinine_clearance": -1}, "is no creatinine clearance"),
        ({"name": "Exa", "creatinine_clearance": 5000}, "is no creatinine clearance"),
        ({"name": " "}, "name a drug"),
        ({"name": "x" * 300}, "at most 200"),
        ({"name": "warfarin", "other": "warfarine"}, "are the same drug"),
    ],
)
def test_a_wrong_call_is_told_to_the_model(arguments: dict[str, object], problem: str) -> None:
    assert problem in drug(**arguments).error


def test_a_drug_without_a_renal_dose_is_not_called_safe() -> None:
    text = str(drug(name="warfarin").parts[0])
    assert "does not mean that none is needed" in text and "RxNorm 11289" in text


def guidelines() -> Guidelines:
    registry = [
        {"id": "af", "title": "Atrial fibrillation", "doi": "10.1/a", "year": 2023, "organization": "ACC",
         "sections": ["stroke", "rate"]}
    ]  # fmt: skip
    chest = {
        "title": "Chest Pain", "keywords": ["angina"], "source_description": "ACC", "source_doi": "10.1/b",
        "diagnoses": [
            {"name": "Strain", "likelihood": "common", "key_features": ["Tender"], "recommended_tests": []},
            {"name": "Dissection", "likelihood": "must_not_miss", "key_features": ["Tearing"],
             "recommended_tests": ["CT", "calculate_x"]},
        ],
    }  # fmt: skip
    return Guidelines(
        {
            "guidelines/registry.json": json.dumps(registry),
            "guidelines/content/af/stroke.md": "# Stroke\n\nAnticoagulation is advised from a score of 2.",
            "guidelines/content/af/rate.md": "# Rate\n\nBeta blockers slow the rate.",
            f"{DIFFERENTIALS}/chest_pain.json": json.dumps(chest),
        }
    )


def clinical(**arguments: object) -> ToolResult:
    return call_tool(
        ToolCall("1", "clinical", arguments), open_tools(["clinical"], {"guidelines": guidelines()})
    )


def test_a_guideline_is_found_by_stems_and_its_span_is_the_text() -> None:
    found = clinical(question="when to anticoagulate?").evidence[0]
    whole = guidelines().files["guidelines/content/af/stroke.md"]
    assert found.at and found.at.span and whole[slice(*found.at.span)] == found.text
    assert "doi:10.1/a" in found.source and found.date == "2023" and found.level == "B"


def test_what_must_not_be_missed_comes_first() -> None:
    result = clinical(question="pain in the chest", kind="differential")
    assert [one.text.split(" (")[0] for one in result.evidence] == ["Dissection", "Strain"]
    assert "calculate_x" not in str(result.parts[0])
    source = guidelines().files[f"{DIFFERENTIALS}/chest_pain.json"]
    at = result.evidence[0].at
    assert at and at.span and json.loads(source[slice(*at.span)])["name"] == "Dissection"


def test_a_complaint_without_a_differential_names_those_there_are() -> None:
    assert "there are those of chest pain" in str(clinical(question="itch", kind="differential").parts[0])
    assert "empty" in clinical(question=" ").error


@pytest.mark.parametrize("text", ['{"a": [1, {"b": 2}], "c": "x,]"}', "[]", '[1, "a", {"k": [3]}]', " {} "])
def test_parts_of_json_have_the_spans_of_their_values(text: str) -> None:
    whole = json.loads(text)
    values: Sequence[object] = list(whole.values()) if isinstance(whole, dict) else whole
    assert [value for _, value, _ in json_parts(text)] == values
    assert [json.loads(text[slice(*span)]) for _, _, span in json_parts(text)] == values


@pytest.mark.parametrize("text", ["{", "3", "[1, 2", '{"a" 1', ""])
def test_what_is_no_json_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        list(json_parts(text))


def test_the_assets_answer_as_their_tables_say() -> None:
    try:
        assets.fetch(["open_medicine", "ddi_ansm"], offline=True)
    except AssetError:
        pytest.skip("the assets open_medicine and ddi_ansm are not here")
    tools = open_tools(["drug", "clinical"], knowledge.resources())

    def level(name: str, other: str) -> str:
        return str(call_tool(ToolCall("1", "drug", {"name": name, "other": other}), tools).data["level"])

    assert level("clarithromycin", "simvastatin") == "contraindicated"
    assert level("ciprofloxacin", "theophylline") == "precaution for use"
    result = call_tool(ToolCall("1", "clinical", {"question": "cirrhosis staging Child-Pugh"}), tools)
    assert result.evidence[0].id.startswith("guideline/aasld_cirrhosis_2023/staging")
