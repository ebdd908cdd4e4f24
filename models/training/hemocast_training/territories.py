"""Where the middle cerebral artery feeds the brain: the prior for where infarct and staining lie.

Source: arterial territories of Tatu et al. in MNI space, re-released under CC BY 4.0 (ExploreASL). They are brought to a
head by matching the bounding boxes of the supratentorial brain, which is coarse but smooth: the simulator needs a
plausible territory, not a parcellation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from . import labels as lab

_MCA = 2
_ATLAS = "Tatu_ACA_MCA_PCA.nii.gz"


def mca_territory(labels: np.ndarray, anatomy: Path) -> np.ndarray:
    """Bool [z, y, x]: inside the territory of either middle cerebral artery (both hemispheres, basal ganglia included).

    anatomy: folder of the label maps; FileNotFoundError when the atlas does not lie beside it.
    """
    folder = Path(anatomy).resolve().parent / "territories_tatu_mni"
    if not (folder / _ATLAS).is_file():
        raise FileNotFoundError(
            "%s is missing: the territory atlas must lie beside the label maps (docs/simulator.md)" % (folder / _ATLAS)
        )
    return _from_atlas(labels, folder) | np.isin(labels, lab.BASAL_GANGLIA)


def _bounds(mask: np.ndarray) -> np.ndarray:
    return np.array([[i[0], i[-1]] for i in (np.nonzero(mask.any(axis=a))[0] for a in ((1, 2), (0, 2), (0, 1)))], float)


def _from_atlas(labels: np.ndarray, folder: Path) -> np.ndarray:
    import nibabel

    def read(name: str) -> np.ndarray:
        image = nibabel.load(folder / name)
        wanted = nibabel.orientations.axcodes2ornt(("S", "P", "L"))
        turn = nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), wanted)
        return np.asarray(nibabel.orientations.apply_orientation(np.asarray(image.dataobj), turn))

    atlas = np.rint(read(_ATLAS)).astype(int)
    brain = read("brainmask_supratentorial.nii.gz") > 0.5
    # Central white matter carries no label in the atlas: it takes the nearest territory.
    nearest = ndimage.distance_transform_edt(atlas == 0, return_distances=False, return_indices=True)
    atlas = atlas[tuple(nearest)]
    source, target = _bounds(brain), _bounds(np.isin(labels, lab.CEREBRUM))
    scale = (source[:, 1] - source[:, 0]) / (target[:, 1] - target[:, 0])
    index = [np.clip(np.rint(source[a, 0] + (np.arange(labels.shape[a]) - target[a, 0]) * scale[a]).astype(int), 0,
                     atlas.shape[a] - 1) for a in range(3)]
    territory = atlas[np.ix_(*index)] == _MCA
    posterior_fossa = np.isin(labels, (7, 8, 15, 16, 46, 47))
    return territory & ~posterior_fossa
