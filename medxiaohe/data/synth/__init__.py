"""Synthesise data for the long tail (MedXIAOHE; arXiv 2604.25296): the parts of the stages data.gather,
data.align and data.synthesise.

thin, search            entities with few samples, and retrieval of raw items about each
anchors, mismatch       check the text of an item against the other text of its row, by rules
similarity              and by similarity, of texts and of images
graph, walk             the tree's facts as a graph; verified multi-hop paths in it
cards, choices, paths   texts and questions written from the tree alone
chains, checks, gates   chains of thought of four segments, their faults, and which drafts pass the checks
teacher                 any Model that writes or judges rows, with a cache, a budget and a price
planted                 mismatches and broken chains made on purpose, to measure the checks
"""
