"""Networks of the literature beside ours, at equal training: `python3 -m hemocast_training rivals`.

resnet18_3d forecasts (3-D ResNet-18, Hara et al. 2018, arXiv 1711.09577). unet_regression paints (2-D U-Net over three neighbouring slices,
Ronneberger et al. 2015 as in Falk et al. 2019, with our generation loss), pix2pix as well (the same U-Net against a patch discriminator,
Isola et al. 2017, arXiv 1611.07004). Their layers are MONAI's. tiny_as_long is our `tiny` by the `train` command.

Each sees --pairs pairs of --train, repeats included, in batches of one size and with the same augmentation; the target is the simulator's
probability, the follow-up or both. `tiny` learns from the simulator's maps as well. No rate was tuned. Forecasts are calibrated on
--validation. What was trained in --out is not trained again, and what was measured there of the same cases is kept in the file, which
`evaluate --rivals` takes.
"""

import argparse
import datetime
import json
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import expit
from torch import Tensor, nn
from tqdm import tqdm

from . import DISCLAIMER
from .ablate import FULL, train_variant
from .bundle import MODEL_FILE, read_metadata, write_json
from .calibrate import calibrate
from .checkpoint import load_network, refuse_trained_heads
from .data import Cohort
from .device import choose_device
from .ema import ExponentialAverage
from .evaluate import predict
from .evaluation_figures import forecast_figures, gain, hemorrhages, measured_on, picture_figures, picture_gain
from .generation_figures import case_errors
from .losses import Batch, classification_loss, generation_loss
from .network.config import MATRIX, SLICES
from .network.generator import TISSUE_HU, keep_outside_tissue
from .optimization import learning_rate
from .resident import Feed

MIDDLE_HU, UNIT_HU = 40.0, 40.0
"""Networks read (HU - 40) / 40, clipped to tissue."""

AS_LONG = "tiny_as_long"
"""Our own network, at the rivals' training: what they are compared with."""

L1_TO_ADVERSARIAL = 100.0
"""Isola et al. 2017, section 3.1."""

FILE = "rivals.json"


class Rates(NamedTuple):
    """Highest learning rate and first momentum of Adam; those of pix2pix are its paper's."""

    rate: float
    momentum: float


RATES = {"resnet18_3d": Rates(3e-4, 0.9), "unet_regression": Rates(1e-3, 0.9), "pix2pix": Rates(2e-4, 0.5)}
RIVALS = tuple(RATES)


class Found(NamedTuple):
    """A network on the test cases: calibrated probability [n] where it forecasts, errors (`case_errors`) of every case where it paints."""

    probability: Optional[np.ndarray]
    errors: Optional[List[Dict[str, float]]]


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`rivals`: other networks at equal training."""
    parser = subparsers.add_parser("rivals", help="train and measure networks of the literature", description=__doc__)
    parser.add_argument("--train", required=True, help="cohort folder")
    parser.add_argument("--validation", required=True, help="cohort folder for the calibration")
    parser.add_argument("--test", required=True, help="cohort folder of heads that are in neither")
    parser.add_argument("--limit", type=int, default=0, help="use only the first cases of --validation and --test")
    parser.add_argument("--bundle", required=True, help="bundle that the rivals are held against")
    parser.add_argument("--out", required=True, help=f"folder of the networks and of {FILE}")
    parser.add_argument("--pairs", type=int, required=True, help="pairs that each network sees")
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, default=list(RIVALS), help="which ones, beside our own")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--width", type=int, default=32, help="channels of the U-Net at full resolution")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 arithmetic in the networks")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Trains what is missing, measures it beside the bundle and writes rivals.json; 0 on success."""
    torch.set_num_threads(1)
    out, bundle = Path(arguments.out), Path(arguments.bundle)
    date, metadata = datetime.date.today().isoformat(), read_metadata(bundle)
    train = Cohort(arguments.train).require(arguments.batch)
    validation, test = (Cohort(folder, limit=arguments.limit).require(20) for folder in (arguments.validation, arguments.test))
    learned = {
        "trainedOn": measured_on(train, date),
        "trainingSeeds": [arguments.seed],
        "trainingPairs": arguments.pairs,
    }
    refuse_heads({*train.values("head").tolist(), *metadata["training"].get("heads", [])}, validation, test)
    names = (AS_LONG, *arguments.rivals)
    for name in names:
        train_rival(name, train, arguments)
    del train
    networks = {name: load_rival(name, arguments, validation, test) for name in names}
    ours = predict(bundle, test, pictures=[])
    shipped = Found(ours["probability"], ours["errors"])
    as_long = found_on(networks[AS_LONG], validation, test)
    described = {**{key: metadata[key] for key in ("name", "version")}, "sha256": metadata["files"][MODEL_FILE]["sha256"]}
    blocks = measured_before(out / FILE, described, measured_on(test, date))
    for name, network in networks.items():
        found = as_long if name == AS_LONG else found_on(network, validation, test)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        block = {**measured_on(test, date), **learned, "parameters": parameters, **figures_of(found, test, arguments.resamples)}
        for key, peer in (("hemocastGain", shipped), ("asLongGain", as_long)):
            if found is not peer:
                block[key] = gain_over(found, peer, test.values("label"), arguments.resamples)
        blocks[name] = block
        write_json(out / FILE, {"disclaimer": DISCLAIMER, "bundle": described, "baselines": blocks})
    print(f"{out / FILE}: {', '.join(blocks)}. {DISCLAIMER}")
    return 0


