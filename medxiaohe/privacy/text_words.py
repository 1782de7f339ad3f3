"""Classify the words of a text: words, words that are names too, abbreviations, eponyms, and unknown ones."""

# ruff: noqa: E501 - tables of patterns and words, one a line

from __future__ import annotations

import functools
import gzip
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medxiaohe.privacy.spans import Span

HERE = Path(__file__).parent
LETTERS = r"[^\W\d_](?:[^\W\d_]|[\u02b0-\u036f])*"  # accents may be characters of their own
TOKEN = re.compile(rf"{LETTERS}(?:['’`]{LETTERS})*")
HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
POSSESSIVE = re.compile(r"(?:n['’`]t|['’`](?:s|re|ve|ll|d|m|t|em))$|['’`]$", re.I)
MORPHEMES = re.compile(  # words that medicine makes anew every day, written small
    r".{2,}(?:itis|itides|ectomy|ectomies|ostomy|otomy|ology|ologist|ological|osis|oses|otic|emia|emic|aemia|uria|uric|pathy|pathic|plasty|scopy|scopic|"
    r"graphy|graphic|gram|grams|cyte|cytes|cytic|oma|omas|omatous|algia|plegia|paresis|trophy|trophic|megaly|penia|genic|genesis|lysis|lytic|"
    r"mycin|micin|cillin|cycline|floxacin|oxacin|pril|prilat|sartan|olol|statin|azole|conazole|prazole|tidine|mab|tinib|nib|ciclib|vir|dipine|"
    r"zosin|triptan|setron|gliptin|gliflozin|glutide|parin|xaban|gatran|caine|barbital|azepam|zolam|pam|lukast|terol|sone|olone|onide|fibrate|"
    r"thiazide|semide|tropium|oxetine|pramine|triptyline|idone|apine|peridol|azine|profen|fenac|coxib|dronate|platin|taxel|rubicin|bicin|"
    r"ase|ases|ally|ically|ness|ization|isation|ability|like|able|ible|ously|tomic|vascular|pulmonary|renal|cranial|lateral|medial|"
    r"dermal|cardial|colonic|gastric|hepatic|nasal|ocular|oral|thoracic|abdominal|pelvic|vertebral)$"
)
PREFIXES = re.compile(r"^(?:non|pre|post|anti|sub|hyper|hypo|intra|inter|peri|para|multi|micro|macro|over|under|mid|semi|extra|trans|re|un|de|co|self|bi|tri|poly|retro|supra|infra|immuno|neuro|cardio|gastro)(?=[a-z]{4,}$)")  # fmt: skip
TITLES = frozenset(
    "mr mrs ms miss mister dr drs doctor prof professor nurse madam rev reverend father sister officer judge capt captain sgt sir lady".split()
)
CREDENTIALS = frozenset("md m.d do np pa rn phd dds dpm lpn cnp crna arnp mph facs pac dnp".split())
STRONG_GIVEN = frozenset("mark grace rose joy faith dawn jack bill ruby ivy violet pearl iris olive robin carol jean jay gene art drew chip guy sandy "
                         "holly heather daisy lily june autumn summer paris".split())  # fmt: skip
