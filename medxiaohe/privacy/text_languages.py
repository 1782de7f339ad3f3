"""Recognise words of Spanish and German notes, which English lists do not have and which are no names.

The language of a text is detected by its small words. In both languages a word in lower case is no name.
German nouns have a capital too: they are recognised by their endings, by an article before them, or by their
parts; a Spanish word at the beginning of a sentence by its ending. A word after a title or a label is left to
`text_names`.
"""

# ruff: noqa: E501 - tables of words

from __future__ import annotations

import re
from collections.abc import Sequence

from medxiaohe.privacy.text_words import TITLES, Token, gap, lists

SMALL = {
    "es": frozenset(
        "el la los las de del con por para que se en un una y no fue paciente años al su sin más tras como desde presenta refiere acude dolor es ha".split()
    ),
    "de": frozenset(
        "der die das den dem des und mit bei ist wurde wird nicht ein eine einen einer im am zum zur von auf seit keine kein für nach wegen hat sich sind als unter aus über klagt leidet berichtet verneint durch vor".split()
    ),
}
# forms of address that no other language has: each counts as two small words
ADDRESSED = {
    "es": frozenset("señor señora sra srta doña".split()),
    "de": frozenset("herr herrn frau".split()),
}
LEAST, SHARE = 3, 0.12  # small words of a text in a language, and their share of its words
ARTICLES = frozenset(
    "der die das den dem des ein eine einen einem einer eines kein keine keinen im am zum zur vom beim".split()
)
NOUN = re.compile(  # ends of German nouns and parts that medicine makes them of
    r"(?:.{2,}(?:ung|ungen|heit|keit|schaft|tion|tionen|sion|ie|ien|ik|itis|ose|osen|om|ome|ität|ment|mente|ismus|enz|anz|chen|nis|tum|eur|flimmern|flattern|"
    r"oide)s?|.*(?:druck|schmerz|schmerzen|krankheit|erkrankung|syndrom|insuffizienz|infarkt|embolie|entzündung|bruch|gabe|therapie|zeit|tag|tage|tagen|wert|werte|test|"
    r"patient|patientin|arzt|ärztin|blut|herz|herzen|lunge|lungen|leber|niere|nieren|magen|darm|gefäß|gefäße|drüse|haut|knochen|gelenk|muskel|nerv|hirn|kopf|brust|bauch|"
    r"rücken|bein|arm|hand|fuß|auge|ohr|hals|zucker|stoffwechsel|wechsel|spiegel|befund|befunde|anfall|anfälle|geräusch|frequenz|rhythmus|stillstand|zahl|"
    r"mittel|präparat|tablette|tabletten|dosis|spritze|salbe|tropfen|klinik|station|aufnahme|entlassung|verlauf|anamnese|diagnose|allergie|fieber|husten|"
    r"übelkeit|erbrechen|durchfall|atemnot|schwindel|schwäche|ödem|ödeme|fraktur|ruptur|operation|narkose|ultraschall|bild|aufnahmen|wunde|narbe|naht|"
    r"vene|arterie|klappe|kammer|vorhof|galle|blase|milz|tumor|krebs|zelle|zellen|gewebe|virus|bakterien|keim|keime|mangel|störung|versagen|leiden|grad|"
    r"in|ol|id|at|an|on|il|am|pril|sartan|statin|azol|cillin|mycin|ansäure|ikum|ika)s?)$",
    re.IGNORECASE,
)
BEGINS = re.compile(  # ends of Spanish words that may begin a sentence
    r".{2,}(?:itis|osis|emia|uria|algia|patía|ectomía|grafía|scopia|ción|ciones|sión|siones|dad|dades|mente|miento|mientos|oso|osa|osos|osas|ico|ica|icos|icas|"
    r"ivo|iva|ía|ías|ado|ada|ados|adas|ido|ida|idos|idas|ente|entes|ancia|encia|ismo|ista|logía|terapia|plastia|ando|endo|aje|ura|or|ores|oma|omas|ina|inas|ol|"
    r"pril|sartán|statina|azol|cilina|micina|pina|xicam|ona|ato|uro)$",
    re.IGNORECASE,
)
SPANISH = frozenset(
    "paciente varón mujer hombre niño niña acude refiere niega presenta consulta ingresa ingreso alta motivo antecedentes exploración tratamiento diagnóstico plan "
    "evolución analítica radiografía fiebre tos dolor disnea náuseas vómitos diarrea cefalea mareo asma anemia diabetes tensión arterial presión frecuencia cardíaca pulso "
    "abdomen tórax cabeza cuello piel ojos boca extremidades corazón pulmón pulmones hígado riñón riñones bazo estómago páncreas cerebro hueso sangre orina heces "
    "alergias alergia hábitos fumador bebedor cirugía cirugías previas familia familiares padre madre hermano hermana hijo hija esposo esposa sin con no se le la el los "
    "las en al por para tras desde hasta cuando durante además también actualmente vive vivía toma fuma bebe trabaja visto vista valorado solicita recomienda inicia continúa mantiene hoy ayer peso talla edad años meses días semanas horas control revisión cita "
    "urgencias hospital clínica servicio enfermería médico médica doctora actual anterior posterior derecho izquierdo derecha izquierda".split()
)
GIVEN = frozenset(
    "maria lucia sofia estefania rosalia eulalia cristina marina carolina martina valentina josefina alejandrina amado conrado ricardo eduardo leonardo fernando armando orlando rolando".split()
)
ADDRESSES = frozenset("Herr Herrn Frau Sr Sra Srta Don Doña Dra Familie".split())
GERMAN = frozenset(
    "Verdacht Marcumar Tagen Tage Tag Wochen Woche Monaten Monate Jahren Jahre Stunden Minuten Zustand Grund Ende Anfang Sohn Tochter Vater Mutter Bruder Schwester Ehemann Ehefrau "
    "Mann Kind Kinder Beruf Nikotin Alkohol Gewicht Größe Puls Leib Becken Rippe Rippen Wirbel Lymphknoten Schleimhaut Abdomen Thorax Schädel Verdauung Stuhl Urin Labor Röntgen "
    "Kontrolle Vorstellung Hausarzt Pflege Schlaf Appetit Angst Depression Demenz Schlaganfall Krampf Sturz Unfall Eiter Galle Stein Steine Katheter Beatmung Sauerstoff".split()
)
DOSE = re.compile(r"\s+\d+(?:[.,]\d+)?\s*(?:mg|mcg|µg|μg|g|ml|mL|UI|IU|IE|U|units?|%)(?![\w])")


