"""How far two domains are from each other, and each from itself: what a translation's distance is to be held to.

    python scripts/baseline_domains.py [DATASET]

The Fréchet distance of the test images of each domain to those of the other, as they are before any translation, and to
as many of the domain's own training images, the mean over ten draws of these: what images have that are truly of the
domain, but not the same ones. The network is that of genlab evaluate RUN metrics=[translation_distance].
"""

import argparse
import statistics

import torch

from genlab.config import build, compose
from genlab.datasets.base import Dataset
from genlab.datasets.loader import Chosen
from genlab.datasets.pairs import Unpaired, images_of
from genlab.metrics.features import embedded
from genlab.metrics.frechet import frechet_distance
from genlab.metrics.translation_distance import features

DRAWS = 10


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?", default="google_and_twitter", help="of two domains")
    name = parser.parse_args().dataset
    dataset = build(compose("train", ["model=cyclegan", f"dataset={name}"]).config["dataset"], "dataset")
    assert isinstance(dataset, Dataset)
    dataset.setup()
    train, test = dataset.sources["train"], dataset.sources["test"]
    assert isinstance(train, Unpaired)
    assert isinstance(test, Unpaired)
    network = embedded("imagenet")

    def of(source: Unpaired, domain: int) -> torch.Tensor:
        images = (source.first, source.second)[domain]
        parts = torch.arange(len(images)).split(250)
        return features(network, (images_of(images, Chosen(0, part)) for part in parts))

    tested, trained = ([of(source, domain) for domain in (0, 1)] for source in (test, train))
    print(f"{name}, {len(tested[0])} and {len(tested[1])} test images, {network.name}")
    print(f"the one domain and the other: {frechet_distance(*tested):.1f}")
    generator = torch.Generator().manual_seed(0)
    for domain, (held, own) in enumerate(zip(tested, trained, strict=True)):
        draws = [own[torch.randperm(len(own), generator=generator)[: len(held)]] for _ in range(DRAWS)]
        found = [frechet_distance(held, drawn) for drawn in draws]
        about = f"between {min(found):.1f} and {max(found):.1f}"
        print(f"domain {'XY'[domain]} and its own training images: {statistics.mean(found):.1f}, {about}")


if __name__ == "__main__":
    main()
