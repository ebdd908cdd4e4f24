"""The nine simulated people of the sandbox: who they are, and what their scan shows.

Everything not named here is drawn from the story's seed. Heads are of the validation and test splits only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .native_series import Acquisition
from .simulate.patient import BLOOD, NONE, STAIN


HOLDER = (104.0, 1.12, 0.0)


@dataclass(frozen=True)
class Story:
    """One sandbox patient. `latent`, `pose` and `protocol` fix single fields of Patient, Pose and Protocol."""

    slug: str
    family: str
    given: str
    sex: str
    birth_date: str  # YYYYMMDD
    told: str  # one plain sentence
    thrombectomy: tuple[str, str]  # start and end, ISO 8601 with zone
    ct_started: str
    offset: int  # added to the command's seed
    head: int
    latent: dict
    pose: dict = field(default_factory=dict)
    protocol: dict = field(default_factory=dict)
    layout: Acquisition = Acquisition()


STORIES = (
    Story(
        "rivera-ana", "Rivera-Sim", "Ana", "F", "19710418",
        "Quick recanalisation of a left middle cerebral artery; the CT right after shows no hyperdensity.",
        ("2026-03-02T08:12:00+01:00", "2026-03-02T08:51:00+01:00"), "2026-03-02T09:20:00+01:00", 1, 13,
        dict(group=NONE, side=1, age=54.0, infarct_extent=0.22, dense_artery_hu=0.0, old_infarct=None),
        protocol=dict(holder=HOLDER),
    ),
    Story(
        "okafor-james", "Okafor-Sim", "James", "M", "19590923",
        "Faint, patchy contrast staining in the right insula and frontal cortex after two passes.",
        ("2026-03-05T14:05:00+01:00", "2026-03-05T15:02:00+01:00"), "2026-03-05T15:38:00+01:00", 2, 11,
        dict(group=STAIN, side=-1, age=66.0, infarct_extent=0.38, iodine_hu=17.0, ganglia_weight=0.18,
             cortex_weight=0.85, solidity=-1.2, spread=-0.3, sulcal_contrast_hu=0.0, old_infarct=None),
    ),
    Story(
        "lindqvist-maja", "Lindqvist-Sim", "Maja", "F", "19480211",
        "Solid contrast staining of the whole left lentiform nucleus and caudate head after four passes.",
        ("2026-03-09T22:40:00+01:00", "2026-03-10T00:31:00+01:00"), "2026-03-10T01:05:00+01:00", 3, 14,
        dict(group=STAIN, side=1, age=78.0, infarct_extent=0.62, iodine_hu=46.0, ganglia_weight=1.0, cortex_weight=0.2,
             solidity=1.7, spread=0.6, hot_core=0.3, sulcal_contrast_hu=0.0),
        protocol=dict(holder=HOLDER),
    ),
    Story(
        "tanaka-hiro", "Tanaka-Sim", "Hiro", "M", "19550730",
        "Petechial staining scattered through the right insula, putamen and frontal operculum.",
        ("2026-03-12T10:20:00+01:00", "2026-03-12T11:27:00+01:00"), "2026-03-12T12:04:00+01:00", 4, 12,
        dict(group=STAIN, side=-1, age=70.0, infarct_extent=0.55, iodine_hu=62.0, ganglia_weight=0.6, cortex_weight=0.6,
             solidity=-2.2, spread=0.4, hot_core=0.1, sulcal_contrast_hu=0.0),
    ),
    Story(
        "moreau-claire", "Moreau-Sim", "Claire", "F", "19440615",
        "A hematoma of the left basal ganglia is already visible on the CT right after thrombectomy.",
        ("2026-03-17T05:48:00+01:00", "2026-03-17T07:15:00+01:00"), "2026-03-17T07:44:00+01:00", 5, 11,
        dict(group=BLOOD, side=1, age=81.0, infarct_extent=0.5, iodine_hu=22.0, ganglia_weight=0.9, cortex_weight=0.2,
             solidity=0.3, patchy=False, blood_ml=9.0, blood_hu=66.0, clot_deep=True, clot_offset=(0.2, 0.0, 0.2), fluid_level=False,
             into_ventricle=False),
        protocol=dict(holder=HOLDER),
    ),
    Story(
        "haddad-omar", "Haddad-Sim", "Omar", "M", "19380307",
        "A large right parenchymal hematoma with blood in the ventricles; the procedure was stopped early.",
        ("2026-03-20T17:33:00+01:00", "2026-03-20T18:10:00+01:00"), "2026-03-20T18:31:00+01:00", 6, 13,
        dict(group=BLOOD, side=-1, age=88.0, infarct_extent=0.6, iodine_hu=0.0, patchy=False, blood_ml=36.0,
             blood_hu=68.0, clot_deep=True, clot_offset=(0.4, 0.3, 0.4), fluid_level=False, into_ventricle=True),
    ),
    Story(
        "novak-petra", "Novak-Sim", "Petra", "F", "19620529",
        "Metallic hyperdensity sign: more than 90 HU across the right lentiform nucleus, clearly denser than blood.",
        ("2026-03-24T12:02:00+01:00", "2026-03-24T13:58:00+01:00"), "2026-03-24T14:21:00+01:00", 7, 14,
        dict(group=STAIN, side=-1, age=63.0, infarct_extent=0.58, iodine_hu=100.0, ganglia_weight=1.0, cortex_weight=0.3,
             solidity=2.2, spread=0.5, hot_core=0.9, sulcal_contrast_hu=14.0),
        protocol=dict(holder=HOLDER),
    ),
    Story(
        "silva-bento", "Silva-Sim", "Bento", "M", "19520114",
        "Moderate cortical staining on the left, scanned with the gantry tilted by 15 degrees and 7 mm slices.",
        ("2026-03-28T19:15:00+01:00", "2026-03-28T20:26:00+01:00"), "2026-03-28T20:59:00+01:00", 8, 12,
        dict(group=STAIN, side=1, age=74.0, infarct_extent=0.5, iodine_hu=36.0, ganglia_weight=0.45, cortex_weight=0.75,
             solidity=0.6, spread=0.3, sulcal_contrast_hu=0.0),
        pose=dict(pitch=-0.05),
        protocol=dict(slice_mm=7.0, holder=HOLDER),
        layout=Acquisition(pixel_mm=0.64, count=22, table_step_mm=7.0, tilt_deg=15.0),
    ),
    Story(
        "marino-lucia", "Marino-Sim", "Lucia", "F", "19570822",
        "A scan that was broken off: it holds the middle of the head only, so that no forecast can be made.",
        ("2026-03-30T07:10:00+02:00", "2026-03-30T08:02:00+02:00"), "2026-03-30T08:40:00+02:00", 9, 13,
        dict(group=STAIN, side=-1, age=68.0, infarct_extent=0.4, iodine_hu=30.0, ganglia_weight=0.7, cortex_weight=0.4,
             solidity=0.8, sulcal_contrast_hu=0.0),
        layout=Acquisition(matrix=256, pixel_mm=0.977, count=14),
    ),
)
