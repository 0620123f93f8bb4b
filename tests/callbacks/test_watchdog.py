"""A value that is not finite is traced to where it first arises."""

from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from genlab.callbacks.watchdog import first_bad


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
