"""One spelling for an id that vocabularies spell differently: mesh:D1, MeSH:D1 and http://.../mesh/D1 are MESH:D1."""

import re

PREFIXES = {  # lower case, as vocabularies write them -> as the tree writes them; others stay as they are
    "mesh": "MESH", "msh": "MESH", "omim": "OMIM", "mim": "OMIM", "omimps": "OMIMPS", "orpha": "ORPHA", "ordo": "ORPHA",
    "orphanet": "ORPHA", "umls": "UMLS", "umls_cui": "UMLS", "cui": "UMLS", "nci": "NCIT", "ncit": "NCIT", "icd10cm": "ICD10CM",
    "icd10": "ICD10", "icd-10": "ICD10", "icd9cm": "ICD9CM", "icd-9": "ICD9", "icd9": "ICD9", "icdo": "ICDO", "icd-o": "ICDO",
    "sctid": "SNOMEDCT", "snomedct": "SNOMEDCT", "meddra": "MEDDRA", "medra": "MEDDRA", "gard": "GARD", "ncbitaxon": "NCBITaxon",
}  # fmt: skip
CODE = re.compile(r"([A-Za-z][\w.-]*):(\S+)")
URIS = (re.compile(r"<?\S*[/#]([A-Za-z][A-Za-z0-9]*)_([\w.-]+)>?$"), re.compile(r"<?\S*[/#]([A-Za-z][A-Za-z0-9]*)/([\w.-]+)>?$"))
SNOMED_EDITION = re.compile(r"snomedct_us_[\d_]+")

KIND_OF = {  # prefix of an id -> the kind of what it names
    "MONDO": "disease", "DOID": "disease", "ORPHA": "disease", "OMIM": "disease", "OMIMPS": "disease", "CCRD": "disease",
    "HP": "phenotype", "SYMP": "phenotype", "UBERON": "anatomy", "FMA": "anatomy", "CHEBI": "chemical", "CL": "cell",
    "GO": "process", "MAXO": "procedure", "NCBITaxon": "organism", "HGNC": "gene", "SO": "gene", "RXNORM": "chemical",
}  # fmt: skip
OTHER_KIND = "other"


def curie(text: str) -> str:
    """`text` with the tree's spelling of its prefix; an id of an unknown vocabulary stays as it is."""
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
    """The vocabulary an id belongs to, or "" when the id does not say."""
    head, colon, _ = id.partition(":")
    return head if colon else ""


def kind_of(id: str) -> str:
    return KIND_OF.get(prefix(curie(id)), OTHER_KIND)
