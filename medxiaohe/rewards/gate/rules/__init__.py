"""The rules of the safety gate, one module each: `(sample, trace, tree=None) -> str`, "" or the violation."""
