import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { assembleVolume } from '../../api/imaging/assemble-volume.ts';
import { slicePositions } from '../../api/imaging/geometry.ts';
import type { Frame, InstanceHeader } from '../../api/imaging/volume.ts';
import { describeWith } from '../support/components.ts';
import { readDicomFolder } from '../support/read-dicom-folder.ts';
import { refusalOf } from '../support/refusal.ts';
import { storedAnotherWay, syntheticHead } from '../support/synthetic-head.ts';

const SMALL = { matrix: 40, slices: 14 } as const;

/** Small head frames with one slice's header changed. */
function withHeader(change: Partial<InstanceHeader>, slice?: number): Frame[] {
  return syntheticHead(SMALL).map((frame, i) =>
    slice === undefined || slice === i ? { ...frame, header: { ...frame.header, ...change } } : frame,
  );
}

const codesOf = (frames: Frame[]): string[] => assembleVolume(frames).flags.map(({ code }) => code);

describe('Assembling a volume', () => {
  it('gives the same volume whichever of the eight ways the pixels are stored, and in whatever order they arrive', () => {
    const frames = syntheticHead({ ...SMALL, tiltDeg: 12, shiftMm: [9, -14] });
    const expected = assembleVolume(frames).volume;
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 7 }),
        fc.shuffledSubarray([...frames.keys()], { minLength: frames.length }),
        (way, order) => {
          const { volume } = assembleVolume(order.map((i) => storedAnotherWay(frames[i], way)));
          expect(volume.hu).toEqual(expected.hu);
          expect(volume.sopInstanceUids).toEqual(expected.sopInstanceUids);
          const { x, y, z } = slicePositions(volume);
          const reference = slicePositions(expected);
          for (const [got, wanted] of [
            [x, reference.x],
            [y, reference.y],
            [z, reference.z],
          ])
            got.forEach((mm, i) => expect(mm).toBeCloseTo(wanted[i], 9));
        },
      ),
      { seed: 21, numRuns: 40 },
    );
  });

  it('turns columns to the patient left, rows to posterior and slices to superior', () => {
    const { volume } = assembleVolume(syntheticHead(SMALL).map((frame) => storedAnotherWay(frame, 7)));
    expect(volume.rowDirection[0]).toBeCloseTo(1, 12);
    expect(volume.columnDirection[1]).toBeCloseTo(1, 12);
    expect(volume.normal[2]).toBeCloseTo(1, 12);
    expect(volume.origins[1][2]).toBeGreaterThan(volume.origins[0][2]);
  });

  it('keeps pixels that are not square the right way round when rows and columns change places', () => {
    const tall = syntheticHead(SMALL).map((frame): Frame => ({
      ...frame,
      header: { ...frame.header, pixelSpacingMm: [0.5, 1.25] },
    }));
    for (const way of [0, 4]) {
      const { volume } = assembleVolume(tall.map((frame) => storedAnotherWay(frame, way)));
      expect([volume.rowSpacingMm, volume.columnSpacingMm]).toEqual([0.5, 1.25]);
    }
  });

  it('reads HU as stored value times slope plus intercept', () => {
    const [frame] = syntheticHead(SMALL);
    const stored = frame.storedValues[0];
    const { volume } = assembleVolume(withHeader({ rescaleSlope: 2, rescaleIntercept: -900 }));
    expect(volume.hu[0]).toBe(stored * 2 - 900);
  });

  it('takes padding, up to its range limit, as -1024, also when the sender wrote its sign wrong', () => {
    const padded = (padding: Partial<InstanceHeader>): number[] => {
      const frames = syntheticHead(SMALL).map((frame): Frame => {
        const storedValues = Int16Array.from(frame.storedValues);
        storedValues.set([-2000, -1990, -1980]);
        return { header: { ...frame.header, ...padding, rescaleIntercept: 0 }, storedValues };
      });
      return [...assembleVolume(frames).volume.hu.subarray(0, 3)];
    };
    // Without a limit the neighbours are read, and raised to -1024: nothing attenuates less than vacuum.
    expect(padded({ pixelPaddingValue: -2000 })).toEqual([-1024, -1024, -1024]);
    expect(padded({ pixelPaddingValue: -2000 + 65536, pixelPaddingRangeLimit: -1985 })[1]).toBe(-1024);
    const brightPadding = syntheticHead(SMALL).map((frame): Frame => {
      const storedValues = frame.storedValues.slice();
      storedValues.set([4000, 3990, 3980]);
      return { header: { ...frame.header, pixelPaddingValue: 4000, pixelPaddingRangeLimit: 3985 }, storedValues };
    });
    expect([...assembleVolume(brightPadding).volume.hu.subarray(0, 3)]).toEqual([-1024, -1024, 3980 - 1024]);
  });

  it('flags a tilted gantry, wide gaps and an unstated thickness', () => {
    expect(codesOf(syntheticHead({ ...SMALL, tiltDeg: 18 }))).toEqual(['gantry-tilt-corrected']);
    expect(codesOf(withHeader({ sliceThicknessMm: 4 }))).toEqual(['slice-gap-wide']);
    expect(codesOf(withHeader({ sliceThicknessMm: undefined }))).toEqual(['slice-thickness-absent']);
    expect(codesOf(syntheticHead(SMALL))).toEqual([]);
  });

  it.each([
    ['Image Position (Patient) (0020,0032)', { imagePositionPatient: undefined }],
    ['Image Orientation (Patient) (0020,0037)', { imageOrientationPatient: undefined }],
    ['Pixel Spacing (0028,0030)', { pixelSpacingMm: undefined }],
  ])('never guesses geometry: without %s it refuses', (absent, change) => {
    expect(refusalOf(() => assembleVolume(withHeader(change, 5)))).toMatchObject({
      code: 'geometry-missing',
      details: { absent: [absent] },
    });
  });

  it.each<[string, Partial<InstanceHeader>]>([
    ['pixel spacing', { pixelSpacingMm: [1.1, 1.1] }],
    ['matrix size', { rows: 20, columns: 80 }],
    ['orientation', { imageOrientationPatient: [1, 0, 0, 0, 0.98, 0.199] }],
    ['frame of reference', { frameOfReferenceUid: '2.25.99' }],
  ])('refuses slices that differ in %s', (differs, change) => {
    expect(refusalOf(() => assembleVolume(withHeader(change, 5)))).toMatchObject({
      code: 'geometry-inconsistent',
      details: { differs },
    });
  });

  it('refuses directions that are not perpendicular unit vectors, and numbers that are none', () => {
    const skewed = withHeader({ imageOrientationPatient: [1, 0, 0, 0.3, 0.95, 0] });
    expect(refusalOf(() => assembleVolume(skewed)).code).toBe('geometry-inconsistent');
    const infinite = withHeader({ pixelSpacingMm: [Infinity, 1] });
    expect(refusalOf(() => assembleVolume(infinite)).code).toBe('geometry-inconsistent');
  });

  it('refuses two slices at the same position', () => {
    const frames = syntheticHead(SMALL);
    expect(refusalOf(() => assembleVolume([...frames, frames[3]])).code).toBe('duplicate-slices');
  });

  it('refuses a missing slice of 5 mm: the gap of 10 mm exceeds 8 mm', () => {
    const frames = syntheticHead(SMALL).filter((_, i) => i !== 6);
    expect(refusalOf(() => assembleVolume(frames))).toMatchObject({
      code: 'slice-gap-too-large',
      details: { gapMm: 10, limitMm: 8 },
    });
  });

  it('refuses a gap of more than twice the stated thickness, and flags one of exactly twice', () => {
    expect(refusalOf(() => assembleVolume(withHeader({ sliceThicknessMm: 2 })))).toMatchObject({
      code: 'slice-gap-too-large',
      details: { gapMm: 5, limitMm: 4, sliceThicknessMm: 2 },
    });
    expect(codesOf(withHeader({ sliceThicknessMm: 2.5 }))).toEqual(['slice-gap-wide']);
  });

  it('measures gaps along the plane normal: 8.4 mm of table feed at 20 degrees are 7.9 mm between slices', () => {
    expect(codesOf(syntheticHead({ ...SMALL, gapMm: 8.4, tiltDeg: 20, sliceThicknessMm: 8 }))).toEqual([
      'gantry-tilt-corrected',
    ]);
    expect(refusalOf(() => assembleVolume(syntheticHead({ ...SMALL, gapMm: 8.4 }))).code).toBe('slice-gap-too-large');
  });

  it('accepts a plane 30 degrees oblique and refuses one of 35 that no gantry tilt explains', () => {
    const oblique = (degrees: number): Frame[] => {
      const [cosine, sine] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
      return syntheticHead(SMALL).map((frame, i) => ({
        ...frame,
        header: {
          ...frame.header,
          imageOrientationPatient: [1, 0, 0, 0, cosine, -sine],
          imagePositionPatient: [0, i * 5 * sine, i * 5 * cosine],
        },
      }));
    };
    expect(codesOf(oblique(29.9))).toEqual([]);
    expect(refusalOf(() => assembleVolume(oblique(35)))).toMatchObject({
      code: 'oblique-plane',
      details: { obliqueDeg: 35, limitDeg: 30 },
    });
    const stated = oblique(35).map((frame): Frame => ({
      ...frame,
      header: { ...frame.header, gantryDetectorTiltDeg: 10 },
    }));
    expect(codesOf(stated)).toEqual([]);
  });

  it('refuses coronal slices', () => {
    const coronal = syntheticHead(SMALL).map((frame, i): Frame => ({
      ...frame,
      header: { ...frame.header, imageOrientationPatient: [1, 0, 0, 0, 0, -1], imagePositionPatient: [0, i * 5, 0] },
    }));
    expect(refusalOf(() => assembleVolume(coronal)).code).toBe('oblique-plane');
  });

  it.each<[string, Partial<InstanceHeader>]>([
    ['no slope', { rescaleSlope: undefined }],
    ['no intercept', { rescaleIntercept: undefined }],
    ['a slope of 0', { rescaleSlope: 0 }],
    ['values that are not HU', { rescaleType: 'MGML' }],
  ])('never defaults the rescale: with %s it refuses', (_, change) => {
    expect(refusalOf(() => assembleVolume(withHeader(change))).code).toBe('rescale-missing');
  });

  it('refuses inverted grey values and colour', () => {
    const inverted = withHeader({ photometricInterpretation: 'MONOCHROME1' });
    expect(refusalOf(() => assembleVolume(inverted)).code).toBe('photometric-interpretation-unsupported');
    const color = withHeader({ photometricInterpretation: 'RGB', samplesPerPixel: 3 });
    expect(refusalOf(() => assembleVolume(color)).code).toBe('photometric-interpretation-unsupported');
  });
});

