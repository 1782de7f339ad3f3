"""Identifiers go from free text, words of medicine stay, and one name has one number in a document."""

# ruff: noqa: E501 - one example a line

from __future__ import annotations

import time
from pathlib import Path

import pytest

from medxiaohe.privacy import text, text_adapters
from medxiaohe.privacy.spans import Span

REDACTED = {  # what must be gone, in a sentence
    "Mr. |Quxley| is here.": "", "Seen by Dr. |Mark Young|, MD.": "", "Patient Name: |YOUNG, GRACE|": "", "thanks , doctor |brown| , and": "",
    "[doctor] hi , |martha| . how are you ?": "", "She met |Oluwaseun van der Okonkwo| today.": "", "|O'Brien-Smythe| reports pain.": "",
    "Her daughter |Om| can be reached.": "", "signed by |JUN DENG|.": "", "I spoke with |Grace| about it.": "", "with |Łukasz Dvořák| present": "",
    "He fell in |Little Rock| then.": "", "He fell in |July|.": "", "from |Grand Rapids, MI 49503|": "", "lives at |12 Oak Hill Road, Apt 4|": "", "at |St. Brendan's Hospital| again": "",
    "at the |University of Vermont Medical Center|": "", "on |3/14/1951|": "", "on |14 March 1951|": "", "|March 14th, 2020|": "", "dated |2020-03-14|": "", "seen |14-Mar-2020|": "",
    "a |93|-year-old woman": "", "age: |101|": "", "a |ninety-four| year old": "", "call |(212) 555-0187|": "", "call |212-555-0187 x22|": "", "+|44 20 7946 0958|": "",
    "|a.b+c@mail.example.org| wrote": "", "see |https://portal.example.org/p/123?x=1|": "", "SSN |555-48-9102|": "", "MRN: |4711223|": "", "(|766-16-751|)": "", "accession |S24-81732|": "",
    "account number |A16590271|": "", "from |10.1.2.33|": "", "member id |XJ-5590-221|": "",
    "患者姓名：|王小明|，男": "", "由|李建国|主任医师诊治": "", "身份证号|110101199003074512|": "", "电话|13812345678|": "", "住址：|北京市朝阳区建国路88号3单元502室|。": "", "|2023年5月3日|入院": "",
    "就诊于|北京协和医院|。": "", "|93岁|老人": "", "患者|欧阳娜娜|诉头痛": "", "患者张飞之女|张建|签字": "",
    "昨日|姚翀璟|再次来院": "", "我同事|陈静|也是这个病": "", "|赵秀兰|的母亲代诉": "", "小儿|令狐晓东|，发热两天": "", "归档人|芦秀英|。": "", "病案|64329219|归档": "",
}  # fmt: skip
KEPT = [
    "A 45-year-old man with Crohn's disease and a positive Babinski sign takes metformin 500 mg twice daily.",
    "Blood pressure 128/88 mmHg, heart rate 72, WBC 12500, platelets 250,000, HbA1c 6.4 %, 7/10 pain, 2/6 systolic murmur, strength 5/5.",
    "T2-weighted MRI of the L4-L5 disc shows no cord compression. CT of the chest was unremarkable.",
    "HEENT: PERRLA, EOMI. Lungs: Clear to auscultation bilaterally. No wheezes, rales or rhonchi.",
    "She denies fever, chills, nausea or vomiting and may need a bronchoscopy or esophagogastroduodenoscopy.",
    "Start Tylenol and Lasix. Foley catheter in place. Glasgow Coma Scale 15. Will follow up in two weeks.",
    "The rs1801133 variant, c.677C>T, HP:0001250 and OMIM:607093 were found.",
    "患者因咳嗽三天就诊，建议到医院做胃镜检查，血压130/85mmHg，服用阿司匹林。",
    "高血压患者应避免情绪激动，每周复查肝功能，白细胞和血小板计数正常。",
    "黄疸消退，双侧肺野清晰，常规心电图未见明显异常，可能与感染有关。",
]


@pytest.mark.parametrize("marked", REDACTED)
def test_identifiers_go(marked: str) -> None:
    before, secret, after = marked.split("|")
    said = text.redact(before + secret + after).text
    letters = "".join(c for c in secret if c.isalnum())
    assert not any(word in said for word in secret.replace(",", " ").split() if len(word) > 1), said
    assert letters not in said and "[" in said


@pytest.mark.parametrize("sentence", KEPT)
def test_words_of_medicine_stay(sentence: str) -> None:
    assert text.redact(sentence).text == sentence


def test_chinese_names_are_found_at_the_speed_of_reading() -> None:
    """The likeliest reading of a run without an end takes linear time."""
    start = time.perf_counter()
    text.redact("王晓燕和李建国" * 20)
    short = time.perf_counter() - start
    start = time.perf_counter()
    text.redact("王晓燕和李建国" * 400)
    assert time.perf_counter() - start < 100 * max(short, 0.01)