START = re.compile(r"(?:^|[.!?:;\n•*\-–(\[\"“|])\s*$")
INITIAL = re.compile(r"(?:^|[\s.,])[A-Z]\. ?$|(?:^|\W)(?:St|Dr|Mr|Mrs|Ms|Mt|Ft)\. ?$")
MICRO = re.compile(r"[µμ](?:m|mol|M|g|L|l|s|V|A|Sv|Gy|IU|U|kat)?(?:ol|ols)?$")
GRADE = re.compile(  # behind an eponym: Gleason 7, Mallampati II, Child-Pugh class B
    r"['’]?s?[ -]*(?:class|grade|stage|type|score|level|category)?(?:\s+of)?\s*[:=]?\s*"
    r"(?:[IVX]{1,4}[a-cA-CfF]?|[1-9]\d?(?:\s?[+/-]\s?\d{1,2})*|[A-D])(?![\w-]|\.\d)(?!\s*(?:y|yrs?|years?|yo|mg|ml|mm|days?)\b)"
)
BETWEEN = frozenset(
    "balance coma depression risk severity balance pain fall falls modified and visual early warning".split()
)
SIGNS = frozenset(
    "sign signs syndrome syndromes disease phenomenon maneuver maneuvers manoeuvre manoeuvres criteria classification palsy murmur pupil pupils stain contracture "
    "chorea triad sarcoma lymphoma reflex nodules nodes bodies rings ring virus score scale fracture fractures shunt tumor tumour anemia anaemia anomaly lesion "
    "malformation deformity smear chromosome spots lines bands cyst diverticulum hernia fundoplication myotomy anastomosis esophagus thyroiditis encephalopathy "
    "dystrophy ataxia purpura granulomatosis arteritis angina gangrene sarcoidosis dysplasia osteodystrophy rash triangle pouch duct gland glands cells fibers "
    "tear tears grade stage index catheter drain tube incision exercises contractions lamp plates chart grid equation formula".split()
)
PARTS_OF = frozenset(
    "foramen foramina circle sphincter islets islet bundle ampulla angle loop tetralogy pouch node nodes canal canals duct ducts fissure ligament "
    "triangle space valve valves organ crypts crypt gland glands fascia papilla tubercle line lines zone area test sign disease syndrome law method plexus "
    "cave aqueduct sulcus trigone capsule cistern vein artery muscle membrane cells corpuscle corpuscles lobule spots tail body bodies heart arc".split()
)
HEADS = frozenset(
    "disease diseases syndrome syndromes sign signs test tests testing scale score scores coma catheter stain stains criteria criterion classification class "
    "stage staging grade grading type procedure fracture fractures lymphoma tumor tumors tumour sarcoma maneuver manoeuvre position retractor forceps clamp "
    "needle elevator drain monitor esophagus oesophagus thyroiditis palsy cyst cysts contracture phenomenon reflex reflexes surgery operation "
    "esophagitis ulcer node nodes stocking wire cannula method index law point chorea dementia nodule nodules body bodies formula equation risk rule ring "
    "rings cell cells line lines protein proteins proteinuria space spaces angle dystrophy atrophy ataxia anemia anaemia purpura nephritis diverticulum hernia "
    "hydatid pouch resection repair shunt graft stent plate rod pin tube splint brace cast frame questionnaire inventory assessment screen screening agar "
    "medium counter lamp chart smear blot number ratio unit units cycle effect response principle pressure respiration respirations breathing breaths pulse "
    "murmur spot spots facies gait pupil pupils carcinoma leukemia leukaemia melanoma granuloma gangrene fasciitis angina aneurysm malformation deformity "
    "dislocation lesion paralysis epilepsy seizure encephalopathy psychosis amnesia aphasia technique approach incision grip anastomosis flap closure suture "
    "speculum pessary bag pump valve valves filter needle knife curette laryngoscope blade bone cartilage membrane layer tract area areas fissure muscle "
    "fascia gland glands duct ducts canal canals ligament tendon plexus loop triangle artery vein vessels nerve ganglion rod rods bundle fibers fibres "
    "osteodystrophy cardiomyopathy contractions contraction exercises method prosthesis implant block solution lactate virus fever pox pneumonia "
    "pneumonitis vasculitis arteritis arthritis hemangioma malformation web macroglobulinemia hyperplasia nevus naevus exostosis abscess cancer positive "
    "negative antigen antibody group system".split()
)
ROMAN = re.compile(r"[IVX]{1,5}")
CONTRACTED = frozenset(
    "ain aren can couldn didn doesn don hadn hasn haven isn mustn needn shan shouldn wasn weren won wouldn".split()
)


