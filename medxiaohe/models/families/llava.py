"""LLaVA 1.5 and the starter: every image has the same number of tokens, whatever its shape.

Pixels are made by Pillow wherever it runs: torchvision's differ in the last digit, and the starter's
figures were
measured with Pillow's.
"""

from medxiaohe.models.families.family import Family

FAMILY = Family(name="LLaVA", processors=("LlavaProcessor",), backend="pil")
