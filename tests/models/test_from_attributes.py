"""Attributes as a user asks for them, as training images have them, and what is free in between."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genlab.drawing.seeds import condition_of, sampled, sampled_by_seed
from genlab.errors import UsageError
from genlab.models.base import GenerativeModel
from genlab.models.capabilities import HasPrior, TakesAttributes
from genlab.models.from_attributes import NUM_ROWS, FromAttributes

NAMES = ["glasses", "sunglasses", "smile", "blond_hair"]
ROWS = torch.tensor([[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 1, 1]])
NAN = float("nan")


class Mirror(FromAttributes, GenerativeModel):
    """Shows its latent: ``(N, 2 + 4)``."""

    def __init__(self) -> None:
        super().__init__()
        self.attribute_names = NAMES
        self.noise_dim, self.latent_dim = 2, 6
        self.generator = nn.Identity()
        self.register_buffer("attribute_rows", self.no_rows())


def data(names: list[str], rows: Tensor) -> Any:
    source = type("Source", (), {"attributes": rows.float(), "__len__": lambda self: len(rows)})()
    return SimpleNamespace(name="faces", attribute_names=names, sources={"train": source})


@pytest.fixture
def model() -> Mirror:
    model = Mirror()
    model.check_data(data(NAMES, ROWS))
    return model


def rows_of(attributes: Tensor) -> set[tuple[int, ...]]:
    return {tuple(map(int, row)) for row in attributes}


def test_it_is_what_commands_ask_for(model: Mirror) -> None:
    assert isinstance(model, TakesAttributes)
    assert isinstance(model, HasPrior)


def test_attributes_are_drawn_as_training_images_have_them(model: Mirror) -> None:
    latent = model.draw_latent(600, torch.Generator().manual_seed(0))
    assert set(latent[:, 2:].unique().tolist()) == {-1, 1}
    assert rows_of(latent[:, 2:] > 0) == rows_of(ROWS)
    assert ((latent[:, 2:] > 0).float().mean(0) - ROWS.float().mean(0)).abs().max() < 0.07


@pytest.mark.parametrize("size", [1, 6, NUM_ROWS, 3 * NUM_ROWS + 1])
def test_any_number_of_training_images_is_covered_evenly(size: int) -> None:
    model = Mirror()
    rows = torch.zeros(size, 4)
    rows[size // 2 :, 0] = 1
    model.check_data(data(NAMES, rows))
    assert model.attribute_rows.dtype == torch.uint8
    expected = pytest.approx(rows[:, 0].mean().item(), abs=2 / min(size, NUM_ROWS))
    assert model.attribute_rows[:, 0].float().mean().item() == expected


def test_what_training_images_have_goes_with_the_weights(model: Mirror) -> None:
    other = Mirror()
    other.load_state_dict(model.state_dict())
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    assert torch.equal(other.sample(9, None, generators[0]), model.sample(9, None, generators[1]))


def test_words_ask_for_what_is_to_be_seen_and_what_is_not(model: Mirror) -> None:
    found = model.condition(["blond_hair", "no_glasses"])
    assert found.nan_to_num(9).tolist() == [0, 9, 9, 1]
    assert model.condition([]).isnan().all()


def test_an_unknown_word_is_refused_with_the_nearest(model: Mirror) -> None:
    with pytest.raises(UsageError) as error:
        model.condition(["smile", "glases"])
    assert str(error.value) == (
        "attributes=[smile,glases]: no attribute 'glases'; did you mean 'glasses'?\n"
        "attributes: glasses, sunglasses, smile, blond_hair; no_ before one asks for its absence"
    )
    with pytest.raises(UsageError, match="did you mean 'no_smile'"):
        model.condition(["no_smle"])


def test_the_same_cannot_be_wanted_and_not(model: Mirror) -> None:
    with pytest.raises(UsageError, match="'smile' is asked for and refused; give one"):
        model.condition(["smile", "no_smile"])


def test_what_is_free_changes_as_little_as_training_images_allow(model: Mirror) -> None:
    drawn = torch.tensor([[0.0, 1, 1, 1], [0, 1, 0, 0], [1, 0, 1, 0]])
    asked = model.condition(["glasses"]).expand(3, -1)
    # No training image has both kinds of glasses; of those with glasses one smiles, and none is blond.
    assert model.completed(asked, drawn).tolist() == [[1, 0, 1, 0], [1, 0, 0, 0], [1, 0, 1, 0]]


def test_what_no_training_image_has_is_drawn_all_the_same(model: Mirror) -> None:
    asked = model.condition(["glasses", "blond_hair", "smile"])[None]
    # Nearest are the images that have two of the three.
    assert model.completed(asked, torch.tensor([[0.0, 1, 0, 0]])).tolist() == [[1, 1, 1, 1]]
    assert model.completed(asked, torch.tensor([[0.0, 0, 0, 0]])).tolist() == [[1, 0, 1, 1]]


def test_nothing_is_changed_that_is_given(model: Mirror) -> None:
    asked = torch.randint(2, (50, 4)).float()
    assert torch.equal(model.completed(asked, torch.zeros(50, 4)), asked)


@torch.no_grad()
def test_samples_are_of_their_condition_whatever_the_batch(model: Mirror) -> None:
    asked = torch.tensor([[1, NAN, NAN, NAN], [NAN, NAN, NAN, 0]]).repeat(10, 1)

    def draw(size: int) -> Tensor:
        generator = torch.Generator().manual_seed(5)
        return torch.cat([model.sample(len(part), part, generator) for part in asked.split(size)])

    whole = draw(20)
    assert (whole[0::2, 2] == 1).all()
    assert (whole[1::2, 5] == -1).all()
    assert rows_of(whole[:, 2:] > 0) <= rows_of(ROWS)
    assert torch.equal(draw(3), whole)
    # The noise is that of the same seed without a condition.
    assert torch.equal(whole[:, :2], model.sample(20, None, torch.Generator().manual_seed(5))[:, :2])


def test_other_attributes_of_the_data_are_refused() -> None:
    with pytest.raises(UsageError) as error:
        Mirror().check_data(data(["hat"], ROWS[:, :1]))
    assert str(error.value) == (
        "model.attribute_names=[glasses,sunglasses,smile,blond_hair] are not the attributes of 'faces'\n"
        "set model.attribute_names=[hat]"
    )


@torch.no_grad()
def test_one_condition_is_that_of_all_samples_or_seeds(model: Mirror) -> None:
    asked = condition_of(model, ["glasses"])[None]
    drawn = sampled(model, range(9), asked, 4, 2)
    assert (drawn[:, 2] == 1).all()
    assert len(drawn[:, 0].unique()) == 9
    torch.testing.assert_close(drawn[:1], sampled_by_seed(model, [2], asked))


def test_a_model_without_attributes_refuses_them() -> None:
    with pytest.raises(UsageError, match="Linear takes no attributes; leave the word out"):
        condition_of(nn.Linear(1, 1), ["glasses"])