@dataclass(frozen=True)
class Lists:
    """The lists of known words; all but abbreviations and mixed forms are in lower case."""

    words: frozenset[str]
    names: frozenset[str]  # words that are names too
    capitals: frozenset[str]  # abbreviations
    eponyms: frozenset[str]  # "crohn disease"
    alone: frozenset[str]  # eponyms that need nothing beside them
    mixed: frozenset[str]  # mmHg, IgA
    shared: frozenset[str]  # eponyms that people have too, which stay beside what makes them one


@functools.cache
def lists() -> Lists:
    """Load the word lists, once.

    Returns:
        The lists.
    """
    rows = gzip.decompress((HERE / "words.txt.gz").read_bytes()).decode().split()
    clinical = [
        w
        for row in (HERE / "clinical_words.txt").read_text().splitlines()
        if not row.startswith("#")
        for w in row.split()
    ]
    eponyms = [row for row in (HERE / "eponyms.txt").read_text().splitlines() if row]
    words = {row.rstrip("*") for row in rows if not row.isupper()} | {w for w in clinical if w.islower()}
    return Lists(
        frozenset(words),
        frozenset(row[:-1] for row in rows if row.endswith("*")),
        frozenset(row for row in rows if row.isupper()) | {w for w in clinical if w.isupper()},
        frozenset(eponyms),
        frozenset(w.lower() for w in clinical if w.istitle()),
        frozenset(w for w in clinical if not (w.islower() or w.isupper() or w.istitle()) or MICRO.match(w)),
        frozenset(
            plain(word)
            for row in (HERE / "eponym_names.txt").read_text(encoding="utf-8").splitlines()
            if not row.startswith("#")
            for word in row.split()
        ),
    )


@dataclass
class Token:
    """A word of a text.

    Attributes:
        start: index of its first character.
        end: index after its last one.
        text: as written.
        low: lower case, without accents and possessive endings.
        kind: word, ambiguous, eponym, unknown, or small and noun of German texts.
        starts: whether it begins a sentence or line.
        name: whether it is taken for a name.
        sure: whether its neighbours make it a name.
    """

    start: int
    end: int
    text: str
    low: str  # plain letters, small, without 's
    kind: str = ""
    starts: bool = False  # a sentence or line
    name: bool = False
    sure: bool = False  # a name by what stands around it


def plain(word: str) -> str:
    """Convert to lower case without accents.

    Returns:
        The text; ß, æ and ø become ss, ae and o.
    """
    return "".join(
        c
        for c in unicodedata.normalize("NFKD", word.replace("ß", "ss").replace("æ", "ae").replace("ø", "o"))
        if not unicodedata.combining(c)
    ).lower()


def tokens_of(text: str, fixed: Sequence[Span]) -> Iterator[Token]:
    """Split a text into words, without Chinese characters.

    Args:
        text: to split.
        fixed: spans in order, without overlaps; words that overlap them are left out.

    Yields:
        Words in the order of the text, without a kind.
    """
    taken = iter(fixed)
    span = next(taken, None)
    for match in TOKEN.finditer(text):
        while span and span.end <= match.start():
            span = next(taken, None)
        if (span and span.start < match.end()) or HAN.search(match[0]):
            continue
        before = text[max(0, match.start() - 6) : match.start()]
        starts = match.start() == 0 or (START.search(before) is not None and not INITIAL.search(before))
        yield Token(match.start(), match.end(), match[0], plain(POSSESSIVE.sub("", match[0])), starts=starts)