@pytest.mark.parametrize(
    "text_", ["M-A-" + "SEQ-" * 60 + "K", "SEQUENCE" * 40, "Met-Ala-Trp " * 80, "of the " * 300 + "House"]
)
def test_a_protein_is_read_as_fast_as_prose(text_: str) -> None:
    start = time.perf_counter()
    text.redact(text_)
    assert time.perf_counter() - start < 10  # without whole words: hours


def test_spans_say_where_and_what() -> None:
    assert text.find("MRN 4711223, Mr. Quxley") == [Span(4, 11, "ID"), Span(17, 23, "NAME")]
    assert text.find("") == []


def test_a_name_has_one_number_in_all_texts_of_a_document() -> None:
    redact = text.Redactor()
    assert redact("Mr. Quxley met Ms. Zaramund.").text == "Mr. [NAME-1] met Ms. [NAME-2]."
    assert redact("QUXLEY left.").text == "[NAME-1] left."
    assert text.redact("Quxley left.").text == "[NAME-1] left."


def test_json_is_redacted_at_any_depth_and_field_names_stay() -> None:
    row = {
        "patient_name": "Zaramund Quxley",
        "notes": [{"text": "seen 3/4/2021", "mrn": 4711223, "age": 45, "ok": True}],
        "Quxley": None,
    }
    said = text.Redactor().value(row)
    assert said["patient_name"] == "[NAME-1]" and said["notes"] == [
        {"text": "seen [DATE-1]", "mrn": "[ID-1]", "age": 45, "ok": True}
    ]
    assert "Quxley" not in said and len(said) == 3


def test_redacted_text_is_not_redacted_again() -> None:
    once = text.redact("Mr. Quxley (MRN 4711223) was seen at Tuscarawa Hospital on 3/4/2021.").text
    assert text.redact(once).text == once


@pytest.mark.parametrize(
    "hostile",
    [
        "a" * 50_000,
        "1-" * 20_000,
        "A. " * 20_000,
        "北" * 20_000,
        "Mr. " * 5_000,
        "(" * 20_000,
        "\ud800 x",
        "1 Oak " * 5_000,
    ],
)
def test_hostile_texts_take_seconds_at_most(hostile: str) -> None:
    start = time.perf_counter()
    text.redact(hostile)
    assert time.perf_counter() - start < 10  # seconds, on a loaded machine


def test_other_finders_add_what_they_find() -> None:
    found = text.redact("the chest is clear", more=(lambda t: [Span(4, 9, "NAME")],))
    assert found.text == "the [NAME-1] is clear"


def test_presidio_adds_what_it_finds() -> None:
    analyzer = pytest.importorskip("presidio_analyzer")
    rule = analyzer.PatternRecognizer("WARD", patterns=[analyzer.Pattern("ward", r"the chest", 0.9)])
    registry = analyzer.RecognizerRegistry(recognizers=[rule], supported_languages=["en"])

    class Blank(analyzer.nlp_engine.NlpEngine):  # Presidio's own engine needs a model from the network
        def load(self) -> None: ...
        def is_loaded(self) -> bool:
            return True

        def process_text(self, text: str, language: str) -> object:
            return analyzer.nlp_engine.NlpArtifacts([], [], [], [], self, language)

        def process_batch(self, texts: list[str], language: str, **options: object) -> object:
            return ((t, self.process_text(t, language)) for t in texts)

        def is_stopword(self, word: str, language: str) -> bool:
            return False

        def is_punct(self, word: str, language: str) -> bool:
            return False

        def get_supported_entities(self) -> list[str]:
            return []

        def get_supported_languages(self) -> list[str]:
            return ["en"]

    engine = analyzer.AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])
    assert text.redact("the chest is clear", more=(text_adapters.analyzer(engine),)).text == "[ID-1] is clear"


def test_a_token_classifier_adds_what_it_finds(tmp_path: Path) -> None:
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {
        w: i
        for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "chest", "is", "clear"])
    }
    splitter = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    splitter.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=splitter, unk_token="[UNK]", pad_token="[PAD]"
    )
    config = transformers.BertConfig(vocab_size=9, hidden_size=9, num_hidden_layers=0, num_attention_heads=1, intermediate_size=9,
                                     id2label={0: "O", 1: "PATIENT"}, label2id={"O": 0, "PATIENT": 1})  # fmt: skip
    model = transformers.BertForTokenClassification(config)
    with torch.no_grad():  # the word "chest" is a patient, and no other
        model.bert.embeddings.word_embeddings.weight.copy_(torch.eye(9) * 9)
        model.bert.embeddings.position_embeddings.weight.zero_()
        model.bert.embeddings.token_type_embeddings.weight.zero_()
        model.classifier.weight.copy_(torch.stack([-torch.eye(9)[6] * 9, torch.eye(9)[6] * 9]))
        model.classifier.bias.copy_(torch.tensor([5.0, -5.0]))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    found = text.redact("the chest is clear", more=(text_adapters.transformers_ner(str(tmp_path)),))
    assert found.text == "the [NAME-1] is clear"
