"""A value that is not finite is traced to where it first arises, and a collapse is told once."""

import warnings
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from genlab.callbacks.watchdog import Watchdog, first_bad
from genlab.models.base import GenerativeModel


class Items(NamedTuple):
    items: Tensor


class Chain(pl.LightningModule):
    def __init__(self, loss: Any = None) -> None:
        super().__init__()
        self.encoder = nn.Linear(2, 2)
        self.decoder = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        self.loss = loss

    def training_step(self, batch: Items, batch_idx: int) -> None:
        self.decoder(self.encoder(batch.items))


def test_the_data_come_first() -> None:
    assert "the batch itself holds such values in 'items'" in first_bad(
        Chain(), Items(torch.tensor([[1.0, torch.nan]]))
    )


def test_then_the_weights() -> None:
    model = Chain()
    with torch.no_grad():
        model.decoder[0].bias[1] = torch.inf
    assert "in the weight 'decoder.0.bias', written by an earlier step" in first_bad(model, Items(torch.ones(1, 2)))


def test_then_the_first_layer_whose_output_is_bad() -> None:
    model = Chain()
    nn.init.constant_(model.decoder[0].weight, 10.0)
    nn.init.constant_(model.encoder.weight, 1.0)
    message = first_bad(model, Items(torch.full((1, 2), 1e38)))
    assert "come out of the layer 'decoder.0' (Linear)" in message


def test_else_the_loss() -> None:
    assert "arise in the loss itself" in first_bad(Chain(), Items(torch.ones(1, 2)))


def end_of_epoch(watchdog: Watchdog, **values: float) -> None:
    model = GenerativeModel()
    model.reported = {f"train/{name}": value for name, value in values.items()}
    trainer: Any = SimpleNamespace(global_step=300)
    watchdog.on_train_epoch_end(trainer, model)


def test_a_posterior_without_divergence_has_collapsed_and_is_told_once() -> None:
    watchdog = Watchdog(0)
    with pytest.warns(UserWarning, match=r"after step 300 its KL divergence from the prior is 0\.0021 nats an image"):
        end_of_epoch(watchdog, kl=0.00213)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        end_of_epoch(watchdog, kl=0.002)


def test_a_posterior_that_tells_something_has_not() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        end_of_epoch(Watchdog(0), kl=1.5)
        end_of_epoch(Watchdog(0), lower_bound=-3.0)


def test_recurrent_layers_are_looked_into() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.GRU(2, 2)
            self.output = nn.Linear(2, 1)

        def training_step(self, batch: Any, batch_idx: int) -> None:
            self.output(self.layer(batch[0] * 1e38 * 1e38 * 0)[0])

    model: Any = Recurrent()
    assert "the layer 'layer' (GRU)" in first_bad(model, (torch.ones(3, 1, 2),))
