"""Classical image analysis for tools: classification by colours, blood cells, vessels, masks, with numpy
and Pillow only; docs/results/tools.md has every figure.
"""
