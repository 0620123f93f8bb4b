"""Rebuilds photos.zip: 46 photographs with free licences: animals, buildings, landscapes, food, people, machines.

Needs numpy, Pillow, two wheels and four Debian packages in one folder; a minute:

    pip download --no-deps scikit-image==0.26.0 scikit-learn==1.9.1
    apt-get download gcompris-qt-data lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 endless-sky-data
    python scripts/assets/photos.py .

The longest side becomes at most 768 pixels. Authors and licences are those that the packages' own READMEs and copyright
files name. The archive holds NAME.webp and index.json, whose "items" have "name", "width", "height", "subject", "split"
("train", 38, or "test", 8), "author", "licence", "link" and "source".
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from archive import members, options
from pack import finish, packed, webp
from PIL import Image

LONGEST = 768
TEST = {"chelsea", "china", "hawa_mahal", "horse", "kingfisher", "koala", "machu_picchu", "picosdeeuropa"}
LOMIRI = "https://gitlab.com/ubports/development/core/lomiri-wallpapers"
COMMONS = "https://commons.wikimedia.org/wiki"
AITZOL = ("Aitzol Berasategi", "CC BY 4.0", LOMIRI)
FREESPACE = ('Trevor "Freespace"', "CC BY 4.0", LOMIRI)
GCOMPRIS = "deb:gcompris-qt-data=3.1-2"


class Photo(NamedTuple):
    pattern: str
    subject: str
    author: str
    licence: str
    link: str


LISTED = {
    "pip:scikit-image==0.26.0": [
        Photo("skimage/data/astronaut.png", "person", "NASA", "public domain", "https://flic.kr/p/r9qvLn"),
        Photo("skimage/data/chelsea.png", "animal", "Stefan van der Walt", "CC0 1.0", "https://scikit-image.org"),
        Photo("skimage/data/coffee.png", "food", "Rachel Michetti", "CC0 1.0", "https://scikit-image.org"),
        Photo(
            *("skimage/data/rocket.jpg", "machine", "SpaceX", "public domain"),
            link="https://www.flickr.com/photos/spacexphotos/16511594820/",
        ),
    ],
    "pip:scikit-learn==1.9.1": [
        Photo(
            *("sklearn/datasets/images/china.jpg", "building", "danielbuechele", "CC BY 2.0"),
            link="https://www.flickr.com/photos/danielbuechele/6061409035/",
        ),
        Photo(
            *("sklearn/datasets/images/flower.jpg", "plant", "vultilion", "CC BY 2.0"),
            link="https://www.flickr.com/photos/vultilion/6056698931/",
        ),
    ],
    "deb:lomiri-wallpapers-16.04=20.04.0-2": [
        Photo("*/aitzgorri_by*", "landscape", *AITZOL),
        Photo("*/life_by*", "landscape", *AITZOL),
        Photo("*/picosdeeuropa_by*", "landscape", *AITZOL),
        Photo("*/friends_by*", "animal", *AITZOL),
        Photo("*/Picture_0B_by*", "food", *FREESPACE),
        Photo("*/Picture_1A_by*", "object", *FREESPACE),
        Photo("*/seeding_by*", "plant", "Clemens Engelhardt", "CC0 1.0", LOMIRI),
        Photo("*/Wine_by*", "object", "Jakub Mede", "CC BY 4.0", LOMIRI),
    ],
    "deb:lomiri-wallpapers-20.04=20.04.0-2": [
        Photo("*/Kleiber_by*", "animal", "Lukas Baubkus", "CC BY-SA 3.0", LOMIRI)
    ],
    "deb:endless-sky-data=0.9.8-1.2": [
        Photo("*/land/city14-sfiera.jpg", "city", "Chris Pickel (sfiera.net)", "CC BY-SA 4.0", "https://sfiera.net"),
        Photo("*/land/mfield1.jpg", "city", "Matthew Field", "CC BY-SA 3.0", f"{COMMONS}/User:Mfield"),
        Photo("*/land/dmottl3.jpg", "landscape", "Dmitry A. Mottl", "CC BY-SA 3.0", f"{COMMONS}/User:Dmottl"),
        Photo("*/land/myrabella7.jpg", "landscape", "Myrabella", "CC BY-SA 3.0", f"{COMMONS}/User:Myrabella"),
        Photo("*/land/station1.jpg", "machine", "NASA", "public domain", "https://images.nasa.gov"),
    ],
}

OF_GCOMPRIS = {
    "explore_world_animals": "bison chameleon crocodile hedgehog jaguar koala lemur moose panda polar_bear "
    "scarlet_macaw",
    "explore_farm_animals": "cat chicken dog horse",
    "erase": "crab kingfisher red_panda",
    "explore_monuments": "greatWallofChina machuPicchu petra hawaMahal goldenTemple citedeCarcassonne "
    "neuschwansteinCastle canyondeChelly",
}


def qt_resources(data: bytes) -> dict[str, bytes]:
    """The files of a Qt resource archive (rcc, formats 1 to 3), stored or deflated, by their paths."""
    version, tree, payload, names = struct.unpack_from(">4I", data, 4)
    length_of_node, found = 14 if version == 1 else 22, {}

    def visit(node: int, folder: str) -> None:
        place = tree + node * length_of_node
        at, flags = struct.unpack_from(">IH", data, place)
        (length,) = struct.unpack_from(">H", data, names + at)
        name = data[names + at + 6 :][: 2 * length].decode("utf-16-be") if node else ""
        if flags & 2:
            count, first = struct.unpack_from(">2I", data, place + 6)
            for child in range(first, first + count):
                visit(child, f"{folder}{name}/")
        elif not flags & 4:
            (start,) = struct.unpack_from(">I", data, place + 10)
            (size,) = struct.unpack_from(">I", data, payload + start)
            stored = data[payload + start + 4 :][:size]
            found[folder + name] = zlib.decompress(stored[4:]) if flags & 1 else stored

    visit(0, "")
    return found


def credits_of(readme: str) -> dict[str, dict[str, str]]:
    """By picture, what GCompris's README says: blocks of lines ``Key: value`` with the files that they are about."""
    found = {}
    for block in re.split(r"\n\s*\n", readme):
        fields = dict(re.findall(r"^(Copyright|License|Source): *(.+)$", block, re.MULTILINE))
        for name in re.findall(r"([\w-]+)\.webp", block):
            licence = re.sub(r"CC-?(BY(?:-SA)?|0)[- ]", r"CC \1 ", fields["License"]).replace("CC 0", "CC0")
            licence = licence.replace("Public Domain", "public domain").replace("Public", "public")
            author = fields["Copyright"].removeprefix("© ")
            found[name] = {"author": author, "licence": licence, "link": fields.get("Source", "")}
    return found


