"""Short forms of everyday notes, names that the word beside them changes, dashes, accents, Chinese names."""

import pytest
from entities_for_tests import disease, tree_of

from medxiaohe.entity.linking.annotate import Annotator
from medxiaohe.entity.linking.link import Linker, composed
from medxiaohe.entity.linking.short_forms import other_senses, senses, tables

TREE = tree_of(
    disease("MI", "myocardial infarction"),
    disease("HTN", "hypertensive disorder", "hypertension"),
    disease("AF", "atrial fibrillation"),
    disease("SOB", "dyspnea", kind="phenotype"),
    disease("PE", "pulmonary embolism"),
    disease("CHF", "congestive heart failure"),
    disease("COPD", "chronic obstructive pulmonary disease", "COPD"),
    disease("T2DM", "type 2 diabetes mellitus"),
    disease("pneumonia", "pneumonia"),
    disease("sclc", "small cell lung carcinoma", "small cell lung cancer"),
    disease("nsclc", "non-small cell lung carcinoma", "non-small cell lung cancer"),
    disease("gbs", "Guillain-Barre syndrome"),
    disease("crohn", "Crohn disease"),
    disease("sjogren", "Sjogren syndrome"),
    disease("meniere", "Meniere disease"),
    disease("aat", "alpha 1-antitrypsin deficiency"),
    disease("ptsd", "post-traumatic stress disorder"),
    disease("all", "acute lymphoblastic leukemia", "ALL"),
    disease("was", "Wiskott-Aldrich syndrome", "WAS"),
    disease("pneumothorax", "pneumothorax"),
    disease("depression", "depression"),
    disease("shock", "shock"),
    disease("stroke", "stroke"),
    disease("asthma", "asthma"),
    disease("atrophy", "muscular atrophy"),
    disease("anemia", "hemolytic anemia"),
)
ANNOTATOR = Annotator.of(TREE)


def entities(text: str) -> list[str]:
    return [a.entity for a in ANNOTATOR.annotate(text)]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Patient with MI.", ["MI"]),
        ("Hx of HTN and AF", ["HTN", "AF"]),
        ("pt c/o SOB; r/o PE", ["SOB", "PE"]),
        ("CHF, COPD and T2DM", ["CHF", "COPD", "T2DM"]),
        ("htn, copd on home oxygen", ["HTN", "COPD"]),
        ("PE: lungs clear, abdomen soft.", []),
        ("Patient in Lansing, MI, USA.", []),
        ("A patient with MI of the mitral valve.", []),
        ("An SOB story of the film.", []),
        ("Mitral insufficiency (MI) is common. Patient with MI.", []),
        ("患者有肺炎和高血压。", ["pneumonia", "HTN"]),
        ("Stage IV non–small cell lung cancer.", ["nsclc"]),
        ("non—small cell lung cancer", ["nsclc"]),
        ("Guillain–Barré syndrome after Campylobacter.", ["gbs"]),
        ("asthma – pneumonia", ["asthma", "pneumonia"]),
        ("Crohn´s disease", ["crohn"]),
        ("Sjo\u0308gren syndrome, then Me\u0301nie\u0300re\u2019s disease", ["sjogren", "meniere"]),
        ("α1-antitrypsin deficiency, alpha1-antitrypsin deficiency", ["aat", "aat"]),
        ("posttraumatic stress disorder", ["ptsd"]),
        ("spinal and bulbar muscular atrophy (SBMA). SBMA is X-linked.", ["atrophy"]),
        ("feline asthma (FA). FA in cats.", ["asthma"]),
        ("aspirin-induced asthma (AIA). AIA is common.", ["asthma", "asthma", "asthma"]),
        ("chronic hemolytic anemia (CHA). CHA is rare.", ["anemia", "anemia", "anemia"]),
        ("IMPRESSION: ALL LINES IN PLACE. THERE WAS NO PNEUMOTHORAX.", ["pneumothorax"]),
        ("ALL MEN WERE SEEN BY ENT.", []),
        ("A boy with ALL was treated.", ["all"]),
        ("respiratory depression after opioids", []),
        ("AICD shock delivered", []),
        ("heat stroke", []),
        ("depression, shock and stroke", ["depression", "shock", "stroke"]),
    ],
)  # fmt: skip
def test_a_text_has_the_entities_that_a_reader_would_name(text: str, right: list[str]) -> None:
    assert entities(text) == right
    assert [a.entity for a in Annotator.of(TREE, index=Linker(TREE)).annotate(text)] == right


def test_surfaces_are_those_of_the_text_where_accents_stand_behind_letters() -> None:
    text = "Me\u0301nie\u0300re disease, asthma"
    assert [a.surface for a in ANNOTATOR.annotate(text)] == ["Me\u0301nie\u0300re disease", "asthma"]
    whole, places = composed(text)
    assert whole == "Ménière disease, asthma" and places[-1] == len(text) and len(places) == len(whole) + 1


def test_every_row_of_the_tables_is_sound() -> None:
    forms, note, find = tables()
    assert len(forms) > 80 and note and len(other_senses()) > 30
    for short, form in forms.items():
        assert form.when in ("always", "note", "for") and form.names and find.fullmatch(short)
        assert form.when != "for" or form.speaks_for, short
    assert senses("r/o PE")[0].names == ("pulmonary embolism",)
