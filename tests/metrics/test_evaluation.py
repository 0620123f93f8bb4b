"""What is measured on, and how a mean is told."""

import math
from typing import Any

import pytest
import torch
from tiny import PIXELS, LinearGaussian, Repeats, Silent, Splits, data_of, evaluation
from torch import Tensor, nn

from genlab.datasets.batches import ImagesWithAttributes, LabelledImages, UnpairedImages, Vectors
from genlab.errors import UsageError
from genlab.metrics.evaluation import holds_images, mean_score
from genlab.metrics.features import FeatureNetwork


def images(count: int, value: float = 0.0) -> Tensor:
    return torch.full((count, 1, 2, 2), value)


def test_the_test_split_is_measured_on_and_else_the_validation_split() -> None:
    silent = Silent()
    both = Splits(train=images(4), validation=images(3), test=images(2))
    assert evaluation(silent, both).held_out[0] == "test"
    assert evaluation(silent, Splits(train=images(4), validation=images(3))).held_out[0] == "validation"
    with pytest.raises(UsageError, match=r"all items of 'tiny' were trained on.*\n.*num_validation=N.*num_test=N"):
        _ = evaluation(silent, Splits(train=images(4))).held_out


def test_a_part_of_the_items_is_drawn_by_the_seed_alone() -> None:
    dataset = Splits(train=images(1), test=images(1000))
    first = evaluation(Silent(), dataset, seed=1).items(100)
    assert first.unique().tolist() == first.tolist()
    assert len(first) == 100
    assert first.max() > 500
    assert torch.equal(first, evaluation(Silent(), dataset, seed=1, batch_size=7).items(100))
    assert not torch.equal(first, evaluation(Silent(), dataset, seed=2).items(100))
    assert torch.equal(evaluation(Silent(), dataset).items(1000), torch.arange(1000))
    assert torch.equal(evaluation(Silent(), dataset).items(), torch.arange(1000))


def test_features_are_of_the_held_out_images_and_of_the_samples_of_the_seed() -> None:
    model = LinearGaussian()
    held_out = data_of(model, 60)
    found = evaluation(model, Splits(train=images(1), test=held_out), num_samples=80, seed=4)
    assert torch.equal(found.real_features, held_out.flatten(1).double())
    assert torch.equal(found.fake_features, data_of(model, 80, seed=4).flatten(1).double())


def test_a_mean_has_its_standard_error() -> None:
    score = mean_score("m", torch.tensor([1.0, 2.0, 3.0, 6.0]), {"unit": "nats"})
    assert score.value == 3
    assert score.how == {"unit": "nats", "standard_error": pytest.approx(math.sqrt(14 / 3 / 4))}
    assert mean_score("m", torch.tensor([5.0]), {}).how == {}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_mean_of_what_is_not_finite_is_undefined(value: float) -> None:
    score = mean_score("m", torch.tensor([1.0, value, value]), {})
    assert score.value is None
    assert score.how == {"undefined": "2 of 3 values are not finite"}


def test_a_mean_of_many_float32_values_is_exact() -> None:
    values = torch.full((1_000_001,), -100.1)
    assert mean_score("m", values, {}).value == pytest.approx(values[0].double().item(), rel=1e-12)


def test_distances_say_why_they_do_not_apply() -> None:
    dataset, vectors = Splits(train=images(1), test=images(2)), Splits(train=torch.zeros(1, 2), test=torch.zeros(2, 2))
    assert evaluation(LinearGaussian(), dataset).unfit_for_features() is None
    assert evaluation(Silent(), dataset).unfit_for_features() == "Silent draws no samples"
    assert evaluation(LinearGaussian(), vectors).unfit_for_features() == "'tiny' holds no single images"
    reason = "pixels tells no classes: features=digit, fashion or imagenet does"
    assert evaluation(LinearGaussian(), dataset).unfit_for_classes() == reason
    assert evaluation(LinearGaussian(), vectors).unfit_for_classes() == "'tiny' holds no single images"