def language(tokens: Sequence[Token]) -> str:
    """Detect Spanish or German by the share of small words.

    Args:
        tokens: of a text.

    Returns:
        es, de, or "" for any other.
    """
    counts = {
        name: sum(token.low in small or token.text.lower() in small for token in tokens)
        + 2 * any(token.text.lower() in ADDRESSED[name] for token in tokens)
        for name, small in SMALL.items()
    }
    name = max(counts, key=lambda code: counts[code])
    return name if counts[name] >= LEAST and counts[name] >= SHARE * len(tokens) else ""


def keep_words(tokens: list[Token], text: str) -> None:
    """Unmark unknown words that the language of the text makes words, and drugs before their dose.

    In German a noun beside a name is not a part of it.

    Args:
        tokens: of the text; their `kind` and `name` are changed.
        text: the text.
    """
    spoken = language(tokens)
    if spoken == "de":
        _german(tokens, text)
    for i, token in enumerate(tokens):
        if token.kind != "unknown":
            continue
        before = tokens[i - 1] if i else None
        if before is not None and (before.low in TITLES or before.text in ADDRESSES):
            continue
        if DOSE.match(text, token.end) and (token.starts or not (before and before.name)):
            token.kind, token.name = "word", False
        elif spoken and token.text.islower():
            token.kind, token.name = "word", False
        elif spoken == "es" and (
            token.text.lower() in SPANISH
            or (token.starts and BEGINS.fullmatch(token.text) and token.low not in lists().names | GIVEN)
        ):
            token.kind, token.name = "word", False


def _german(tokens: list[Token], text: str) -> None:
    """Mark nouns, and articles, which are particles of names in English texts."""
    for i, token in enumerate(tokens):
        before = tokens[i - 1] if i else None
        if before is not None and (before.low in TITLES or before.text in ADDRESSES):
            continue
        if token.text.lower() in ARTICLES | SMALL["de"]:
            token.kind, token.name = "small", False
        elif token.kind == "word" or _is_noun(token, before, text):
            token.kind, token.name = "noun", False


def _is_noun(token: Token, before: Token | None, text: str) -> bool:
    article = before is not None and before.text.lower() in ARTICLES and gap(before, token, text) == " "
    return article or token.text in GERMAN or bool(NOUN.fullmatch(token.text) and len(token.text) > 3)
