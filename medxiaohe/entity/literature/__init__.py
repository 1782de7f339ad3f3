"""The tree from literature: new entities of passages, attached to a tree that does not move (MedXIAOHE).

    extract.py     a model reads passages in batches and answers in strict JSON; what it says is checked
                   against the passage
    candidates.py  the same without a model: phrases that are terms by statistics and by what known names look
                   like
    words.py       when two spellings are one term; head words; what a definition says that its subject is
    vectors.py     nearest neighbours: character and word n-grams, and the vectors of an embedder
    looks.py       what names look like, for candidates.py
    cluster.py     spellings to concepts
    kinds.py       the kind of a concept, by the names of the tree that are nearest
    parents.py     candidate parents of a concept and what speaks for each
    boost.py       boosted trees that rank candidates
    attach.py      fits the ranker on the tree itself, and ranks
    holdout.py     takes nodes out of a tree, so that they can be put back: for fitting and for measuring
    grow.py        drop rules, merging layer by layer, and the new entities of the tree

The stage is data/attach.py, because a model, a retriever and an agent stand behind it.
"""
