"""Whether a disease is a rare one, by what the tree keeps of its vocabularies.

The tree has no flag of its own, and MONDO's package file leaves its rare-disease subset out. A disease counts
as rare when

- the Disease Ontology's rare slim (DO_rare_slim) has it, or
- it is Orphanet's: its id, or a code of it, is an ORPHA number (Orphanet lists what fewer than 1 in 2,000
  people in Europe have).

Orphanet also numbers groups and subtypes of rare diseases, which then count too. GARD codes are not used:
many of them are of common diseases.
"""

from medxiaohe.types import Entity

RULE = "in DO_rare_slim, or with an ORPHA number"
SLIM, CODE = "DO_rare_slim", "ORPHA:"


def is_rare(entity: Entity) -> bool:
    """Whether an entity is a rare disease, by the rule of this module.

    Returns:
        False for every entity that is not a disease
    """
    return entity.kind == "disease" and (
        entity.id.startswith(CODE)
        or any(code.startswith(CODE) for code in entity.xrefs)
        or any(source.startswith(SLIM) for source in entity.sources)
    )