def kind_of(token: Token, tokens: list[Token], i: int, text: str) -> str:
    """Classify a word by the lists and its neighbours.

    Args:
        token: the word.
        tokens: all words of the text.
        i: index of the word.
        text: the text.

    Returns:
        `word`, `ambiguous` (a word and a name), `eponym` or `unknown`.
    """
    vocabulary, word = lists(), token.low
    bare = token.text.rstrip("s") if token.text[:-1].isupper() else token.text
    if (
        len(word) <= 1
        or word in TITLES
        or word in CREDENTIALS
        or (ROMAN.fullmatch(token.text) and len(word) < 5)
    ):
        return "word"
    if _beside_digits(token, text) and len(word) <= 4:
        return "word"
    if MICRO.match(token.text):
        return "word"
    if is_marked(tokens, i, text) or is_named_sign(tokens, i, text):
        return "eponym"
    # Malá is no word, although "mala" is
    foreign = token.text.istitle() and word != POSSESSIVE.sub("", token.text).lower()
    if foreign:
        return "eponym" if is_eponym(tokens, i) or word in vocabulary.alone else "unknown"
    if (word in vocabulary.words and word in vocabulary.names) or word in STRONG_GIVEN:
        return "ambiguous"
    if (
        word in vocabulary.words
        or (word in CONTRACTED and token.text != plain(token.text).title())
        or word.replace("'", "").replace("’", "") in vocabulary.words
    ):
        return "word"
    if token.text in vocabulary.mixed or (bare.isupper() and bare in vocabulary.capitals):
        return "word"
    if is_eponym(tokens, i) or (word in vocabulary.alone and not (i and tokens[i - 1].low in TITLES)):
        return "eponym"
    if token.text.islower() or token.text.isupper() or token.starts:
        if len(word) >= (7 if token.text.islower() else 10) and MORPHEMES.fullmatch(word):
            return "word"
        stem = PREFIXES.sub("", word)
        if stem != word and stem in vocabulary.words:
            return "word"
        for ending in ("s", "es", "ed", "d", "ing", "ly", "er", "al", "y"):
            if (
                token.text.islower()
                and len(word) >= 6
                and word.endswith(ending)
                and word[: -len(ending)] in vocabulary.words
            ):
                return "word"
    return "unknown"


def is_marked(tokens: list[Token], i: int, text: str) -> bool:
    """Check whether a name that people have too is that of a sign, a stage or a part of the body here:
    Salter-Harris II, Bell's palsy, foramen of Monro.

    Args:
        tokens: all words of the text.
        i: index of the word.
        text: the text.

    Returns:
        True if a grade or a word such as "palsy" follows, or a part of the body and "of" precede.
    """
    token, shared = tokens[i], lists().shared
    if token.low not in shared or not token.text[0].isupper():
        return False
    first = i  # of the eponyms that stand together
    while (
        first
        and i - first < 4
        and tokens[first - 1].low in shared
        and _joined(tokens[first - 1], tokens[first], text)
    ):
        first -= 1
    if first and (tokens[first - 1].low in TITLES or _given(tokens, first, text)):
        return False
    last = i
    while (
        last + 1 < len(tokens)
        and last - i < 4
        and tokens[last + 1].low in shared
        and _joined(tokens[last], tokens[last + 1], text)
    ):
        last += 1
    if GRADE.match(text, tokens[last].end):
        return True
    after = tokens[last + 1 : last + 4]
    for reach, word in enumerate(after, start=1):
        before = tokens[last + reach - 1]
        if gap(before, word, text).strip(" -'’") or (word.low not in HEADS and not word.text.islower()):
            break
        if word.low in HEADS:
            return reach == 1 or all(between.low in BETWEEN for between in after[: reach - 1])
    return (
        first >= 2
        and tokens[first - 1].low in ("of", "de")
        and tokens[first - 2].low in PARTS_OF
        and first == i
    )


