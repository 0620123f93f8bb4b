"""Photographs and one texture: two domains without pairs, the first of which shall look like the second."""

import hashlib

from pydantic import NonNegativeInt, PositiveInt

from genlab.datasets.base import Dataset
from genlab.datasets.batches import UnpairedImages
from genlab.datasets.loader import Source
from genlab.datasets.pairs import Unpaired
from genlab.datasets.photos import Photos
from genlab.datasets.textures import Texture

NUM_PHOTOGRAPHS = 38
"""Of training and validation."""


class PhotosAndTexture(Dataset):
    """Random crops of the 38 photographs of training, and as many of a texture.

    Validation and test have the fixed crops of other photographs, and a grid of the texture's in turn.

    Args:
        texture: a name as of ``Texture``, or the path of an image, as of a painting.
        data_shape: of a crop.
        num_validation: photographs of training that are held out.
        crops_per_photo: random crops of each photograph in an epoch; each epoch has others.
    """

    batch_type = UnpairedImages

    def __init__(
        self,
        name: str,
        texture: str,
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        crops_per_photo: PositiveInt,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed)
        self.photos = Photos(name, data_shape, batch_size, num_validation, crops_per_photo, True, seed)
        num_crops = crops_per_photo * max(1, NUM_PHOTOGRAPHS - num_validation)
        self.texture = Texture(name, texture, data_shape, batch_size, num_crops, False, seed)

    def load(self) -> dict[str, Source]:
        photos, texture = self.photos.load(), self.texture.load()
        of_texture = {split: texture["train" if split == "train" else "test"] for split in photos}
        return {split: Unpaired(photos[split], of_texture[split], self.seed) for split in photos}

    def digest(self) -> str:
        """Covers the photographs and every pixel of the texture."""
        return hashlib.sha256(f"{self.photos.digest()} {self.texture.digest()}".encode()).hexdigest()