describeWith('test data', 'Assembling real series', () => {
  it('keeps the tilt and the uneven slices of a GE head CT: 4 mm, then 7 mm planes behind 4.22 and 7.38 mm of table feed', async () => {
    const { volume, flags } = assembleVolume(await readDicomFolder('ge_hispeed_head_tilt'));
    const { y, z } = slicePositions(volume);
    const gaps = [...z].slice(1).map((mm, i) => mm - z[i]);
    const cosine = Math.cos((18.5 * Math.PI) / 180);
    gaps.forEach((gap, i) => expect(gap).toBeCloseTo((i < 13 ? 4.22 : i === 13 ? 1.14 : 7.38) * cosine, 3));
    // The rows of neighbouring slices are shifted by the feed times the sine of the tilt.
    expect(y[0] - y[1]).toBeCloseTo(4.22 * Math.sin((18.5 * Math.PI) / 180), 3);
    expect(volume.hu.reduce((low, hu) => Math.min(low, hu), 0)).toBe(-1024); // padding is stored as -1500
    // 7.38 mm of feed are 7.0 mm between planes 7 mm thick: no gap at all, so nothing to flag.
    expect(flags.map(({ code }) => code)).toEqual(['gantry-tilt-corrected']);
  });

  it('finds the tilt of a sheared Siemens stack that states none', async () => {
    const { flags } = assembleVolume(await readDicomFolder('dicom2nifti_bad_geometry/gantrytilting_001'));
    expect(flags.map(({ code }) => code)).toContain('gantry-tilt-corrected');
  });

  it('refuses the 10 mm gap in a GE stack of 5 mm steps', async () => {
    const frames = await readDicomFolder('dicom2nifti_bad_geometry/sliceincrement_001');
    expect(refusalOf(() => assembleVolume(frames)).code).toBe('slice-gap-too-large');
  });
});
