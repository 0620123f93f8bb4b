"""The trials of a sweep: asked of the study, carried out some at a time, told to the study."""

import json
import math
import shlex
import signal
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from genlab.config.values import shown
from genlab.config.words import key_of
from genlab.errors import GenlabError, InterruptedRunError, UsageError
from genlab.run import Run
from genlab.sweep.launchers import Launcher
from genlab.sweep.process import FORWARDED, POLL, log_of, say
from genlab.sweep.space import Space, identity
from genlab.sweep.study import JOURNAL, means, new_sampler, suggested
from genlab.sweep.work import Work

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

INTERRUPTED = tuple(128 + number for number in (*FORWARDED, signal.SIGKILL))
"""Exit codes of a run that was stopped from outside: it can go on."""


class TrialsFailedError(GenlabError):
    """Not every trial came to its end."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Plan:
    """How a sweep is carried out.

    Args:
        search: ``optuna``, ``grid``, ``random``, ``cmaes`` or ``nsga2``.
        objectives: the values that it searches by.
        directions: ``minimize`` or ``maximize``, of each.
        trials: how many; None for those that wait in the study, as the combinations of a grid do.
        repeats: runs of each trial.
        jobs: trials at a time.
        pruning: ``none``, ``median`` or ``hyperband``: ends trials that are behind the others.
    """

    search: str
    objectives: list[str]
    directions: list[str]
    trials: int | None
    repeats: int
    jobs: int
    pruning: str


@dataclass
class Outcome:
    """What came of a trial.

    Args:
        code: the exit code of its last run.
        metrics: the last values of each run that ended well.
    """

    code: int = 0
    reason: str = ""
    metrics: list[dict[str, float]] = field(default_factory=list)


class Search:
    """A sweep that is under way.

    Args:
        folder: of the sweep; ``3`` in it is the run of trial 3, and ``3-1``, ``3-2``, … are its repeats.
    """

    def __init__(self, folder: Path, study: "Study", space: Space, plan: Plan, launcher: Launcher) -> None:
        self.folder = folder
        self.study = study
        self.space = space
        self.plan = plan
        self.launcher = launcher
        self.signals: list[int] = []
        trials = [trial for trial in study.get_trials(deepcopy=False) if "outside" not in trial.user_attrs]
        self.codes: dict[int, int] = {
            trial.number: trial.user_attrs["exit_code"]
            for trial in trials
            if trial.state.name == "FAIL" and "exit_code" in trial.user_attrs
        }
        self.seen = {
            trial.user_attrs["trial"]["identity"]: trial.number
            for trial in reversed(trials)
            if "trial" in trial.user_attrs
        }
        self.under_way = [trial for trial in trials if trial.state.name == "RUNNING"]

    def run(self) -> None:
        """Goes on until every trial is told, or a signal comes.

        Raises:
            TrialsFailedError: some failed; the others are done.
            InterruptedRunError: a signal came.
            UsageError: the model logs no such objective.
        """
        handlers = {number: signal.signal(number, self.receive) for number in FORWARDED}
        try:
            with ThreadPoolExecutor(self.plan.jobs) as pool:
                self.carry_out_all(pool)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if self.signals:
            name = signal.Signals(self.signals[0]).name
            code = 130 if self.signals[0] == signal.SIGINT else 143
            raise InterruptedRunError(f"stopped by {name}; nothing is lost: the same command goes on", code)
        if self.codes:
            numbers = sorted(self.codes)
            raise TrialsFailedError(
                f"these trials did not come to their end: {', '.join(map(str, numbers))}; `genlab sweep show "
                f"{shlex.quote(str(self.folder))}` has the reasons\nthe same command goes on with what was stopped; "
                "retry=failed runs what failed again",
                self.codes[numbers[0]],
            )

    def receive(self, number: int, frame: FrameType | None) -> None:
        self.signals.append(number)

    def carry_out_all(self, pool: ThreadPoolExecutor) -> None:
        running: dict[Future[Outcome], FrozenTrial] = {}
        coming = self.coming()
        passed_on = 0
        try:
            while True:
                while len(running) < self.plan.jobs and not self.signals and (trial := next(coming, None)) is not None:
                    running[pool.submit(self.carry_out, trial)] = trial
                if not running:
                    return
                done, _ = wait(running, POLL, FIRST_COMPLETED)
                for number in self.signals[passed_on:]:
                    passed_on += 1
                    self.launcher.stop(number)
                for future in done:
                    self.tell(running.pop(future), future.result())
        except BaseException:
            self.signals.append(signal.SIGINT)  # no thread begins another run
            self.launcher.stop(signal.SIGINT)
            raise

    def coming(self) -> "Iterator[FrozenTrial]":
        """The trials that were under way when the sweep was stopped, then new ones."""
        from optuna.trial import Trial

        for frozen in self.under_way:
            if "trial" in frozen.user_attrs:
                has_checkpoint = bool(Run(self.folder / str(frozen.number)).candidates())
                begins = "goes on" if has_checkpoint else "starts again"
                say(f"trial {frozen.number} {begins}: {shlex.join(frozen.user_attrs['trial']['words'])}")
                yield frozen
                continue
            self.study.sampler = new_sampler(self.plan.search, self.space.seed, frozen.number)
            if (trial := self.begin(Trial(self.study, frozen._trial_id))) is not None:
                yield trial
        is_idle = not self.under_way
        while (number := self.next_number()) is not None:
            is_idle = False
            self.study.sampler = new_sampler(self.plan.search, self.space.seed, number)
            if (trial := self.begin(self.study.ask())) is not None:
                yield trial
        if is_idle:
            say("nothing is left to run" + ("; more trials= adds to those that are there" if self.plan.trials else ""))

    def next_number(self) -> int | None:
        """The number of the next new trial; None if there are enough."""
        trials = self.study.get_trials(deepcopy=False)
        if self.plan.trials is None:
            return next((trial.number for trial in trials if trial.state.name == "WAITING"), None)
        if sum("outside" not in trial.user_attrs for trial in trials) >= self.plan.trials:
            return None
        if self.space.size is not None and len(self.seen) >= self.space.size:
            say(f"all {self.space.size} combinations have been tried")
            return None
        return len(trials)

    def begin(self, trial: "Trial") -> "FrozenTrial | None":
        """Gives a new trial its settings; None if an earlier one has the same, whose run is enough."""
        from optuna.trial import TrialState

        distributions = {axis.key: axis.distribution for axis in self.space.axes}
        values = suggested(self.study, trial, self.plan.search, self.space.seed, distributions)
        words = [f"{key}={value}" for key, value in zip(distributions, values, strict=True)]
        config = self.space.compose(words).config
        key = identity(config)
        if (same := self.seen.setdefault(key, trial.number)) != trial.number:
            say(f"trial {trial.number} would be the same as trial {same} ({shlex.join(words)}), which is enough")
            trial.set_user_attr("same_as", same)
            self.study.tell(trial, state=TrialState.FAIL)
            return None
        trial.set_user_attr("trial", {"words": words, "config": config, "identity": key})
        say(f"trial {trial.number} starts: {shlex.join(words)} in {self.folder / str(trial.number)}")
        return self.study.get_trials(deepcopy=False)[trial.number]

    def carry_out(self, trial: "FrozenTrial") -> Outcome:
        """Runs a trial, as often as it is to be repeated; in a thread of its own."""
        outcome = Outcome()
        for repeat, run in enumerate(self.runs(trial)):
            if repeat and not run.is_finished:
                say(f"trial {trial.number}: run {repeat + 1} of {self.plan.repeats} in {run.folder}")
            if self.signals:
                return Outcome(128 + self.signals[0])
            outcome.code = self.launcher.run(run)
            if outcome.code:
                outcome.reason = reason(run.folder, outcome.code)
                return outcome
            metrics = run.folder / "metrics.json"
            outcome.metrics.append(json.loads(metrics.read_text(encoding="utf-8")))
            if Run(run.folder).status.get("pruned") is not None:
                return outcome
        return outcome

    def runs(self, trial: "FrozenTrial") -> list[Work]:
        """The runs of a trial; the first reports to the study, which may prune it."""
        attributes = trial.user_attrs["trial"]
        settings = {**self.space.settings, **{key_of(word): word for word in attributes["words"]}}
        first = self.folder / str(trial.number)
        reporting = f"{{_target_:genlab.callbacks.pruning.Pruning,study:../{JOURNAL},trial:{trial.number}}}"
        works = [Work([*settings.values(), f"+callbacks.pruning={reporting}"], first)]
        for repeat in range(1, self.plan.repeats):
            settings["seed"] = f"seed={attributes['config']['seed'] + repeat}"
            works.append(Work(list(settings.values()), first.with_name(f"{first.name}-{repeat}")))
        return works

    def tell(self, trial: "FrozenTrial", outcome: Outcome) -> None:
        """Writes what came of a trial into the study."""
        from optuna.trial import Trial, TrialState

        number = trial.number
        if outcome.code in INTERRUPTED:
            say(f"trial {number} was stopped; the same command goes on with it")
            if not self.signals:
                self.codes[number] = outcome.code
            return
        record = Trial(self.study, trial._trial_id)
        if "wrong_objective" in record.user_attrs:
            raise UsageError(record.user_attrs["wrong_objective"])
        values = [] if outcome.code else means(outcome.metrics, self.plan.objectives)
        if not outcome.code and not all(math.isfinite(value) for value in values):
            outcome = Outcome(5, f"{shown(self.plan.objectives)} is {shown(values)}", outcome.metrics)
        record.set_user_attr("metrics", outcome.metrics)
        if outcome.code:
            self.codes[number] = outcome.code
            record.set_user_attr("reason", outcome.reason)
            record.set_user_attr("exit_code", outcome.code)
            self.study.tell(number, state=TrialState.FAIL)
            say(f"trial {number} failed, exit code {outcome.code}: {outcome.reason}")
        elif "pruned" in record.user_attrs:
            self.study.tell(number, state=TrialState.PRUNED)
            say(f"trial {number} was pruned after epoch {record.user_attrs['pruned']}")
        else:
            self.study.tell(number, values)
            found = ", ".join(f"{name} {value:.5g}" for name, value in zip(self.plan.objectives, values, strict=True))
            say(f"trial {number} finished: {found}")


def reason(folder: Path, code: int) -> str:
    """Why a run failed: what it says itself, else the end of its output."""
    run = Run(folder)
    if (folder / "config.yaml").is_file() and (why := run.status.get("reason")):
        return str(why)
    for log in (log_of(folder), folder / "console.log"):
        if log.is_file():
            text = log.read_text(encoding="utf-8", errors="replace")
            return text.rpartition("genlab: ")[2].strip()[-1000:]
    return f"exit code {code}"
