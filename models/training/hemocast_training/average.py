"""Averages the weights of runs that began with the same weights: `python3 -m hemocast_training average`.

Runs that start together and see other pairs end in one basin; the mean of their weights is one network, as quick as each of them, and
usually better (Wortsman et al. 2022, "Model soups", arXiv 2203.05482). It is how several cores, or machines, train one network.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Dict, List

import torch

from . import DISCLAIMER, __version__
from .checkpoint import ONLY_TO_GO_ON, load_network, refuse_trained_heads
from .data import Cohort
from .metrics import auc
from .network import NetworkConfig, build_network
from .plots import plot_curves


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`average`: one run folder from several."""
    parser = subparsers.add_parser("average", help="average the weights of runs with the same start", description=__doc__)
    parser.add_argument("--runs", nargs="+", required=True, help="run folders with the same network and the same --start")
    parser.add_argument("--validation", required=True, help="cohort folder of heads that are not trained on")
    parser.add_argument("--validate", type=int, default=200, help="validation cases looked at")
    parser.add_argument("--out", required=True, help="run folder; `export` and `train --start` take it")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the averaged run and prints its AUC on the validation cases."""
    states = [load_network(Path(folder))[1] for folder in arguments.runs]
    state = average(states)
    network = build_network(NetworkConfig.from_json(state["network_config"])).eval()
    network.load_state_dict(state["average"])
    cohort = Cohort(arguments.validation, limit=arguments.validate).require(2)
    refuse_trained_heads(state["heads"], cohort, "--validation")
    with torch.no_grad():
        logits = torch.cat([network(images).logit for images in cohort.images(2)]).numpy()
    last = state["history"][-1]
    last["validation_auc"] = round(auc(cohort.values("label"), logits), 4)
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    torch.save(state, out / "checkpoint.pt")
    names = [Path(folder).resolve().name for folder in arguments.runs]
    config = {"disclaimer": DISCLAIMER, "version": __version__, "runs": names, "average_of": state["average_of"], "start": state["start"]}
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (out / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in state["history"]))
    plot_curves(state["history"], out / "curves.png")
    print(f"{out}: mean of {', '.join(names)}; validation AUC {last['validation_auc']}. {DISCLAIMER}")
    return 0


def average(states: List[Dict[str, Any]]) -> Dict[str, Any]:
    """A light checkpoint whose averaged weights are the mean of those of `states`; its last record adds up pairs seen and minutes, and
    pairs where the runs had different ones. `average_of` says of each run its seed, device, pairs seen and minutes.

    ValueError where the runs have another network or another start.
    """
    first = states[0]
    for state in states[1:]:
        if state["network_config"] != first["network_config"]:
            raise ValueError("the runs have different networks: only the same network can be averaged.")
        if state.get("start") is None or state["start"] != first.get("start"):
            raise ValueError("the runs do not have the same --start: the mean of unrelated weights is no network.")
    weights = {}
    for name, tensor in first["average"].items():
        every = [state["average"][name] for state in states]
        weights[name] = torch.stack(every).mean(0) if tensor.is_floating_point() else tensor
    records = [state["history"][-1] for state in states]
    cohorts = {str(state["options"].get("train", index)): record for index, (state, record) in enumerate(zip(states, records))}
    last = {
        **records[0],
        "pairs_available": sum(record["pairs_available"] for record in cohorts.values()),
        "pairs_seen": sum(record["pairs_seen"] for record in records),
        "minutes": round(sum(record["minutes"] for record in records), 2),
    }
    kept = {key: value for key, value in first.items() if key not in ONLY_TO_GO_ON}
    heads = sorted(set().union(*(state["heads"] for state in states)))
    parts = [
        {
            "seed": state["options"].get("seed", 0),
            "device": state.get("device"),
            **{key: record[key] for key in ("pairs_seen", "minutes")},
        }
        for state, record in zip(states, records)
    ]
    return {**kept, "average": weights, "average_of": parts, "heads": heads, "history": [*first["history"], last]}
