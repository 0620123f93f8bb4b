"""The wheel holds all that genlab needs: built, installed elsewhere, trained for two batches."""

import os
import subprocess
import sys
from pathlib import Path

from conftest import SHORT

ROOT = Path(__file__).parents[1]


def test_a_wheel_trains_from_anywhere(tmp_path: Path) -> None:
    def python(*words: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT))
    (wheel,) = (tmp_path / "dist").glob("genlab-*.whl")
    site = tmp_path / "site"
    python("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel))
    where = python("-c", "import genlab; print(genlab.__file__)", PYTHONPATH=str(site))
    assert Path(where.strip()).is_relative_to(site)
    words = ["train", *SHORT, "trainer.max_steps=2", "run_dir=run"]
    assert "genlab resume run" in python("-m", "genlab", *words, PYTHONPATH=str(site))
    assert (tmp_path / "run" / "checkpoints" / "step-000000002.ckpt").is_file()
    listed = python("-m", "genlab", *words[:-1], "-m", "seed=1,2", "run_dir=sweep", PYTHONPATH=str(site))
    assert "2 of 2 jobs succeeded" in listed
