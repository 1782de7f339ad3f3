"""Replace every image by a grey rectangle of the same size."""

from medxiaohe.evals.perturb._images import blank
from medxiaohe.evals.perturb._question import Around, asked, swap_images
from medxiaohe.types import ImageRef, Sample

EXPECTS = "lost"
EXAMPLE = asked("Is there a pneumothorax? Answer yes or no.", target="no", images=[ImageRef("example.png")])


def image_blank(sample: Sample, around: Around) -> Sample | None:
    """Replace every image by a grey one of the same size.

    Args:
        sample: the item.
        around: seed, folder for changed images, images of the other items, and a model that rewrites, if
            any.

    Returns:
        the changed item with its gold; None if the change does not apply
    """
    return swap_images(sample, lambda image: blank(image, around.folder)) if sample.images else None
