import { describe, expect, it } from '@jest/globals';
import { assertHead, HEAD_CRITERIA } from '../../api/imaging/anatomy.ts';
import { assembleVolume } from '../../api/imaging/assemble-volume.ts';
import type { Frame } from '../../api/imaging/volume.ts';
import { refusalOf } from '../support/refusal.ts';
import { storedAnotherWay, syntheticHead, uniform, type SyntheticHeadOptions } from '../support/synthetic-head.ts';

const recognize = (options: SyntheticHeadOptions): ReturnType<typeof assertHead> =>
  assertHead(assembleVolume(syntheticHead(options)).volume);

const refusal = (options: SyntheticHeadOptions): ReturnType<typeof refusalOf> => refusalOf(() => recognize(options));

describe('Recognizing a head by its content', () => {
  it('finds brain, air, vertex and coverage of a head where they were put', () => {
    const anatomy = recognize({ brainHu: 34 });
    expect(anatomy.brainHu).toBe(34);
    expect(anatomy.airHu).toBeCloseTo(-1000, -1);
    // Top of the skull at 72 mm, lowest slice 139 mm below it with 5 mm slices.
    expect(anatomy.vertexZ).toBeGreaterThan(68);
    expect(anatomy.vertexZ).toBeLessThan(74);
    expect(anatomy.coverageMm).toBeCloseTo(anatomy.vertexZ - (78 - 29 * 5 - 2.5), 6);
    // The ellipsoid holds 1574 mL; 93 % of a head's lie within the 116 mm that are looked at, less a rim at the bone.
    expect(anatomy.intracranialMl).toBeGreaterThan(1574 * 0.93 * 0.85);
    expect(anatomy.intracranialMl).toBeLessThan(1574);
    expect(anatomy.flags).toEqual([]);
  });

  it('keeps 4 mm from the skull where measurements are taken', () => {
    const { lattice, eroded } = recognize({});
    const reach = Math.floor(4 / lattice.columnMm);
    let nearBone = 0;
    eroded.forEach((inside, cell) => {
      for (let step = -reach; inside === 1 && step <= reach; step++) if (lattice.hu[cell + step] > 300) nearBone++;
    });
    expect(eroded.filter((inside) => inside === 1).length).toBeGreaterThan(100_000);
    expect(nearBone).toBe(0);
  });

  it('refuses a skull phantom with air inside that carries perfect head-CT headers', () => {
    expect(refusal({ brainHu: -1000 })).toMatchObject({
      code: 'not-a-head',
      details: { modeHu: -1000, limitsHu: [20, 45] },
    });
  });

  it('refuses a skull of a size that no adult has', () => {
    expect(refusal({ size: 0.6 }).code).toBe('not-a-head');
    expect(refusal({ size: 1.3 }).code).toBe('not-a-head');
  });

  it('refuses a body without a skull, whatever its headers say', () => {
    const boneless = syntheticHead({}).map((frame): Frame => {
      const storedValues = frame.storedValues.map((value) => (value > 1024 + 300 ? 1024 + 40 : value));
      return { ...frame, storedValues };
    });
    expect(refusalOf(() => assertHead(assembleVolume(boneless).volume)).code).toBe('not-a-head');
  });

  it('refuses a scan that ends 82 mm below the vertex', () => {
    expect(refusal({ slices: 18 })).toMatchObject({
      code: 'incomplete-head-coverage',
      details: { requiredMm: HEAD_CRITERIA.minCoverageMm },
    });
  });

  it('refuses a scan that begins 20 mm below the top of the skull, and flags one that begins at its inner table', () => {
    expect(refusal({ aboveVertexMm: -20 }).code).toBe('incomplete-head-coverage');
    expect(recognize({ aboveVertexMm: -4 }).flags.map(({ code }) => code)).toEqual(['vertex-not-covered']);
  });

  it.each<[string, SyntheticHeadOptions]>([
    ['the intercept was lost', { header: { rescaleIntercept: 0 } }],
    ['the intercept is off by 100', { header: { rescaleIntercept: -924 } }],
    ['the intercept is off by -60', { header: { rescaleIntercept: -1084 } }],
    ['the slope was doubled', { header: { rescaleSlope: 2 } }],
    ['the slope was halved', { header: { rescaleSlope: 0.5 } }],
    ['the values are inverted', { header: { rescaleSlope: -1, rescaleIntercept: 0 } }],
  ])('refuses values that are no Hounsfield units: %s', (_, options) => {
    expect(refusal(options).code).toBe('hounsfield-implausible');
  });

  it('says what it saw where a wrong scale left no bone to see: brain where no tissue lies, or air inside and tissue around', () => {
    // Brain of 32 HU is stored as 1056: half of it less 1024 is -496. Outside air is stored as 24.
    expect(refusal({ header: { rescaleSlope: 0.5 } }).details).toEqual({
      middleHu: -499, // the bin of 5 HU that begins there
      edgeHu: -1014, // -1012
      noTissueHu: [-900, -200],
    });
    expect(refusal({ header: { rescaleSlope: -1, rescaleIntercept: 0 } }).details).toEqual({
      middleHu: -1024, // -1056, cut off
      edgeHu: -24,
      noTissueHu: [-900, -200],
    });
  });

  it('calls a scan of nothing but air no head, and does not blame its scale', () => {
    const air = syntheticHead({}).map((frame): Frame => ({ ...frame, storedValues: frame.storedValues.map(() => 24) }));
    expect(refusalOf(() => assertHead(assembleVolume(air).volume))).toMatchObject({
      code: 'not-a-head',
      details: { largestBoneAreaMm2: 0, requiredBoneAreaMm2: 300 },
    });
  });

  it('accepts each of 210 valid variants: size, place, tilt, slices, pixels, noise, storage and findings (seed 31)', () => {
    const random = uniform(31);
    const between = (low: number, high: number): number => low + random() * (high - low);
    let accepted = 0;
    for (let i = 0; i < 210; i++) {
      const gapMm = between(2.5, 7.5);
      const size = between(0.85, 1.08);
      const tiltDeg = i % 3 === 0 ? between(-25, 25) : 0;
      const frames = syntheticHead({
        gapMm,
        slices: Math.ceil((150 * size) / gapMm),
        sliceThicknessMm: gapMm * between(0.7, 1.1),
        matrix: 128,
        fieldOfViewMm: size * 160 + between(25, 30),
        tiltDeg,
        size,
        aboveVertexMm: between(-3, 8),
        shiftMm: [between(-8, 8), between(-2, 2)],
        brainHu: between(24, 40),
        noiseHu: between(0, 5),
        seed: i,
        spheres: [
          {
            center: [between(-35, 35), between(-40, 40), between(0, 35)],
            radiusMm: between(3, 18),
            hu: between(50, 120),
          },
          {
            center: [between(-35, 35), between(-40, 40), between(0, 35)],
            radiusMm: between(5, 25),
            hu: between(8, 22),
          },
        ],
      });
      const { volume } = assembleVolume(frames.map((frame) => storedAnotherWay(frame, i % 8)));
      expect(assertHead(volume).intracranialMl).toBeGreaterThan(600);
      accepted++;
    }
    expect(accepted).toBe(210);
  }, 600_000);
});
