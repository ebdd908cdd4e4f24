"""The `sandbox-patients` command: the simulated post-thrombectomy patients the embedded sandbox starts with.

Writes <out>/<slug>/ct/NNN.dcm (JPEG Lossless), <out>/patients.json and <out>/README.md. Same seed, same bytes of pixels.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from .anatomy import load_head
from .dicom_io import ct_slice, write_series
from .head_grid import PlaneVolume
from .native_series import plane_axes, render_series
from .sandbox_readme import readme
from .sandbox_stories import STORIES, Story
from .simulate.cohort import add_anatomy_arguments
from .simulate.geometry import draw_pose
from .simulate.pair import GridScan, SimulatedCase
from .simulate.patient import draw_patient
from .simulate.scanner import draw_protocol

ISSUER = "hemocast-sandbox"
COMMENT = "Simulated by hemocast; not a real patient"
GROUPS = ("none", "stain", "blood")
SEEDS_PER_SET = 10_000_000
SANDBOX_OFFSET = 9_000_000  # apart from the cohorts' seeds (simulate.cohort.SPLIT_OFFSET)
QUIET_PROTOCOL = {"slice_mm": 5.0, "metal_hu": 0.0, "motion_mm": 0.0, "padded": True, "holder": None}


def stable_uid(*names: object) -> str:
    """A UID under 2.25 (UUID-derived, PS3.5 B.2) that depends only on the names."""
    digest = hashlib.sha256("/".join(map(str, ("hemocast", *names))).encode()).digest()
    return "2.25.%d" % int.from_bytes(digest[:16], "big")


def make_patient(story: Story, anatomy: Path, cache: Path, seed: int, out: Path, command: str) -> dict:
    """Simulate one story, write its series, and return its entry of patients.json."""
    case_seed = seed * SEEDS_PER_SET + SANDBOX_OFFSET + story.offset
    head = load_head(anatomy, story.head, cache)
    patient = draw_patient(case_seed, story.head, **story.latent)
    case = SimulatedCase(head, case_seed, patient, draw_pose(case_seed, patient.age, **story.pose))
    protocol = draw_protocol(case_seed, **{**QUIET_PROTOCOL, "pixel_mm": story.layout.pixel_mm, **story.protocol})
    scan = GridScan(case, protocol)
    outcome = case.decide(*scan.visible(case.initial(scan.view)), scan.planes)
    volume = render_series(case, protocol, story.layout, scan.center)
    uids = {name: stable_uid(seed, story.slug, name) for name in ("study", "series", "frame")}
    slices = [
        ct_slice(stored_pixels(volume.hu[i]), attributes(story, volume, i, uids, protocol, seed))
        for i in range(volume.z.size)
    ]
    folder = out / story.slug / "ct"
    shutil.rmtree(folder, ignore_errors=True)
    write_series(slices, folder)
    return {
        "slug": story.slug,
        "patientId": patient_id(story),
        "issuer": ISSUER,
        "family": story.family,
        "given": story.given,
        "sex": {"F": "female", "M": "male"}[story.sex],
        "birthDate": datetime.date.fromisoformat(story.birth_date).isoformat(),
        "story": story.told,
        "thrombectomyStart": story.thrombectomy[0],
        "thrombectomyEnd": story.thrombectomy[1],
        "side": "left" if patient.side > 0 else "right",
        "ctStarted": story.ct_started,
        "studyInstanceUid": uids["study"],
        "seriesInstanceUid": uids["series"],
        "accessionNumber": accession(story),
        "numberOfInstances": len(slices),
        "truth": {
            "group": GROUPS[outcome.group],
            "label": outcome.label,
            "bayes": round(outcome.probability, 4),
            "kind": outcome.kind,
        },
        "seed": case_seed,
        "head": story.head,
        "command": command,
    }


def patient_id(story: Story) -> str:
    """Patient ID within the issuer."""
    return "SIM-%04d" % story.offset


def accession(story: Story) -> str:
    """Accession number of the CT."""
    return "SIMCT%04d" % story.offset


def stored_pixels(hu: np.ndarray) -> np.ndarray:
    """HU as 12-bit stored values with intercept -1024 and slope 1."""
    return np.clip(np.rint(hu) + 1024, 0, 4095).astype(np.uint16)


def attributes(story: Story, volume: PlaneVolume, index: int, uids: dict, protocol, seed: int) -> dict:
    """CT Image Storage attributes (PS3.3 A.3) of slice `index`, counted from the lowest.

    SyntheticData (0008,001C) is left out on purpose: the service puts it on what it generates, and refuses its own
    output as an input.
    """
    layout = story.layout
    right, down, normal = plane_axes(layout.tilt_deg)
    corner = volume.x[index] * right + volume.y[index] * down + volume.z[index] * normal
    started = datetime.datetime.fromisoformat(story.ct_started)
    number = volume.z.size - index  # instances run from the vertex down
    taken = started + datetime.timedelta(seconds=2 * number)
    born = datetime.date.fromisoformat(story.birth_date)
    age = started.year - born.year - ((started.month, started.day) < (born.month, born.day))
    text = lambda values, digits: ["%.*f" % (digits, value) for value in values]
    day, clock = started.strftime("%Y%m%d"), started.strftime("%H%M%S")
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "InstanceCreationDate": day,
        "InstanceCreationTime": taken.strftime("%H%M%S"),
        "SOPInstanceUID": stable_uid(seed, story.slug, "instance", number),
        "StudyDate": day, "SeriesDate": day, "AcquisitionDate": day, "ContentDate": day,
        "StudyTime": clock, "SeriesTime": clock,
        "AcquisitionTime": taken.strftime("%H%M%S"), "ContentTime": taken.strftime("%H%M%S"),
        "TimezoneOffsetFromUTC": started.strftime("%z"),
        "AccessionNumber": accession(story),
        "Modality": "CT",
        "Manufacturer": "hemocast simulator",
        "ManufacturerModelName": "hemocast",
        "StationName": "SIMULATOR",
        "ReferringPhysicianName": "",
        "StudyDescription": "CT HEAD WITHOUT CONTRAST",
        "SeriesDescription": "SIMULATED HEAD %dmm" % round(protocol.slice_mm),
        "PatientName": "%s^%s" % (story.family, story.given),
        "PatientID": patient_id(story),
        "IssuerOfPatientID": ISSUER,
        "PatientBirthDate": story.birth_date,
        "PatientSex": story.sex,
        "PatientAge": "%03dY" % age,
        "BodyPartExamined": "HEAD",
        "SliceThickness": "%g" % protocol.slice_mm,
        "KVP": "120",
        "DataCollectionDiameter": "500",
        "ReconstructionDiameter": "%g" % round(layout.matrix * layout.pixel_mm, 2),
        "GantryDetectorTilt": "%g" % layout.tilt_deg,
        "ExposureTime": "1000",
        "XRayTubeCurrent": "300",
        "ConvolutionKernel": "H31s",
        "PatientPosition": "HFS",
        "StudyInstanceUID": uids["study"],
        "SeriesInstanceUID": uids["series"],
        "StudyID": "%d" % story.offset,
        "SeriesNumber": 2,
        "AcquisitionNumber": 1,
        "InstanceNumber": number,
        "ImagePositionPatient": text(corner, 4),
        "ImageOrientationPatient": text((*right, *down), 7),
        "FrameOfReferenceUID": uids["frame"],
        "PositionReferenceIndicator": "",
        "SliceLocation": "%.4f" % corner[2],
        "ImageComments": COMMENT,
        "PixelSpacing": ["%g" % layout.pixel_mm] * 2,
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "RescaleType": "HU",
        "WindowCenter": "40",
        "WindowWidth": "80",
        "LossyImageCompression": "00",
    }


def add_parser(subparsers) -> None:
    """`sandbox-patients`."""
    parser = subparsers.add_parser("sandbox-patients", help="make the sandbox's simulated patients as DICOM")
    add_anatomy_arguments(parser)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="slugs to make anew; the other patients stay as they are")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run `sandbox-patients`."""
    torch.set_num_threads(1)
    command = "python3 -m hemocast_training sandbox-patients --anatomy <label maps> --seed %d --out <folder>" % arguments.seed
    unknown = set(arguments.only or ()) - {story.slug for story in STORIES}
    if unknown:
        raise ValueError("--only names no patient of the sandbox: %s" % ", ".join(sorted(unknown)))
    listing = arguments.out / "patients.json"
    entries = {entry["slug"]: entry for entry in json.loads(listing.read_text())} if listing.is_file() else {}
    arguments.out.mkdir(parents=True, exist_ok=True)
    for story in tqdm(STORIES, unit="patient"):
        if arguments.only is None or story.slug in arguments.only:
            entries[story.slug] = make_patient(
                story, arguments.anatomy, arguments.anatomy_cache, arguments.seed, arguments.out, command
            )
        done = [entries[s.slug] for s in STORIES if s.slug in entries]
        listing.write_text(json.dumps(done, indent=2) + "\n")
    (arguments.out / "README.md").write_text(readme(done, command))
    return 0