def refuse_heads(trained: Iterable[int], validation: Cohort, test: Cohort) -> None:
    """ValueError where a head was trained on, or calibrated on and is to be measured."""
    refuse_trained_heads(trained, validation, "--validation")
    refuse_trained_heads({*trained, *validation.values("head").tolist()}, test, "--test")


def measured_before(path: Path, bundle: Dict[str, Any], stamp: Dict[str, Any]) -> Dict[str, Any]:
    """The blocks of an earlier file that were measured beside the same bundle on the same cases."""
    kept = json.loads(path.read_text()) if path.exists() else {"bundle": None}
    if kept["bundle"] != bundle:
        return {}
    return {name: block for name, block in kept["baselines"].items() if all(block[key] == stamp[key] for key in ("n", "seeds"))}


def scaled(image: Tensor) -> Tensor:
    """HU -> what the networks read."""
    return (image.clamp(*TISSUE_HU) - MIDDLE_HU) / UNIT_HU


class Forecaster(nn.Module):
    """[n, 24, 128, 128] HU -> logits [n], by a 3-D ResNet-18 whose first layer halves the slices' rows and columns."""

    def __init__(self) -> None:
        from monai.networks.nets import resnet18

        super().__init__()
        self.network = resnet18(spatial_dims=3, n_input_channels=1, num_classes=1, conv1_t_stride=(1, 2, 2), pretrained=False)

    def forward(self, image: Tensor) -> Tensor:
        return self.network(scaled(image)[:, None])[:, 0].float()


class Painter(nn.Module):
    """[n, 24, 128, 128] HU -> generated HU of the same shape, slice by slice from itself and its two neighbours, by a U-Net."""

    def __init__(self, width: int) -> None:
        from monai.networks.nets import BasicUNet

        super().__init__()
        features = (width, width, 2 * width, 4 * width, 8 * width, width)
        network = BasicUNet(spatial_dims=2, in_channels=3, out_channels=1, features=features, norm=("batch", {}))
        self.network = network.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        padded = F.pad(scaled(image), (0, 0, 0, 0, 1, 1), value=(TISSUE_HU[0] - MIDDLE_HU) / UNIT_HU)
        neighbours = torch.stack([padded[:, :-2], padded[:, 1:-1], padded[:, 2:]], 2).reshape(-1, 3, MATRIX, MATRIX)
        change = self.network(neighbours.contiguous(memory_format=torch.channels_last)).float().reshape(-1, SLICES, MATRIX, MATRIX)
        return image.clamp(*TISSUE_HU) + UNIT_HU * change


