"""Detect identifiers by patterns: dates, ages over 89, telephone numbers, web and street addresses, record
numbers.
"""

# ruff: noqa: E501 - tables of patterns and words, one a line

from __future__ import annotations

import re
from collections.abc import Iterator

from medxiaohe.privacy.spans import Span

MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec"
SURE_MONTHS = "January|February|April|June|July|August|September|October|November|December"  # not also a word
DAY, YEAR = r"(?:[0-2]?\d|3[01])(?:st|nd|rd|th)?", r"(?:(?:1[89]|20)\d\d|['’]\d\d)"
NUMBER_DATE = r"(?:(?:1[89]|20)\d\d[-/.](?:1[0-2]|0?\d)[-/.](?:[0-2]?\d|3[01])|(?:[0-2]?\d|3[01])[-/.](?:[0-2]?\d|3[01])[-/.](?:(?:1[89]|20)\d\d|\d\d))"
STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD|TN|TX|UT|VT|"
    "VA|WA|WV|WI|WY|DC|PR|AA|AE|AP|VI|GU|AS|MP|FM|MH|PW"
)
STREETS = (
    "Underpass|Throughway|Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Way|Terrace|Ter|Circle|Cir|Square|Sq|Parkway|Pkwy|Highway|"
    "Hwy|Route|Rte|Trail|Trl|Alley|Plaza|Crescent|Close|Row|Walk|Loop|Turnpike|Pike|Path|Run|Ridge|Crossing|Xing|Crest|Bypass|Expressway|"
    "Freeway|Causeway|Mews|Gardens|Grove|Gate|Hill|Hills|Estate|Estates|Mall|Commons|Common|View|Station|Stravenue|Shoals?|Spurs?|Summit|Throughway|"
    "Tunnel|Union|Valley|Viaduct|Villages?|Ville|Vista|Well|Wells|Via|Throughway|Trafficway|Track|Trace|Springs?|Shores?|Roads|River|Rest|"
    "Rapids?|Ranch|Ramp|Radial|Prairie|Ports?|Points?|Plains?|Pines?|Pass|Passage|Parks?|Parkways|Overpass|Oval|Orchard|Neck|Mountains?|Motorway|"
    "Mount|Mission|Mills?|Mill|Meadows?|Manors?|Lodge|Locks?|Loaf|Lights?|Lakes?|Landing|Knolls?|Keys?|Junctions?|Islands?|Isle|Inlet|Hollow|"
    "Heights|Haven|Harbors?|Groves|Greens?|Glens?|Gateway|Garden|Forks?|Forges?|Forest|Fords?|Flats?|Fields?|Ferry|Falls?|Extensions?|Divide|"
    "Dale|Dam|Curve|Creek|Courts|Courses?|Corners?|Club|Cliffs?|Circles|Centers?|Canyon|Camp|Burgs?|Brooks?|Bridge|Branch|Bottom|Bluffs?|Bend|"
    "Rue|Camino|Calle|Via|Cape|Coves?|Fort|Stream|Land|Ridges|Mountain|Wall|Shoal|Skyway|Spring|Spur|Ways|Lock|Light|Bluff|Cliff|Corner|Fork|Key|Park|Isle|Brook|Beach|Bayou|Arcade|Annex|Squares|Streets|Drives|Unions|Valleys|Views|Walks|Inlet"
)  # fmt: skip
UNIT = r"(?:[,\s]+(?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl|Room|Rm|Bldg|Building|#)\.?\s*#?\s*[\w-]{1,6})"
CITY = rf"(?:[,\s]+[A-Z][\w.'’-]+(?:[ -][A-Za-z][\w.'’-]+){{0,4}},?\s+(?:{STATES}|[A-Z][a-z]+(?: [A-Z][a-z]+)?),?\s+\d{{5}}(?:-\d{{4}})?)"
TITLED = r"[A-Z0-9][\w.'’-]*"
LABELS = (
    r"MRN|M\.R\.N\.|medical record(?: number| no| #)?|record(?: number| no)|SSN|SS#|social security(?: number| no)?|account(?: number| no)?|acct|"
    r"patient id|patient number|pt id|hospital (?:id|number)|chart(?: number| no)?|case(?: number| no| id)|encounter(?: id| number| no)?|visit (?:id|number)|accession(?: number| no| id)?|"
    r"specimen(?: id| number| no)?|member(?:ship)?(?: id| number| no)|policy(?: number| no)?|group (?:number|no)|insurance(?: id| number| no)|subscriber(?: id)?|medicare(?: id| number| no)|medicaid(?: id| number| no)|"
    r"NHS(?: number| no)?|license(?: number| no)?|licence(?: number| no)?|driver'?s license(?: number| no)?|DEA(?: number| no)?|NPI|UPIN|serial(?: number| no)?|S/N|SN|device id|lot(?: number| no)?|"
    r"plate|license plate|VIN|passport(?: number| no)?|certificate(?: number| no)?|ID(?: number| no)?|pager|job(?: number| id| no)|document(?: id| number| no)|dictation(?: id| number)?|report(?: id| number| no)|"
    r"order(?: id| number| no)|prescription(?: number| no)|claim(?: number| no)?|reference(?: number| no)|ref(?: no)?|beneficiary(?: number| id)?|fax|tel|telephone|phone|cell|mobile|ext|extension|beeper"
)  # fmt: skip
ONES = "one|two|three|four|five|six|seven|eight|nine"
WEEKDAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|Mon|Tues?|Weds?|Thurs?|Thu|Fri|Sat|Sun"
SPANISH = "enero|febrero|marzo|abril|mayo|junio|julio|agosto|sep?tiembre|octubre|noviembre|diciembre"
GERMAN = "Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember"
# words before a date of numbers
DATED = (
    rf"{WEEKDAYS}|admit(?:ted)?|admission|discharged?|d/?c|seen|visit(?:ed)?|clinic|appointment|appt|f/?u|follow[- ]?up|surgery|operated|infusion|dose|cycle|chemo|"
    r"transfus(?:ed|ion)|drawn|collected|labs?|scan(?:ned)?|repeat(?:ed)?|imaging|x-?ray|biops(?:y|ied)|started|stopped|last|next|since|until|through|thru|date[ds]?|on|by|"
    r"returned?|arrived?|transferred|expired|died|dob|born|delivered|edd|lmp|due|signed|dictated|transcribed|eff(?:ective)?|refill(?:ed)?|injection|vaccinated|visto|am|vom|bis|seit|geb"
)
# behind a fraction, a score or a power, which no date is
NO_FRACTION = r"(?![\d/%]|\.\d|\s*(?:mg|mcg|ml|mm|cm|kg|%|strength|power|pain|out|systolic|diastolic|murmur|positive|negative|tablets?|tabs?|cups?|nodes?|cores?|points?|bottles?|reflex|pulses?|vision|motor|hours?|days?|times|weeks?|months?|criteria|on exam|bilaterally|throughout|lower|upper|left|right|in (?:all|the|both|bilateral)))"
SHOUTED = "ST|AVE|RD|BLVD|LN|WAY|CIR|TER|PKWY|HWY|STREET|AVENUE|ROAD|LANE|DRIVE|COURT|PLACE|TERRACE"
MORE_LABELS = (
    r"policy(?: number| no)?|account(?: number| no)?|acct(?: number| no)?|group (?:number|no)|insurance(?: id| number| no)?|claim(?: number| no)?|reference(?: number| no)?|"
    r"card(?: number| no)|confirmation(?: number| no)?|tracking(?: number| no)?|invoice(?: number| no)?|beneficiary(?: number| id)?|certificate(?: number| no)?|"
    r"licen[cs]e(?: number| no)?|passport(?: number| no)?|serial(?: number| no)?|case(?: number| no| id)|accession(?: number| no)?|encounter(?: number| no)?|MRN|"
    r"NRIC|FIN|CPR|subject|participant|study (?:id|no|number|subject)|screening (?:no|number)|randomi[sz]ation (?:no|number)|member(?:ship)?(?: ?#| no| number| id)?|medicaid|medicare|"
    r"car plate|plate|registration|reg no|vehicle|tag|badge|locker|gate code|door code|access code|entry code|alarm code|pin(?: code)?|cord blood no|unit no|bag no|donor (?:id|no|number)|"
    r"donor|employee (?:id|no|number)|student (?:id|no|number)|staff (?:id|no|number)|wristband|barcode|sample (?:id|no|number)|batch(?: no)?|kit (?:no|number)|voucher|NHS(?: no| number)?|"
    r"permit|badge no|IMEI|model no|implant (?:no|number)|Versichertennummer|Fallnummer|Aktenzeichen|expediente|historia cl[ií]nica|DNI|NIE|RFC|CURP|matr[ií]cula|n[uú]mero de historia"
)
# groups of letters and digits with three digits or more in all
GROUPED = r"(?=(?:[^\n,;]{0,14}?\d){3})(?:[A-Z]{1,4}[ -]?)?(?=[\w/-]*\d)[A-Za-z0-9][\w/-]*(?:[ ](?=[\w-]*\d)[\w-]+){0,4}(?:[ ][A-Z](?![\w]))?#?"
YEARS_OLD = r"[\s-]*(?:years?|yrs?|y(?:\.?/?\s?o\.?)?)[\s-]*(?:old|of\s+age)?"
OVER_89 = r"(?:9\d|1[0-3]\d)"

