"""`base`: windows that do not leak, positions that are counted right, one map for both tasks, and the graph it exports."""

import numpy as np
import pytest
import torch

from hemocast_training import device
from hemocast_training.__main__ import build_parser
from hemocast_training.data import Cohort
from hemocast_training.deployed import DeployedNetwork, FeatureCloud
from hemocast_training.device import choose_device
from hemocast_training.network import NetworkConfig, build_network, preset
from hemocast_training.network.swin import InteractiveWindowBlock, WindowAttentionMap, Windows, WindowSelfAttentionBlock
from hemocast_training.onnx_model import export_onnx, infer, open_session
from hemocast_training.train import Budget, Trainer, chosen_network

from runtime import need_onnxruntime
from synthetic import write_toy_cohort

GRID, WINDOW = (4, 8, 8), (4, 4, 4)
TOKENS = 4 * 8 * 8
SMALL = NetworkConfig(name="base", widths=(8, 16, 32), token_dim=32, heads=2)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def token(z: int, y: int, x: int) -> int:
    return (z * 8 + y) * 8 + x


@pytest.mark.parametrize("shifted", [False, True])
def test_cutting_into_windows_and_back_loses_and_moves_nothing(shifted):
    x = torch.randn(2, TOKENS, 3)
    windows = Windows(GRID, WINDOW, shifted)
    assert windows.shift == ((0, 2, 2) if shifted else (0, 0, 0))
    assert windows.enter(x).shape == (8, 64, 3)
    assert torch.equal(windows.leave(windows.enter(x)), x)


def reach(windows: Windows, place: int) -> set:
    """The tokens whose output changes when one token changes."""
    block = WindowSelfAttentionBlock(8, 2, windows, density_bias=True).eval()
    x, prior = torch.randn(1, TOKENS, 8), torch.full((1, TOKENS), 0.1)
    changed = x.clone()
    changed[0, place] += 3 * torch.randn(8)
    with torch.no_grad():
        moved = (block(changed, prior) - block(x, prior)).abs().amax(2)[0]
    return set(torch.nonzero(moved > 1e-7).flatten().tolist())


def box(ys: range, xs: range) -> set:
    return {token(z, y, x) for z in range(4) for y in ys for x in xs}


def test_a_token_is_seen_in_its_window_only():
    assert reach(Windows(GRID, WINDOW, False), token(1, 1, 6)) == box(range(4), range(4, 8))


def test_shifted_windows_join_neighbours_and_never_the_opposite_edges_of_the_head():
    shifted = Windows(GRID, WINDOW, True)
    assert reach(shifted, token(0, 4, 4)) == box(range(2, 6), range(2, 6))
    assert reach(shifted, token(0, 0, 0)) == box(range(2), range(2))
    assert reach(shifted, token(0, 7, 3)) == box(range(6, 8), range(2, 6))


def test_the_position_bias_depends_on_the_offset_of_two_tokens_and_its_reverse_is_the_mirrored_row():
    windows = Windows(GRID, WINDOW, False)
    relative = windows.relative
    assert windows.positions == 7 * 7 * 7
    assert relative.min() == 0 and relative.max() == windows.positions - 1
    assert torch.equal(relative + relative.T, torch.full_like(relative, windows.positions - 1))
    # Two pairs of tokens with the same offset (one slice up, one column on) share a row of the table.
    assert relative[0, 17] == relative[4, 21] != relative[0, 18]


def test_attention_of_every_window_sums_to_one_and_the_whole_map_is_the_windows_put_together():
    windows = Windows(GRID, WINDOW, True)
    attention = WindowAttentionMap(8, 2, windows, density_bias=True)(torch.randn(2, TOKENS, 8), torch.rand(2, TOKENS))
    whole = windows.whole(attention)[:, 0]
    assert torch.allclose(whole.sum(2), torch.ones(2, TOKENS), atol=1e-5)
    values = torch.randn(2, TOKENS, 5)
    in_windows = windows.leave(attention.mean(1) @ windows.enter(values))
    assert torch.allclose(whole @ values, in_windows, atol=1e-5)


def test_windows_that_do_not_fill_the_grid_are_refused():
    with pytest.raises(ValueError, match="do not fill"):
        Windows((4, 8, 8), (4, 5, 8), False)


def interactive_block(interactive: bool) -> InteractiveWindowBlock:
    return InteractiveWindowBlock(8, 2, Windows(GRID, WINDOW, True), density_bias=True, interactive=interactive).eval()


def streams() -> tuple:
    return tuple(torch.randn(1, TOKENS, 8) for _ in range(3))


def test_no_decoder_changes_the_shared_map_and_both_tasks_teach_it():
    block, prior = interactive_block(True), torch.full((1, TOKENS), 0.1)
    source, generation, classification = streams()
    first = block(source, generation, classification, prior)[2]
    assert torch.equal(first, block(source, generation + 1, classification * 2, prior)[2])
    assert not torch.allclose(first, block(source + torch.randn_like(source), generation, classification, prior)[2])
    for stream in (0, 1):
        block.zero_grad()
        block(source, generation, classification, prior)[stream].square().mean().backward()
        for weight in (block.map.query.weight, block.map.key.weight, block.map.position_bias):
            assert weight.grad.abs().sum() > 0


def test_without_interaction_each_decoder_of_base_looks_by_itself():
    block, prior = interactive_block(False), torch.full((1, TOKENS), 0.1)
    source, generation, classification = streams()
    first = block(source, generation, classification, prior)
    other = block(source, generation, torch.randn_like(classification), prior)
    assert torch.equal(first[0], other[0]) and not torch.allclose(first[2], other[2])


def test_base_has_the_size_of_the_design():
    parameters = sum(parameter.numel() for parameter in build_network(preset("base")).parameters())
    print(f"base has {parameters:,} parameters")
    assert 2_600_000 <= parameters <= 3_000_000


