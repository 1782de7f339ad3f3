"""Detect names of people, hospitals and places: words that are in no list of words.

unknown      in no list: taken for a name, whatever its case and language
ambiguous    a word and a name (Brown, Grace): a name beside another name, after a title, or with a capital
             among words in lower case
eponym       the name of a disease or sign (Crohn, Babinski): stays beside the word that makes it one
word         stays, except inside the name of a hospital or a place
"""

# ruff: noqa: E501 - tables of patterns and words, one a line

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from medxiaohe.privacy import text_languages
from medxiaohe.privacy.spans import Span
from medxiaohe.privacy.text_words import (
    CREDENTIALS,
    HEADS,
    STRONG_GIVEN,
    TITLES,
    Token,
    gap,
    is_eponym,
    kind_of,
    near,
    tokens_of,
)

CALLINGS = frozenset("doctor nurse professor prof miss".split())  # a title when a word with a capital follows
NO_NAMES = frozenset(
    "practitioner manager specialist visit notes note appointment office assistant anesthetist midwife discussion".split()
)
STRICT_TITLES = frozenset("mr mrs ms dr drs prof mister".split())
PREPOSITIONS = frozenset(
    "in from to near with by call called contact told asked thank sister brother husband wife daughter son mother father neighbor friend named".split()
)
NOT_PLACED = frozenset("figure fig table case day grade stage type class group level phase part section chapter step appendix plan english spanish chinese "
                       "caucasian african american asian hispanic japanese french german european gram caesarean".split())  # fmt: skip
PARTICLES = frozenset(
    "van von vander vom zu zum zur de del della dello der den het 't t te ten ter di da du das dos do la le los las el al bin ibn ben abu st san santa mac mc o ter ten".split()
)
# are no words of English
SURE_PARTICLES = frozenset("van von der den da di della del dos das de bin ibn ten ter vander".split())
PLACES_BEFORE = frozenset(
    "new north south east west northern southern eastern western fort mount mt lake saint st san santa los las el la port grand cape salt little "
    "upper lower big great long palm green white red black blue rock baton des cedar college long high spring silver".split()
)
PLACES_AFTER = frozenset(
    "city beach springs falls county heights valley island islands village park hills hill ville town township creek river lake bay harbor harbour "
    "point grove ridge rock forks rapids rouge bluffs station junction junior jr senior sr ii iii iv province district state republic".split()
)
ORG_HEADS = (
    "Hospital|Hospitals|Clinic|Clinics|Medical Cent(?:er|re)|Health Cent(?:er|re)|Cancer Cent(?:er|re)|Trauma Cent(?:er|re)|Health System|"
    "Healthcare|Health Care|Health|Medical Group|Infirmary|Sanatorium|Hospice|Pharmacy|Pharmacies|University|College|School|Academy|Institute|"
    "Foundation|Church|Nursing Home|Assisted Living|Senior Living|Memory Care|Group Home|Rehabilitation|Rehab|Care Cent(?:er|re)|Cent(?:er|re)|Associates|Laboratories|Labs|Inc|LLC|Ltd|Group|Corporation|Corp|"
    "Company|Partners|Physicians|Surgery Cent(?:er|re)|Manor|Lodge|House|Campus|Memorial|Plc|PLC|and Sons"
)
# words are taken whole (*+): in "ABCD-EFGH" there are too many ways to begin one anew
ORGANISATION = re.compile(
    rf"(?:University|Hospital|Institute|College|Church|School|Clinic|City|County|State) of (?:the )?(?:[A-Z][\w'’.-]+[ -]?){{1,5}}|"
    rf"[A-Z][\w'’.-]*+(?:(?:,? (?:and|of|the|de|&|for)|[ ,-]+(?:St\.|Ste\.)?)? ?,?-?(?:[A-Z][\w'’.-]*+)){{0,6}}? (?:{ORG_HEADS})\b(?:,? (?:{ORG_HEADS})\b)*"
)
GENERIC = frozenset(
    "the of and a at to for in medical medicine center centre hospital hospitals clinic clinics emergency department outpatient inpatient primary care "
    "pain wound urgent surgery surgical radiology heart cancer health general regional university college school institute group rehabilitation rehab "
    "nursing home physical therapy sleep management community county city state public national family internal oncology cardiology eye women men "
    "children pediatric mental behavioral walk same day local teaching tertiary academic specialty dental foot diabetes fertility hospice pharmacy "
    "church associates partners physicians system systems house laboratories labs memory stroke trauma burn this that our your my his her their "
    "she he they we i you it is was please go went admitted transferred discharged".split()
)
NAMED = frozenset("memorial mercy saint st sacred good providence veterans grace holy trinity presbyterian methodist baptist lutheran jewish christian hope "
                  "unity kindred riverside lakeside hillside valley sunrise sunset mountain ocean bay lady".split())  # fmt: skip
