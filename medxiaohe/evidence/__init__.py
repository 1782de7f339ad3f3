"""Claims of a text, the evidence they could rest on, verifiers that rule on them, and what becomes of a
text by the rulings.

sentences.py and claims.py take a text apart; verifiers/ has one verifier a file; rule.py asks several;
revision.py decides what to keep, hedge, cut, replace and add; assembly.py writes the text again.
"""