def is_named_sign(tokens: list[Token], i: int, text: str) -> bool:
    """Check whether capitalised words stand right before a word that only eponyms precede: Nikolsky sign,
    Diamond-Blackfan anemia, von Willebrand disease. Nothing else of the kind is a person.

    Args:
        tokens: all words of the text.
        i: index of the word.
        text: the text.

    Returns:
        True if they do.
    """
    first = last = i
    while first and i - first < 3 and _of_chain(tokens[first - 1], tokens[first], text):
        first -= 1
    while (
        last + 1 < len(tokens)
        and last - i < 3
        and _of_chain(tokens[last + 1], tokens[last], text, after=True)
    ):
        last += 1
    if last + 1 >= len(tokens) or last - first > 3 or tokens[i].text.isupper():
        return False
    head = tokens[last + 1]
    if not tokens[last].text[0].isupper() or head.low not in SIGNS or not head.text.islower():
        return False
    if gap(tokens[last], head, text).strip(" ’'") or (first and tokens[first - 1].low in TITLES):
        return False
    return not (first and ":" in gap(tokens[first - 1], tokens[first], text))


def _of_chain(neighbour: Token, token: Token, text: str, *, after: bool = False) -> bool:
    """Whether a word beside another is a part of the same eponym: a capitalised word, or a particle of
    names.
    """
    between = gap(token, neighbour, text) if after else gap(neighbour, token, text)
    if between not in ("-", "–", " ") or neighbour.low in TITLES or neighbour.low in CREDENTIALS:
        return False
    return (
        (neighbour.text.istitle() and not neighbour.starts)
        or neighbour.low in ("von", "van", "de", "della", "du")
        or (neighbour.text.istitle() and between != " ")
        or (
            neighbour.starts
            and neighbour.text.istitle()
            and neighbour.kind in ("", "unknown", "ambiguous", "eponym")
            and len(neighbour.low) > 3
        )
    )


def _joined(a: Token, b: Token, text: str) -> bool:
    """Whether two eponyms form one: Child-Pugh, Rinne and Weber, Bence Jones."""
    return text[a.end : b.start].replace("'s", "").replace("’s", "") in ("-", "–", "‐", " ", "/", " - ")


def _given(tokens: list[Token], i: int, text: str) -> bool:
    """Whether a given name precedes: Mary Jones."""
    before = tokens[i - 1]
    return gap(before, tokens[i], text) == " " and (
        before.low in lists().names and before.text.istitle() and before.low not in HEADS
    )


def _beside_digits(token: Token, text: str) -> bool:
    return text[token.end : token.end + 1].isdigit() or (token.start > 0 and text[token.start - 1].isdigit())


def is_eponym(tokens: list[Token], i: int) -> bool:
    """Check whether the next word, or the one after another eponym, makes it the name of a disease or a sign.

    Args:
        tokens: all words of the text.
        i: index of the word.

    Returns:
        True if the list of eponyms has the combination, and no title precedes it.
    """
    vocabulary = lists()
    if i and tokens[i - 1].low in TITLES:
        return False
    after = [t.low for t in tokens[i + 1 : i + 4]]
    forms = (tokens[i].low, tokens[i].low.rstrip("s"))
    return any(f"{form} {next_}" in vocabulary.eponyms for form in forms for next_ in after[:1]) or (
        len(after) > 1
        and any(f"{after[0]} {after[1]}" in vocabulary.eponyms for _ in (0,))
        and any(e.startswith(tokens[i].low + " ") for e in _firsts().get(tokens[i].low, ()))
    )


@functools.cache
def _firsts() -> dict[str, tuple[str, ...]]:
    result: dict[str, tuple[str, ...]] = {}
    for eponym in lists().eponyms:
        first = eponym.split()[0]
        result[first] = (*result.get(first, ()), eponym)
    return result


def gap(a: Token, b: Token, text: str) -> str:
    """Return the text between two words.

    Args:
        a: the first word.
        b: a later word.
        text: the text.

    Returns:
        The characters between them.
    """
    return text[a.end : b.start]


def near(a: Token, b: Token, text: str) -> bool:
    """Check whether two words stand side by side: a space, a dot after an initial, or a comma between.

    Args:
        a: the first word.
        b: a later word.
        text: the text.

    Returns:
        True if at most two such characters separate them.
    """
    space = gap(a, b, text)
    return len(space) <= 2 and not space.strip(" .,-'’/") and (not space.startswith(".") or len(a.low) <= 2)
