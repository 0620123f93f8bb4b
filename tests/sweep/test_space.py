"""What words mean as a space to search."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from genlab.config import compose
from genlab.errors import UsageError
from genlab.sweep.space import Space, identity, new_space


def axis_of(word: str) -> object:
    (axis,) = new_space({}, [word]).axes
    return axis.distribution


@pytest.mark.parametrize(
    ("word", "distribution"),
    [
        ("model.latent_dim=choice(2,10)", CategoricalDistribution(("2", "10"))),
        ("model.latent_dim=2,10,2", CategoricalDistribution(("2", "10"))),
        ("model=choice(vae,iwae)", CategoricalDistribution(("vae", "iwae"))),
        ("model.hidden_dims=[500],[200,200]", CategoricalDistribution(("[500]", "[200,200]"))),
        ("seed=range(1,10,3)", IntDistribution(1, 7, step=3)),
        ("model.beta=range(0,1,0.25)", FloatDistribution(0, 0.75, step=0.25)),
        ("optimizer.lr=interval(1,8)", FloatDistribution(1, 8)),
        ("model.latent_dim=int(interval(1,8))", IntDistribution(1, 8)),
        ("optimizer.lr=tag(log, interval(1e-4, 1e-2))", FloatDistribution(1e-4, 1e-2, log=True)),
        ("model.latent_dim=tag(log,int(interval(1,64)))", IntDistribution(1, 64, log=True)),
    ],
)
def test_hydras_notation_becomes_optunas_distributions(word: str, distribution: object) -> None:
    assert axis_of(word) == distribution


def test_a_grid_has_every_combination_in_order() -> None:
    space = new_space({}, ["model.latent_dim=1,2", "seed=range(0,3)"])
    points = [["model.latent_dim=1", "seed=0"], ["model.latent_dim=1", "seed=1"], ["model.latent_dim=1", "seed=2"]]
    assert space.points()[:3] == points
    assert len(space.points()) == space.size == 6
    assert space.parameters(["model.latent_dim=2", "seed=1"]) == {"model.latent_dim": "2", "seed": 1}


def test_every_end_of_every_axis_is_checked() -> None:
    space = new_space({}, ["model.latent_dim=1,2,3", "optimizer.lr=interval(0.1,0.2)"])
    assert space.size is None
    assert {word for words in space.ends() for word in words} == {
        *("model.latent_dim=1", "model.latent_dim=2", "model.latent_dim=3", "optimizer.lr=0.1", "optimizer.lr=0.2"),
    }


def test_words_win_over_the_recipe() -> None:
    recipe = {"model": "vae", "optimizer.lr": "interval(1,2)", "seed": 3}
    space = new_space(recipe, ["model=iwae", "optimizer.lr=0.1", "model.beta=1,2"])
    assert space.settings == {"seed": "seed=3", "model": "model=iwae", "optimizer.lr": "optimizer.lr=0.1"}
    assert [axis.key for axis in space.axes] == ["model.beta"]


def test_a_trial_is_its_configuration_wherever_it_runs() -> None:
    space = Space({"model": "model=vae"}, (), 0)

    def key(*words: str) -> str:
        return identity(space.compose(words).config)

    assert key("optimizer.lr=1e-3") == key("optimizer.lr=0.001", "run_dir=a", "jobs=3")
    assert key("optimizer.lr=1e-3") != key("optimizer.lr=1e-4")


def test_a_trial_of_another_search_is_inside_if_this_one_could_have_made_it() -> None:
    space = new_space({"model": "vae"}, ["optimizer.lr=interval(0.1,0.2)", "model.latent_dim=2,5"])

    def inside(*words: str) -> dict[str, object] | None:
        return space.parameters_of(words, identity(compose("train", ["model=vae", *words]).config))

    assert inside("model.latent_dim=5", "optimizer.lr=0.15") == {"optimizer.lr": 0.15, "model.latent_dim": "5"}
    assert inside("model.latent_dim=5", "optimizer.lr=0.25") is None
    assert inside("model.latent_dim=4", "optimizer.lr=0.15") is None
    assert inside("model.latent_dim=5") is None
    assert inside("model.latent_dim=5", "optimizer.lr=0.15", "seed=3") is None  # what is fixed differs


def test_words_of_hydra_itself_are_refused() -> None:
    with pytest.raises(UsageError, match="genlab sweep chooses by its own keys"):
        new_space({}, ["hydra/sweeper=basic", "seed=1,2"])
