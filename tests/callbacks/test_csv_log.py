"""One row a logged step, and no gap and no double after a resume."""

from pathlib import Path

from genlab.callbacks.csv_log import CSVLog


def test_new_names_become_columns_and_old_rows_stay(tmp_path: Path) -> None:
    log = CSVLog(tmp_path / "log.csv", 0)
    log.log_metrics({"a": 1.0}, 0)
    log.log_metrics({"b": 0.1}, 1)
    assert (tmp_path / "log.csv").read_text().splitlines() == ["step,a,b", "1,1,", "2,,0.1"]


def test_rows_after_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    log = CSVLog(tmp_path / "log.csv", 0)
    for step in range(5):
        log.log_metrics({"a": float(step)}, step)
    with (tmp_path / "log.csv").open("a") as file:
        file.write("6")  # a row that was being written when the process was killed
    again = CSVLog(tmp_path / "log.csv", 3)
    again.log_metrics({"a": 3.0}, 3)
    assert (tmp_path / "log.csv").read_text().splitlines() == ["step,a", "1,0", "2,1", "3,2", "4,3"]


def test_values_keep_nine_digits_which_a_float32_needs(tmp_path: Path) -> None:
    CSVLog(tmp_path / "log.csv", 0).log_metrics({"a": 0.1234567891}, 0)
    assert "0.123456789\n" in (tmp_path / "log.csv").read_text()