@pytest.mark.parametrize("task", ["logit", "generated", "map_logits"])
def test_each_task_of_base_teaches_the_encoder_and_the_shared_layer(task):
    network = build_network(SMALL)
    torch.nn.init.normal_(network.generator.gates.weight, std=0.1)
    getattr(network(torch.randn(1, 24, 128, 128) * 4 + 36), task).abs().mean().backward()
    for weight in (network.last_shared_weight, network.embed.weight, network.encoder[0].halves[0].map.query.weight):
        assert weight.grad is not None and weight.grad.abs().sum() > 0


@pytest.mark.parametrize("flag", ["self_attention", "interactive", "density_bias", "classification_statistics"])
def test_every_ablation_of_base_runs_and_is_another_network(flag):
    torch.manual_seed(1)
    full = build_network(SMALL).eval()
    torch.manual_seed(1)
    reduced = build_network(NetworkConfig.from_json({**SMALL.to_json(), flag: False})).eval()
    volume = torch.randn(1, 24, 128, 128) * 4 + 36
    with torch.no_grad():
        output = reduced(volume)
        assert output.generated.shape == volume.shape and output.attention.shape == (1, 24, 32, 32)
        assert torch.allclose(output.attention.sum(), torch.tensor(1.0), atol=1e-4)
        assert not torch.equal(output.logit, full(volume).logit)


def test_an_unknown_network_and_sizes_that_do_not_double_are_refused():
    with pytest.raises(ValueError, match="unknown network"):
        build_network(NetworkConfig(name="huge"))
    with pytest.raises(ValueError, match="2C"):
        build_network(NetworkConfig(name="base"))


def test_the_exported_graph_of_base_equals_the_network_for_any_number_of_volumes(tmp_path):
    """Narrow channels, every window, shift and mask of the real grid; within 1e-3 HU and 1e-5 of the logit."""
    need_onnxruntime()
    network = build_network(SMALL)
    for name, parameter in network.named_parameters():
        if name.startswith("generator") or name.endswith("position_bias"):
            torch.nn.init.normal_(parameter, std=0.02)
    features = np.random.default_rng(0).normal(size=(80, 8 * SMALL.widths[0]))
    deployed = DeployedNetwork(network, 1.7, FeatureCloud(features)).eval()
    assert export_onnx(deployed, tmp_path / "model.onnx") < 3e6
    session = open_session(tmp_path / "model.onnx")
    volumes = np.random.default_rng(1).normal(36, 15, (2, 24, 128, 128)).astype(np.float32)
    volumes[:, :, :8] = -1024
    for images in (volumes[:1], volumes):
        found = infer(session, images)
        with torch.no_grad():
            logit, probability, follow_up, attention, _ = deployed(torch.from_numpy(images))
        assert np.abs(found["logit"] - logit.numpy()).max() < 1e-5
        assert np.abs(found["follow_up"] - follow_up.numpy()).max() < 1e-3
        assert np.allclose(found["probability"], probability.numpy(), atol=1e-5)
        assert np.allclose(found["attention"], attention.numpy(), atol=1e-6)


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_the_command_line_reaches_every_ablation_of_both_networks(name):
    needed = ["train", "--train", "a", "--validation", "b", "--out", "c", "--minutes", "1", "--network", name]
    assert chosen_network(build_parser("train").parse_args(needed)) == preset(name)
    flags = {
        "--no-interactive": "interactive",
        "--no-self-attention": "self_attention",
        "--no-density-bias": "density_bias",
        "--no-statistics": "classification_statistics",
    }
    for option, field in flags.items():
        assert chosen_network(build_parser("train").parse_args([*needed, option])) == preset(name, **{field: False})


def test_a_run_from_before_networks_had_names_is_read_as_tiny():
    unnamed = {key: value for key, value in NetworkConfig().to_json().items() if key != "name"}
    assert NetworkConfig.from_json(unnamed) == preset("tiny")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU that the test needs to be absent")
def test_a_gpu_that_is_asked_for_and_absent_is_refused_not_replaced():
    with pytest.raises(ValueError, match="no CUDA device"):
        choose_device("cuda")
    assert choose_device("auto").type == "cpu"


@pytest.mark.parametrize("flags, emulated", [("fpu avx2", True), ("fpu avx512f avx512_bf16", False), ("fpu amx_bf16", False)])
def test_bfloat16_is_warned_of_where_the_cpu_would_have_to_emulate_it(tmp_path, monkeypatch, capsys, flags, emulated):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"model name : any\nflags : {flags}\n")
    monkeypatch.setattr(device, "CPU_FLAGS", cpuinfo)
    train = Cohort(write_toy_cohort(tmp_path / "train", 4, 1))
    Trainer(train, train, tmp_path / "run", SMALL, {"batch": 2, "bf16": True, "device": "cpu"})
    assert ("--bf16: this CPU has no instructions for it" in capsys.readouterr().err) == emulated


def test_a_checkpoint_of_base_goes_on_and_names_no_device(tmp_path):
    train = Cohort(write_toy_cohort(tmp_path / "train", 4, 1))
    trainer = Trainer(train, train, tmp_path / "run", SMALL, {"batch": 2, "bf16": True})
    trainer.history.append({**trainer.epoch(0.0, Budget(seconds=float("inf"))), "validation_auc": 0.5, "minutes": 0.1})
    trainer.save()
    again = Trainer(train, train, tmp_path / "run", SMALL, {"batch": 2, "bf16": True})
    assert again.steps == 2
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])
    state = torch.load(tmp_path / "run" / "checkpoint.pt")
    assert {t["exp_avg"].device.type for t in state["optimizer"]["state"].values()} == {"cpu"}
