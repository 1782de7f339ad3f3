"""The tree from literature: new entities of passages, attached to a tree that does not change (MedXIAOHE).

    extract.py     a model reads passages in batches and answers in strict JSON, which is checked with the
                   passage
    candidates.py  the same without a model: phrases that are terms by statistics and by their features
    words.py       when two spellings are one term; head words; the genus of a definition
    vectors.py     nearest neighbours: character and word n-grams, and the vectors of an embedder
    looks.py       softmax regression over features of phrases, for candidates.py
    cluster.py     spellings to concepts
    kinds.py       the kind of a concept, by the nearest names of the tree
    parents.py     candidate parents of a concept and their features
    boost.py       boosted trees that rank candidates
    attach.py      trains the ranker on the tree itself, and ranks
    holdout.py     takes nodes out of a tree, for training and evaluation of attachment
    grow.py        drop rules, merging layer by layer, and the new entities of the tree

The stage is data/attach.py, because it uses a model, a retriever and an agent.
"""