def build(name: str, width: int) -> nn.Module:
    """The untrained rival; ValueError with the install command where MONAI is absent."""
    try:
        return Forecaster() if name == "resnet18_3d" else Painter(width)
    except ImportError as error:
        raise ValueError("the rivals are built with MONAI, which is not installed: pip install monai==1.4.0") from error


def train_rival(name: str, train: Cohort, arguments: argparse.Namespace) -> None:
    """Trains and saves one network; a finished one is left as it is. ValueError where that was trained otherwise."""
    if name == AS_LONG:
        train_variant(argparse.Namespace(**vars(arguments), network="tiny"), FULL, arguments.seed, folder_of(arguments))
        return
    path = Path(arguments.out) / f"{name}-{arguments.seed}.pt"
    trained = {
        **{key: getattr(arguments, key) for key in ("pairs", "batch", "width", "bf16")},
        "cases": [int(value) for value in (len(train), train.values("seed").min(), train.values("seed").max())],
        "heads": sorted(set(train.values("head").tolist())),
    }
    if path.exists():
        before = torch.load(path, map_location="cpu")["trained"]
        other = [f"{key} {before[key]}, not {value}" for key, value in trained.items() if before[key] != value]
        if other:
            raise ValueError(f"{path} was trained with {'; '.join(other)}: repeat what it was trained with, or choose another --out.")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    device = choose_device(arguments.device)
    rival = Training(build(name, arguments.width).to(device), name, device, arguments.bf16)
    feed, rng, seen = Feed(train, device), np.random.default_rng(arguments.seed), 0
    with tqdm(total=arguments.pairs, desc=name, unit="pair", mininterval=5) as progress:
        while seen < arguments.pairs:
            order = rng.permutation(len(feed))
            for start in range(0, len(order) - arguments.batch + 1, arguments.batch):
                if seen >= arguments.pairs:
                    break
                loss = rival.step(feed.batch(order[start : start + arguments.batch], rng), seen / arguments.pairs)
                seen += arguments.batch
                progress.update(arguments.batch)
                progress.set_postfix_str(f"loss {loss:.3f}", refresh=False)
    partial = path.with_suffix(".partial")
    torch.save({"trained": trained, "weights": rival.average.model.state_dict()}, partial)
    partial.replace(path)


def folder_of(arguments: argparse.Namespace) -> Path:
    """The run folder of our own network."""
    return Path(arguments.out) / f"{AS_LONG}-{arguments.seed}"


