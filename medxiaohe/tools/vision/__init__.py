"""Classical image analysis for tools: what kind of picture one is, blood cells, vessels, masks. numpy and
Pillow alone; every figure of them is on docs/results/tools.md."""
