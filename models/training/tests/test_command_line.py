"""The command line: every command says how it is used, and wrong use is named."""

import pytest

from hemocast_training import DISCLAIMER
from hemocast_training.__main__ import COMMANDS, main


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: python3 -m hemocast_training %s" % command) and "--" in shown


def test_without_a_command_all_of_them_are_listed(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in COMMANDS)
    assert DISCLAIMER in " ".join(shown.split())


def test_a_missing_label_map_is_named_with_what_to_do(tmp_path, capsys):
    arguments = ["--anatomy", str(tmp_path), "--anatomy-cache", str(tmp_path / "cache"), "--seed", "1", "--count", "10"]
    assert main(["acceptance", *arguments]) == 1
    assert "SynthSeg" in capsys.readouterr().err
    assert main(["montage", *arguments, "--out", str(tmp_path / "pairs.png")]) == 1
    assert not (tmp_path / "pairs.png").exists()


def test_too_few_patients_are_refused_before_anything_is_simulated(tmp_path, capsys):
    assert main(["acceptance", "--anatomy", str(tmp_path), "--seed", "1", "--count", "3"]) == 1
    assert "at least 10" in capsys.readouterr().err
