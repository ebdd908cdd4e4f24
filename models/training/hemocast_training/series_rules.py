"""The header rules a slice must meet to be read as a plain head CT, and what kernels are called.

The same rules in the same order as the service's (docs/series-choice.md; api/assessment/series-rules.ts, kernels.ts): a
network must not be trained on series that it will never be shown.
"""

from __future__ import annotations

import re
from typing import Callable, NamedTuple, Optional

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

MIN_SLICES = 12
MAX_THICKNESS_MM = 8.0
PIXEL_MM = (0.2, 1.5)
TUBE_KV = (70.0, 150.0)

COMPUTED_TYPES = re.compile(
    r"^(LOCALIZER|MPR|CPR|MIP|MINIP|AVERAGE|3D.*|VRT|VOLUME|SSD|SCREEN SAVE|DOSE.*|REFORMATTED|PROJECTION.*|"
    r".*PERFUSION.*|CBF|CBV|MTT|TTP|TMAX|VMI|MONO.*|IODINE.*|VNC|DE_.*|SUBTRACTION|DERIVED|SECONDARY|MASK|OVERLAY)$"
)
NO_AGENT = re.compile(
    r"^(|NONE|NO|N|0|NIL|WITHOUT.*|NO CONTRAST.*|NON.?CONTRAST.*|UNENHANCED|OHNE|SANS|SIN)$"
)
CONTRAST_WORDS = re.compile(
    r"(?<!POST[ -])\b(CTA|CTV|CTP|CECT|ANGIO\w*|PERF|PERFUSION|CBF|CBV|MTT|TMAX|TTP|IODINE|VNC|ZEFF|\d+ ?KEV|"
    r"MONOENERGETIC|BONE REMOVAL|SUBTRACTION|POST ?CONTRAST|WITH CONTRAST|W/? ?CONTRAST|ARTERIAL|VENOUS PHASE)\b|"
    r"(^|[^\w+])(C\+|\+C)($|[^\w+])"
)
HEAD_WORDS = re.compile(r"HEAD|BRAIN|SKULL|CRANI|CRANEO|CEREB|ENCEPH|NEURO|KOPF|TETE")

# Tried in order against the first value of Convolution Kernel (0018,1210), upper case.
KERNELS = (
    (r"BONE|KNOCHEN|EDGE|LUNG|SHARP|INNER ?EAR|^ULTRA", "bone"),
    (r"^(SOFT|STANDARD|STND|STD\+?|SMOOTH|BRAIN)", "soft-tissue"),  # GE
    (r"^FC(3\d|5\d|8\d)", "bone"),  # Canon, Toshiba
    (r"^FC(0\d|1\d|2\d|4\d|6\d)", "soft-tissue"),
    (r"^[A-Z]{1,2}[6-9]\d[A-Z]?\b", "bone"),  # Siemens: the number is the sharpness
    (r"^[A-Z]{1,2}[1-5]\d[A-Z]?\b", "soft-tissue"),
    (r"^(D|E|L|Y[A-E])$", "bone"),  # Philips
    (r"^(A|B|C|U[A-C])$", "soft-tissue"),
)


class Rule(NamedTuple):
    """`fails(header, decoded)` says why a header breaks the rule, or None. per_slice: a slice that fails is left aside
    (a scout among the slices). decoded: an absent attribute decides; before the choice of a series it does not."""

    code: str
    per_slice: bool
    fails: Callable[[Dataset, bool], Optional[str]]


def value(header: Dataset, keyword: str):
    """The attribute, None where it is absent or empty."""
    found = header.get(keyword)
    return None if found is None or found == "" else found


def values(header: Dataset, keyword: str) -> list[str] | None:
    """A text attribute of any multiplicity as upper-case strings, None where it is absent."""
    found = value(header, keyword)
    if found is None:
        return None
    return [str(one).strip().upper() for one in ([found] if isinstance(found, str) else found)]


def kernel_kind(header: Dataset) -> str:
    """soft-tissue, bone or unknown."""
    names = values(header, "ConvolutionKernel")
    if not names or not names[0]:
        return "unknown"
    return next((kind for pattern, kind in KERNELS if re.search(pattern, names[0])), "unknown")


