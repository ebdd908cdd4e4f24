/** What a radiologist can verify with a region of interest: spheres of known size and density in a head, measured. */
import { describe, expect, it } from '@jest/globals';
import { assertHead } from '../../api/imaging/anatomy.ts';
import { assembleVolume } from '../../api/imaging/assemble-volume.ts';
import { measure } from '../../api/prediction/measurements.ts';
import type { Measurements } from '../../api/prediction/prediction.ts';
import { syntheticHead, type Sphere, type SyntheticHeadOptions } from '../support/synthetic-head.ts';

function measured(spheres: readonly Sphere[], options: SyntheticHeadOptions = {}): Measurements {
  const { volume } = assembleVolume(syntheticHead({ matrix: 160, gapMm: 2.5, slices: 58, spheres, ...options }));
  return measure(volume, assertHead(volume));
}
/** Spheres lie 30 mm above the middle of the head, clear of skull base and vault. */
const sphere = (x: number, radiusMm: number, hu: number): Sphere => ({ center: [x, -5, 30], radiusMm, hu });
const ml = (radiusMm: number): number => ((4 / 3) * Math.PI * radiusMm ** 3) / 1000;

describe('Measurements on the initial CT', () => {
  it('of a bleed of 11.5 mL and 70 HU on the left: its volume, its density, its side', () => {
    const { hyperdenseVolumeMl, maxHu, meanHu, side, metallicSign } = measured([sphere(35, 14, 70)]);
    expect(ml(14)).toBeCloseTo(11.5, 1);
    // 50 HU lies just below half way between brain (32) and bleed (70): the edge is found where it is.
    expect(hyperdenseVolumeMl.value! / ml(14)).toBeGreaterThan(0.95);
    expect(hyperdenseVolumeMl.value! / ml(14)).toBeLessThan(1.08);
    expect(maxHu.value).toBe(70); // unsmoothed: not one HU less
    expect(meanHu.value).toBeGreaterThan(66); // voxels at the edge may be brain
    expect(meanHu.value).toBeLessThanOrEqual(70);
    expect(side).toEqual({ value: 'left' });
    expect(metallicSign).toEqual({ value: false });
  });

  it('are the same within a tenth in 5 mm slices, tilted by 20 degrees, with noise of 4 HU', () => {
    const thick = { gapMm: 5, slices: 30, tiltDeg: 20, noiseHu: 4 };
    const { hyperdenseVolumeMl, side } = measured([sphere(35, 14, 70)], thick);
    expect(hyperdenseVolumeMl.value! / ml(14)).toBeGreaterThan(0.9);
    expect(hyperdenseVolumeMl.value! / ml(14)).toBeLessThan(1.1);
    expect(side).toEqual({ value: 'left' });
  });

  it('keep the densest voxel of a bleed that is dense in its middle', () => {
    const { maxHu, hyperdenseVolumeMl } = measured([sphere(-35, 4, 88), sphere(-35, 14, 65)]);
    expect(maxHu.value).toBe(88);
    expect(hyperdenseVolumeMl.value! / ml(14)).toBeGreaterThan(0.9); // one bleed, not two
  });

  it.each<[string, Sphere[], 'left' | 'right' | 'bilateral']>([
    ['left only', [sphere(30, 10, 70)], 'left'],
    ['right only', [sphere(-30, 10, 70)], 'right'],
    ['both alike', [sphere(30, 10, 70), sphere(-30, 10, 70)], 'bilateral'],
    // 14^3 / (14^3 + 8^3) = 84 %: more than 80 %.
    ['84 % left', [sphere(30, 14, 70), sphere(-30, 8, 70)], 'left'],
    // 14^3 / (14^3 + 10^3) = 73 %.
    ['73 % left', [sphere(30, 14, 70), sphere(-30, 10, 70)], 'bilateral'],
  ])('name the side that holds more than 80 %% of the volume: %s', (_, spheres, side) => {
    expect(measured(spheres).side).toEqual({ value: side });
  });

  it('find the side from the patient, not from the picture: the head lies off center', () => {
    expect(measured([sphere(12, 8, 70)], { shiftMm: [-16, 0] }).side).toEqual({ value: 'left' });
  });

  it('are null with the reason where there is nothing hyperdense; the volume is then 0, not null', () => {
    const none = { value: null, reason: 'No component above 50 HU of at least 0.1 mL.' };
    expect(measured([])).toEqual({
      hyperdenseVolumeMl: { value: 0 },
      maxHu: none,
      meanHu: none,
      side: none,
      metallicSign: { value: false },
    });
  });

  it('leave out what is smaller than 0.1 mL, and keep what is larger', () => {
    expect(ml(2.5)).toBeLessThan(0.1);
    expect(measured([sphere(30, 2.5, 70)]).hyperdenseVolumeMl).toEqual({ value: 0 });
    expect(measured([sphere(30, 4.5, 75)]).hyperdenseVolumeMl.value).toBeGreaterThan(0.1);
  });

  it('leave out what is 50 HU or less', () => {
    expect(measured([sphere(30, 12, 49)]).hyperdenseVolumeMl).toEqual({ value: 0 });
  });

  it.each<[string, Sphere, boolean | null]>([
    ['16 mm across at 120 HU: perhaps, its place cannot be vouched for', sphere(20, 8, 120), null],
    ['6 mm across at 120 HU', sphere(20, 3.2, 120), false],
    ['24 mm across at 85 HU', sphere(20, 12, 85), false],
  ])('never claim a metallic hyperdensity sign: %s', (_, component, value) => {
    const { metallicSign } = measured([component]);
    expect(metallicSign.value).toBe(value);
    if (metallicSign.value === null) expect(metallicSign.reason).toMatch(/deep grey matter cannot be vouched for/);
  });
});
