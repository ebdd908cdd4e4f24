"""From a head's HU to a CT: blur, beam hardening, noise with a CT's spectrum, metal, motion.

Works on any in-plane grid: the same noise that is drawn at a native 0.45 mm pixel is drawn on the model grid with the
spectrum it has after resampling (docs/bundle.md), so a training pair looks like a served one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

MAP_BLUR_MM = 0.55  # sigma already in the anatomy maps (anatomy.build_head)


@dataclass(frozen=True)
class Protocol:
    """How one scan was taken. Lengths mm, HU.

    noise_hu: SD in white matter at the native pixel; corner: noise spectrum's cut-off in line pairs per mm;
    padded: air outside the head is the constant -1024; holder: radius, flattening and x offset of the head holder, or none.
    """

    pixel_mm: float
    slice_mm: float
    psf_fwhm_mm: float
    noise_hu: float
    corner: float
    cupping_hu: float
    petrous_bands: float
    gain: float
    offset_hu: float
    metal_hu: float
    motion_mm: float
    padded: bool
    holder: tuple[float, float, float] | None


def draw_protocol(seed: int, **chosen) -> Protocol:
    """Draw a scan: mostly 5 mm slices, soft kernel, noise SD 3.5-4.5 HU; a few thin, metallic or moving."""
    random = np.random.default_rng([seed, 5])
    values = dict(
        pixel_mm=float(random.uniform(0.41, 0.49)),
        slice_mm=float(random.choice([5.0, 4.8, 4.0, 3.0, 2.5, 6.0], p=[0.66, 0.08, 0.08, 0.06, 0.06, 0.06])),
        psf_fwhm_mm=float(random.uniform(1.2, 2.4)),
        noise_hu=float(np.clip(random.normal(4.0, 0.4), 2.8, 5.4)),
        corner=float(random.uniform(0.26, 0.42)),
        cupping_hu=float(random.uniform(0, 5)),
        petrous_bands=float(random.uniform(0.0, 0.22)),
        gain=float(random.normal(1, 0.012)),
        offset_hu=float(random.normal(0, 1.0)),
        metal_hu=float(random.uniform(15, 45)) if random.random() < 0.03 else 0.0,
        motion_mm=float(random.uniform(1.0, 3.0)) if random.random() < 0.05 else 0.0,
        padded=bool(random.random() < 0.5),
        holder=(float(random.uniform(101, 108)), float(random.uniform(1.0, 1.2)), float(random.normal(0, 5)))
        if random.random() < 0.5
        else None,
    )
    return Protocol(**{**values, **chosen})


def blur_sigma(protocol: Protocol, spacing_mm: float) -> float:
    """Sigma in mm of the blur still missing: the scanner's, and the box and hat of resampling to `spacing_mm`."""
    variance = (protocol.psf_fwhm_mm / 2.355) ** 2 - MAP_BLUR_MM**2
    if spacing_mm > protocol.pixel_mm:
        variance += (spacing_mm - protocol.pixel_mm) ** 2 / 12 + protocol.pixel_mm**2 / 6
    return float(np.sqrt(max(variance, 0.04)))


