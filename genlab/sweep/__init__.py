"""Many runs from one command line.

``multirun`` is ``genlab train -m``, which Hydra drives; the rest is ``genlab sweep``, in which Optuna chooses the
settings of each trial: ``space`` (what is searched), ``study`` (Optuna's file), ``search`` (the trials), ``launchers``
(where they run), ``results`` (what was found). Neither torch nor Optuna is imported before it is needed.
"""

from genlab.sweep.multirun import launch, sweep

__all__ = ["launch", "sweep"]
