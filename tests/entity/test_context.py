"""Negation, uncertainty, whose it is and when: golden sentences written for this test, none from a corpus.

Brackets mark findings; behind the bar stand their contexts in order, letters of each: n negated, u uncertain,
f family, o other person, h historical, y hypothetical; nothing: present, certain, the patient's, now.
"""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe.entity.linking.context import PLAIN, contexts, sections, triggers

GOLDEN = r"""
No [pneumothorax].|n
No [pneumothorax] or [effusion].|n;n
No [fever], [chills] or [night sweats].|n;n;n
No focal [consolidation], [pleural effusion], or [pneumothorax] is seen.|n;n;n
The lungs are clear without evidence of [pneumonia].|n
There is no evidence of [metastatic disease].|n
No radiographic evidence of acute [fracture].|n
[Pneumonia] is ruled out.|n
[Pulmonary embolism] has been ruled out.|n
[Effusion] and [pneumothorax] are not seen.|n;n
[Cardiomegaly] is absent.|n
[Deep vein thrombosis] was not identified.|n
Negative for [malignancy].|n
Biopsy was negative for [carcinoma].|n
Blood cultures [bacteremia] negative.|n
The patient is free of [pain].|n
He has remained [seizure]-free.|n
She denies [chest pain], [dyspnea] and [syncope].|n;n;n
Patient denied [headache].|n
Denies any [nausea] or [vomiting].|n;n
Absence of [edema].|n
He does not have [diabetes].|n
She doesn't have [asthma].|n
The CT did not show [hemorrhage].|n
The scan failed to reveal [appendicitis].|n
Never had [hepatitis].|n
Neither [ascites] nor [jaundice] was present.|n;n
Non-[diabetic retinopathy].|n
Workup ruled out [sepsis].|n
[Jaundice]: none.|n
No effusion, [heart size] is normal.|
No [pneumothorax] and the [heart] is enlarged.|n;
No [effusion] but [atelectasis] is present.|n;
No [fever]; [cough] for two days.|n;
No [mass]. [Nodule] in the left lobe.|n;
Patient denies [chest pain] but has [dyspnea].|n;
No [fracture] although there is [swelling].|n;
No [pneumonia], there is mild [edema].|n;
She denies [pain] and reports [nausea].|n;
No [stroke] except for old [lacune].|n;h
No [rash] due to [penicillin].|n;
No increase in [effusion].|
No change in [cardiomegaly].|
No significant change in the [nodule].|
No interval change in [atelectasis].|
Not only [asthma] but also [eczema].|;
Gram negative [sepsis].|
There was no improvement in [depression].|
No doubt the cause was [sepsis].|
He walks without difficulty despite [arthritis].|
No treatment for [dementia] is known.|
There is no cure for [asthma].|
No need for [dialysis].|
[Hypertension] was not well controlled.|
Possible [pneumonia].|u
Findings are suspicious for [malignancy].|u
Probable [pulmonary edema].|u
Suspected [appendicitis].|u
Concern for [sepsis].|u
Concerning for [pneumonia].|u
Opacity may represent [atelectasis] or [pneumonia].|u;u
This could be [infection].|u
Likely [viral infection].|u
[Pneumonia] is likely.|u
[Pneumonia] cannot be excluded.|u
[Infection] is not excluded.|u
Cannot rule out [pneumonia].|u
Cannot exclude [fracture].|u
We can't rule out [meningitis].|u
Rule out [pneumonia].|u
R/O [myocardial infarction].|u
[Pulmonary embolism] has not been ruled out.|u
Questionable [nodule] in the right lobe.|u
? [pneumonia]|u
Findings suggestive of [tuberculosis].|u
Evaluate for [fracture].|u
Unlikely to be [malignant].|u
Differential diagnosis includes [sarcoidosis] and [lymphoma].|u;u
Consolidation versus [atelectasis].|u
[Appendicitis] is suspected.|u
[Sarcoidosis] should be considered.|u
It is unclear whether [stroke] occurred.|u
He may have [gout], which is treated with [colchicine].|u;
She was brought in as soon as possible with [stroke].|
She is likely to recover from [pneumonia].|
History of [asthma].|h
He has a history of [hypertension], [diabetes] and [stroke].|h;h;h
Past medical history of [COPD].|h
History of [asthma], presents with [cough].|h;
Status post [appendectomy].|h
S/p [cholecystectomy] in 2009.|h
Prior [myocardial infarction].|h
Previous [stroke].|h
Old [infarct] in the left hemisphere.|h
Previously diagnosed with [lupus].|h
H/o [seizures].|h
Known history of [epilepsy], now with [fever].|h;
[Pneumonia] has resolved.|h
She had [measles] as a child.|h
He had [asthma] in childhood.|h
[Cancer] in remission.|h
No history of [diabetes].|n
Denies history of [asthma].|nh
History of present illness includes [cough].|
The natural history of [sarcoidosis].|
A 65 year old man with [diabetes].|
Compared to prior study, the [effusion] is larger.|
[Effusion] prior to drainage.|
Return if [fever] develops.|y
If [chest pain] occurs, call the office.|y
She is at risk for [stroke].|y
Risk of [bleeding].|y
Heparin for [thrombosis] prophylaxis.|y
Aspirin to prevent [stroke].|y
Screening for [colon cancer].|y
Ibuprofen as needed for [pain].|y
Watch for [bleeding].|y
Vaccination against [influenza].|y
Should he develop [fever], return.|y
Susceptibility to [tuberculosis].|y
His mother had [breast cancer].|f
Mother with [asthma] and [eczema].|f;f
Father died of [lung cancer].|f
[Breast cancer] in her mother.|f
There is [colon cancer] in the family.|f
Family history of [diabetes].|f
Strong family history of [coronary artery disease].|f
Paternal uncle with [Huntington disease].|f
His sister was diagnosed with [lupus], patient has [rash].|f;
No family history of [cancer].|nf
Denies family history of [stroke].|nf
Mother denies [fever].|n
Mother reports [fever].|
Her father states that she has had [vomiting].|
He lives with his mother and has [asthma].|
Per mother, [cough] for three days.|
Her husband had [tuberculosis].|o
Roommate with [influenza].|o
The donor had [hepatitis C].|o
Family history: [breast cancer], [diabetes].|f;f
FH: [stroke]\nSH: [smoking]|f;
Family history: mother with [asthma]. Social history: [alcohol abuse].|f;
PMH: [asthma], [COPD]\nHPI: [cough]|h;h;
Past medical history:\n- [hypertension]\n- [gout]\n\nAssessment: [pneumonia]|h;h;
DDx: [sarcoidosis]|u
Return precautions: [fever], [bleeding]|y;y
Findings: [effusion]|
PAST MEDICAL HISTORY\n[Atrial fibrillation]\nEXAM\nno [pain], [swelling] is seen|h;n;n
Impression: No acute [fracture]. [Osteopenia].|n;
There is no evidence of acute\n[PE] or [DVT].|n;n
Family history of\n[Alzheimer disease].|f
Rule out\n[MI].|u
no [cough]\n[asthma]|n;
No [fever].[Cough] present.|n;
no [effusion].[cardiomegaly].|n;
[Fever]: no. [Cough]: yes.|n;
[Fever] no, [cough] yes|n;
[Influenza A] positive, [influenza B] negative.|;n
[Chest pain] - denies; [dyspnea] - yes|n;
[Orthopnea]: denies. [PND]: denies.|n;n
[Breast cancer], HER2-negative, was resected.|
[Tuberculosis] (smear negative) was treated.|
[Glioma] with negative margins.|
[Hepatitis C], RNA negative after treatment.|
[Pneumonia] with negative cultures.|
He is not taking medication for [hypertension].|
No follow-up for her [anemia].|
Not on anticoagulation for [atrial fibrillation].|
No complications of [diabetes].|
with no past illness, 20 packs a year of [tobacco], no [alcohol abuse].|;n
[Fever] (-), [cough] (+)|n;
Neg for [malignancy].|n
Ø [edema]|n
ROS: [fever] neg, [cough] pos|n;
Family history is negative for [coronary artery disease] but positive for [diabetes].|nf;f
[Breast cancer] (mother), [stroke] (father), [gout] (patient).|f;f;
None of her relatives had [stroke].|nf
Nothing to suggest [pneumonia].|n
[Pneumonia], now resolved.|h
Patient no. 3 had [asthma].|
[发热](-)，[咳嗽](+)|n;
[Nausea] +, [vomiting] -|;n
[Nausea] +, [vomiting] -, [diarrhea] -.|;n;n
[Nausea] + / [vomiting] -\n|;
[Fever] ++, [rash] -, [cough] +/-|;n;u
[Nausea] (+) [vomiting] (-) [rash] (-)|;n;n
[Fever]+ [cough]- [rash]-, seen today|;n;n
Exam: [rales] (±), [edema] (2+), [clubbing] (-)|u;;n
No [rash], [edema] 2+.|n;
No [chills], [fever] (+)|n;
Denies [cough]; [dyspnea] ++, [wheeze] -,|n;;n
ROS: (+) [fever], (-) [chills], (-) [cough]|;n;n
(+) [nausea] (-) [vomiting] (±) [diarrhea]|;n;u
+[fever], +[cough], -[chills], -[rash]|;;n;n
-[fever], -[cough], +[sore throat]|n;n;
Mother: [fever] +, [cough] -|f;nf
[Chest pain] -ve, [dyspnea] +ve.|n;
[Cough] (neg), [fever] (pos)|n;
[HIV] neg, [hepatitis B] pos.|n;
[Pneumonia] - improving on amoxicillin.|
[Pneumonia] -|
[Fever] - 3 days, [cough]|;
-[cough]\n-[fever]\n|;
- [cough]\n- [fever]|;
[Nausea] + [vomiting] for two days.|;
[Nausea] +/- [vomiting]|;u
[Influenza]-like illness, no [sepsis].|;n
Post-[stroke] [depression].|;
[Asthma] 2-3 times a week.|
[恶心]（+），[呕吐]（-）|;n
[恶心]+，[呕吐]-，[腹泻]-|;n;n
[压痛]（＋），[反跳痛]（－），[肌紧张]（±）|;n;u
[恶心]（+）[呕吐]（-）[腹痛]（++）|;n;
[乙肝]阳性，[丙肝]阴性。|;n
[压痛]阳性，[反跳痛]阴性，[黄疸]（-）|;n;n
[发热]：＋\n[咳嗽]：－|;n
无[皮疹]，[水肿]（++）|n;
母亲有[糖尿病]，患者有[高血压]。|f;
父亲患有[高血压]，母亲有[糖尿病]。|f;f
其母有[乳腺癌]病史。|f
[肺炎]？|u
无[发热]。|n
未见[结节]。|n
双肺未见[结节]，心影[增大]。|n;
患者无[发热]、[咳嗽]，有[头痛]。|n;n;
否认[高血压]、[糖尿病]病史。|nh;nh
否认[肝炎]。|n
排除[肺炎]。|n
[肺栓塞]已排除。|n
不能排除[肺炎]。|u
疑似[肺癌]。|u
可能为[肺炎]。|u
[肺炎]可能。|u
考虑[肺结核]。|u
[结核]待排。|u
[高血压]病史10年。|h
既往[哮喘]。|h
既往史：[哮喘]。|h
母亲患[糖尿病]。|f
家族史：[乳腺癌]。|f
否认家族史[糖尿病]。|nf
预防[感冒]。|y
[糖尿病]风险增加。|y
无明显诱因出现[咳嗽]。|
未见好转，[咳嗽]加重。|
不仅[咳嗽]。|
"""
LINES = [line for line in GOLDEN.strip().splitlines() if line]
LETTERS = {
    "negated": "n",
    "uncertain": "u",
    "family": "f",
    "other": "o",
    "historical": "h",
    "hypothetical": "y",
}


