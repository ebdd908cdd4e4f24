/** Stored values to HU: one tiny image, every number worked out beside it. */
import { describe, expect, it } from '@jest/globals';
import { rescaleOf, toHounsfield } from '../../api/imaging/hounsfield.ts';
import { orient } from '../../api/imaging/orientation.ts';
import type { InstanceHeader, StoredValues } from '../../api/imaging/volume.ts';
import { refusalOf } from '../support/refusal.ts';
import { syntheticHead } from '../support/synthetic-head.ts';

const [{ header: headHeader }] = syntheticHead({ slices: 1, matrix: 2 });

/** HU of a 2 x 3 image whose columns already run to the left and rows to posterior. */
function huOf(storedValues: StoredValues, change: Partial<InstanceHeader> = {}): number[] {
  const header = { ...headHeader, rows: 2, columns: 3, rescaleSlope: 1, rescaleIntercept: -1024, ...change };
  const plane = { rows: 2, columns: 3, rowSpacingMm: 1, columnSpacingMm: 1 };
  const orientation = orient({ ...plane, rowDirection: [1, 0, 0], columnDirection: [0, 1, 0] });
  const target = new Float32Array(6);
  toHounsfield({ header, storedValues }, orientation, target);
  return [...target];
}

describe('Hounsfield units', () => {
  it('are stored value times slope plus intercept, cut off at -1024', () => {
    // 0 * 2 - 1000, 500 * 2 - 1000, ... ; -40 * 2 - 1000 = -1080 attenuates less than vacuum.
    expect(huOf(Int16Array.of(0, 500, 516, 1000, 2000, -40), { rescaleSlope: 2, rescaleIntercept: -1000 })).toEqual([
      -1000, 0, 32, 1000, 3000, -1024,
    ]);
  });

  it('keep a fractional slope: 1032.5 * 0.5 is not rounded', () => {
    expect(huOf(Uint16Array.of(2113, 2112, 0, 0, 0, 0), { rescaleSlope: 0.5 }).slice(0, 2)).toEqual([32.5, 32]);
  });

  it('take padding for air whatever its number, and only padding', () => {
    const padded = { rescaleIntercept: 0, pixelPaddingValue: 1500 };
    expect(huOf(Int16Array.of(1499, 1500, 1501, 0, 0, 0), padded).slice(0, 3)).toEqual([1499, -1024, 1501]);
  });

  it('of 16-bit pixels read a padding value sent with the wrong sign: 63488 is -2048', () => {
    expect(
      huOf(Int16Array.of(-2048, 32, 0, 0, 0, 0), { rescaleIntercept: 0, pixelPaddingValue: 63488 }).slice(0, 2),
    ).toEqual([-1024, 32]);
    expect(huOf(Uint16Array.of(63488, 1056, 0, 0, 0, 0), { pixelPaddingValue: -2048 }).slice(0, 2)).toEqual([
      -1024, 32,
    ]);
  });

  it('are not vouched for without a scale: nothing is defaulted', () => {
    const refuse = (change: Partial<InstanceHeader>): unknown =>
      refusalOf(() => rescaleOf({ ...headHeader, ...change })).toRefusal();
    expect(refuse({ rescaleSlope: undefined })).toMatchObject({ code: 'rescale-missing', details: { slope: null } });
    expect(refuse({ rescaleIntercept: undefined })).toMatchObject({ details: { slope: 1, intercept: null } });
    expect(refuse({ rescaleSlope: 0 })).toMatchObject({ details: { slope: 0 } });
    expect(refuse({ rescaleSlope: NaN })).toMatchObject({ code: 'rescale-missing' });
    expect(refuse({ rescaleType: 'OD' })).toMatchObject({ details: { rescaleType: 'OD' } });
    expect(rescaleOf({ ...headHeader, rescaleType: 'HU' })).toEqual({ slope: 1, intercept: -1024 });
    expect(rescaleOf({ ...headHeader, rescaleType: 'US' })).toEqual({ slope: 1, intercept: -1024 });
  });

  it('are not read from an image with too few values', () => {
    expect(refusalOf(() => huOf(Int16Array.of(1, 2, 3, 4, 5)))).toMatchObject({
      code: 'geometry-inconsistent',
      details: { storedValues: 5, expected: 6 },
    });
  });
});
