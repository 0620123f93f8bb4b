"""Several processes of one training: they do what one does, and end together."""

import json
import signal
from pathlib import Path
from typing import Any

import torch
from conftest import differences, short_config, trained
from ranks import train_by

WORDS = ["precision=64-true"]


def of_four() -> dict[str, Any]:
    return short_config("vae", "accelerator=ddp_cpu", "accelerator.devices=4", *WORDS)


def test_four_processes_train_as_one(tmp_path: Path) -> None:
    assert train_by(4, tmp_path / "run", of_four()) == [0] * 4
    each = [torch.load(tmp_path / f"rank-{rank}.pt") for rank in range(4)]
    assert all(differences(each[0], other) == [] for other in each[1:])
    alone = trained(tmp_path / "alone", short_config("vae", *WORDS))["state_dict"]
    for name, weights in alone.items():
        torch.testing.assert_close(each[0][name], weights, rtol=1e-6, atol=1e-9)


def test_a_killed_process_ends_the_others_and_they_say_so(tmp_path: Path) -> None:
    codes = train_by(4, tmp_path / "run", of_four(), killed_at=4)
    assert codes == [6, 6, 6, -signal.SIGKILL]
    said = (tmp_path / "rank-0.txt").read_text(encoding="utf-8")
    assert "another process of this training is gone" in said
    assert "genlab resume" in said
    status = json.loads((tmp_path / "run" / "status.json").read_text(encoding="utf-8"))
    assert (status["state"], status["step"]) == ("failed", 3)
    assert status["reason"] == said
