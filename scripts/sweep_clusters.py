"""Really runs one sweep on a Ray cluster of two local workers, and one as jobs of submitit, which SLURM gets them from.

    python scripts/sweep_clusters.py ray --out outputs/ray
    python scripts/sweep_clusters.py slurm --out outputs/slurm [--cluster slurm]

Ray's two workers are two nodes of one CPU each on this computer. Without SLURM, submitit's own local executor starts
the same jobs as processes. Prints when each trial was trained, in seconds from the first: two at a time.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

SWEEP = [
    *("search=random", "trials=4", "jobs=2", "objective=val/negative_elbo", "model=vae", "dataset=optdigits"),
    *("model.latent_dim=choice(2,10)", "optimizer.lr=tag(log,interval(1e-4,1e-2))", "trainer.max_epochs=3"),
    *("callbacks=none", "accelerator=cpu"),
]


def sweep(out: Path, words: list[str], environment: dict[str, str]) -> None:
    """Runs the sweep and prints its trials."""
    command = [sys.executable, "-m", "genlab", "sweep"]
    subprocess.run([*command, *SWEEP, *words, f"sweep_dir={out}"], env=os.environ | environment, check=True)
    shown = subprocess.run([*command, "show", str(out), "json=true"], capture_output=True, text=True, check=True)
    trials = sorted(json.loads(shown.stdout)["trials"], key=lambda trial: trial["number"])
    times = [
        [(Path(trial["run_dir"]) / name).stat().st_mtime for name in ("environment.json", "metrics.json")]
        for trial in trials
    ]
    for trial, (begin, end) in zip(trials, times, strict=True):
        value = trial["values"]["val/negative_elbo"]
        print(f"trial {trial['number']}: {begin - times[0][0]:.1f} to {end - times[0][0]:.1f} s, {value:.3f}")


def on_ray(out: Path) -> None:
    """A head without a CPU and two workers with one each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        sweep(out, ["launcher=ray"], {"RAY_ADDRESS": cluster.address})
    finally:
        cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("launcher", choices=("ray", "slurm"))
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--cluster", choices=("local", "slurm"), default="local", help="of submitit")
    given = parser.parse_args()
    if given.launcher == "ray":
        on_ray(given.out)
    else:
        sweep(given.out, ["launcher=slurm", f"+resources.cluster={given.cluster}", "+resources.timeout_min=60"], {})


if __name__ == "__main__":
    main()
