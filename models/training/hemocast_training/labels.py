"""Meaning of the label maps the simulator builds heads from (SynthSeg training label maps, Apache-2.0).

Values below 200 are FreeSurfer's (surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/AnatomicalROI/FreeSurferColorLUT); the
5xx values are extra-cerebral tissue whose meaning was read off the maps by position and neighbours.
"""

LEFT_CEREBRAL_WHITE, RIGHT_CEREBRAL_WHITE = 2, 41
WHITE_MATTER = (2, 41, 7, 46, 16, 28, 60, 85, 25, 57, 72, 512)  # with brainstem, ventral DC, chiasm, WM lesions, cord
CORTEX = (3, 42, 8, 47, 17, 53, 18, 54, 30, 62)  # with hippocampus, amygdala, insular vessels
DEEP_GREY = (10, 49, 11, 50, 12, 51, 13, 52, 26, 58)
BASAL_GANGLIA = (11, 50, 12, 51, 13, 52)  # caudate and lentiform nucleus
PALLIDUM = (13, 52)
CEREBRUM = (2, 3, 4, 10, 11, 12, 13, 17, 18, 26, 41, 42, 43, 49, 50, 51, 52, 53, 54, 58)
VENTRICLES = (4, 5, 14, 15, 43, 44)
CHOROID_PLEXUS = (136, 137, 163, 164)
THIRD_VENTRICLE = 14
OPTIC_CHIASM = 85
CSF = 24
ARTERY, VENOUS_SINUS = 502, 514
EYE, OPTIC_NERVE, MUCOSA = 506, 508, 509
SOFT_TISSUE, SKIN, UNKNOWN_SOFT = 507, 511, 530
CORTICAL_BONE, MARROW = 515, 516
AIR = 0

# Split by head, so that no anatomy is both trained on and reported on.
HEADS = {
    "train": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
    "validation": (11, 12),
    "test": (13, 14),
}
