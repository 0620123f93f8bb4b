"""One texture, in crops: one of those that come with genlab, or a picture of the user's own."""

import hashlib
import io
import zipfile
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pydantic import PositiveInt
from torch import Tensor

from genlab.datasets.base import Dataset
from genlab.datasets.batches import LabelledImages
from genlab.datasets.crops import RandomCrops, on_a_grid
from genlab.datasets.embedded import asset
from genlab.datasets.images import check_channels
from genlab.datasets.loader import Source
from genlab.datasets.pictures import BadPictureError, PictureFiles, plain
from genlab.errors import DataError

FILE = "textures.zip"

TEXTURES = (
    *("bark", "brick", "chocolate", "denim", "flowers", "granite", "grass", "gravel"),
    *("hedge", "moss", "pebbles", "pool_tiles", "rattan", "rock", "soil", "stones"),
)
"""The names in ``textures.zip``; each is 256x256 pixels."""


class Texture(Dataset):
    """Random crops of one picture, which is trained on as a whole: the test is a grid of crops of the same picture.

    So scores tell how well the texture is learnt, not what another piece of it would look like.

    Args:
        texture: a name of ``TEXTURES``, or the path of an image; ``~`` is the home folder.
        data_shape: of a crop, at most the picture's; one channel makes it grey.
        crops_per_epoch: random crops of an epoch; each epoch has others.
        flip: mirrors half of the training crops.
    """

    batch_type = LabelledImages

    def __init__(
        self,
        name: str,
        texture: str,
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        crops_per_epoch: PositiveInt,
        flip: bool,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, 0, seed)
        check_channels(data_shape)
        self.texture = texture
        self.channels, self.size = data_shape[0], data_shape[1:]
        self.crops_per_epoch = crops_per_epoch
        self.flip = flip
        self._digest = ""

    def load(self) -> dict[str, Source]:
        picture = self.picture()
        if picture.shape[1] < self.size[0] or picture.shape[2] < self.size[1]:
            raise DataError(
                f"the texture '{self.texture}' has {picture.shape[1]}x{picture.shape[2]} pixels, fewer than a crop of "
                f"{self.size[0]}x{self.size[1]}\ngive smaller crops: dataset.data_shape=[C,H,W], or a larger picture"
            )
        self._digest = hashlib.sha256(repr(tuple(picture.shape)).encode() + picture.numpy().tobytes()).hexdigest()
        return {
            "train": RandomCrops([picture], self.size, self.crops_per_epoch, self.flip, self.seed),
            "test": on_a_grid([picture], self.size),
        }

    def picture(self) -> Tensor:
        """The whole texture, ``(C, H, W)`` uint8.

        Raises:
            DataError: there is none of this name, or it cannot be read.
        """
        image = embedded_texture(self.texture) if self.texture in TEXTURES else self._from_file()
        array = np.array(plain(image, self.channels))
        return torch.from_numpy(array[None] if self.channels == 1 else array.transpose(2, 0, 1).copy())

    def _from_file(self) -> Image.Image:
        path = Path(self.texture).expanduser()
        if not path.is_file():
            near = get_close_matches(self.texture, TEXTURES, 1)
            guess = f"; did you mean '{near[0]}'?" if near else ""
            raise DataError(
                f"there is no texture '{self.texture}' and no such file{guess}\n"
                f"genlab's own: {', '.join(TEXTURES)}\nset it with dataset.texture=NAME or dataset.texture=FILE"
            )
        try:
            image = PictureFiles(path.parent, [path.name]).open(0, 2**15)
            plain(image, self.channels)
        except BadPictureError as error:
            raise DataError(f"{path} {error}\nset another with dataset.texture=FILE") from error
        return image

    def digest(self) -> str:
        """Covers every pixel."""
        return self._digest


def embedded_texture(name: str) -> Image.Image:
    with zipfile.ZipFile(io.BytesIO(asset(FILE))) as archive:
        return Image.open(io.BytesIO(archive.read(f"{name}.webp"))).convert("RGB")
