"""Extract claims of a text, verify them with evidence, and revise the text by the rulings.

sentences.py and claims.py split a text into claims; verifiers/ has one verifier in each file; rule.py
combines several; revision.py decides what to keep, hedge, cut, replace and add; assembly.py writes the text
again.
"""
