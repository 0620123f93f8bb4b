"""Rebuilds tiny_shakespeare.npz: 40,000 lines of Shakespeare's plays, 1,115,394 ASCII characters.

Needs numpy and one file of a public repository, at the commit that the address names:

    curl -LO https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt
    python scripts/assets/tiny_shakespeare.py input.txt

    text    (1115394,)  its bytes
"""

import numpy as np
from archive import Arrays, finish, options


def main() -> None:
    given = options(__doc__ or "", "input.txt")
    arrays: Arrays = {
        "text": np.frombuffer(given.source.read_bytes(), np.uint8),
        "licence": np.array("Public domain"),
        "attribution": np.array(
            "Plays of William Shakespeare (1564-1616), selected by Andrej Karpathy for char-rnn (MIT)."
        ),
        "source": np.array("github:karpathy/char-rnn@6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e"),
    }
    finish("tiny_shakespeare.npz", arrays, given.out)


if __name__ == "__main__":
    main()
