"""Rebuilds fashion_mnist.npz: the first 1,200 training and 200 test images of each class, in their original order.

Needs numpy, dpkg-deb and Debian's package dataset-fashion-mnist 0.0~git20200523.55506a9-1:

    apt-get download dataset-fashion-mnist
    python scripts/assets/fashion_mnist.py dataset-fashion-mnist_*.deb
"""

import gzip

import numpy as np
from archive import Arrays, finish, idx, members, options

CLASSES = ["T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]


def main() -> None:
    given = options(__doc__ or "", "the .deb file")
    files = {name: gzip.decompress(data) for name, data in members(given.source, "*ubyte.gz").items()}
    arrays: Arrays = {}
    for split, prefix, count in (("train", "train", 1200), ("test", "t10k", 200)):
        images = idx(files[f"{prefix}-images-idx3-ubyte.gz"])
        labels = idx(files[f"{prefix}-labels-idx1-ubyte.gz"])
        kept = np.sort(np.concatenate([np.flatnonzero(labels == label)[:count] for label in range(len(CLASSES))]))
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images[kept], labels[kept]
    arrays["classes"] = np.array(CLASSES)
    arrays["licence"] = np.array("MIT")
    arrays["attribution"] = np.array(
        "Fashion-MNIST, Copyright (c) 2017 Zalando SE; Han Xiao, Kashif Rasul, Roland Vollgraf, arXiv:1708.07747."
    )
    arrays["source"] = np.array("deb:dataset-fashion-mnist=0.0~git20200523.55506a9-1")
    finish("fashion_mnist.npz", arrays, given.out)


if __name__ == "__main__":
    main()
