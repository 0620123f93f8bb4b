"""Rebuilds optdigits.npz: 1,797 handwritten digits of 8x8 pixels, values 0 (paper) to 16 (ink).

Needs numpy and scikit-learn, which carries the test part of UCI's "Optical Recognition of Handwritten Digits". Its rows
are in the order of their 13 writers, so that the last 360, the test split, share few writers with the rest.

    python scripts/assets/optdigits.py
"""

import numpy as np
from archive import Arrays, finish, options
from sklearn.datasets import load_digits

NUM_TEST = 360


def main() -> None:
    given = options(__doc__ or "")
    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    arrays: Arrays = {
        "train_images": images[:-NUM_TEST],
        "train_labels": labels[:-NUM_TEST],
        "test_images": images[-NUM_TEST:],
        "test_labels": labels[-NUM_TEST:],
        "licence": np.array("CC BY 4.0"),
        "attribution": np.array(
            "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository "
            "(1998), doi:10.24432/C50P49; copy of scikit-learn (BSD-3-Clause)."
        ),
        "source": np.array("pip:scikit-learn==1.9.1"),
    }
    finish("optdigits.npz", arrays, given.out)


if __name__ == "__main__":
    main()
