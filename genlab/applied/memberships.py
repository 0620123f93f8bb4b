"""To which class or component each image of ``genlab apply``, or each row of a table, belongs."""

from typing import Any

import torch
from torch import Tensor

from genlab.applied.inputs import STDIN, Inputs
from genlab.datasets.base import Dataset
from genlab.datasets.tables import check_finite, column_names, read_rows
from genlab.datasets.vectors import VectorFile
from genlab.errors import DataError, UsageError
from genlab.metrics.evaluation import progress


def rows_of(given: Inputs, dataset: Dataset) -> Tensor:
    """The rows of one file, ``(N, D)`` float32.

    Args:
        dataset: that the model was trained on.

    Raises:
        UsageError: something else is given.
        DataError: it cannot be read, has other columns, or lacks values.
    """
    if len(given.names) > 1 or given.names == [STDIN]:
        raise UsageError("this model is of rows: name one file of them, input=FILE.csv")
    path = given.folder / given.names[0]
    rows, names = read_rows(path, dataset.array if isinstance(dataset, VectorFile) else None)
    if rows.shape[1] != dataset.data_shape[0]:
        raise DataError(
            f"{path} has {rows.shape[1]} columns, the model was trained on {dataset.data_shape[0]} of "
            f"'{dataset.name}'\ngive a file with these columns, in their order"
        )
    if not len(rows):
        raise DataError(f"{path} has no rows")
    trained_on = dataset.column_names if isinstance(dataset, VectorFile) else []
    if column_names(path) and trained_on and names != trained_on:
        raise DataError(
            f"{path} has the columns {', '.join(names)}; the model was trained on {', '.join(trained_on)}\n"
            "give a file with these columns, in their order"
        )
    values = rows.astype("float32")
    check_finite(values, rows, names, str(path))
    return torch.from_numpy(values)


def of_classes(model: Any, items: Tensor, batch_size: int, names: list[str]) -> tuple[dict[str, list[Any]], Tensor]:
    """The likeliest class of each item, its probability and log p(x); and p(y|x), ``(N, num_classes)``."""
    posterior, likelihood = [], []
    for part in progress(items.split(batch_size), "classes"):
        posterior.append(model.log_posterior(part).exp().cpu())
        likelihood.append(model.log_likelihood(part).cpu())
    highest = torch.cat(posterior).max(1)
    columns = {
        "class": [names[number] for number in highest.indices.tolist()],
        "probability": highest.values.tolist(),
        "log_likelihood": torch.cat(likelihood).tolist(),
    }
    return columns, torch.cat(posterior)


def of_components(model: Any, items: Tensor, batch_size: int) -> tuple[dict[str, list[Any]], Tensor]:
    """The likeliest component of each item, its probability and log p(x); and all responsibilities, ``(N, K)``.

    Components are numbered from the heaviest on, as ``genlab sample kind=means`` shows them.
    """
    order = model.components()[0].argsort(descending=True)
    responsibilities, likelihood = [], []
    for part in progress(items.split(batch_size), "components"):
        responsibilities.append(model.responsibilities(part)[:, order].cpu())
        likelihood.append(model.log_likelihood(part).cpu())
    highest = torch.cat(responsibilities).max(1)
    columns = {
        "component": highest.indices.tolist(),
        "probability": highest.values.tolist(),
        "log_likelihood": torch.cat(likelihood).tolist(),
    }
    return columns, torch.cat(responsibilities)
