"""The file of a sweep survives what files meet, and a copy of a study keeps the trials' numbers."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import Trial, TrialState, create_trial

from genlab.errors import UsageError
from genlab.sweep.study import copied, means, mend, new_sampler, new_study, open_study, suggested, value_of, waiting

DEFINITION: dict[str, Any] = {"objective": ["loss"], "direction": ["minimize"], "pruning": "none", "repeats": 1}
SPACE: dict[str, BaseDistribution] = {"a": FloatDistribution(0, 1), "b": CategoricalDistribution(("x", "y"))}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "study.journal"


def test_a_line_that_a_power_cut_left_half_written_is_cut_off(file: Path) -> None:
    study = new_study(file, DEFINITION, [])
    trial = study.ask(SPACE)
    whole = file.read_bytes()
    for half in (b"{", whole.splitlines(keepends=True)[-1][:-1]):
        file.write_bytes(whole + half)
        mend(file)
        assert file.read_bytes() == whole
    again = open_study(file)
    assert again is not None
    assert again.trials[0].params == trial.params
    again.tell(0, 1.0)
    mend(file)
    last = open_study(file)
    assert last is not None
    assert last.best_value == 1.0


def test_a_study_counts_from_its_definition_on(file: Path) -> None:
    assert open_study(file) is None
    new_study(file, DEFINITION, [])
    whole = new_study(file, DEFINITION | {"repeats": 3}, [])
    optuna.create_study(study_name="killed before it had one", storage=whole._storage)
    study = open_study(file)
    assert study is not None
    assert study.user_attrs["definition"]["repeats"] == 3


def test_what_a_sampler_draws_depends_on_the_seed_and_the_number_of_the_trial_alone(file: Path) -> None:
    def drawn(seed: int, number: int) -> dict[str, Any]:
        study = optuna.create_study(sampler=new_sampler("random", seed, number))
        return study.ask(SPACE).params

    assert drawn(0, 3) == drawn(0, 3)
    assert len({drawn(seed, number)["a"] for seed in range(5) for number in range(5)}) == 25


@pytest.mark.parametrize("search", ["random", "optuna"])
def test_a_trial_killed_between_two_parameters_gets_the_same_ones(search: str) -> None:
    space: dict[str, BaseDistribution] = {"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1)}
    whole, killed = optuna.create_study(), optuna.create_study()
    values = suggested(whole, whole.ask(), search, 0, space)
    begun = killed.ask()
    killed.sampler = new_sampler(search, 0, 0)
    begun._suggest("a", space["a"])
    assert suggested(killed, Trial(killed, begun._trial_id), search, 0, space) == values
    assert len({*values, *suggested(whole, whole.ask(), search, 0, space)}) == 4


def trial(state: TrialState, **attributes: Any) -> optuna.trial.FrozenTrial:
    return create_trial(
        state=state,
        values=[1.0] if state == TrialState.COMPLETE else None,
        params={"a": 0.5, "b": "x"},
        distributions=SPACE,
        user_attrs={"trial": {"words": []}, **attributes},
    )


def test_a_failed_trial_is_under_way_again_on_request_and_only_then() -> None:
    failed = trial(TrialState.FAIL, reason="why", exit_code=5, metrics=[])
    assert copied(failed, DEFINITION, SPACE, failed.params, True, retry=False).state == TrialState.FAIL
    again = copied(failed, DEFINITION, SPACE, failed.params, True, retry=True)
    assert again.state == TrialState.RUNNING
    assert again.user_attrs == {"trial": {"words": []}}
    assert again.params == failed.params


def test_a_duplicate_is_not_run_on_request() -> None:
    duplicate = create_trial(state=TrialState.FAIL, user_attrs={"same_as": 0})
    assert copied(duplicate, DEFINITION, SPACE, {}, True, retry=True).state == TrialState.FAIL


def test_another_objective_is_read_from_what_the_runs_logged() -> None:
    done = trial(TrialState.COMPLETE, metrics=[{"loss": 1.0, "val/elbo": -7.0}])
    other = DEFINITION | {"objective": ["val/negative_elbo"]}
    assert copied(done, other, SPACE, done.params, False, retry=False).values == [7.0]
    with pytest.raises(UsageError, match="objective=fid: the model logs no such value; it logs: loss, val/elbo"):
        copied(done, DEFINITION | {"objective": ["fid"]}, SPACE, done.params, False, retry=False)


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED, TrialState.RUNNING])
def test_a_trial_outside_of_another_search_counts_for_nothing_until_it_is_inside_again(state: TrialState) -> None:
    done = trial(state, metrics=[{"loss": 1.0}])
    outside = copied(done, DEFINITION, SPACE, None, False, retry=False)
    assert (outside.state, outside.params) == (TrialState.FAIL, {})
    again = copied(outside, DEFINITION, SPACE, done.params, False, retry=False)
    assert (again.state, again.values, again.params) == (state, done.values, done.params)


def test_trials_that_wait_are_taken_in_order(file: Path) -> None:
    study = new_study(file, DEFINITION, [waiting({"a": value, "b": "y"}) for value in (0.3, 0.1, 0.2)])
    assert [study.ask(SPACE).params["a"] for _ in range(3)] == [0.3, 0.1, 0.2]


def test_the_value_of_a_trial_is_the_mean_of_its_runs() -> None:
    assert means([{"x": 1.0, "y": 5.0}, {"x": 2.0, "y": 6.0}], ["y", "x"]) == [5.5, 1.5]


def test_a_negative_is_had_of_what_is_logged() -> None:
    assert value_of("val/negative_elbo", {"val/elbo": -3.0}) == 3.0
    assert value_of("val/negative_elbo", {"val/elbo": -3.0, "val/negative_elbo": 4.0}) == 4.0
    with pytest.raises(UsageError):
        value_of("val/elbo", {"val/negative_elbo": 4.0})