def in_package(folder: Path, source: str, pattern: str) -> tuple[str, bytes]:
    """The name and the bytes of the one file of a package whose path matches."""
    kind, _, package = source.partition(":")
    if kind == "pip":
        [wheel] = folder.glob(f"{package.replace('-', '_').replace('==', '-')}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return Path(pattern).name, archive.read(pattern)
    [debian] = folder.glob(f"{package.partition('=')[0]}_*.deb")
    [(name, data)] = members(debian, pattern).items()
    return name, data


def photographs(folder: Path) -> Iterator[tuple[str, str, bytes, dict[str, str], str]]:
    """Name, subject, file, credit and source of each."""
    for source, listed in LISTED.items():
        for photo in listed:
            name, data = in_package(folder, source, photo.pattern)
            credit = {"author": photo.author, "licence": photo.licence, "link": photo.link}
            yield re.sub(r"_by_.*|\.\w+$", "", name), photo.subject, data, credit, source
    for activity, names in OF_GCOMPRIS.items():
        files = qt_resources(in_package(folder, GCOMPRIS, f"*/rcc/{activity}.rcc")[1])
        credit_of = credits_of(next(data for path, data in files.items() if path.endswith("README")).decode())
        for name in names.split():
            data = next(data for path, data in files.items() if path.endswith(f"/{name}.webp"))
            subject = "building" if activity == "explore_monuments" else "animal"
            yield name, "landscape" if name == "canyondeChelly" else subject, data, credit_of[name], GCOMPRIS


def rebuilt(folder: Path) -> dict[str, bytes]:
    """The files of the archive in their order."""
    items: list[dict[str, Any]] = []
    images: dict[str, bytes] = {}
    for given, subject, data, credit, source in photographs(folder):
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", given).replace("-", "_").lower()
        image = Image.open(io.BytesIO(data)).convert("RGB")
        image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        images[f"{name}.webp"] = webp(image, quality=90)
        about = {"name": name, "width": image.width, "height": image.height, "subject": subject}
        items.append(about | {"split": "test" if name in TEST else "train", **credit, "source": source})
    contents = {
        "licence": "per item",
        "attribution": "per item: author, licence, link; resized, re-encoded",
        "items": sorted(items, key=lambda item: item["name"]),
    }
    return packed(contents, images)


def main() -> None:
    given = options(__doc__ or "", "the folder that holds the six packages")
    finish("photos.zip", rebuilt(given.source), given.out)


if __name__ == "__main__":
    main()