PERSON = re.compile(
    r"(?im)^[ \t>*-]*(?:(?:patient(?:'s)?|pt|full|first|last|middle|maiden|legal|preferred|given|family|sur|nick)?[ _]?names?|attending(?: physician)?|"
    r"(?:referring|primary|ordering|consulting|treating|admitting|family) (?:physician|doctor|provider|clinician)|physician|provider|surgeon|"
    r"assistant|anesthesiologist|radiologist|pathologist|dictated by|transcribed by|signed(?: by)?|electronically signed by|authenticated by|"
    r"reviewed by|read by|prepared by|reported by|seen by|cc|pcp|emergency contact|next of kin|guardian|spouse|husband|wife|mother|father|son|daughter|"
    r"contact(?: person)?|caregiver|interpreter|witness|author|to|from|re|regarding|dear|patient)[ \t]*[:=][ \t]*(?P<rest>[^\n]{1,80})"
)
WEAK_LABEL = re.compile(
    r"(?i)(?:patient|father|mother|son|daughter|husband|wife|to|from|re|regarding|physician|provider|assistant|surgeon|pt)[ \t]*[:=]"
)
IS_NAME = re.compile(
    r"(?i)\b(?:my name is|name is|named|called|known as|i am|i'm|this is|speaking with|goes by|sincerely,?|regards,?|hi,?|hello,?|hey,?|dear)\s+,?\s*$"
)
ADDRESSED = re.compile(r"(?:[,.!?]|(?:^|\W)(?:am|is)) *$")
GREETED = re.compile(r"(?i)(?:^|[^\w])(?:hi|hello|hey)(?: to)?,?\s*,?\s*$")
NOT_GREETED = TITLES | frozenset("there everyone all again good how this that i it its we you so come nice um uh sir well what thanks thank and my to the a how're yes no okay "
                                 "today guys folks nice welcome please sorry just can could is are doc".split())  # fmt: skip
TOWN = re.compile(r",? (?:in )?((?:[A-Z][\w.'’-]*[\w](?: (?=[A-Z]))?){1,4})")
STATE = re.compile(r",\s*([A-Z]{2})\b")
EPONYM_HEADS = HEADS | frozenset("disease syndrome sign test tests scale score coma catheter stain criteria classification procedure fracture lymphoma tumor sarcoma maneuver "
                         "position retractor forceps clamp clamps needle scissors elevator drain monitor esophagus thyroiditis palsy cyst contracture phenomenon "
                         "reflex reflexes surgery operation esophagitis ulcer node nodes stocking wire cannula method index law point chorea dementia nodule body bodies".split())  # fmt: skip
