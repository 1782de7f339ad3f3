"""Filling the long tail (MedXIAOHE; arXiv 2604.25296): what the stages data.gather, data.align and
data.synthesise are made of.

thin, search            which entities a corpus hardly shows, and raw items about each
anchors, mismatch       what an item says twice, and whether both times it says the same; pictures, judged
                        beyond the rules
graph, walk             the tree's facts as edges; a path of them walked again, step by step
cards, choices, paths   texts and questions written from the tree alone
chains, checks, gates   thoughts in four segments, what is wrong with one, and which of many drafts are kept
teacher                 any Model that is asked to write, with a cache, a budget and a price
planted                 mismatches and broken thoughts made on purpose, to measure all that
"""
