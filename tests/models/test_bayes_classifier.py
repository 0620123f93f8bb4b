"""Facts of the Bayes classifier: densities against closed forms, and what optdigits is known to give."""

import json
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from conftest import short_config, trained
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from torch import Tensor
from torch.distributions import MultivariateNormal

from genlab.config import compose
from genlab.datasets.batches import LabelledImages
from genlab.datasets.embedded import ASSETS
from genlab.datasets.loader import Chosen
from genlab.errors import UsageError
from genlab.loaded_run import load_model
from genlab.models.bayes_classifier import BayesClassifier


class Images:
    """A source of images ``(N, 1, 1, D)`` with labels."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, chosen: Chosen) -> LabelledImages:
        return LabelledImages(self.images[chosen.items], self.labels[chosen.items])


def two_classes(num_items: int = 400, dim: int = 3) -> Images:
    generator = torch.Generator().manual_seed(0)
    labels = (torch.arange(num_items) % 4 == 0).long()  # a quarter of class 1
    spread = torch.eye(dim) + 0.3 * torch.randn(2, dim, dim, generator=generator)
    noise = torch.randn(num_items, dim, 1, generator=generator)
    items = 2 * labels[:, None] + (spread[labels] @ noise)[..., 0]
    return Images(items[:, None, None], labels)


def fitted(
    source: Images, class_model: Literal["gaussian", "gmm", "vi_gmm"], num_components: int, passes: int
) -> BayesClassifier:
    torch.manual_seed(0)
    shape = (1, 1, source.images.shape[-1])
    model = BayesClassifier(shape, 2, class_model, num_components, "full", "k-means", 0, 1e-6)
    fit(model, source, passes)
    return model


def fit(model: BayesClassifier, source: Images, passes: int) -> None:
    model.begin(source)
    for _ in range(passes):
        for part in torch.arange(len(source)).split(100):
            batch = source.__getitems__(Chosen(-1, part))
            model.em.add(batch.images.flatten(1), batch.labels)
        model.em.end_pass(lambda total: total)
        counts = model.mixture.expectation.num_items
        model.log_priors.copy_((counts / counts.sum()).log())


def test_two_passes_give_the_likeliest_gaussian_of_each_class() -> None:
    source = two_classes()
    model = fitted(source, "gaussian", 1, 2)
    for label in (0, 1):
        items = source.images[source.labels == label].flatten(1).double()
        torch.testing.assert_close(model.mixture.means[label, 0], items.mean(0), rtol=1e-6, atol=1e-6)
        expected = items.T.cov(correction=0) + 1e-6 * torch.eye(3)
        torch.testing.assert_close(model.mixture.covariances[label, 0], expected, rtol=1e-6, atol=1e-6)
    assert model.log_priors.exp().tolist() == pytest.approx([0.75, 0.25])
    assert not model.em.is_open.any() or model.em.tol == 0


def test_joint_posterior_and_marginal_agree_with_torch_distributions() -> None:
    source = two_classes()
    model = fitted(source, "gaussian", 1, 2)
    items = source.images.flatten(1).double()
    densities = [MultivariateNormal(model.mixture.means[c, 0], model.mixture.covariances[c, 0]) for c in (0, 1)]
    joint = torch.stack([density.log_prob(items) for density in densities]) + torch.tensor([[0.75], [0.25]]).log()
    torch.testing.assert_close(model.log_joint(source.images), joint, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(model.log_likelihood(source.images), joint.logsumexp(0), rtol=1e-6, atol=1e-6)
    posterior = model.log_posterior(source.images).exp()
    torch.testing.assert_close(posterior.sum(1), torch.ones(len(source)).double())


def test_it_classifies_as_scikit_learns_quadratic_discriminant() -> None:
    source = two_classes()
    model = fitted(source, "gaussian", 1, 2)
    rows = source.images.flatten(1).numpy()
    theirs = QuadraticDiscriminantAnalysis().fit(rows, source.labels.numpy()).predict(rows)
    ours = model.log_posterior(source.images).argmax(1).numpy()
    assert (ours == theirs).mean() > 0.995  # theirs divides by one less


def test_a_mixture_for_each_class_is_fitted_as_if_alone() -> None:
    source = two_classes()
    both = fitted(source, "gmm", 2, 10)
    for label in (0, 1):
        mine = source.labels == label
        alone = fitted(Images(source.images, source.labels), "gmm", 2, 0).mixture
        alone.expectation.clear()
        for _ in range(10):
            alone.expectation.clear()
            alone.expectation.add(source.images[mine].flatten(1), alone.coefficients())
            last = alone.means.clone()
            alone.maximize(torch.tensor([True, True]))
        torch.testing.assert_close(both.mixture.means[label], last[label], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("class_model", "num_components"), [("gaussian", 1), ("gmm", 2), ("vi_gmm", 4)])
def test_samples_of_a_class_are_of_that_class(
    class_model: Literal["gaussian", "gmm", "vi_gmm"], num_components: int
) -> None:
    source = two_classes()
    model = fitted(source, class_model, num_components, 20)
    labels = torch.tensor([0, 1]).repeat(2000)
    samples = model.sample(4000, labels, torch.Generator().manual_seed(0))
    for label in (0, 1):
        real = source.images[source.labels == label].mean()
        assert samples[labels == label].mean().item() == pytest.approx(real.item(), abs=0.1)


def test_ancestral_samples_have_the_classes_in_proportion() -> None:
    source = two_classes()
    source.images[source.labels == 1] += 100
    model = fitted(source, "gaussian", 1, 2)
    samples = model.sample(2000, None, torch.Generator().manual_seed(0))
    assert (samples.mean((1, 2, 3)) > 50).float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_pixels_that_never_change_neither_fail_nor_give_nan() -> None:
    source = two_classes()
    source.images[..., 0] = -1.0
    model = fitted(source, "gaussian", 1, 2)
    assert torch.isfinite(model.log_joint(source.images)).all()
    assert model.mixture.covariances[0, 0, 0, 0].item() == pytest.approx(1e-6, rel=1e-3)


def score(folder: Path, *words: str) -> dict[str, Any]:
    from genlab.commands.evaluate import measure
    from genlab.metrics import accuracy, log_likelihood
    from genlab.metrics.evaluation import Evaluation

    whole = ["trainer.limit_train_batches=1.0", "trainer.max_epochs=30", "dataset.batch_size=128"]
    trained(folder, short_config("bayes_classifier", *whole, *words))
    loaded = load_model(str(folder))
    evaluation = Evaluation(loaded.model, loaded.dataset, None, 10, 0, 100, 1, 1)
    scores, _ = measure(evaluation, {"accuracy": accuracy, "log_likelihood": log_likelihood}, True)
    return {score.name: score.value for score in scores}


def test_gaussians_classify_optdigits_where_each_fourth_image_is_held_out() -> None:
    """0.01 added to each variance of pixels in [0, 1]: accuracy 0.993, log p(x) 44.0 nats."""
    with np.load(ASSETS / "optdigits.npz") as arrays:
        images = np.concatenate([arrays["train_images"], arrays["test_images"]])
        labels = torch.from_numpy(np.concatenate([arrays["train_labels"], arrays["test_labels"]])).long()
    pixels = torch.from_numpy(images)[:, None].float() / 8 - 1
    is_test = torch.arange(len(labels)) % 4 == 0
    torch.manual_seed(0)
    model = BayesClassifier((1, 8, 8), 10, "gaussian", 1, "full", "k-means", 0, 0.04)
    fit(model, Images(pixels[~is_test], labels[~is_test]), 2)
    test, truth = pixels[is_test], labels[is_test]
    assert (model.log_posterior(test).argmax(1) == truth).double().mean() >= 0.99
    # Densities of pixels in [-1, 1] are 2^64 times less than of pixels in [0, 1].
    assert model.log_likelihood(test).mean().item() + 64 * math.log(2) == pytest.approx(44.0, abs=0.5)


def test_a_run_is_evaluated_on_writers_it_has_not_seen(tmp_path: Path) -> None:
    found = score(tmp_path / "run", "trainer.limit_val_batches=1.0")
    assert 0.95 < found["accuracy"] < 0.98
    assert -1 < found["log_posterior"] < 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["val/accuracy"] >= 0.98  # of the same writers


def test_a_gaussian_has_one_component() -> None:
    with pytest.raises(ValueError, match="num_components=3 with class_model=gaussian; accepted: 1"):
        BayesClassifier((1, 8, 8), 10, "gaussian", 3, "full", "k-means", 1e-3, 0.04)


def test_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"model\.num_classes=7, but 'optdigits' has 10 classes\nset model\.num_classes=10"
    ):
        trained(tmp_path / "run", short_config("bayes_classifier", "model.num_classes=7"))


def test_a_class_with_fewer_images_than_components_is_refused(tmp_path: Path) -> None:
    words = ["model.class_model=gmm", "model.num_components=1000"]
    with pytest.raises(UsageError, match=r"class 0 has \d+ training images, model.num_components=1000"):
        trained(tmp_path / "run", short_config("bayes_classifier", *words))


def test_a_table_without_labels_is_refused() -> None:
    from genlab.config import check

    with pytest.raises(UsageError, match="optdigits"):
        check(compose("train", ["model=bayes_classifier", "dataset=vector_file"]))


def test_a_class_that_no_batch_has_is_named(tmp_path: Path) -> None:
    words = ("dataset.batch_size=2", "trainer.limit_train_batches=1")
    with pytest.raises(UsageError, match=r"no image of class \d was among those trained on\ngive more of them"):
        trained(tmp_path / "run", short_config("bayes_classifier", *words))