LONGEST_RUN = 24  # words with capitals on either side that are looked at
STAFF = re.compile(
    r"(?m)(?<![\w])(?:[Nn]urse|RN|LPN|CNA|NP|PA|[Aa]ide|[Tt]ech(?:nician|nologist)?|[Cc]aregiver|[Ii]nterpreter|[Tt]ranslator|[Tt]herapist|"
    r"[Ss]ocial [Ww]orker|[Cc]haplain|[Cc]ase [Mm]anager|[Ss]cribe|[Pp]harmacist|[Mm]idwife|[Dd]entist|[Dd]oula|[Cc]oach|[Tt]eacher|[Ss]upervisor|"
    r"[Ee]mployer|[Rr]oommate|[Pp]roxy|[Cc]oordinator|[Rr]esident|[Ff]ellow|[Ii]ntern|[Cc]onsultant|[Ss]urgeon)[ \t]*:[ \t]*"
    r"([A-Z][a-z'’-]+(?: [A-Z][a-z'’-]+){0,2})(?=[ \t]*(?:$|[\n,;.()|/-]))"
)
NUMBER_BEHIND = re.compile(r"[ :=<>]{0,3}\d")
NOT_STAFF = frozenset(
    "yes no none notified present physical occupational speech respiratory unknown pending available called paged aware none n/a see see".split()
)
TELLS = frozenset("tell told page paged notify notified ping pinged text texted".split())
TOLD_ENDS = re.compile(
    r"\s*(?:$|[.,;!?/\n]|\s(?:and|about|that|to|at|when|if|today|tomorrow|tonight|now|asap)\b)"
)
NOT_INITIALS = frozenset(
    "CT MR US XR ED ER OR ICU IV IM PO BP HR RR PT OT ST GI GU MI PE TB UA AM PM OK NY LA SF TX FL MA PA NJ IL OH GA NC VA WA AZ".split()
)
FUNCTION = frozenset("in on at he to an as by if it is of or so no my we mr dr the she her his and for per has was had did now not but old new use see ask let all any "
                     "are can who how why our out off one two ten day few may its you they say set yes mrs ms".split())  # fmt: skip


def find(text: str, fixed: Sequence[Span] = ()) -> Iterator[Span]:
    """Detect names of people, organisations and places: words that no list has.

    Args:
        text: to search in.
        fixed: spans of other identifiers, in order; words inside them are not looked at.

    Yields:
        Spans of the kinds NAME and PLACE, in no order; they may overlap.
    """
    tokens = list(tokens_of(text, fixed))
    for i, token in enumerate(tokens):
        token.kind = kind_of(token, tokens, i, text)
        token.name = token.kind == "unknown"
    text_languages.keep_words(tokens, text)
    _titles(tokens, text)
    _labels(tokens, text)
    _told(tokens, text)
    _alone(tokens, text)
    _spread(tokens, text)
    _again(tokens)
    _spread(tokens, text)
    organisations = list(_organisations(tokens, text))
    yield from organisations
    for token in tokens:
        if token.name:
            yield Span(token.start, token.end, "NAME")
            if (state := STATE.match(text, token.end)) and state[1].lower() not in CREDENTIALS:
                yield Span(*state.span(1), "PLACE")


def _titles(tokens: list[Token], text: str) -> None:
    """Mark what follows Mr., Dr. or "doctor" as a name, unless it is a word in lower case."""
    for i, title in enumerate(tokens):
        if title.low not in TITLES:
            continue
        for j in range(i + 1, min(i + 6, len(tokens))):
            space, token = gap(tokens[j - 1], tokens[j], text), tokens[j]
            if (
                len(space) > 3
                or space.strip(" .,-'’")
                or "\n" in space
                or ("," in space and title.low not in ("mr", "mrs", "ms", "dr"))
            ):
                break
            capital = token.text[0].isupper()
            if token.low in PARTICLES and j + 1 < len(tokens):
                token.name = token.sure = True
                continue
            if len(token.low) == 1 and capital and "." in text[token.end : token.end + 1]:
                token.name = token.sure = True
                continue
            strict = capital and (
                title.low in STRICT_TITLES
                or (title.low in CALLINGS and token.text.istitle() and token.low not in NO_NAMES)
            )
            if (
                j == i + 1
                and title.low in CALLINGS
                and ADDRESSED.search(text[max(0, title.start - 9) : title.start])
                and text[token.end :][:2].strip(" ")[:1] in ",.?!"
            ):
                strict = True  # "thanks , doctor warmer , and"
            if (
                token.name
                or (token.kind == "ambiguous" and (capital or title.text.islower()))
                or (strict and j == i + 1)
            ):
                token.name = token.sure = True
            elif (
                strict
                and j == i + 2
                and token.text.isupper()
                and tokens[j - 1].text.isupper()
                and token.low not in CREDENTIALS
            ):
                token.name = token.sure = True
            else:
                break
    for i, token in enumerate(tokens[1:], start=1):  # "Lee, MD"
        if token.low in CREDENTIALS and (token.text.isupper() or "." in text[token.start : token.end + 2]):
            before = tokens[i - 1]
            if (
                before.text[0].isupper()
                and gap(before, token, text).strip(" .") in (",", "")
                and before.kind in ("ambiguous", "unknown", "eponym")
            ):
                before.name = before.sure = True