def test_one_image_an_item_is_what_features_are_of() -> None:
    dataset = Splits(train=images(1))
    found = []
    for batch_type in (LabelledImages, ImagesWithAttributes, UnpairedImages, Vectors):
        dataset.batch_type = batch_type
        found.append(holds_images(dataset))
    assert found == [True, True, False, False]


def test_samples_are_not_compared_with_anomalies() -> None:
    dataset = Splits(train=images(1), test=torch.arange(12.0).view(12, 1, 1, 1).expand(-1, 1, 2, 2))
    dataset.setup("test")
    source: Any = dataset.sources["test"]
    source.labels = torch.arange(12) % 3
    dataset.has_anomalies = True
    found = evaluation(Silent(), dataset)
    assert len(found.items()) == 12
    assert found.items(only_normal=True).tolist() == [0, 3, 6, 9]
    some = found.items(2, only_normal=True).tolist()
    assert len(some) == 2
    assert set(some) < {0, 3, 6, 9}
    assert found.real_features[:, 0].tolist() == [0, 3, 6, 9]


@pytest.mark.parametrize(
    ("num_real", "samples", "reason"),
    [
        (1, images(5), "there is 1 of at least 2 held-out images"),
        (5, images(5, math.nan), "the features of 5 of 5 samples are not finite"),
        (5, torch.cat([images(4), images(1, math.inf)]), "the features of 1 of 5 samples are not finite"),
    ],
)
def test_a_distance_is_undefined_for_a_reason(num_real: int, samples: Tensor, reason: str) -> None:
    found = evaluation(Repeats(samples), Splits(train=images(1), test=images(num_real)), num_samples=5)
    [score] = found.comparison({"d": 1}, 2, lambda real, fake, generator: pytest.fail("it must not be computed"))
    assert (score.name, score.value, score.how["undefined"]) == ("d_pixels", None, reason)


def test_how_many_rows_are_needed_is_told() -> None:
    found = evaluation(Repeats(images(5)), Splits(train=images(1), test=images(3)), num_samples=5)
    [score] = found.comparison({"d": 1}, 6, lambda real, fake, generator: pytest.fail("it must not be computed"))
    reason = "there are 3 of at least 6 held-out images; there are 5 of at least 6 samples"
    assert score.how["undefined"] == reason


def test_a_comparison_says_how_it_was_had() -> None:
    found = evaluation(Repeats(images(5)), Splits(train=images(1), test=images(3)), num_samples=6, seed=9)
    resampled = list(torch.tensor([[0.5, 0.4, 0.6], [0.9, 0.7, 0.9]], dtype=torch.float64))
    first, second = found.comparison({"a": math.inf, "b": 1}, 2, lambda real, fake, generator: resampled, {"k": 5})
    assert (first.name, first.value, second.name, second.value) == ("a_pixels", 0.5, "b_pixels", 0.9)
    margin = 1.96 * math.sqrt(0.02)
    assert second.how["interval"] == pytest.approx([0.9 - margin, 1])
    assert first.how == {
        "interval": pytest.approx([0.5 - margin, 0.5 + margin]),
        "num_resamples": 2,
        "split": "test",
        "num_real": 3,
        "num_samples": 6,
        "seed": 9,
        "k": 5,
        "network": "pixels",
        "sha256": PIXELS.sha256,
        "resize": "none",
    }


def test_resamples_are_drawn_by_the_seed_alone() -> None:
    dataset, intervals = Splits(train=images(1), test=images(3)), []
    for seed, batch_size in ((1, 32), (1, 7), (2, 32)):
        found = evaluation(LinearGaussian(), dataset, seed=seed, batch_size=batch_size)
        [score] = found.comparison({"d": 9}, 2, lambda real, fake, generator: [torch.rand(3, generator=generator)])
        intervals.append(score.how["interval"])
    assert intervals[0] == intervals[1] != intervals[2]


def test_a_network_must_give_one_row_an_image() -> None:
    maps = FeatureNetwork("maps", "", "none", nn.Identity())
    found = evaluation(Repeats(images(5)), Splits(train=images(1), test=images(3)), network=maps)
    with pytest.raises(UsageError, match=r"maps gives \[3, 1, 2, 2\] for images \[3, 1, 2, 2\], expected \[3, D\]"):
        _ = found.real_features
