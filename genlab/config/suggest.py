"""Did you mean …?"""

import difflib
from collections.abc import Iterable


def nearest(given: str, names: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or nothing if no name is near."""
    found = difflib.get_close_matches(given, list(names), n=1, cutoff=0.6)
    return f"; did you mean '{found[0]}'?" if found else ""
