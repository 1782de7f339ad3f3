"""Normalise ids that vocabularies spell differently: mesh:D1, MeSH:D1 and http://.../mesh/D1 are MESH:D1."""

import re

PREFIXES = {  # lower case, as vocabularies write them -> as the tree writes them; others stay as they are
    **dict.fromkeys(("mesh", "msh"), "MESH"),
    **dict.fromkeys(("omim", "mim"), "OMIM"),
    **dict.fromkeys(("orpha", "ordo", "orphanet"), "ORPHA"),
    **dict.fromkeys(("umls", "umls_cui", "cui"), "UMLS"),
    **dict.fromkeys(("ncit", "nci"), "NCIT"),
    **dict.fromkeys(("snomedct", "snomedct_us", "sctid"), "SNOMEDCT"),
    **dict.fromkeys(("icd10", "icd-10"), "ICD10"),
    **dict.fromkeys(("icd9", "icd-9"), "ICD9"),
    **dict.fromkeys(("icdo", "icd-o"), "ICDO"),
    **dict.fromkeys(("meddra", "medra"), "MEDDRA"),
    **{name.lower(): name for name in ("OMIMPS", "ICD10CM", "ICD9CM", "GARD", "NCBITaxon")},
}
CODE = re.compile(r"([A-Za-z][\w.-]*):(\S+)")
URIS = (
    re.compile(r"<?\S*[/#]([A-Za-z][A-Za-z0-9]*)_([\w.-]+)>?$"),
    re.compile(r"<?\S*[/#]([A-Za-z][A-Za-z0-9]*)/([\w.-]+)>?$"),
)
SNOMED_EDITION = re.compile(r"snomedct_us_[\d_]+")

KIND_OF = {  # prefix of an id -> the kind of what it names
    # imported with anatomy: process, object, ecosystem
    **dict.fromkeys(("BFO", "CARO", "ENVO", "OBI", "RO"), "abstract"),
    **dict.fromkeys(("MONDO", "DOID", "ORPHA", "OMIM", "OMIMPS", "CCRD"), "disease"),
    **dict.fromkeys(("HP", "SYMP"), "phenotype"),
    **dict.fromkeys(("UBERON", "FMA"), "anatomy"),
    **dict.fromkeys(("CHEBI", "RXNORM"), "chemical"),
    **dict.fromkeys(("GO", "NBO"), "process"),
    **{
        "CL": "cell",
        "MAXO": "procedure",
        "NCBITaxon": "organism",
        "HGNC": "gene",
        "SO": "gene",
        "PR": "gene product",
        "PATO": "quality",
    },
}
OTHER_KIND = "other"


def curie(text: str) -> str:
    """Normalise the prefix of an identifier to the tree's spelling.

    Args:
        text: a CURIE such as "mesh:D001249", or a URI that ends with PREFIX_CODE or PREFIX/CODE.

    Returns:
        PREFIX:CODE; an id of an unknown vocabulary keeps its prefix, and other text is returned without
        blanks around it (a URI without angle brackets)
    """
    text = text.strip()
    if "://" in text:
        match = next(filter(None, (pattern.match(text) for pattern in URIS)), None)
        if not match:
            return text.strip("<>")
        text = f"{match[1]}:{match[2]}"
    match = CODE.fullmatch(text)
    if not match:
        return text
    lower = match[1].lower()
    if SNOMED_EDITION.fullmatch(lower):
        return f"SNOMEDCT:{match[2]}"
    return f"{PREFIXES.get(lower, match[1])}:{match[2]}"


def prefix(id: str) -> str:
    """The vocabulary of an id: "MONDO" of "MONDO:0004979".

    Returns:
        the text before the first colon; "" where the id has no colon
    """
    head, colon, _ = id.partition(":")
    return head if colon else ""


def kind_of(id: str) -> str:
    """The kind of entity that ids of this vocabulary name (KIND_OF).

    Args:
        id: in any spelling that `curie` reads.

    Returns:
        for example "disease" or "anatomy"; OTHER_KIND for an unknown vocabulary
    """
    return KIND_OF.get(prefix(curie(id)), OTHER_KIND)