def _synthetic(header, decoded):
    described = str(value(header, "SeriesDescription") or "").upper()
    made = str(header[0x0008, 0x001C].value).strip().upper() == "YES" if (0x0008, 0x001C) in header else False
    return "the image was made by a model" if made or described.startswith("AI-GENERATED") else None


def _modality(header, decoded):
    found = value(header, "Modality")
    return None if found == "CT" or (found is None and not decoded) else "Modality is %s" % found


def _sop_class(header, decoded):
    found = value(header, "SOPClassUID")
    return None if found == CTImageStorage else "SOP class %s is not CT Image Storage" % found


def _image_type(header, decoded):
    found = values(header, "ImageType")
    if found is None:
        return "Image Type is absent" if decoded else None
    original = found[:2] == ["ORIGINAL", "PRIMARY"] and (found[2:3] in ([], [""], ["AXIAL"]))
    computed = any(COMPUTED_TYPES.match(one) for one in found[3:])
    return None if original and not computed else "Image Type is %s" % "\\".join(found)


def _body_part(header, decoded):
    found = value(header, "BodyPartExamined")
    return None if found is None or HEAD_WORDS.search(found.upper()) else "Body Part Examined is %s" % found


def _contrast(header, decoded):
    agent = value(header, "ContrastBolusAgent")
    if agent is not None and not NO_AGENT.match(str(agent).strip().upper()):
        return "a contrast agent is named"
    described = re.sub(r"[_,;:()]+", " ", str(value(header, "SeriesDescription") or "").upper())
    return "Series Description names a contrast phase or map" if CONTRAST_WORDS.search(described) else None


def _bone_kernel(header, decoded):
    described = str(value(header, "SeriesDescription") or "")
    unnamed = value(header, "ConvolutionKernel") is None and re.search(r"\bBONE\b|\bKNOCHEN", described, re.I)
    return "this is a bone reconstruction" if kernel_kind(header) == "bone" or unnamed else None


def _thickness(header, decoded):
    found = value(header, "SliceThickness")
    return None if found is None or 0 < found <= MAX_THICKNESS_MM else "Slice Thickness is %g mm" % found


def _pixel_spacing(header, decoded):
    found = value(header, "PixelSpacing")
    inside = found is None or all(PIXEL_MM[0] <= float(mm) <= PIXEL_MM[1] for mm in found)
    return None if inside else "Pixel Spacing is %s mm" % list(found)


def _tube(header, decoded):
    found = value(header, "KVP")
    return None if found is None or TUBE_KV[0] <= found <= TUBE_KV[1] else "KVP is %g" % found


def _photometric(header, decoded):
    kind, samples = value(header, "PhotometricInterpretation"), value(header, "SamplesPerPixel")
    passes = (kind == "MONOCHROME2" or (kind is None and not decoded)) and (
        samples == 1 or (samples is None and not decoded)
    )
    return None if passes else "the image is %s with %s samples per pixel" % (kind, samples)


def _rescale(header, decoded):
    slope, intercept, kind = (value(header, "Rescale" + name) for name in ("Slope", "Intercept", "Type"))
    if slope is None and intercept is None and not decoded:
        return None
    if slope is None or intercept is None or float(slope) == 0:
        return "Rescale Slope or Intercept is absent or zero"
    return None if kind is None or str(kind).strip().upper() in ("HU", "US") else "Rescale Type is %s" % kind


RULES = (
    Rule("synthetic-input", True, _synthetic),
    Rule("modality-not-ct", True, _modality),
    Rule("sop-class-not-supported", True, _sop_class),
    Rule("image-type-not-original-axial", True, _image_type),
    Rule("body-part-not-head", False, _body_part),
    Rule("contrast-enhanced", False, _contrast),
    Rule("bone-kernel-only", False, _bone_kernel),
    Rule("slice-thickness-out-of-range", False, _thickness),
    Rule("pixel-spacing-out-of-range", False, _pixel_spacing),
    Rule("tube-voltage-out-of-range", False, _tube),
    Rule("photometric-interpretation-unsupported", False, _photometric),
    Rule("rescale-missing", False, _rescale),
)
