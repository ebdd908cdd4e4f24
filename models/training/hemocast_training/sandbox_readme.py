"""The README that lies beside the sandbox's patients, written from what was made."""

from __future__ import annotations

from . import DISCLAIMER

_HEAD = """# The sandbox's simulated patients

{disclaimer}

{count} invented people, each with one simulated non-contrast head CT taken right after thrombectomy (CT Image Storage,
JPEG Lossless SV1). No picture, name or number here belongs to a real patient. They are made, never edited by hand:

    cd models/training
    {command}

with the label maps for `--anatomy` as models/training/docs/simulator.md says, and `api/sandbox/patients` for `--out`. The
same seed and the same version of the simulator give the same pixels and the same UIDs; the first eight were drawn by that of commit
32f49f3, `marino-lucia` (`--only marino-lucia`) by that of commit 161801f.

| folder | patient | what the CT shows | outcome the simulator drew | true probability |
| --- | --- | --- | --- | --- |
"""

_TAIL = """
`patients.json` lists them; `truth` is the simulator's own state (`group`: none, stain or blood visible on this CT; `label`:
hemorrhage within 72 h; `bayes`: the probability the label was drawn with) and is never shown to the network or the service.

Heads are of the validation and test splits, so the shipped network was not trained on these anatomies.

SyntheticData (0008,001C) is deliberately absent: the service sets it on the follow-up CTs it generates and refuses such
images as input. These series stand in for what a scanner sends; ImageComments says that they are simulated.

Anatomy: training label maps of SynthSeg (Billot et al., github.com/BBillot/SynthSeg), Apache-2.0. Arterial territories:
Tatu et al., CC BY 4.0. Both went through the simulator; neither is contained here.
"""


def readme(entries: list[dict], command: str) -> str:
    """README.md for the patients of patients.json."""
    rows = "".join(
        "| `{slug}` | {given} {family} ({sex}, born {birthDate}) | {story} | {outcome} | {bayes:.2f} |\n".format(
            **entry, outcome=_outcome(entry["truth"]), bayes=entry["truth"]["bayes"]
        )
        for entry in entries
    )
    return _HEAD.format(disclaimer=DISCLAIMER, count=len(entries), command=command) + rows + _TAIL


def _outcome(truth: dict) -> str:
    return {"none": "no hemorrhage", "HI": "hemorrhagic infarction", "PH": "parenchymal hematoma"}[truth["kind"]]
