"""Diagrams: principal components, what a scatter shows, and what is said without matplotlib."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from genlab import plots
from genlab.errors import UsageError


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch) -> Figure:
    """The figure that the next diagram is drawn in."""
    drawn = Figure()
    monkeypatch.setattr(plots, "new_figure", lambda width, height: drawn)
    return drawn


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_principal_components_are_where_the_points_vary_most() -> None:
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64)).Q
    scores = torch.randn(4000, 5, generator=generator, dtype=torch.float64) * torch.tensor([3, 2, 0.1, 0.1, 0.1])
    found, shares = plots.principal_components(scores @ axes.T + 7)
    torch.testing.assert_close(shares, torch.tensor([9, 4], dtype=torch.float64) / 13.03, rtol=0.05, atol=0)
    covariance = found.T.cov()
    assert abs(covariance[0, 1].item()) < 1e-10
    torch.testing.assert_close(covariance.diagonal(), scores.T.cov().diagonal()[:2], rtol=0.01, atol=0)


def test_principal_components_have_a_fixed_sign() -> None:
    points = torch.randn(100, 6, generator=torch.Generator().manual_seed(0))
    found, _ = plots.principal_components(points)
    again, _ = plots.principal_components(points.flip(0))
    torch.testing.assert_close(found, again.flip(0))


def test_points_that_are_all_equal_have_no_variance() -> None:
    found, shares = plots.principal_components(torch.full((10, 3), 2.5))
    assert not found.any()
    assert shares.tolist() == [0, 0]


def test_two_latents_are_shown_as_they_are(figure: Figure, tmp_path: Path) -> None:
    latent = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    plots.latent_scatter(latent, torch.tensor([1, 0, 1]), ["zero", "one"], tmp_path / "scatter.png")
    axes: Axes = figure.axes[0]
    assert axes.get_xlabel() == "first latent"
    shown: list[Any] = [points.get_offsets() for points in axes.collections]
    assert [len(points) for points in shown] == [1, 2]
    assert shown[1].tolist() == [[0, 1], [4, 5]]
    assert legend(figure) == ["zero", "one"]
    with Image.open(tmp_path / "scatter.png") as picture:
        assert picture.size[0] > 400


def test_more_latents_are_shown_by_their_principal_components(figure: Figure, tmp_path: Path) -> None:
    latent = torch.tensor([[-1.0, 0, 0], [1.0, 0, 0], [0, 0, 0]])
    plots.latent_scatter(latent, torch.tensor([0, 0, 2]), None, tmp_path / "scatter.png")
    assert figure.axes[0].get_xlabel() == "first principal component (100% of the variance)"
    assert figure.axes[0].get_ylabel() == "second principal component (0% of the variance)"
    assert legend(figure) == ["0", "2"]


def test_of_many_classes_the_colours_are_a_scale(figure: Figure, tmp_path: Path) -> None:
    plots.latent_scatter(torch.randn(50, 2), torch.arange(50), None, tmp_path / "scatter.png")
    assert not figure.legends
    assert len(figure.axes) == 2  # the points and the scale


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"this diagram needs matplotlib: pip install .*\[plots\]"):
        plots.new_figure(1, 1)


def test_matplotlib_is_not_imported_before_a_diagram_is_drawn() -> None:
    code = "import sys, genlab.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
