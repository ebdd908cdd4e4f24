/** Which series of a study is the initial non-contrast head CT: by stated rules, the same answer every time. */
import type { InstanceHeader } from '../imaging/volume.ts';
import { flag } from '../prediction/flags.ts';
import type { Flag } from '../prediction/prediction.ts';
import type { Refusal } from '../prediction/refusals.ts';
import { RefusalError } from '../prediction/refusals.ts';
import { kernelKind } from './kernels.ts';
import { HEADER_RULES, SERIES_LIMITS } from './series-rules.ts';

export interface SeriesChoice {
  /** The slices to retrieve, all of one series, in the order listed. */
  readonly chosen: readonly InstanceHeader[];
  /** Only what the listing positively says; what a listing leaves out is flagged by `checkFrames`. */
  readonly flags: Flag[];
  /** Every series with the reason why it was not eligible, if it was not. */
  readonly considered: readonly { readonly seriesInstanceUid: string; readonly refusal?: Refusal }[];
}

interface Candidate {
  readonly seriesInstanceUid: string;
  /** The slices that met every per-slice rule. */
  readonly slices: readonly InstanceHeader[];
  readonly refusal?: Refusal;
  /** Number of rules met before the first failure. */
  readonly rulesMet: number;
}

/**
 * Chooses the series to read.
 *
 * | step | rule |
 * | --- | --- |
 * | 1 | Slices that are synthetic, not CT, not CT Image Storage or not ORIGINAL, PRIMARY, AXIAL are left aside. |
 * | 2 | A series is eligible when what remains names no other body part, no contrast agent or angiography, no bone kernel, holds at least 12 slices, at most 8 mm thick, 0.2 to 1.5 mm pixels, 70 to 150 kV, MONOCHROME2, rescaled to HU. |
 * | 3 | An attribute the listing leaves out decides nothing here; `checkFrames` asks again on the decoded files. |
 * | 4 | Of the eligible series: a known soft-tissue kernel first, then mean thickness nearest 5 mm (unstated last), most slices, lowest Series Number, lowest Series Instance UID. |
 * | 5 | When none is eligible, the refusal is that of the series that met most rules in this order (the larger, then the lower UID among equals). |
 *
 * @param listing every instance of one study, header attributes only
 * @throws RefusalError with the most telling code; `no-eligible-series` when the study is empty
 */
export function chooseSeries(listing: readonly InstanceHeader[]): SeriesChoice {
  const candidates = [...Map.groupBy(listing, (header) => header.seriesInstanceUid)].map(([uid, headers]) =>
    consider(uid, headers),
  );
  const considered = candidates.map(({ seriesInstanceUid, refusal }) =>
    refusal === undefined ? { seriesInstanceUid } : { seriesInstanceUid, refusal },
  );
  const eligible = candidates.filter((candidate) => candidate.refusal === undefined).sort(byPreference);
  if (eligible.length === 0) throw mostTelling(candidates);
  const { slices } = eligible[0];
  return { chosen: slices, flags: lossyFlag(slices), considered };
}

/**
 * Asks every rule again on the decoded files, where an absent attribute is absent indeed.
 *
 * @param headers headers of the decoded slices of the chosen series
 * @returns `body-part-absent`, `tube-voltage-absent`, `lossy-compression`
 * @throws RefusalError with the code of the first rule that a slice does not meet
 */
export function checkFrames(headers: readonly InstanceHeader[]): Flag[] {
  for (const { code, check } of HEADER_RULES) {
    for (const header of headers) {
      const failure = check(header, true);
      if (failure !== undefined) throw new RefusalError(code, failure.message, failure.details);
    }
  }
  const few = tooFewSlices(headers);
  if (few !== undefined) throw new RefusalError(few.code, few.message, few.details);
  const flags = lossyFlag(headers);
  if (headers.some((header) => header.bodyPartExamined === undefined)) flags.push(flag('body-part-absent'));
  if (headers.some((header) => header.kvp === undefined)) flags.push(flag('tube-voltage-absent'));
  return flags;
}

/** Rules in order; the number of slices is asked where series rules begin to be about acquisition. */
function consider(seriesInstanceUid: string, headers: readonly InstanceHeader[]): Candidate {
  let slices = headers;
  let rulesMet = 0;
  for (const { code, perSlice, check } of HEADER_RULES) {
    if (code === 'slice-thickness-out-of-range') {
      const few = tooFewSlices(slices);
      if (few !== undefined) return { seriesInstanceUid, slices, refusal: few, rulesMet };
    }
    const passing = slices.filter((header) => check(header, false) === undefined);
    const failing = slices.find((header) => check(header, false) !== undefined);
    if (failing !== undefined && (!perSlice || passing.length === 0)) {
      const { message, details } = check(failing, false)!;
      return { seriesInstanceUid, slices, refusal: { code, message, details }, rulesMet };
    }
    slices = passing;
    rulesMet++;
  }
  return { seriesInstanceUid, slices, rulesMet };
}

function tooFewSlices(slices: readonly InstanceHeader[]): Refusal | undefined {
  if (slices.length >= SERIES_LIMITS.minSlices) return undefined;
  return {
    code: 'too-few-slices',
    message: 'At least 12 slices are needed: send the whole series.',
    details: { slices: slices.length, required: SERIES_LIMITS.minSlices },
  };
}

function byPreference(a: Candidate, b: Candidate): number {
  const key = ({ slices, seriesInstanceUid }: Candidate): readonly (number | string)[] => [
    kernelKind(slices[0].convolutionKernel) === 'soft-tissue' ? 0 : 1,
    Math.abs(meanThicknessMm(slices) - 5),
    -slices.length,
    slices[0].seriesNumber ?? Infinity,
    seriesInstanceUid,
  ];
  const [keyA, keyB] = [key(a), key(b)];
  for (let i = 0; i < keyA.length; i++) {
    if (keyA[i] < keyB[i]) return -1;
    if (keyA[i] > keyB[i]) return 1;
  }
  return 0;
}

function meanThicknessMm(slices: readonly InstanceHeader[]): number {
  const stated = slices.map((header) => header.sliceThicknessMm).filter((mm) => mm !== undefined);
  return stated.length === 0 ? Infinity : stated.reduce((sum, mm) => sum + mm, 0) / stated.length;
}

function mostTelling(candidates: readonly Candidate[]): RefusalError {
  const closest = candidates.toSorted(
    (a, b) =>
      b.rulesMet - a.rulesMet ||
      b.slices.length - a.slices.length ||
      (a.seriesInstanceUid < b.seriesInstanceUid ? -1 : 1),
  )[0];
  if (closest?.refusal === undefined) {
    return new RefusalError('no-eligible-series', 'The study holds no images: send the head CT.', { series: 0 });
  }
  const { code, message, details } = closest.refusal;
  return new RefusalError(code, message, { ...details, seriesConsidered: candidates.length });
}

/** Lossy Image Compression (0028,2110) is "01", or the transfer syntax is one that may lose. */
function lossyFlag(slices: readonly InstanceHeader[]): Flag[] {
  const lossySyntaxes = ['1.2.840.10008.1.2.4.81', '1.2.840.10008.1.2.4.91', '1.2.840.10008.1.2.4.203'];
  const lossy = slices.some(
    (header) =>
      header.lossyImageCompression === '01' ||
      (header.lossyImageCompression === undefined && lossySyntaxes.includes(header.transferSyntaxUid ?? '')),
  );
  return lossy ? [flag('lossy-compression')] : [];
}