class Training:
    """One rival in training: Adam with weight decay, a cosine of the rate, averaged weights."""

    def __init__(self, network: nn.Module, name: str, device: torch.device, bf16: bool) -> None:
        self.network, self.device, self.bf16, self.steps = network.train(), device, bf16, 0
        self.average = ExponentialAverage(network)
        self.rates = RATES[name]
        self.optimizer = self.adam(network)
        self.discriminator: Optional[nn.Module] = None
        if name == "pix2pix":
            from monai.networks.nets import PatchDiscriminator

            self.discriminator = PatchDiscriminator(spatial_dims=2, channels=32, in_channels=2, num_layers_d=3).to(device)
            self.against = self.adam(self.discriminator)

    def adam(self, network: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of a network."""
        return torch.optim.AdamW(network.parameters(), lr=self.rates.rate, betas=(self.rates.momentum, 0.999), weight_decay=0.01)

    def step(self, batch: Batch, spent: float) -> float:
        """One step at `spent` (0..1) of the pairs; returns the loss."""
        for group in (*self.optimizer.param_groups, *(self.against.param_groups if self.discriminator else ())):
            group["lr"] = learning_rate(self.rates.rate, self.steps, spent)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            found = self.network(batch.image)
        loss = classification_loss(found, batch) if found.ndim == 1 else self.painted(found, batch)
        take_step(self.optimizer, loss)
        self.average.update()
        self.steps += 1
        return float(loss.detach())

    def painted(self, generated: Tensor, batch: Batch) -> Tensor:
        """The generation loss; for pix2pix 100 times the L1 and the adversarial loss, after a step of the discriminator."""
        if self.discriminator is None:
            return generation_loss(generated, batch)
        inside = batch.inside
        first, drawn, true = (scaled(x) * inside for x in (batch.image, generated, batch.follow_up))
        wrong = ((drawn - true).abs() * batch.weight[:, None, None, None]).sum() / (inside.sum() + 1)
        real, fake = self.looks(first, true), self.looks(first, drawn.detach())
        take_step(self.against, 0.5 * (judged(real, 1.0) + judged(fake, 0.0)))
        return L1_TO_ADVERSARIAL * wrong + judged(self.looks(first, drawn), 1.0)

    def looks(self, first: Tensor, second: Tensor) -> Tensor:
        """The discriminator's logits for pairs of slices."""
        slices = torch.stack([first, second], 2).reshape(-1, 2, MATRIX, MATRIX)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return self.discriminator(slices)[-1].float()


def judged(logits: Tensor, truth: float) -> Tensor:
    """Cross-entropy of a discriminator's logits against one truth for all of them."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth))


def take_step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the loss."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def load_rival(name: str, arguments: argparse.Namespace, validation: Cohort, test: Cohort) -> nn.Module:
    """The trained network on the CPU, in eval mode; ValueError where it learned from heads of the other cohorts."""
    if name == AS_LONG:
        network, state = load_network(folder_of(arguments))
        refuse_heads(state["heads"], validation, test)
        return network
    state = torch.load(Path(arguments.out) / f"{name}-{arguments.seed}.pt", map_location="cpu")
    network = build(name, state["trained"]["width"])
    network.load_state_dict(state["weights"])
    return network.eval()


def found_on(network: nn.Module, validation: Cohort, test: Cohort) -> Found:
    """The network on every test case, its forecasts calibrated on the validation cases."""
    logits, errors = outputs_on(network, test, paints=True)
    if not logits:
        return Found(None, errors)
    seen, _ = outputs_on(network, validation, paints=False)
    calibration = calibrate(validation.values("label"), np.array(seen), validation.values("head"))
    return Found(expit(np.array(logits) / calibration.temperature + calibration.bias), errors or None)


@torch.no_grad()
def outputs_on(network: nn.Module, cohort: Cohort, paints: bool) -> Tuple[List[float], List[Dict[str, float]]]:
    """(logits, errors) of every case, as far as the network has them; without `paints` no errors."""
    logits: List[float] = []
    errors: List[Dict[str, float]] = []
    for index in tqdm(range(len(cohort)), desc="measuring", unit="case", mininterval=5):
        image = torch.from_numpy(cohort.initial[index].astype(np.float32))[None]
        output = network(image)
        both = not isinstance(output, Tensor)
        if both or output.ndim == 1:
            logits.append(float(output.logit if both else output))
        if paints and (both or output.ndim > 1):
            generated = keep_outside_tissue(image, output.generated if both else output)[0].numpy()
            truth = cohort.follow_up[index].astype(np.float32)
            errors.append(case_errors(image[0].numpy(), generated, truth, cohort.mask(index)))
    return logits, errors


def figures_of(found: Found, test: Cohort, resamples: int) -> Dict[str, Any]:
    """The figures of a network on the test cases, of what it does."""
    forecasts = {} if found.probability is None else forecast_figures(test.values("label"), found.probability, resamples)
    pictures = {} if found.errors is None else picture_figures(found.errors, hemorrhages(test), "hemocast", resamples)
    return {**forecasts, **pictures}


def gain_over(found: Found, peer: Found, labels: np.ndarray, resamples: int) -> Dict[str, Any]:
    """peer - network, paired, of what the network does."""
    forecasts = {} if found.probability is None else gain(labels, peer.probability, found.probability, resamples)
    if found.errors is None:
        return forecasts
    drawn = [{key.replace("hemocast.", "rival."): value for key, value in case.items() if key.startswith("hemocast.")} for case in found.errors]
    return {**forecasts, **picture_gain([{**case, **more} for case, more in zip(peer.errors, drawn)], "rival", resamples)}
