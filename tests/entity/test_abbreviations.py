"""Abbreviations that a text defines, by the rules of Schwartz and Hearst and a few more."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe.entity.linking.abbreviations import definitions, is_short


def pairs(text: str) -> list[tuple[str, str]]:
    return [(text[d.short_start : d.short_end], text[d.long_start : d.long_end]) for d in definitions(text)]


@pytest.mark.parametrize(
    "text, short, long",
    [
        ("Patients with ataxia telangiectasia (A-T) were seen.", "A-T", "ataxia telangiectasia"),
        (
            "The use of non-steroidal anti-inflammatory drugs (NSAIDs) is common.",
            "NSAIDs",
            "non-steroidal anti-inflammatory drugs",
        ),
        ("Three myocardial infarctions (MIs) occurred.", "MIs", "myocardial infarctions"),
        (
            "COPD (chronic obstructive pulmonary disease) is frequent.",
            "COPD",
            "chronic obstructive pulmonary disease",
        ),
        ("Levels of tumor necrosis factor alpha (TNF-α) rose.", "TNF-α", "tumor necrosis factor alpha"),
        ("Rats got 5-fluorouracil (5-FU).", "5-FU", "5-fluorouracil"),
        ("In type 2 diabetes (T2D) and gout", "T2D", "type 2 diabetes"),
        ("spinocerebellar ataxia type III (SCA3)", "SCA3", "spinocerebellar ataxia type III"),
        ("adult myotonic dystrophy (DM) families", "DM", "myotonic dystrophy"),
        ("von Hippel-Lindau (VHL) disease", "VHL", "von Hippel-Lindau"),
        ("the amyotrophic lateral sclerosis [ALS] cohort", "ALS", "amyotrophic lateral sclerosis"),
        (
            "glucose-6-phosphate dehydrogenase (G6PD; EC 1.1.1.49)",
            "G6PD",
            "glucose-6-phosphate dehydrogenase",
        ),
        ("Figure 1. AD = Alzheimer disease, n = 12", "AD", "Alzheimer disease"),
        ("received doxorubicin (DOX) weekly", "DOX", "doxorubicin"),
    ],
)
def test_a_definition_is_found_with_both_its_ends(text: str, short: str, long: str) -> None:
    assert pairs(text) == [(short, long)]


@pytest.mark.parametrize(
    "text",
    [
        "Asthma (Figure 2) and gout (n = 5).",
        "The effect was large (P < 0.05), see (Table I).",
        "Smith et al. (2004) and others (USA).",
        "Patients (all of them) improved (see below).",
        "Given 5 mg (IV) daily.",
        "Genes (both alleles) and proteins (ii).",
        "Diabetes (a disease of sugar).",
        "The red form (vs) the blue.",
        "No brackets here at all, AD or MS.",
        "Velocardiofacial and DiGeorge syndromes (VCFS/DGS).",
        "a b c (abc)",
        "renal failure. (RF) begins here",
    ],
)
def test_what_is_no_definition_is_not_found(text: str) -> None:
    assert pairs(text) == []


def test_the_fewest_words_that_have_the_letters_are_the_long_form() -> None:
    text = (
        "In a large trial of Alzheimer disease (AD) and of attention deficit hyperactivity disorder (ADHD)."
    )
    assert pairs(text) == [("AD", "Alzheimer disease"), ("ADHD", "attention deficit hyperactivity disorder")]


def test_short_forms_have_a_capital_and_are_no_reference() -> None:
    assert all(map(is_short, ("AD", "mRNA", "G6PD", "TNF-α", "MPS IVA", "CL/P")))
    assert not any(
        map(
            is_short,
            ("and", "a", "(AD)", "Fig", "IV", "5 mg", "mg", "years", "abcdefghijk", "12", "VCFS/DGS", ""),
        )
    )


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from("aAbB (([)]=；;,.α2-'\n肺（）😀é"), max_size=60))
def test_any_text_has_sound_definitions_and_the_same_each_time(text: str) -> None:
    found = definitions(text)
    assert found == definitions(text)
    for d in found:
        assert 0 <= d.short_start < d.short_end <= len(text) and 0 <= d.long_start < d.long_end <= len(text)
        assert d.long_end <= d.short_start or d.short_end <= d.long_start
        assert (
            is_short(text[d.short_start : d.short_end])
            and d.long_end - d.long_start > d.short_end - d.short_start
        )


GOLD = Path(os.environ.get("MEDXIAOHE_DATA", "")) / "entity_gold"


@pytest.mark.skipif(not (os.environ.get("MEDXIAOHE_DATA") and GOLD.is_dir()), reason="needs the data pack")
def test_short_forms_mean_what_their_long_forms_mean_in_the_gold_corpora() -> None:
    """Of the pairs with both in the gold, 494 of 497 in the training parts have one id."""
    same = both = 0
    for path in (
        GOLD / "ncbi_disease" / "NCBItrainset_corpus.txt",
        GOLD / "bc5cdr" / "CDR_TrainingSet.PubTator.txt",
    ):
        for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
            lines = block.strip().split("\n")
            text = f"{lines[0].split('|', 2)[2]} {lines[1].split('|', 2)[2]}"
            rows = [line.split("\t") for line in lines[2:]]
            gold = {
                (int(row[1]), int(row[2])): row[5]
                for row in rows
                if len(row) > 5 and re.fullmatch(r"\d+", row[1])
            }
            for d in definitions(text):
                short, long = gold.get((d.short_start, d.short_end)), gold.get((d.long_start, d.long_end))
                if short and long:
                    both += 1
                    same += short == long
    assert both >= 480 and same / both >= 0.99
