"""The network keeps the promises of its design: shapes, shared attention, density bias, an output that cannot harm."""

import pytest
import torch

from hemocast_training.network import NetworkConfig, TinyNetwork
from hemocast_training.network.attention import AttentionMap, InteractiveAttentionBlock, SelfAttentionBlock
from hemocast_training.network.blocks import normalised
from hemocast_training.network.density import WINDOWS_HU, hyperdensity, roughness, window
from hemocast_training.network.generator import keep_outside_tissue

SHAPE = (24, 128, 128)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def brain(count: int = 1) -> torch.Tensor:
    """Noise around grey matter, [count, 24, 128, 128] HU."""
    return torch.randn(count, *SHAPE) * 4 + 36


def test_every_output_has_the_shape_of_the_contract_and_attention_sums_to_one():
    output = TinyNetwork().eval()(brain(2))
    assert output.logit.shape == (2,)
    assert output.generated.shape == (2, *SHAPE)
    assert output.map_logits.shape == (2, 6, 24, 32, 32)
    assert output.attention.shape == (2, 24, 32, 32)
    assert (output.attention >= 0).all()
    assert torch.allclose(output.attention.sum((1, 2, 3)), torch.ones(2), atol=1e-5)


def test_tiny_stays_tiny():
    parameters = sum(parameter.numel() for parameter in TinyNetwork().parameters())
    assert 700_000 <= parameters <= 1_100_000


def test_a_case_is_read_alone_whatever_else_is_in_the_batch():
    network, volumes = TinyNetwork().eval(), brain(2)
    with torch.no_grad():
        alone, together = network(volumes[:1]), network(volumes)
    assert torch.allclose(alone.logit, together.logit[:1], atol=1e-4)
    assert torch.allclose(alone.generated, together.generated[:1], atol=1e-2)


@pytest.mark.parametrize("task", ["logit", "generated"])
def test_each_task_alone_teaches_the_shared_encoder(task):
    network = TinyNetwork()
    # The generator's last layers start at zero; give them values so that a gradient can pass.
    torch.nn.init.normal_(network.generator.gates.weight, std=0.1)
    getattr(network(brain()), task).abs().mean().backward()
    for weight in (network.last_shared_weight, network.stem.weight, network.encoder_blocks[0].map.query.weight):
        assert weight.grad is not None and weight.grad.abs().sum() > 0


def test_kept_statistics_give_the_gradients_of_batch_normalisation_in_one_convolution():
    convolution, norm = torch.nn.Conv2d(3, 5, 3, 2, 1, bias=False), torch.nn.BatchNorm2d(5)
    for buffer in (norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data):
        buffer.uniform_(0.5, 2)
    norm.eval()
    x = torch.randn(2, 3, 8, 8)
    both = []
    for pass_through in (normalised(x, convolution, norm), norm(convolution(x))):
        gradients = torch.autograd.grad(pass_through.square().mean(), (convolution.weight, norm.weight, norm.bias))
        both.append((pass_through, *gradients))
    for folded, plain in zip(*both):
        assert torch.allclose(folded, plain, rtol=1e-4, atol=1e-5)


def test_one_attention_map_is_computed_per_block_and_serves_both_decoders(monkeypatch):
    computed, used = [], []
    compute = AttentionMap.forward

    def watch_map(self, x, prior):
        computed.append(compute(self, x, prior))
        return computed[-1]

    monkeypatch.setattr(AttentionMap, "forward", watch_map)
    block = InteractiveAttentionBlock(96, 3, density_bias=True, interactive=True)
    for stream in (block.generation, block.classification):
        stream.register_forward_hook(lambda module, inputs, output: used.append(inputs[1]))
    source, generation, classification = (torch.randn(1, 768, 96) for _ in range(3))
    block(source, generation, classification, torch.full((1, 768), 0.1))
    assert len(computed) == 1
    assert len(used) == 2 and used[0] is computed[0] and used[1] is computed[0]


def test_the_shared_map_depends_on_the_encoder_feature_and_on_no_decoder():
    block = InteractiveAttentionBlock(96, 3, density_bias=True, interactive=True).eval()
    prior, source = torch.full((1, 768), 0.1), torch.randn(1, 768, 96)
    first = block(source, torch.randn(1, 768, 96), torch.randn(1, 768, 96), prior)[2]
    second = block(source, torch.randn(1, 768, 96), torch.randn(1, 768, 96), prior)[2]
    other_source = block(source + torch.randn(1, 768, 96), torch.zeros(1, 768, 96), torch.zeros(1, 768, 96), prior)[2]
    assert torch.equal(first, second)
    assert not torch.allclose(first, other_source)


def test_the_classification_decoder_has_no_queries_or_keys_of_its_own():
    names = [name for name, _ in TinyNetwork().decoder_blocks.named_parameters()]
    assert any("classification.value" in name for name in names)
    assert not [name for name in names if "classification" in name and ("query" in name or "key" in name)]


