"""The log-likelihood of every fifth of all optdigits images, for a model trained on the others.

    python scripts/every_fifth.py model=pixel_cnn
    python scripts/every_fifth.py model=pixel_rnn model.layer=row_lstm

The embedded test split is of other writers than the training images, mostly; published figures on this set hold out
each fifth image instead, and train on the other 1,437.
"""

import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import torch

from genlab.config import compose, save
from genlab.datasets.embedded import Embedded
from genlab.datasets.images import ImagesInMemory
from genlab.datasets.loader import Source
from genlab.loaded_run import load_model
from genlab.metrics.evaluation import Evaluation
from genlab.metrics.log_likelihood import measure
from genlab.run import Run
from genlab.training import fit, prepare, resolve_threads


def main(words: list[str]) -> None:
    load = Embedded.load

    def each_fifth(self: Embedded) -> dict[str, Source]:
        sources = load(self)
        parts = [part for part in (sources["train"], sources["test"]) if isinstance(part, ImagesInMemory)]
        images, labels = (torch.cat(both) for both in zip(*((part.images, part.labels) for part in parts), strict=True))
        is_test = torch.arange(len(images)) % 5 == 0
        return {
            name: ImagesInMemory(images[chosen], labels[chosen], parts[0].levels)
            for name, chosen in (("train", ~is_test), ("validation", is_test & False), ("test", is_test))
        }

    config = compose("train", ["dataset=optdigits", *words, "dataset.num_validation=0"]).config
    config |= {"threads": resolve_threads(config["threads"])}
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run")
        save(config, run.folder / "config.yaml")
        started = time.perf_counter()
        with patch.object(Embedded, "load", each_fifth):
            fit(run, config, *prepare(config))
        seconds = time.perf_counter() - started
        loaded = load_model(str(run.folder))
    evaluation = Evaluation(loaded.model, loaded.dataset, None, 1, 0, 128, 1, 1)
    with torch.no_grad(), patch.object(Embedded, "load", each_fifth):
        for score in measure(evaluation):
            print(f"{score.name} {score.value:.4g} ± {score.how['standard_error']:.2g}, {score.how['unit']}")
    print(f"trained in {seconds:.0f} s with {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main(sys.argv[1:])