def _labels(tokens: list[Token], text: str) -> None:
    """Mark the capitalised words after labels such as "Name:" and "Attending:" as names."""
    for match in PERSON.finditer(text):
        inside = [t for t in tokens if match.start("rest") <= t.start < match.end("rest")]
        weak = (
            WEAK_LABEL.search(text[match.start() : match.start("rest")])
            and "name" not in text[match.start() : match.start("rest")].lower()
        )
        run: list[Token] = []
        for token in inside:
            if (
                not token.text[0].isupper()
                or ":" in text[token.end : token.end + 2]
                or (run and len(gap(run[-1], token, text).strip(" .,-'’")) > 0)
            ):
                break
            run.append(token)
            if len(run) == 5:
                break
        if run and (
            not weak
            or (
                any(t.name or t.kind == "ambiguous" for t in run[:3])
                and len(run) >= (1 if run[0].name else 2)
            )
        ):
            for token in run:
                if (
                    token.low not in CREDENTIALS
                    and token.low not in TITLES
                    and (not weak or token.kind != "word")
                ):
                    token.name = token.sure = True
    for token in tokens:
        if GREETED.search(text[max(0, token.start - 10) : token.start]) and token.low not in NOT_GREETED:
            token.name = token.sure = True
    for i, token in enumerate(tokens):
        if token.kind in ("ambiguous", "eponym") and IS_NAME.search(
            text[max(0, token.start - 24) : token.start]
        ):
            if token.text[0].isupper() or re.search(
                r"(?i)name is\s*$|h(?:i|ey|ello)\s*,\s*$", text[max(0, token.start - 24) : token.start]
            ):
                tokens[i].name = tokens[i].sure = True


def _told(tokens: list[Token], text: str) -> None:
    """Mark a name after a staff role and a colon or after "tell", and initials after a name."""
    spans = [match.span(1) for match in STAFF.finditer(text)]
    for start, end in spans:
        for token in tokens:
            if start <= token.start < end and token.low not in NOT_STAFF | CREDENTIALS:
                token.name = token.sure = True
    for i, token in enumerate(tokens[1:], start=1):
        before, space = tokens[i - 1], gap(tokens[i - 1], token, text)
        if before.low in TELLS and space == " " and token.kind != "word" and TOLD_ENDS.match(text, token.end):
            token.name = token.sure = True
        elif (
            before.name
            and before.text.istitle()
            and space == " "
            and re.fullmatch("[A-Z]{2}", token.text)
            and token.low not in CREDENTIALS
            and token.text not in NOT_INITIALS
        ):
            token.name = True