def test_without_interaction_each_decoder_looks_by_itself():
    block = InteractiveAttentionBlock(96, 3, density_bias=True, interactive=False).eval()
    prior, source, generation = torch.full((1, 768), 0.1), torch.randn(1, 768, 96), torch.randn(1, 768, 96)
    first = block(source, generation, torch.randn(1, 768, 96), prior)
    second = block(source, generation, torch.randn(1, 768, 96), prior)
    assert torch.equal(first[0], second[0])
    assert not torch.allclose(first[2], second[2])


def test_density_bias_turns_attention_towards_dense_tokens():
    x, prior = torch.randn(1, 768, 96), torch.zeros(1, 768)
    prior[0, 100] = 1.0
    biased = AttentionMap(96, 3, density_bias=True)
    plain = AttentionMap(96, 3, density_bias=False)
    plain.load_state_dict({key: value for key, value in biased.state_dict().items() if key != "density_strength"})
    assert biased(x, prior)[..., 100].mean() > 3 * plain(x, prior)[..., 100].mean()
    assert torch.equal(plain(x, prior), plain(x, torch.zeros_like(prior)))


@pytest.mark.parametrize("flag", ["self_attention", "interactive", "density_bias", "classification_statistics"])
def test_every_ablation_is_a_network_that_runs_and_differs(flag):
    whole, volume = TinyNetwork().eval(), brain()
    volume[0, 10:14, 60:80, 40:60] = 65.0
    with torch.no_grad():
        expected = whole(volume).logit
        for config, same in ((NetworkConfig(), True), (NetworkConfig(**{flag: False}), False)):
            network = TinyNetwork(config).eval()
            weights = network.state_dict()
            # The weights that both have, so that only the missing part can make the difference.
            weights.update({name: t for name, t in whole.state_dict().items() if name in weights and t.shape == weights[name].shape})
            network.load_state_dict(weights)
            logit = network(volume).logit
            assert logit.shape == (1,) and torch.allclose(logit, expected, atol=1e-5) is same
    if flag == "self_attention":
        assert not any(isinstance(module, SelfAttentionBlock) for module in network.modules())


def test_a_network_is_rebuilt_from_its_configuration_and_unknown_settings_are_refused():
    config = NetworkConfig(interactive=False, heads=2)
    assert NetworkConfig.from_json(config.to_json()) == config
    with pytest.raises(TypeError):
        NetworkConfig.from_json({"attention_is": "all you need"})


def test_the_hyperdensity_prior_sees_blood_and_ignores_brain_and_skull():
    slices = torch.full((1, 1, 128, 128), 36.0)
    slices[..., 60:72, 60:72] = 65.0
    slices[..., :, 20:24] = 900.0
    prior, excess = hyperdensity(slices)
    assert prior[0, 0, 33, 33] > 0.9 and excess[0, 0, 33, 33] > 15
    assert prior[0, 0, 50, 50] < 0.05
    assert prior[0, 0, :, 8:14].max() < 0.05


def test_roughness_is_what_lumps_add_to_the_noise_and_bone_counts_as_none():
    hu = 36 + 4 * torch.randn(24, 1, 128, 128)
    hu[12, :, 60:72, 60:72] = 60 + 4 * torch.randn(12, 12)
    lumps = 12 * (torch.arange(12) // 2 % 2 * 2 - 1)
    hu[12, :, 60:72, 80:92] = 60 + lumps + 4 * torch.randn(12, 12)
    hu[12, :, 60:72, 20:24] = 900
    rough = roughness(torch.cat([window(hu, low, high) for low, high in WINDOWS_HU], 1))[12, 0]
    assert rough[15:18, 20:23].mean() == pytest.approx(12, abs=1.5)
    assert rough[15:18, 15:18].mean() < 3 and rough[15:18, 5].max() == 0


def test_bone_air_and_metal_are_returned_as_they_came():
    image = torch.full((1, *SHAPE), 40.0)
    image[0, 0, 0, :4] = torch.tensor([-1024.0, -300.0, 900.0, 3000.0])
    delivered = keep_outside_tissue(image, torch.full_like(image, 500.0))
    assert delivered[0, 0, 0, :4].tolist() == [-1024.0, -300.0, 900.0, 3000.0]
    assert delivered[0, 0, 0, 64] == 150.0


def test_dense_contrast_may_go_but_the_blurred_edge_of_bone_stays():
    image = torch.full((1, *SHAPE), 40.0)
    image[0, 5:8, 60, 60:64] = 130.0
    image[0, 10, 30, 30] = 900.0
    edges = [(10, 30, 32), (11, 31, 31), (9, 30, 30)]
    for edge in edges:
        image[(0, *edge)] = 130.0
    image[0, 12, 30, 30] = 130.0  # two slices from the bone
    delivered = keep_outside_tissue(image, torch.full_like(image, 35.0))
    assert delivered[0, 5:8, 60, 60:64].unique().tolist() == [35.0]
    assert [float(delivered[(0, *edge)]) for edge in edges] == [130.0] * 3
    assert delivered[0, 12, 30, 30] == 35.0


def test_the_forecast_never_trains_the_maps_it_reads():
    """Otherwise a still flat map is held flat by the gradient of its own standardised statistics."""
    network = TinyNetwork()
    output = network.train()(torch.randn(2, 24, 128, 128) * 10 + 36)
    (output.logit.sum() + output.measures.sum()).backward()
    assert network.map_head.weight.grad is None
