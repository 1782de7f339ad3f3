"""Metrics of other packages as scorers; each needs its package. A recipe names them by module:
medxiaohe.scoring.peers.radeval:radgraph."""
