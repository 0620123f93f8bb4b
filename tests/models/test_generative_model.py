"""What every training step relies on."""

import pytest
import torch
from torch import nn

from genlab.callbacks.watchdog import first_bad
from genlab.errors import NumericError
from genlab.models.base import GenerativeModel
from genlab.randomness import RowGenerator, row_by_row


class Line(GenerativeModel):
    """Two layers, and a loss that a test chooses."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(2, 2)
        self.decoder = nn.Linear(2, 1)
        self.optimizer = torch.optim.SGD(self.parameters(), lr=0.1)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        # The root of 0 has an infinite slope: a finite loss with gradients that are not.
        self.descend(self.optimizer, (self.decoder(self.encoder(batch)) * 0).sqrt().sum(), "root")


def test_descend_goes_down_the_gradient() -> None:
    model = Line()
    before = model.decoder.bias.clone()
    model.descend(model.optimizer, model.decoder.bias.sum(), "bias")
    torch.testing.assert_close(model.decoder.bias, before - 0.1)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_leaves_the_weights(value: float) -> None:
    model = Line()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    with pytest.raises(NumericError, match="the loss 'train/bias' is"):
        model.descend(model.optimizer, model.decoder.bias.sum() * value, "bias")
    assert all(torch.equal(before[name], weight) for name, weight in model.named_parameters())


def test_a_gradient_that_is_not_finite_leaves_the_weights_and_is_named() -> None:
    model = Line()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    with pytest.raises(NumericError, match="a gradient of the loss 'train/root' is not finite"):
        model.training_step(torch.ones(1, 2), 0)
    assert all(torch.equal(before[name], weight) for name, weight in model.named_parameters())
    assert "that of the weight 'decoder.bias'" in first_bad(model, torch.ones(1, 2))


def test_constant_networks_pass_gradients_on_and_get_none() -> None:
    model = Line()
    with model.constant(model.decoder):
        model.decoder(model.encoder(torch.ones(1, 2))).sum().backward()
    assert model.decoder.weight.grad is None
    assert model.encoder.weight.grad is not None
    assert model.decoder.weight.requires_grad


def test_rows_do_not_depend_on_how_many_are_drawn() -> None:
    def draw(*counts: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        return torch.cat([row_by_row(count, torch.randn, 33, generator=generator) for count in counts])

    assert torch.equal(draw(7), draw(1, 4, 2))


def test_rows_of_their_own_seeds_go_on_where_they_were() -> None:
    generator = RowGenerator([5, 9])
    drawn = torch.cat([row_by_row(2, torch.rand, 3, generator=generator) for _ in range(2)])
    for row, seed in enumerate((5, 9)):
        alone = torch.rand(6, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(drawn[row::2].flatten(), alone)