def _alone(tokens: list[Token], text: str) -> None:
    """Mark an ambiguous word as a name: capitalised among words in lower case, or in a run of such words
    only.
    """
    for i, token in enumerate(tokens):
        if (
            token.name
            or not token.text[0].isupper()
            or not (token.kind == "ambiguous" or _short(token, text) or _placed(token, tokens, i, text))
        ):
            continue
        first, last = _run(tokens, i, text)
        run = tokens[first : last + 1]
        before = tokens[first - 1] if first and "\n" not in gap(tokens[first - 1], run[0], text) else None
        small_after = (
            last + 1 == len(tokens)
            or tokens[last + 1].text.islower()
            or not near(run[-1], tokens[last + 1], text)
        )
        inside = before is not None and not run[0].starts and small_after
        if len(run) == 1 and token.starts:
            after = tokens[i + 1] if i + 1 < len(tokens) else None
            is_name = token.low in STRONG_GIVEN and after is not None and after.text.islower()
            token.name = is_name and not gap(token, tokens[i + 1], text).strip("'’s ")
        elif len(run) == 1:
            token.name = (
                inside
                and before is not None
                and (before.text.islower() or before.starts or before.low in TITLES)
                and not token.text.isupper()
            )
        elif (
            all(
                t.kind == "ambiguous"
                or _short(t, text)
                or _placed(t, tokens, i, text)
                or len(t.low) == 1
                or t.low in PLACES_BEFORE | PLACES_AFTER
                for t in run
            )
            and len(run) <= 4
        ):
            if inside or (run[0].starts and small_after):
                for t in run[0 if inside or any(t.low in STRONG_GIVEN for t in run) else 1 :]:
                    t.name = t.sure = True


def _placed(token: Token, tokens: list[Token], i: int, text: str) -> bool:
    """Whether a capitalised word is where names of people and places are: after "from", "in", "with",
    "call".
    """
    if (
        token.kind not in ("word", "eponym")
        or not token.text.istitle()
        or token.starts
        or token.low in NOT_PLACED | GENERIC | TITLES
        or len(token.low) < 3
    ):
        return False
    return (
        i > 0
        and tokens[i - 1].low in PREPOSITIONS
        and gap(tokens[i - 1], token, text) == " "
        and not (token.kind == "eponym" and is_eponym(tokens, i))
    )


def _short(token: Token, text: str) -> bool:
    """Whether a short word may be a name of another language: Do, Om, Ma, Sen."""
    if NUMBER_BEHIND.match(text, token.end):
        return False  # Cr 0.96, Na 140
    return (
        token.kind == "word"
        and 2 <= len(token.low) <= 3
        and token.text.istitle()
        and not token.starts
        and token.low not in TITLES
    )


def _run(tokens: list[Token], i: int, text: str) -> tuple[int, int]:
    """Return the first and last index of the capitalised words around one of them."""
    first = last = i
    while (
        first
        and i - first < LONGEST_RUN
        and tokens[first - 1].text[0].isupper()
        and near(tokens[first - 1], tokens[first], text)
        and not tokens[first].starts
    ):
        if tokens[first - 1].starts and tokens[first - 1].kind == "word" and not tokens[first - 1].name:
            break  # the first word of a sentence has a capital anyway
        first -= 1
    while (
        last + 1 < len(tokens)
        and last - i < LONGEST_RUN
        and tokens[last + 1].text[0].isupper()
        and near(tokens[last], tokens[last + 1], text)
    ):
        last += 1
    return first, last


