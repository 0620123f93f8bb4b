"""Rebuilds textures.zip: 16 textures of 256x256 pixels: stone, grass, bark, cloth, tiles and others.

Needs numpy, Pillow, the wheel of scikit-image 0.26.0 and one Debian package in one folder; seconds:

    pip download --no-deps scikit-image==0.26.0
    apt-get download sweethome3d-furniture
    python scripts/assets/textures.py .

The larger ones are cropped square and halved. The archive holds NAME.webp, lossless, and index.json, whose "items" have
"name", "author", "licence", "link" and "source".
"""

import io
import zipfile
from pathlib import Path
from typing import Any

from archive import members, options
from pack import finish, packed, webp
from PIL import Image

SIDE = 256
SKIMAGE, FURNITURE = "pip:scikit-image==0.26.0", "deb:sweethome3d-furniture=1.8-1"
OF_SKIMAGE = {
    "brick": ("CC0Textures (Bricks25)", "https://cc0textures.com"),
    "grass": ("linolafett (Grass 01)", "https://www.deviantart.com/linolafett/art/Grass-01-434853879"),
    "gravel": ("CC0Textures (Gravel04)", "https://cc0textures.com"),
}
OF_FURNITURE = {
    "Scopia": {
        "bark": "cypress/cypressTrunk.jpg",
        "chocolate": "birthday_cake/cake_chocolat_texture.jpg",
        "flowers": "futon/wallpaper-chiyogami.jpg",
        "hedge": "hedgeTextured/hedge-displacement-texture.jpg",
        "pebbles": "aquarium/pebbles.jpg",
        "pool_tiles": "swimming-pool/swimming-pool-tiles.jpg",
        "rattan": "rattanArmchair/textureRattan.jpg",
        "soil": "bonsai-tree/soil.jpg",
        "stones": "coffee-table2/little_stones.jpg",
    },
    "BlendSwap-CC-0": {
        "denim": "chairWithCushion/Denim_001_COLOR.jpg",
        "granite": "lowerCabinet/marble_14.jpg",
        "moss": "plantie/ground.jpg",
        "rock": "rock1/rock01.jpg",
    },
}
CREDITS = {
    "Scopia": {
        "author": "Scopia (scopia.es) for Sweet Home 3D",
        "licence": "CC BY 3.0",
        "link": "https://www.sweethome3d.com",
        "source": FURNITURE,
    },
    "BlendSwap-CC-0": {
        "author": "BlendSwap contributors for Sweet Home 3D",
        "licence": "CC0 1.0",
        "link": "https://www.blendswap.com",
        "source": FURNITURE,
    },
}


def square(data: bytes) -> bytes:
    """The square of 256 pixels in the middle, or that of 512 halved; grey stays grey."""
    opened = Image.open(io.BytesIO(data))
    image = opened.convert("L" if opened.mode == "L" else "RGB")
    side = 2 * SIDE if min(image.size) >= 2 * SIDE else SIDE
    left, top = (image.width - side) // 2, (image.height - side) // 2
    cropped = image.crop((left, top, left + side, top + side))
    return webp(cropped.resize((SIDE, SIDE), Image.Resampling.BOX), lossless=True)


def rebuilt(folder: Path) -> dict[str, bytes]:
    """The files of the archive in their order."""
    items: list[dict[str, Any]] = []
    images: dict[str, bytes] = {}
    [wheel] = folder.glob("scikit_image-0.26.0-*.whl")
    with zipfile.ZipFile(wheel) as package:
        for name, (author, link) in OF_SKIMAGE.items():
            images[f"{name}.webp"] = square(package.read(f"skimage/data/{name}.png"))
            items.append({"name": name, "author": author, "licence": "CC0 1.0", "link": link, "source": SKIMAGE})
    [debian] = folder.glob("sweethome3d-furniture_*.deb")
    for library, names in OF_FURNITURE.items():
        file = f"{library}.sh3f"
        with zipfile.ZipFile(io.BytesIO(members(debian, f"*/{file}")[file])) as models:
            for name, path in names.items():
                images[f"{name}.webp"] = square(models.read(f"{library.lower()}/{path}"))
                items.append({"name": name, **CREDITS[library]})
    contents = {
        "size": SIDE,
        "licence": "per item",
        "attribution": "per item: author, licence, link; cropped, resized",
        "items": sorted(items, key=lambda item: item["name"]),
    }
    return packed(contents, images)


def main() -> None:
    given = options(__doc__ or "", "the folder that holds the two packages")
    finish("textures.zip", rebuilt(given.source), given.out)


if __name__ == "__main__":
    main()