def noise_amplitude(shape: tuple[int, int], spacing_mm: float, protocol: Protocol) -> np.ndarray:
    """Filter [rows, columns // 2 + 1] that turns white noise into CT noise of SD 1 at the native pixel.

    The spectrum is a ramp times a Gaussian kernel. On a coarser grid it is multiplied with the response of the
    resampling weights, and what lies above the grid's own limit folds back.
    """
    native = protocol.pixel_mm

    def power(fx: np.ndarray, fy: np.ndarray) -> np.ndarray:
        f = np.hypot(fx, fy)
        return (f + 0.02) * np.exp(-2.0 * (f / protocol.corner) ** 2)

    axis = np.linspace(-0.5 / native, 0.5 / native, 201)
    total = power(axis[None], axis[:, None]).sum() * (axis[1] - axis[0]) ** 2
    fy = np.fft.fftfreq(shape[0], spacing_mm)[:, None]
    fx = np.fft.rfftfreq(shape[1], spacing_mm)[None]
    if spacing_mm <= native:
        folded = power(fx, fy)
    else:
        box, fold = spacing_mm - native, 1.0 / spacing_mm
        response = lambda f: (np.sinc(f * box) * np.sinc(f * native) ** 2) ** 2
        folded = np.zeros((shape[0], shape[1] // 2 + 1))
        for ky in (-1, 0, 1):
            for kx in (-1, 0, 1):
                gx, gy = fx + kx * fold, fy + ky * fold
                folded = folded + power(gx, gy) * response(gx) * response(gy)
    return np.sqrt(folded / total) / spacing_mm


def acquire(hu: torch.Tensor, spacing_mm: float, protocol: Protocol, seed: int | None) -> np.ndarray:
    """The CT of `hu` [slices, rows, columns]: float32 HU.

    seed: of the noise, metal and motion; None gives the same scanner without any of the three.
    """
    image = hu.clamp(-1000.0, 2600.0).cpu().numpy()
    bone = np.clip((image - 150.0) / 650.0, 0.0, 1.3)
    head = image > -300.0
    sigma = blur_sigma(protocol, spacing_mm) / spacing_mm
    image = ndimage.gaussian_filter(image, (0, sigma, sigma), truncate=3.0)
    image += _beam_hardening(bone, head, spacing_mm, protocol)
    image = image * protocol.gain + protocol.offset_hu
    if seed is not None:
        random = np.random.default_rng([seed, 6])
        if protocol.metal_hu > 0:
            _add_metal(image, head, spacing_mm, protocol, random)
        image += _noise(image.shape, spacing_mm, protocol, head, random)
        if protocol.motion_mm > 0:
            _move(image, spacing_mm, protocol, random)
    return np.clip(image, -1024.0, 3071.0).astype(np.float32)


def _noise(shape, spacing_mm, protocol, head, random) -> np.ndarray:
    amplitude = noise_amplitude(shape[1:], spacing_mm, protocol).astype(np.float32)
    noise = np.empty(shape, dtype=np.float32)
    for i in range(shape[0]):
        white = random.standard_normal(shape[1:], dtype=np.float32)
        noise[i] = np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=shape[1:])
    # Fewer photons come through the middle of the head than through its edge or through air.
    step = max(1, int(round(6.0 / spacing_mm)))
    thick = ndimage.gaussian_filter(head[:, ::step, ::step].astype(np.float32), (0, 5, 5))
    thick = np.repeat(np.repeat(thick, step, 1), step, 2)[:, : shape[1], : shape[2]]
    return noise * (protocol.noise_hu * (0.45 + 0.62 * thick))


def _beam_hardening(bone: np.ndarray, head: np.ndarray, spacing_mm: float, protocol: Protocol) -> np.ndarray:
    """Cupping towards the skull, and dark bands where every horizontal ray crosses much bone on both sides."""
    step = max(1, int(round(3.0 / spacing_mm)))
    coarse = bone[:, ::step, ::step]
    glow = ndimage.gaussian_filter(coarse, (0, 4.5, 4.5)) * protocol.cupping_hu * 2.5
    before = np.cumsum(coarse, axis=2) * step * spacing_mm
    after = before[:, :, -1:] - before
    shade = np.clip(np.minimum(before, after) - 17.0, 0.0, 40.0) * protocol.petrous_bands
    shade = ndimage.gaussian_filter(shade, (0, 1.0, 1.5))
    change = np.repeat(np.repeat(glow - shade, step, 1), step, 2)[:, : bone.shape[1], : bone.shape[2]]
    return change * head * (bone < 0.3)


def _add_metal(image, head, spacing_mm, protocol, random) -> None:
    """A clip or a coil: a bright core with fine, mostly weak streaks that fade with distance, on two or three slices."""
    slices = int(random.integers(1, max(2, image.shape[0] // 2)))
    rows, columns = np.nonzero(head[slices])
    if rows.size == 0:
        return
    pick = int(random.integers(rows.size))
    y, x = np.ogrid[: image.shape[1], : image.shape[2]]
    dy, dx = (y - rows[pick]) * spacing_mm, (x - columns[pick]) * spacing_mm
    radius, angle = np.hypot(dy, dx), np.arctan2(dy, dx)
    streak = np.zeros_like(radius)
    for _ in range(14):
        order = random.integers(3, 28)
        streak += random.normal() / np.sqrt(14) * np.cos(order * angle + random.uniform(0, 2 * np.pi))
    for offset, share in ((-1, 0.35), (0, 1.0), (1, 0.35)):
        if 0 <= slices + offset < image.shape[0]:
            body = streak * 12.0 / np.maximum(radius, 4.0) * np.exp(-radius / 60.0) * protocol.metal_hu
            image[slices + offset] += share * (body * head[slices + offset] + 2200.0 * (radius < 1.8))


def _move(image, spacing_mm, protocol, random) -> None:
    """Ghosts on a few consecutive slices: the head moved while they were taken."""
    first = int(random.integers(1, max(2, image.shape[0] - 4)))
    for i in range(first, min(image.shape[0], first + 4)):
        shift = random.normal(0, protocol.motion_mm, 2) / spacing_mm
        image[i] = 0.65 * image[i] + 0.35 * ndimage.shift(image[i], shift, order=1, mode="nearest")
