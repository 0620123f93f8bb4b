"""How near edits of faces come to what the faces look like with the other attribute, which the avatars know."""

import torch

from genlab.datasets.avatars import Avatars
from genlab.metrics.attributes import about_judge, judged, share_of_each, unfit_for_judge
from genlab.metrics.evaluation import Evaluation, Score, progress
from genlab.models.capabilities import Edits


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, Edits):
        return f"{evaluation.model_name} does not edit"
    return unfit_for_judge(evaluation)


def measure(evaluation: Evaluation) -> list[Score]:
    """Of faces that no model is trained on, with one attribute changed each.

    ``better_edits``: attributes whose edits are nearer to the true ones than the unedited faces are, in the mean
    absolute error of pixels in [-1, 1]; ``edit_error``: the mean over attributes of this error, with that of the
    unedited faces beside it; ``edit_accuracy``: the share of edits in which an embedded classifier sees the attribute
    as wanted, the mean over attributes.
    """
    model, dataset = evaluation.model, evaluation.dataset
    assert isinstance(model, Edits)
    assert isinstance(dataset, Avatars)
    dataset.setup()
    originals, truth, edits, _, wanted = dataset.counterfactuals()
    parts = progress(torch.arange(len(edits)).split(evaluation.batch_size), "edits of faces")
    made = torch.cat(
        [model.edit(originals[part].to(model.device), wanted[part].to(model.device)).cpu() for part in parts]
    )
    unedited, error = ((images - truth).abs().mean((1, 2, 3)) for images in (originals, made))
    shown, changed = judged(made), torch.arange(len(edits))
    is_right = shown[changed, edits] == wanted[changed, edits]
    places = edits.unique().tolist()
    names = [dataset.attribute_names[place] for place in places]
    before, after = ([values[edits == place].mean().item() for place in places] for values in (unedited, error))
    each = {name: [round(x, 4), round(y, 4)] for name, x, y in zip(names, after, before, strict=True)}
    how = {"num_edits": len(edits), "num_attributes": len(names)}
    better = sum(x < y for x, y in zip(after, before, strict=True))
    return [
        Score("better_edits", better, how | {"errors_edited_and_unedited": each}),
        Score("edit_error", sum(after) / len(after), {"unedited": sum(before) / len(before)} | how),
        share_of_each("edit_accuracy", names, [is_right[edits == place] for place in places], how | about_judge()),
    ]
