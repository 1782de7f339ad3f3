"""Remove the images; a model that stays right did not need them."""

from medxiaohe.evals.perturb._question import Around, asked, swap_images
from medxiaohe.types import ImageRef, Sample

EXPECTS = "lost"
EXAMPLE = asked(
    "Is there a pneumothorax? Answer yes or no.",
    target="no",
    images=[ImageRef("example.png", sha256="0" * 64)],
)


def image_removed(sample: Sample, around: Around) -> Sample | None:
    """Remove the images.

    Args:
        sample: the item.
        around: seed, folder for changed images, images of the other items, and a model that rewrites, if
            any.

    Returns:
        the changed item with its gold; None if the change does not apply
    """
    return swap_images(sample, lambda image: None) if sample.images else None
