"""Planted identifiers of two packages that no rule was written for: Mimesis, and the templates of Presidio's
evaluator.

    pip install mimesis Faker; pip install --no-deps presidio-evaluator
    MEDXIAOHE_DATA=... PYTHONPATH=. python benchmarks/deid_packages.py [--seed 101] [--show 40]

"Mimesis" fills sentences of a record with its names, addresses, numbers and dates in 20 locales;
"Presidio" fills the sentences that the evaluator of Presidio ships (208, of banks, shops and letters)
with identifiers of Faker in locales of ours. Both stand between the sentences of real notes. Countries,
nationalities, organisations and jobs are filled and are no identifiers of a person. The report is that of
deid_text.py.
"""

# ruff: noqa: E501 - lists of names and slots, one a line

import argparse
import importlib.util
import random
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import deid_text
from benchmarks.deid_corpus import Note, Planted

SENTENCES = (
    "Pt {full} (DOB {date}) was brought in by {first}, the daughter.", "Seen with {last}, resident, on {date}.",
    "Pharmacy called {full} at {phone}.", "Lives at {address}.", "MRN {number}, account {number}.",
    "Spoke to Dr. {last} about the plan.", "{full} verbalized understanding.", "Email {email} for results.",
    "Transferred from {city} on {date}.", "Wife {first} is the proxy, phone {phone}.", "cc: {full}",
    "Last visit {short}; next {short}.", "{last}, {first} - bed 4", "Signed: {full}, RN", "SSN {ssn}.",
    "Consent obtained from {full} and witnessed by {full}.", "Per {first}, the pain began {short}.",
)  # fmt: skip
LOCALES = (
    "EN EN_GB EN_AU EN_CA DE DE_AT ES ES_MX FR IT NL PL PT PT_BR SV TR CS HR HU IS NO DA FI ET SK"
).split()
FAKER = "en_US en_GB es_CL it_IT nl_BE pl_PL sv_SE de_AT fr_CH pt_PT tr_TR en_NZ ro_RO".split()
KINDS = {
    "first_name": "NAME", "last_name": "NAME", "person": "NAME", "name": "NAME", "name_female": "NAME", "name_male": "NAME",
    "first_name_male": "NAME", "first_name_female": "NAME", "first_name_nonbinary": "NAME", "last_name_male": "NAME",
    "last_name_female": "NAME", "city": "PLACE", "address": "PLACE", "street_name": "PLACE", "secondary_address": "PLACE",
    "postcode": "PLACE", "zipcode": "PLACE", "credit_card_number": "ID", "iban": "ID", "ssn": "ID", "ip_address": "ID",
    "us_driver_license": "ID", "phone_number": "PHONE", "email": "EMAIL", "url": "URL", "date_time": "DATE",
    "date_of_birth": "DATE",
}  # fmt: skip
Fill = Callable[[str], tuple[str, str]]  # slot -> what to write, and its kind, "" for no identifier


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=101)
    options.add_argument("--notes", type=int, default=200)
    options.add_argument("--show", type=int, default=0)
    args = options.parse_args()
    carriers = deid_text.english("last")
    random.Random(args.seed).shuffle(carriers)
    sentences = presidio_sentences()
    for name, fill, templates in (
        ("Mimesis", mimesis_filler(args.seed), SENTENCES), ("Presidio", faker_filler(args.seed), sentences),
    ):  # fmt: skip
        made = list(notes(carriers[: args.notes], templates, fill, random.Random(args.seed)))
        deid_text.report(name, made, args.show)


def notes(carriers: list[str], templates: tuple[str, ...], fill: Fill, rng: random.Random) -> Iterator[Note]:
    """Each carrier with four to six filled sentences between its own."""
    for carrier in carriers:
        lines = [s for s in re.split(r"(?<=[.!?])\s+|\n+", carrier) if s.strip()]
        for template in rng.sample(templates, rng.randint(4, 6)):
            lines.insert(rng.randint(0, len(lines)), template)
        out, planted, at = [], list[Planted](), 0
        for line in lines:
            for piece in re.split(r"(\{[a-z_]+\})", line + "\n"):
                said, kind = fill(piece[1:-1]) if re.fullmatch(r"\{[a-z_]+\}", piece) else (piece, "")
                if kind:
                    planted.append(Planted(at, at + len(said), kind))
                out.append(said)
                at += len(said)
        yield Note("".join(out), tuple(planted))


def presidio_sentences() -> tuple[str, ...]:
    """The sentences of the package, one a line, their slots in single brackets."""
    spec = importlib.util.find_spec("presidio_evaluator")  # not imported: that needs spaCy
    if spec is None or spec.origin is None:
        sys.exit("presidio-evaluator is missing: pip install --no-deps presidio-evaluator")
    file = Path(spec.origin).parent / "data_generator" / "raw_data" / "templates.txt"
    lines = file.read_text(encoding="utf-8", errors="replace").replace("\\n", " ").splitlines()
    return tuple(re.sub(r"\{\{\s*(\w+)\s*\}\}", r"{\1}", line.strip()) for line in lines if "{{" in line)


def mimesis_filler(seed: int) -> Fill:
    from mimesis import Generic
    from mimesis.locales import Locale

    makers = [Generic(Locale[name], seed=seed + i) for i, name in enumerate(LOCALES)]
    us, rng = Generic(Locale.EN, seed=seed), random.Random(seed)

    def fill(slot: str) -> tuple[str, str]:
        one = rng.choice(makers)
        date = us.datetime.date(start=1930, end=2024)
        made = {
            "full": (one.person.full_name(), "NAME"), "first": (one.person.first_name(), "NAME"),
            "last": (one.person.last_name(), "NAME"), "phone": (us.person.phone_number(), "PHONE"),
            "address": (us.address.address(), "PLACE"), "city": (us.address.city(), "PLACE"),
            "date": (date.strftime(rng.choice(("%m/%d/%Y", "%d %B %Y", "%Y-%m-%d", "%b %d, %Y"))), "DATE"),
            "short": (date.strftime(rng.choice(("%m/%d", "%B %d", "%d %b"))), "DATE"),
            "number": (us.random.generate_string_by_mask("########"), "ID"),
            "ssn": (us.random.generate_string_by_mask("###-##-####"), "ID"), "email": (us.person.email(), "EMAIL"),
        }  # fmt: skip
        return made[slot]

    return fill


def faker_filler(seed: int) -> Fill:
    from faker import Faker

    fakes = [Faker(locale) for locale in FAKER]
    Faker.seed(seed)
    us, rng = Faker("en_US"), random.Random(seed)

    def fill(slot: str) -> tuple[str, str]:
        fake, kind = rng.choice(fakes), KINDS.get(slot, "")
        simple = {
            "person": "name", "organization": "company", "nationality": "country", "nation_woman": "country",
            "nation_plural": "country", "us_driver_license": "license_plate", "date_time": "date", "age": "random_digit_not_null",
            "date_of_birth": "date", "ip_address": "ipv4", "first_name_nonbinary": "first_name", "zipcode": "postcode",
        }  # fmt: skip
        maker = fake if kind == "NAME" else us
        if slot in ("person", "name", "name_female", "name_male"):  # without a title, which is no identifier
            return f"{fake.first_name()} {fake.last_name()}", kind
        said = getattr(maker, simple.get(slot, slot), None)
        if said is None:
            return us.word(), ""
        text = str(said()).replace("\n", ", ")
        return (text + " years" if slot == "age" else text), kind

    return fill


if __name__ == "__main__":
    main()
