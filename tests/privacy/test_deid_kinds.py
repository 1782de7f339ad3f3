"""Kinds of identifiers and of medical words that were mixed up: dates without a year, ids with spaces, roads,
units, eponyms, Spanish and German; files that share a SOPInstanceUID."""

# ruff: noqa: E501 - one example a line

from __future__ import annotations

from pathlib import Path

import pytest

from medxiaohe.privacy import text

GONE = [
    "Admitted |07/19|, discharged |07/24|", "clinic on |Tuesday 07/24|", "Visit 03:22 |7/4|", "|tues 8/22|", "Infusion |8/8|", "Seen |04.05|", "|14 de marzo de 2021|",
    "|1. bis 9. Mai 2022|", "NRIC |S7812345D|", "subject |1042-007|", "member # |XQK 8840 21 907|", "Medicaid |90 12345 X|", "car plate |7KLM 442|", "login |nalhashimi99|",
    "Cord blood no. |CB 44172|", "Gate code |4471#|", "call |(555-0166)|", "(|555 0134|)", "Cell |(0)24 555 0118|", "|melody_k (at) mail (dot) example|", "|1187 W ELM ST APT 4C|",
    "|Sleepy Hollow Assisted Living|", "She lives in |Truth or Consequences|", "|Beacon Street|", "|RR 2 Box 118|", "|Exit 14 on I-90|", "|Highway 61|", "|P.S. 118|", "|Kaiser SF|",
    "|Lindenstr. 5|", "Nurse: |Kit|", "|D'Angelo Fontaine|", "ordered |Goh KB|", "Dear Dr |Brown|,\nRe:", "I will tell |hoffman|", "I will tell |stone|.", "I will tell |young|",
    "Admitted |Mon 14/Jan| and discharged |01-20|.", "The patient is a |104|-year-old; his wife is |91|.", "Mr. |Bell| was seen.", "Dr. |Hartmann| signed.", "with |Mary Jones| today",
]  # fmt: skip
STAYS = [
    "BP 120/80 mm Hg, creatinine 88 μmol/L, 88 µmol/L.", "Strength 5/5 throughout, 2/6 murmur, pain 7/10, vision 20/20.", "3/15 nodes positive, MMSE 26/30.", "I-131 therapy, ECOG 1, PS 1.",
    "KCl 20 mEq and docusate 100 mg.", "The tonsil was large and he was stuporous.", "A bodybuilder who likes scuba, a welder and the endoscopist.", "The uterus is retroverted.",
    "He has Chiari malformation, Virchow-Robin spaces and Lewy bodies.", "Deauville 4, Child-Pugh B, Salter-Harris II, Gleason 3+4, Mallampati II, ASA III, Karnofsky 80.",
    "He has Bell's palsy, a Hartmann procedure, Bence Jones protein and a Coombs test.", "Duke criteria, Rinne and Weber tests, the foramen of Monro and the circle of Willis.",
    "He has Candida albicans, Klebsiella and Borrelia.", "Pap smear, Gram stain, Western blot, Mantoux test.", "Keytruda, Ozempic and Paxlovid were stopped.", "He has Cr 0.96 and Na 140.",
    "He has Nikolsky sign, von Willebrand disease and Diamond-Blackfan anemia.",
    "Paciente varón de 54 años que acude a urgencias por dolor torácico. Neumonía con derrame pleural, hígado y riñones normales. Metformina 850 mg.",
    "Der Patient wurde wegen akuter Pankreatitis aufgenommen. Leber, Milz und Nieren unauffällig. Therapie mit Metoprolol, Vorhofflimmern seit drei Tagen.",
]  # fmt: skip


@pytest.mark.parametrize("marked", GONE)
def test_identifiers_of_other_shapes_go(marked: str) -> None:
    pieces = marked.split("|")
    said = text.redact("".join(pieces)).text
    for secret in pieces[1::2]:
        assert not any(word in said for word in secret.split() if len(word) > 2 and word != "and"), said
        assert secret not in said


@pytest.mark.parametrize("sentence", STAYS)
def test_units_eponyms_and_words_of_other_languages_stay(sentence: str) -> None:
    assert text.redact(sentence).text == sentence


def test_people_in_spanish_and_german_notes_go() -> None:
    spanish = (
        "La paciente vive con su esposo José Luis Pérez y fue vista por la Dra. Carmen Ruiz en la consulta."
    )
    german = (
        "Die Patientin wurde von Frau Anna Hofmann begleitet und von Dr. Schneider in der Klinik gesehen."
    )
    assert not {"José", "Pérez", "Carmen", "Ruiz"} & set(text.redact(spanish).text.replace(".", "").split())
    assert not {"Anna", "Hofmann", "Schneider"} & set(text.redact(german).text.split())


def test_files_of_one_sop_instance_uid_are_both_on_disk(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    from medxiaohe.privacy import collection
    from medxiaohe.privacy.pixels import Policy
    from medxiaohe.privacy.secret import Key
    from tests import dicom_for_tests as made

    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        picture = made.picture(InstanceNumber=number)
        (folder / f"{number}.dcm").write_bytes(made.written(picture))
    trust, key = Policy("trust"), Key(b"k" * 32)
    for _ in range(2):  # a second run writes nothing anew and loses nothing
        summary = collection.clean(folder, tmp_path / "out", key=key, policy=trust)
        files = sorted((tmp_path / "out" / "dicom").rglob("*.dcm"))
        assert summary["written"] == 3 == len(files)
        assert summary["counts"]["same_sop_instance_uid"] == 2


def test_names_of_diseases_tests_stages_and_organisms_stay() -> None:
    lines = (Path(__file__).parent / "eponyms.txt").read_text(encoding="utf-8").splitlines()
    terms = [line for line in lines if not line.startswith("#")]
    frames = ("Examination showed {}.", "The patient has {} and is stable.", "{} was noted.")
    sentences = [frame.format(term[0].upper() + term[1:]) if frame[0] == "{" else frame.format(term)
                 for term in terms for frame in frames]  # fmt: skip
    lost = [sentence for sentence in sentences if text.redact(sentence).text != sentence]
    assert len(terms) >= 300 and len(lost) <= 0.02 * len(sentences), lost


@pytest.mark.parametrize(
    "marked",
    [
        "He lives at the corner of <<Flores Junctions St. and Spencer Inlet St.>>",
        "Deliver to Main Hospital, <<Suite 137>>",
        "My card is <<6011401460280096>>",
        "office <<2306168686>> fax",
        "The entrance is on <<Timothy Crossing St.>> the first day",
    ],
)
def test_streets_units_and_long_numbers_go_without_an_address_around_them(marked: str) -> None:
    sentence = marked.replace("<<", "").replace(">>", "")
    start = marked.index("<<")
    end = marked.index(">>") - 2
    covered = {i for span in text.find(sentence) for i in range(span.start, span.end)}
    assert all(i in covered for i in range(start, end) if sentence[i].isalnum())


@pytest.mark.parametrize(
    "sentence", ["Platelets were 150000000000 per litre.", "Pain in the corner of the eye."]
)
def test_counts_and_corners_of_the_body_stay(sentence: str) -> None:
    assert text.redact(sentence).text == sentence