def marked(line: str) -> tuple[str, list[tuple[int, int]], list[str]]:
    marked_text, _, expected = line.rpartition("|")
    text, spans = "", []
    for piece in re.split(r"(\[[^\]]*\])", marked_text.replace("\\n", "\n")):
        if piece.startswith("["):
            spans.append((len(text), len(text) + len(piece) - 2))
        text += piece.strip("[]") if piece.startswith("[") else piece
    return text, spans, expected.split(";")


def letters(context) -> str:
    said = [name for name in ("negated", "uncertain") if getattr(context, name)] + [
        context.experiencer,
        context.temporality,
    ]
    return "".join(LETTERS.get(word, "") for word in said)


@pytest.mark.parametrize("line", LINES)
def test_a_sentence_says_what_a_reader_would_say(line: str) -> None:
    text, spans, expected = marked(line)
    assert [letters(context) for context in contexts(text, spans)] == expected


def test_negation_of_marked_sentences_is_found() -> None:
    counts = {"both": 0, "found": 0, "marked": 0}
    lines = Path(__file__).with_name("negation_sentences.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        text, spans, expected = marked(line)
        for context, wanted in zip(contexts(text, spans), expected, strict=True):
            counts["both"] += context.negated and wanted == "n"
            counts["found"] += context.negated
            counts["marked"] += wanted == "n"
    assert len(lines) >= 200
    assert 2 * counts["both"] / (counts["found"] + counts["marked"]) >= 0.95


def test_there_are_golden_sentences_for_every_axis() -> None:
    said = [letter for line in LINES for expected in marked(line)[2] for letter in expected or "-"]
    assert len(LINES) >= 100 and all(said.count(letter) >= 3 for letter in "nufohy-")


def test_the_triggers_that_said_so_are_named_as_written() -> None:
    text, spans, _ = marked("Family history:\nNo known history of [gout].|")
    assert contexts(text, spans)[0].because == ("Family history:", "No known", "history of")


def test_spans_may_come_in_any_order_and_a_trigger_inside_of_one_says_nothing() -> None:
    text = "No fever. Absence of the uvula, rash."
    assert [letters(c) for c in contexts(text, [(32, 36), (10, 30), (3, 8)])] == ["", "", "n"]


def test_a_heading_ends_at_the_next_one_and_a_colon_in_a_sentence_is_none() -> None:
    text = "PMH: gout\nMeds: none\nThe ratio: 3:1\nFH: stroke"
    assert [(axis, heading) for _, _, axis, heading in sections(text)] == [
        ("historical", "PMH"),
        ("family", "FH"),
    ]


def test_every_row_of_the_table_is_sound() -> None:
    known = {
        "negated",
        "uncertain",
        "historical",
        "hypothetical",
        "family",
        "other",
        "nothing",
        "stop",
        "has",
        "marker",
        "test",
        "person",
        "reporting",
        "bystander",
    }
    table = triggers()
    for effects in table.effects.values():
        for effect in effects:
            assert set(effect.axes) <= known and effect.direction in ("before", "after", "none")
            assert effect.scope in ("clause", "sentence", "") or effect.scope.isdigit()
            assert (effect.direction == "none") == set(LETTERS).isdisjoint(effect.axes)
    assert len(table.effects) > 1000 and set(table.headings.values()) <= known


@settings(deadline=None, max_examples=200)
@given(st.text(st.sampled_from("no,.: \n;?未见无history of mother'é😀()\ud800"), max_size=80), st.data())
def test_any_text_has_one_context_for_every_span_and_the_same_each_time(
    text: str, data: st.DataObject
) -> None:
    ends = st.integers(0, len(text))
    spans = [tuple(sorted(pair)) for pair in data.draw(st.lists(st.tuples(ends, ends), max_size=5))]
    found = contexts(text, spans)
    assert len(found) == len(spans) and found == contexts(text, spans)
    assert all(found[i] == PLAIN or found[i].because for i in range(len(spans)))