# kind, pattern (group 1, if there is one, is what goes), flags
PATTERNS: tuple[tuple[str, str, int], ...] = (
    ("EMAIL", r"(?<![A-Za-z0-9.+%_-])[A-Za-z0-9.+%_-]{1,80}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", 0),
    ("EMAIL", r"\b[A-Za-z0-9.+_-]{1,60}\s?(?:\(at\)|\[at\]| at )\s?[\w-]+\s?(?:\(dot\)|\[dot\]| dot )\s?(?:com|org|net|edu)\b", re.I),
    ("URL", r"\b(?:https?|ftp)://[^\s<>\"')\]]+", re.I),
    ("URL", r"\b(?:www\.)?[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*\.(?:com|org|net|edu|gov|info|biz|io|co\.uk|cn|de|fr|health|example)\b(?:/[^\s<>\"')\]]*)?", re.I),
    ("ID", r"\b(?:\d{1,3}\.){3}\d{1,3}\b(?!\.\d)", 0),
    ("ID", r"\b(?:[0-9A-Fa-f]{1,4}:){3,7}:?[0-9A-Fa-f]{1,4}\b", 0),
    ("ID", r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b", 0),
    ("ID", r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b", 0),
    ("DATE", rf"(?<![\d/.-]){NUMBER_DATE}(?:[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:?\d\d)?)?(?![\d/-])(?!\.\d)", 0),
    ("DATE", r"(?<![\d/])(?:1[0-2]|0?[1-9])[/-](?:1[89]|20)\d\d(?![\d/])", 0),
    ("DATE", r"\b(?:on|since|until|till|by|dated|date|from|through|thru|before|after|of|and|due|dob|born|seen|visit)[:\s]+((?:1[0-2]|0?[1-9])/(?:[0-2]?\d|3[01]))(?![\d/])(?!\s*(?:strength|pain|out|systolic|murmur|positive|negative|on ))", re.I),
    ("DATE", rf"\b(?:{MONTHS})\b\.?\s+{DAY}\b(?:,?\s*(?:of\s+)?{YEAR}\b)?", re.I),
    ("DATE", rf"\b{DAY}[\s-]+(?:day\s+)?(?:of\s+)?(?:{MONTHS})\b\.?(?:[\s,-]*{YEAR}\b)?", re.I),
    ("DATE", rf"\b(?:{MONTHS})\b\.?(?:,?\s+(?:of\s+)?|[-/]){YEAR}\b", re.I),
    ("DATE", rf"\b\d\d?[- ]?(?:{MONTHS})[- ]?(?:(?:1[89]|20)?\d\d)\b", re.I),
    ("DATE", rf"\b(?:{SURE_MONTHS})\b", re.I),
    ("DATE", r"\b(?:in|since|last|this|next|until|by|during|early|late|mid|of|through|before|after|between|from|and|to)[\s-]+(March|May)\b(?!\s+(?:be|have|not|need|want|also|take|include|require|fracture))", 0),
    ("DATE", rf"(?<![\d.,/-]){YEAR}(?![\d.,/%-]\d|\d|\s*(?:mg|mcg|ml|mL|kcal|cal|calories|units?|IU|cc|g|hours|hrs|/|%))", 0),
    ("AGE", rf"\b({OVER_89}){YEARS_OLD}\b", re.I),
    ("AGE", rf"\b(?:aged?|age of|age is|turned|turning)[:\s]+({OVER_89})\b(?!\s*(?:%|mg|mm|bpm|kg|cm|percent))", re.I),
    ("AGE", rf"\b({OVER_89})\s?(?:[MFmf]|male|female)\b", 0),
    ("AGE", rf"\b((?:ninety(?:[\s-](?:{ONES}))?|(?:a|one)?\s?hundred(?:\s+and)?(?:\s+(?:{ONES}|ten))?)){YEARS_OLD}\b", re.I),
    ("AGE", r"\b(nonagenarian|centenarian|in (?:her|his|their) (?:nineties|90'?s))\b", re.I),
    ("PHONE", r"(?<![\w.-])(?:\+?\d{1,3}[\s.-]?)?\(\d{2,5}\)\s?\d{3,4}[\s.-]?\d{3,4}(?:\s*(?:x|ext\.?|extension)\s?\d{1,6})?(?!\w)", re.I),
    ("PHONE", r"(?<![\w.-])(?:\+?\d{1,3}[\s.-])?\d{3}[\s.-]\d{3}[\s.-]\d{4}(?:\s*(?:x|ext\.?|extension)\s?\d{1,6})?(?!\w)", re.I),
    ("PHONE", r"(?<![\w.-])\+\d[\d\s().-]{6,17}\d(?:\s*x\d{1,6})?(?!\w)", 0),
    ("PHONE", r"(?<![\w.-])\d{10}x\d{1,6}\b", 0),
    ("PHONE", r"(?<![\w.-])0\d{2,4}[\s-]\d{3,4}[\s-]?\d{3,4}(?!\w)", 0),
    ("PHONE", r"\b(?:call|phone|tel|fax|pager|cell|ext|extension|number)[\w\s.:#]{0,20}?\b(\d{3}-\d{4}|x?\d{4,7})\b", re.I),
    ("ID", r"(?<![\d-])\d{3}[- ]\d{2}[- ]\d{4}(?![\d-])", 0),
    ("ID", r"(?<![\d-])\d{3}[ -]\d{3}[ -]\d{4}(?![\d-])|(?<!\d)\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,4}(?!\d)", 0),
    ("ID", rf"\b(?:{LABELS})\b\s*(?:(?:is|was|number|no|num)\b)?\.?\s*[:#=]*\s*(?:(?:is|was)\s+)?\(?((?:[A-Z]{{1,4}}[- ])?(?=[\w/.-]*\d)[A-Za-z0-9][\w/.-]*[\w])", re.I),
    ("ID", r"#\s?((?=[\w-]*\d)[\w-]{4,})", 0),
    ("ADDRESS", rf"\bP\.?\s?O\.?\s?Box\s+\d+{CITY}?", re.I),
    ("ADDRESS", rf"\b\d{{1,6}}[A-Za-z]?\s+(?:[NSEW]{{1,2}}\.?\s+)?(?:{TITLED}\s+){{1,4}}?(?:{STREETS})\b\.?(?:\s+(?:{STREETS})\b\.?){{0,2}}(?:\s+[NSEW]{{1,2}}\b\.?)?{UNIT}?{CITY}?", 0),
    ("ADDRESS", r"\b(?:PSC|Unit|USS|USNS|USNV|USCGC|CMR)\s+\w+(?:,?\s+(?:Box|Unit))?\s*\w*[,\s]+(?:[DFA]PO)\s+A[AEP]\s+\d{5}", 0),
    ("ADDRESS", rf"\b(?:[A-Z][\w.'’-]+\s+){{0,4}}[A-Z][\w.'’-]+,\s*(?:{STATES})\.?,?\s+\d{{5}}(?:-\d{{4}})?\b", 0),
    ("ADDRESS", rf"\b(?:{STATES})\s+\d{{5}}(?:-\d{{4}})?\b", 0),
    ("ADDRESS", r"\b(?:zip|zip ?code|postal ?code|postcode)[:\s]+([A-Z0-9][A-Z0-9 -]{3,8}\d[A-Z]{0,2})\b", re.I),
    ("ADDRESS", r"\b[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}\b", 0),
    ("ADDRESS", r"\b(?:room|rm|bed|ward)\s*#?:?\s?(\d{2,4}[A-Z]?(?:-\d{1,2})?)\b", re.I),
)  # fmt: skip
PATTERNS += (
    # month and day without a year: where a word says so, with a zero, or a day that no fraction has
    ("DATE", rf"(?<![\d/.-])((?:0[1-9]|1[0-2])/(?:0[1-9]|[12]\d|3[01])){NO_FRACTION}", re.I),
    ("DATE", rf"(?<![\d/.-])((?:[1-9])/(?:1[1-9]|2[1-9]|3[01])){NO_FRACTION}", re.I),
    (
        "DATE",
        rf"\b(?:{DATED})\b[\w ,:-]{{0,12}}?[\s:]((?:1[0-2]|0?[1-9])[/.-](?:3[01]|[12]\d|0?[1-9])){NO_FRACTION}",
        re.I,
    ),
    ("DATE", rf"\b(?:{DATED})\b[\s:]*((?:3[01]|[12]\d|0?[1-9])[/.](?:1[0-2]|0[1-9]))\.?{NO_FRACTION}", re.I),
    (
        "DATE",
        rf"\b((?:{WEEKDAYS})\.?,?\s+(?:{DAY}/(?:{MONTHS})|(?:1[0-2]|0?[1-9])/(?:3[01]|[12]\d|0?[1-9])))(?![\d/])",
        re.I,
    ),
    ("DATE", rf"(?<![\w/])\d\d?/(?:{MONTHS})(?:/(?:\d\d){{1,2}})?\b", re.I),
    ("DATE", rf"\b{DAY}\s+de\s+(?:{SPANISH})(?:\s+(?:de|del)\s+{YEAR})?\b", re.I),
    ("DATE", rf"\b(?:(?:{SPANISH})\s+(?:de|del)\s+{YEAR}|(?:en|desde|hasta)\s+({SPANISH}))\b", re.I),
    ("DATE", rf"\b\d\d?\.(?:\s*(?:bis|und|-|–)\s*\d\d?\.)?\s*(?:{GERMAN})\b(?:\s+{YEAR})?", re.I),
    ("DATE", rf"\b(?:{GERMAN})\s+{YEAR}\b", re.I),
    (
        "DATE",
        r"(?<![\d.])(?:3[01]|[12]\d|0?[1-9])\.(?:1[0-2]|0?[1-9])\.(?:(?:19|20)?\d\d)?(?![\d.]\d)(?=\s|$|[,;)])",
        0,
    ),
    (
        "AGE",
        rf"\b(?:wife|husband|mother|father|sister|brother|partner|she|he|who|spouse)(?:'s| is| was|,)\s+(?:now |aged? )?({OVER_89})\b(?!\s*(?:%|mg|mm|bpm|kg|cm|percent|/))",
        re.I,
    ),
    # numbers of cards, studies, doors and accounts, with spaces in them
    (
        "ID",
        rf"\b(?:{MORE_LABELS})\b\.?\s*(?:(?:is|was|number|no|num|id|code)\b)?\.?\s*[:#=]*\s*({GROUPED})",
        re.I,
    ),
    (
        "ID",
        r"\b(?:login|log-in|username|user name|user ?id|screen ?name|handle|password|passcode)\s*(?:is|was)?\s*[:=]?\s*((?=[\w.@-]*[\d_.@])[\w.@-]{4,}|(?<=[:=] )[\w.@-]{4,})",
        re.I,
    ),
    (
        "ID",
        r"(?<![\w-])(?!covid|sars|cov|vitamin|omega|hla|type|day|week|stage|grade|phase|cyp|ck|cd|il|ki)[a-z]{4,}\d{2,4}(?![\w-])",
        0,
    ),
    ("ID", r"\b[STFGM]\d{7}[A-Z]\b", 0),
    ("ID", r"\b\d[A-Z]{3}\s?\d{3}\b|\b[A-Z]{3}[- ]\d{4}\b(?=\s*(?:plate|\(plate))", 0),
    ("PHONE", r"\(\d{3}[- ]\d{4}\)", 0),
    ("PHONE", r"(?<![\w.-])(?:\+?\d{1,3}[\s.-]?)?\(0\)\s?\d{1,4}(?:[\s.-]?\d{2,4}){2,3}(?!\w)", 0),
    (
        "EMAIL",
        r"\b[A-Za-z0-9.+_-]{1,60}\s?(?:\(at\)|\[at\]|\{at\}|<at>)\s?[\w-]+(?:\s?(?:\(dot\)|\[dot\]|\{dot\}|<dot>|\.)\s?[A-Za-z]{2,})+",
        re.I,
    ),
    # streets, roads and towns
    ("ADDRESS", rf"\b\d{{1,6}}[A-Za-z]?\s+(?:{TITLED}\s+){{0,3}}{TITLED}(?:{UNIT}{CITY}?|{CITY})", 0),
    (
        "ADDRESS",
        rf"\b\d{{1,6}}\s+(?:[NSEW]{{1,2}}\.?\s+)?(?!LEAD|MG|ML|TAB)(?:[A-Z][A-Z'’-]+\s+){{1,3}}(?:{SHOUTED})\b\.?(?:,?\s+(?:APT|UNIT|STE|SUITE|FL|RM|#)\.?\s*#?\w{{1,5}})?",
        0,
    ),
    (
        "ADDRESS",
        r"\b(?!(?:The|This|That|On|In|Across|Along|Near|At|From|To|And|A|Cross|Off)\b)(?:[A-Z][a-z'’]+ ){1,2}(?:Street|Avenue|Boulevard|Road|Lane|Parkway|Turnpike|Expressway|Terrace)\b",
        0,
    ),
    ("ADDRESS", r"\b(?:(?i:R\.?R\.?|rural route|HC)\s*#?\s*\d+,?\s+(?i:box)\s+\d+\w?)", 0),
    (
        "ADDRESS",
        r"\b(?i:exit|mile marker)\s+\d+[A-Z]?(?:\s+(?:on|off|of)\s+(?:I|US|Route|Rte|Rt|Hwy|Highway|SR)[- ]?\d+\w?)?",
        0,
    ),
    ("ADDRESS", r"\b(?:on|off|along|near|from)\s+((?:I|US|SR)[- ]\d{1,3})\b", 0),
    (
        "ADDRESS",
        r"\b(?:Interstate|Highway|Hwy|Route|Rte|State Route|County Road|Autobahn)[- ]?(?:[A-Z]-?)?\d{1,3}[A-Z]?\b",
        0,
    ),
    ("ADDRESS", r"\bP\.\s?S\.\s*\d{1,3}\b|\b(?:attends|school|at)\s+(PS\s*\d{2,3})\b", 0),
    (
        "ADDRESS",
        r"\b[A-ZÄÖÜ][a-zäöüß]+(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|damm|ufer)\s*\d{1,4}(?:\s?[a-z]\b)?",
        0,
    ),
    (
        "ADDRESS",
        r"\b(?:[Cc]alle|[Aa]venida|[Aa]vda\.?|[Pp]laza|[Pp]aseo|C/)\s+(?:(?:de|del|la|las|los|el)\s+)*[A-ZÁÉÍÓÚÑ][\wáéíóúñ]+(?:\s+(?:de|del|la|las|los|y|[A-ZÁÉÍÓÚÑ][\wáéíóúñ]+))*,?\s*(?:n[.º°]*\s*)?\d*",
        0,
    ),
    (
        "PLACE",
        r"\b(?:lives?|living|resid(?:es?|ing)|moved|born|raised|grew up|relocated|retired|traveled|travelled|vacation(?:ing|ed)?)\s+(?:in|to|near|outside|outside of|around|from|back to)\s+(?!(?:Assisted|Nursing|The|A|An|His|Her)\b)([A-Z][a-z'’.-]+(?:(?:\s(?:or|of|the|and|du|de|la))?\s[A-Z][a-z'’.-]+){0,3})",
        0,
    ),
    (
        "PLACE",
        r"\b((?:Kaiser|Sutter|Geisinger|Providence|Mercy|Dignity|Banner|Baptist|Methodist)(?: Permanente)?\s(?:SF|LA|NYC|DC|SD|OC|NW|SW|NE|SE))\b",
        0,
    ),
    (
        "PLACE",
        r"\b(?!(?:The|A|An|Skilled|Her|His|Our|This|That|To|From|At|In)\b)((?:[A-Z][a-z'’]+\s){1,3}(?:Assisted Living|Nursing Home|Senior Living|Memory Care|Retirement (?:Home|Village|Community)|Care Home|Group Home|Elementary|Middle School|High School|Elementary School|Community College|Preschool|Daycare))\b",
        0,
    ),
)
PROPER = r"[A-Z][\w'’-]+"
PATTERNS += (
    # a unit of a building away from its street, a long run of digits, streets and corners without a number
    ("ADDRESS", r"\b(?:Apt|Apartment|Suite|Ste)\b\.?\s*#?\s?\d{1,5}[A-Z]?\b", 0),
    ("ID", r"(?<![\w.])\d{13,19}(?![\w.]\d|\w)", 0),
    ("ID", r"\b(?:card|account|iban|passport)\b\W{0,3}(?:(?:no|number|num|is)\b\W{0,3}){0,2}(\d{6,19})\b", re.I),
    ("PHONE", r"(?<![\w.])(\d{10})(?=[\s,-]*(?:-\s?)?(?:office|fax|mobile|cell|home|work|tel|phone)\b)", re.I),
    ("PHONE", r"\b(?:office|fax|mobile|cell|home|work|tel|phone)\b[\W\\]{0,3}(\d{10})(?!\w)", re.I),
    (
        "ADDRESS",
        rf"\b(?:corner of|(?:north|south|east|west) side of|intersection of)\s+({PROPER}(?:\s+{PROPER}){{0,3}}\.?"
        rf"(?:\s+and\s+{PROPER}(?:\s+{PROPER}){{0,3}}\.?)?)",
        0,
    ),
    ("ADDRESS", rf"\b((?:{PROPER}\s+){{1,3}}(?:St|Ave|Rd|Blvd)\.)(?=\s+(?:and|the|[a-z])|\s*$|\s*[,;\n])", 0),
)  # fmt: skip
COMPILED = tuple((kind, re.compile(pattern, flags)) for kind, pattern, flags in PATTERNS)

PUBLIC = re.compile(  # ids of genes, variants, vocabularies and papers name no patient
    r"\b(?:rs\d+|[NX][MPCRG]_\d+(?:\.\d+)?|ENS[TGP]\d+|LRG_\d+|(?:HGNC|OMIM|MIM|HP|MONDO|DOID|ORPHA|MESH|UMLS|NCIT|CHEBI|PMID|SCTID|LOINC|CUI|C)\W{0,2}\d{5,8}|NCT\d{8}|"
    r"[cgmnp]\.[\w+*>_()-]+|doi:\S+|10\.\d{4,5}/\S+)"
)
LONG = re.compile(
    r"(?<![\w.,-])(?:[A-Za-z]{0,5}[-/]?\d[\d-]{3,}\d[A-Za-z]{0,3}|(?=[A-Za-z\d-]*[A-Za-z])(?=(?:[A-Za-z-]*\d){4})[A-Za-z\d][A-Za-z\d-]{4,})(?![\w])(?!,\d|\.\d)"
)
AMOUNT = re.compile(
    r"\s?(?:cells?|/|x\s?10|×|copies|IU|units?|u\b|mg|mcg|µg|ug|ng|pg|g\b|ml|mL|cc|per\b|platelets|steps|rads|Gy|cGy|Hz|kHz|Da|kDa|bp\b|kb\b|times|"
    r"patients|people|women|men|children|cases|years|\$|%|°|mm|cm|K\b)",
    re.I,
)  # fmt: skip
COUNTED = re.compile(
    r"\b(?:wbc|white|count|platelets?|plt|copies|load|bnp|ck|cpk|ferritin|leukocytes?|level|cells|cpt|icd(?:-?\d+)?|of)\W{0,3}(?:\w+\W{1,3}){0,2}$",
    re.I,
)


def find(text: str) -> Iterator[Span]:
    """Detect identifiers by their shape: dates, ages over 89, telephone numbers, addresses, ids.

    Yields:
        Spans in the order of the patterns; they may overlap.
    """
    for kind, pattern in COMPILED:
        for match in pattern.finditer(text):
            group = 1 if pattern.groups and match[1] else 0
            if match[0]:
                yield Span(match.start(group), match.end(group), kind)
    public = [match.span() for match in PUBLIC.finditer(text)]
    for match in LONG.finditer(text):
        if (
            any(a <= match.start() and match.end() <= b for a, b in public)
            or sum(c.isdigit() for c in match[0]) < 4
        ):
            continue
        amount = AMOUNT.match(text, match.end()) or COUNTED.search(
            text[max(0, match.start() - 40) : match.start()]
        )
        if not amount and not re.fullmatch(r"\d{1,4}-\d{1,4}|[A-Z]\d{1,2}-[A-Z]?\d{1,2}|\d{4}", match[0]):
            yield Span(match.start(), match.end(), "ID")
