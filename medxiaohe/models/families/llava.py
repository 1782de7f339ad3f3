"""LLaVA 1.5 and the starter: every image has the same number of tokens, whatever its shape.

Pixels are computed by Pillow on every machine: those of torchvision differ in the last digit, and the
figures of the starter were measured with Pillow's.
"""

from medxiaohe.models.families.family import Family

FAMILY = Family(name="LLaVA", processors=("LlavaProcessor",), backend="pil")