def _spread(tokens: list[Token], text: str) -> None:
    """Extend names to neighbouring words that may be part of them, until nothing changes."""
    changed = True
    while changed:
        changed = False
        for i, token in enumerate(tokens):
            if token.name or token.kind == "small" or not (token.text[0].isupper() or token.low in PARTICLES):
                continue
            before = i > 0 and tokens[i - 1].name and near(tokens[i - 1], token, text)
            after = i + 1 < len(tokens) and tokens[i + 1].name and near(token, tokens[i + 1], text)
            capital = token.text[0].isupper()
            beside = before or after
            is_name = (
                capital
                and token.kind == "eponym"
                and beside
                and not is_eponym(tokens, i)
                and token.text.istitle()
                and not _medical(tokens, i)
            )
            is_name |= capital and token.kind == "ambiguous" and beside and not (token.starts and not after)
            is_name |= (
                capital
                and token.kind == "word"
                and not token.starts
                and beside
                and _of_a_name(token, tokens, i, text)
            )
            is_name |= (
                capital
                and before
                and after
                and not _credential(token, tokens, i, text)
                and token.kind != "eponym"
            )
            is_name |= bool(
                token.starts
                and after
                and 2 <= len(token.low) <= 3
                and token.low not in FUNCTION | TITLES
                and _pair(tokens, i, text)
            )
            is_name |= bool(
                capital and len(token.low) == 1 and (before or after) and not (token.low == "i" and not after)
            )
            joined = i + 1 < len(tokens) and gap(token, tokens[i + 1], text) in ("-", "'", "’")
            is_name |= bool(
                token.low in SURE_PARTICLES
                and not (i + 1 < len(tokens) and tokens[i + 1].kind == "eponym")
                and (
                    after
                    or (
                        i + 1 < len(tokens)
                        and tokens[i + 1].text[0].isupper()
                        and near(token, tokens[i + 1], text)
                    )
                )
            )
            is_name |= bool(token.low in PARTICLES and after and (before or capital or joined))
            is_name |= bool(capital and token.low in PLACES_BEFORE and after) or bool(
                capital and token.low in PLACES_AFTER and before
            )
            if is_name:
                token.name = token.sure = changed = True


def _pair(tokens: list[Token], i: int, text: str) -> bool:
    """Whether a short first word has the same capitalisation as the name after it: Om Bui, JUN DENG."""
    first, last = _run(tokens, i, text)
    return tokens[i].text.istitle() or (
        tokens[i].text.isupper() and last - first == 1 and tokens[last].text.isupper()
    )


def _medical(tokens: list[Token], i: int) -> bool:
    """Whether a word that eponyms precede follows: Glasgow coma scale, Foley catheter."""
    after = tokens[i + 1] if i + 1 < len(tokens) else None
    return after is not None and after.low in EPONYM_HEADS


def _of_a_name(token: Token, tokens: list[Token], i: int, text: str) -> bool:
    """Whether a capitalised word beside a name reads like its other half: no other capitalised word is
    there.
    """
    if (
        token.low in GENERIC | TITLES
        or _credential(token, tokens, i, text)
        or ":" in text[token.end : token.end + 1]
    ):
        return False
    first, last = _run(tokens, i, text)
    if token.text.isupper() and last - first > 2:
        return False  # a line in capitals
    return all(
        t.name or t is token or len(t.low) == 1 or t.low in CREDENTIALS for t in tokens[first : last + 1]
    )


def _credential(token: Token, tokens: list[Token], i: int, text: str) -> bool:
    return (
        token.low in CREDENTIALS
        and token.text.isupper()
        and (i == 0 or "," in gap(tokens[i - 1], token, text))
    )


def _again(tokens: list[Token]) -> None:
    """Mark a word that is certainly a name once wherever it is capitalised like one."""
    sure = {t.low for t in tokens if t.sure and t.kind in ("ambiguous", "eponym") and len(t.low) > 2}
    for token in tokens:
        if token.low in sure and token.text[0].isupper() and not token.text.isupper():
            token.name = True


def _organisations(tokens: list[Token], text: str) -> Iterator[Span]:
    for match in ORGANISATION.finditer(text):
        inside = [t for t in tokens if match.start() <= t.start < match.end()]
        while (
            inside
            and inside[0].starts
            and inside[0].kind == "word"
            and inside[0].low in GENERIC
            and not inside[0].name
        ):
            inside = inside[1:]
        if any(t.low in TITLES for t in inside) and (
            prepositions := [k for k, t in enumerate(inside) if t.text in ("of", "at", "and")]
        ):
            inside = inside[prepositions[-1] + 1 :]
        telling = [
            t for t in inside if t.name or t.kind in ("ambiguous", "unknown", "eponym") or t.low in NAMED
        ]
        if inside and any(t.low not in GENERIC for t in telling) and "\n" not in match[0]:
            yield Span(inside[0].start, match.end(), "PLACE")
            if town := TOWN.match(text, match.end()):
                yield Span(*town.span(1), "PLACE")
