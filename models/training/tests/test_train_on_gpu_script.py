"""gpu.sh, with a stub in place of Python: what it passes on, what it refuses, what it brings back, and that a failure ends it."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "gpu.sh"
STUB = """#!/bin/bash
echo "$@" >> "$OUT/calls"
case "$*" in *"hemocast_training train"*)
  mkdir -p "$OUT/tiny-1"
  touch "$OUT/tiny-1/"{config.json,log.jsonl,curves.png}
  for epoch in ${EPOCHS:-}; do
    { echo "epoch $epoch"; head -c 13000000 /dev/urandom; } > "$OUT/tiny-1/checkpoint.partial"
    mv "$OUT/tiny-1/checkpoint.partial" "$OUT/tiny-1/checkpoint.pt"
    sleep 4
  done ;;
esac
case "$*" in *"${FAIL:-nothing fails}"*) exit 1 ;; esac
"""


@pytest.fixture()
def script(tmp_path):
    """Runs gpu.sh with words, and a command that fails where one is named; returns (exit status, stderr, calls of Python)."""
    stub = tmp_path / "python"
    stub.write_text(STUB)
    stub.chmod(0o755)
    (tmp_path / "calls").touch()

    def call(*words, fail="nothing fails", epochs=""):
        variables = {**os.environ, "OUT": str(tmp_path), "ANATOMY": "maps", "PYTHON": str(stub), "FAIL": fail, "EPOCHS": epochs}
        done = subprocess.run([str(SCRIPT), *words], env=variables, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr, (tmp_path / "calls").read_text().splitlines()

    return call


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "--device", "cuda"), ("simulate", "--minutes", "1"), ("train", "--pairs", "1"), ("train", "--workers", "1"),
        ("train", "--shift", "none"), ("train", "--nonsense", "1"), ("train", "--minutes"), ("evaluate",),
    ],
)
def test_what_a_command_would_ignore_is_refused_by_name(script, words):
    status, error, calls = script(*words)
    assert status == 2 and words[-1 if len(words) < 2 else 1] in error and not calls


def test_both_cohorts_are_simulated_with_what_was_asked_for(script):
    words = ["--pairs", "70", "--workers", "3", "--shift", "wide-anatomy", "--seed", "4", "--validate", "60"]
    status, error, calls = script("simulate", *words)
    assert status == 0 and not error
    assert sorted(call.split("--split ")[1].split(" --out")[0] for call in calls) == [
        "train --seed 2032 --count 70 --workers 3 --shift wide-anatomy", "validation --seed 2028 --count 60 --workers 2 --shift none",
    ]


@pytest.mark.parametrize("cohort", ["train", "validation"])
def test_a_cohort_that_fails_fails_the_command_and_whoever_waits_for_it_until_it_is_made(script, tmp_path, cohort):
    status, error, _ = script("simulate", fail=f"--split {cohort}")
    assert status == 1 and f"the {cohort} cohort was not simulated" in error
    status, error, calls = script("train")
    assert status == 1 and "simulate has failed, no shards will come" in error and len(calls) == 2
    assert script("simulate")[0] == 0
    for name in ("train", "validation"):
        (tmp_path / "cohorts" / name).mkdir()
        (tmp_path / "cohorts" / name / "cohort.json").touch()
    status, _, calls = script("train", "--epoch-pairs", "700", "--start", "run")
    assert status == 0 and "--epoch-pairs 700" in calls[4] and "--start run" in calls[4]
    assert calls[5] == f"-m hemocast_training.checkpoint {tmp_path / 'tiny-1'}"


@pytest.mark.parametrize("fail", ["nothing fails", "hemocast_training train"])
def test_the_newest_checkpoint_is_brought_back_whole_also_of_a_training_that_fails(script, tmp_path, fail):
    for name in ("train", "validation"):
        (tmp_path / "cohorts" / name).mkdir(parents=True)
        (tmp_path / "cohorts" / name / "cohort.json").touch()
    status, error, _ = script("train", "--back", str(tmp_path / "back"), fail=fail, epochs="1 2")
    assert (status, error) == (int(fail != "nothing fails"), "")
    brought = tmp_path / "back" / "tiny-1"
    parts = sorted(brought.glob("checkpoint.pt.*"))
    assert b"".join(part.read_bytes() for part in parts) == (tmp_path / "tiny-1" / "checkpoint.pt").read_bytes()
    assert parts[0].read_bytes()[:7] == b"epoch 2" and all(part.stat().st_size <= 12 << 20 for part in parts) and len(parts) == 2
    assert {"config.json", "log.jsonl", "curves.png"} <= {path.name for path in brought.iterdir()}
