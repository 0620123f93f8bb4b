"""``genlab sample`` of models that write text: samples.txt, what is printed, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from child import TRAIN, genlab
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from genlab.loaded_run import load_model
from genlab.texts import blocks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    runs = {
        "letters": ["model=char_language_model", "model.hidden_dim=8", "model.sample_length=40"],
        "words": ["model=article_spinner", "trainer.limit_train_batches=1.0", "dataset.batch_size=512"],
        "images": ["model=gmm", "model.num_components=2"],
    }
    for name, words in runs.items():
        code, output = genlab(*TRAIN, "trainer.max_steps=10", f"run_dir={name}", *words, folder=folder)
        assert code == 0, output
    return folder


def drawn(folder: Path, *words: str) -> dict[str, Any]:
    code, output = genlab("sample", *words, "json=true", folder=folder)
    assert code == 0, output
    return json.loads(output)


def test_texts_are_written_and_printed(folder: Path) -> None:
    code, output = genlab("sample", "letters", "output=some", folder=folder)
    assert code == 0, output
    assert {path.name for path in (folder / "some").iterdir()} == {"samples.txt", "samples.npz"}
    written = (folder / "some" / "samples.txt").read_text(encoding="utf-8")
    assert output.endswith(written)
    assert output.startswith("4 x 40, kind=samples, of checkpoint 'last', step 6, seed 0\n")
    about = drawn(folder, "letters", "output=some")
    texts = about["texts"]
    assert isinstance(texts, list)
    assert [len(text) for text in texts] == [40] * 4
    assert written == blocks(texts, [])
    array = np.load(folder / "some" / "samples.npz")["samples"]
    assert ["".join(map(chr, row)) for row in array] == texts


def test_a_seed_gives_the_same_texts_whatever_the_batch(folder: Path) -> None:
    texts = drawn(folder, "letters", "num_samples=5", "seed=3")["texts"]
    assert isinstance(texts, list)
    assert drawn(folder, "letters", "num_samples=5", "seed=3", "batch_size=2")["texts"] == texts
    assert drawn(folder, "letters", "num_samples=2", "seed=3")["texts"] == texts[:2]
    assert drawn(folder, "letters", "seeds=3-4")["texts"][0] == texts[0]
    assert len(set(texts)) == 5


def test_a_text_is_gone_on_from(folder: Path) -> None:
    about = drawn(folder, "letters", "text=ROMEO:", "num_samples=3")
    texts = about["texts"]
    assert isinstance(texts, list)
    assert len(set(texts)) == 3
    assert all(text.startswith("ROMEO:") and len(text) == 46 for text in texts)
    assert about["shape"] == [3, 46]
    assert Path(str(about["folder"])).name == "samples-last-seed-0-text-ROMEO_"


def test_a_low_temperature_draws_frequent_letters(folder: Path) -> None:
    def share_of_commonest(*words: str) -> float:
        texts = drawn(folder, "letters", "num_samples=20", *words)["texts"]
        assert isinstance(texts, list)
        letters = "".join(texts)
        return letters.count(max(letters, key=letters.count)) / len(letters)

    assert share_of_commonest("temperature=0.1") > 2 * share_of_commonest()


def test_unknown_characters_are_listed(folder: Path) -> None:
    code, output = genlab("sample", "letters", "text=Ça va?", folder=folder)
    assert code == 2
    assert "text has characters that the training text has not: 'Ç'" in output
    assert "known ones: !$&',-.3:;?ABC" in output


def test_a_text_is_given_other_words(folder: Path) -> None:
    text = "He was the king of the city and the lord of the land."
    about = drawn(folder, "words", f"text={text}", "seeds=0-5")
    texts = about["texts"]
    assert isinstance(texts, list)
    assert len(set(texts)) > 1
    assert all(new.startswith("He ") and new.endswith(".") for new in texts)
    assert drawn(folder, "words", f"text={text}", "seeds=[4]")["texts"] == [texts[4]]
    assert len(drawn(folder, "words", f"text={text}")["texts"]) == 1
    model: Any = load_model(str(folder / "words")).model
    assert model.rewrite(text, torch.Generator().manual_seed(4)) == texts[4]


def test_a_text_that_stays_as_it_is_is_said_to(folder: Path) -> None:
    code, output = genlab("sample", "words", "text=Zyx wvu tsr qpo.", folder=folder)
    assert code == 0, output
    assert "unchanged: with this seed no word was replaced, as few stood between the same two in the training" in output
    assert "seeds=0-9 draws ten times" in output


def test_held_out_sentences_are_rewritten_and_shown(folder: Path) -> None:
    code, output = genlab("sample", "words", "num_samples=3", "output=spun", folder=folder)
    assert code == 0, output
    assert output.count("\n=> ") == 3
    arrays = dict(np.load(folder / "spun" / "samples.npz"))
    test: Any = load_model(str(folder / "words")).dataset
    test.setup()
    held_out = " ".join(test.sources["test"].text.split())
    for row in arrays["given"]:
        assert "".join(map(chr, row[row > 0])) in held_out
    again = drawn(folder, "words", "num_samples=3", "seed=1", "output=spun")
    assert again["texts"] != ["".join(map(chr, row[row > 0])) for row in arrays["samples"]]
    np.testing.assert_array_equal(np.load(folder / "spun" / "samples.npz")["given"], arrays["given"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["images", "text=Hello"], "text='Hello': GMM takes no text; leave the word out"),
        (["letters", "text=A", "kind=reconstructions"], "text=A goes with kind=samples, not kind=reconstructions"),
        (["letters", "labels=[1]"], "CharLanguageModel takes no labels"),
        (["words", "labels=[1]"], "ArticleSpinner takes no labels"),
        (["words", "attributes=[glasses]"], "ArticleSpinner takes no attributes"),
        (["words", "seeds=0-3", "num_samples=2"], "seeds=0-3 says how many"),
        (["words", "num_samples=100000"], "held-out sentences of 8 words and marks, 100000 are needed"),
        (["letters", "kind=walk"], "CharLanguageModel has no latent space"),
        (["words", "kind=neighbours"], "'tiny_shakespeare_words' holds no images"),
    ],
)
def test_what_does_not_go_together_is_refused(folder: Path, words: list[str], message: str) -> None:
    code, output = genlab("sample", *words, folder=folder)
    assert code in (2, 3)
    assert message in output


def test_a_run_shows_its_texts_and_is_evaluated(folder: Path) -> None:
    for run, last, metric in (("letters", 2, "bits_per_character"), ("words", 2, "bits_per_word")):
        shown = (folder / run / "samples" / f"epoch-{last:04d}.txt").read_text(encoding="utf-8")
        assert shown.count("--- 000") == 4
        events = EventAccumulator(str(folder / run / "tensorboard")).Reload()
        assert "samples/text_summary" in events.Tags()["tensors"]
        code, output = genlab("evaluate", run, "json=true", folder=folder)
        assert code == 0, output
        scores = json.loads(output)["metrics"]
        assert 2 ** scores[metric] == pytest.approx(scores["perplexity"])
