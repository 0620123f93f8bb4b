"""Where expectation maximization starts."""

import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor


def k_means_plus_plus(points: Tensor, num_seeds: int) -> Tensor:
    """Draws each next seed in proportion to its squared distance from the nearest seed so far.

    Arthur & Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007, section 2.2. With fewer distinct
    points than seeds some seeds are equal, and a warning says so.

    Shapes:
        points: ``(N, D)`` float64.
        returns: ``(num_seeds, D)``.
    """
    chosen = [int(torch.randint(len(points), ()))]
    distances = (points - points[chosen[0]]).square().sum(1)
    for number in range(1, num_seeds):
        if not distances.any():
            rank_zero_warn(
                f"the {len(points)} items looked at have only {number} distinct ones for {num_seeds} components; some "
                "will be equal"
            )
            chosen += torch.randint(len(points), (num_seeds - number,)).tolist()
            break
        chosen.append(int(torch.multinomial(distances, 1)))
        distances = torch.minimum(distances, (points - points[chosen[-1]]).square().sum(1))
    return points[chosen]


def k_means(points: Tensor, num_centres: int, max_passes: int = 300) -> tuple[Tensor, Tensor]:
    """Lloyd, "Least Squares Quantization in PCM", 1982, doi:10.1109/TIT.1982.1056489, from k-means++ seeds.

    A centre that loses all its points moves to the point farthest from its own.

    Shapes:
        points: ``(N, D)`` float64.
        returns: centres ``(num_centres, D)`` and the number of each point's nearest centre, ``(N,)``.
    """
    centres = k_means_plus_plus(points, num_centres)
    nearest = torch.full((len(points),), -1, device=points.device)
    for _ in range(max_passes):
        distances, found = torch.cdist(points, centres).min(1)
        if torch.equal(found, nearest):
            break
        nearest = found
        counts = torch.bincount(nearest, minlength=num_centres)
        centres = torch.zeros_like(centres).index_add_(0, nearest, points) / counts.clamp(min=1)[:, None]
        lost = (counts == 0).nonzero()[:, 0]
        centres[lost] = points[distances.topk(len(lost)).indices]
    return centres, nearest
