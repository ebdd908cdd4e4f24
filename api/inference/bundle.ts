/** The model bundle as the service reads it (docs/bundle.md). Nothing about a model is known anywhere else. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ConfigurationError } from '../errors.ts';
import { AGREEMENT } from '../prediction/agreement.ts';
import type { AgreementLimits } from '../prediction/agreement.ts';
import type { ModelDescription, ModelDocument, ModelDocuments } from '../assessment/ports.ts';

export interface Calibration {
  /** Share of hemorrhage in the cohort that the probability was calibrated on, 0..1. */
  readonly prevalence: number;
  readonly interval: {
    readonly level: number;
    readonly method: string;
    /** (a, b) of sigmoid(a * logit + b), one per bootstrap refit. */
    readonly affine: readonly (readonly [number, number])[];
  } | null;
  readonly intervalAbsentReason: string | null;
}

/** Single values of a volume. */
export type Samples = readonly (readonly [index: number, value: number])[];

/** The trainer's own outputs for one input, to be met on the execution provider in use. */
export interface StartCheck {
  readonly image: Float32Array;
  readonly logit: number;
  readonly probability: number;
  readonly oodScore: number;
  readonly followUpSamples: Samples;
  readonly attentionSamples: Samples;
  /** Largest difference that is none: of floating point, not of another network. */
  readonly tolerance: Readonly<Record<'logit' | 'probability' | 'oodScore' | 'followUpHu' | 'attention', number>>;
}

export interface Bundle {
  readonly directory: string;
  readonly modelFile: string;
  readonly description: ModelDescription;
  readonly documents: ModelDocuments;
  readonly input: {
    /** [slices, rows, columns] */
    readonly shape: readonly [number, number, number];
    readonly spacingMm: readonly [number, number, number];
    readonly padHu: number;
  };
  readonly attentionShape: readonly [number, number, number];
  readonly followUpRangeHu: readonly [number, number];
  readonly calibration: Calibration;
  /** Scores above `threshold` are flagged, those above `refuseAbove` refused; null = none is. */
  readonly outOfDistribution: { readonly threshold: number; readonly refuseAbove: number | null };
  readonly agreement: AgreementLimits;
  readonly startCheck: StartCheck;
}

/** What the label of every bundle says, whoever trained it. */
const LABEL_WORDS = ['research use only', 'not a medical device'];

/** Reads and verifies a bundle. Throws ConfigurationError that names the file and what is wrong with it. */
export function loadBundle(directory: string): Bundle {
  const metadata = readJson(directory, 'configs/metadata.json') as Record<string, any>; // eslint-disable-line @typescript-eslint/no-explicit-any
  const golden = readJson(directory, 'golden/golden.json') as Record<string, any>; // eslint-disable-line @typescript-eslint/no-explicit-any
  const problem = (what: string): never => {
    throw new ConfigurationError(`The model bundle ${directory} cannot be used: ${what}.`);
  };
  for (const [file, entry] of Object.entries(metadata.files ?? {})) {
    const actual = sha256(readBytes(directory, file));
    if (actual !== (entry as { sha256?: string }).sha256)
      problem(`${file} does not have the SHA-256 of configs/metadata.json`);
  }
  const { disclaimer } = metadata;
  if (typeof disclaimer !== 'string' || LABEL_WORDS.some((words) => !disclaimer.toLowerCase().includes(words)))
    problem(`disclaimer in configs/metadata.json does not say "${LABEL_WORDS.join('" and "')}"`);
  const modelSha256: unknown = metadata.files?.['models/model.onnx']?.sha256;
  if (typeof modelSha256 !== 'string') problem('configs/metadata.json names no SHA-256 for models/model.onnx');
  const image =
    metadata.network_data_format?.inputs?.image ?? problem('configs/metadata.json describes no input "image"');
  if (image.centering !== 'calvarium-v1')
    problem(`centering "${image.centering}" is not known; this service knows calvarium-v1`);
  if (image.axes !== 'SPL') problem(`axes "${image.axes}" are not known; this service knows SPL`);
  const shape = image.shape.slice(-3) as [number, number, number];
  const { calibration, ood } = metadata;
  if (!Number.isFinite(ood?.threshold)) problem('ood.threshold is not a number');
  if (ood.refuse_above !== undefined && !(ood.refuse_above > ood.threshold))
    problem('ood.refuse_above is not above ood.threshold');
  if (!(calibration?.prevalence > 0 && calibration.prevalence < 1))
    problem('calibration.prevalence is not between 0 and 1');
  assertInterval(calibration.interval ?? null, problem);
  for (const [key, limit] of Object.entries(metadata.agreement ?? {})) {
    if (!Number.isFinite(limit)) problem(`agreement.${key} is not a number`);
  }
  if (!isRange(metadata.follow_up_range_hu)) problem('follow_up_range_hu is not a pair of HU, the lower one first');
  const check = golden.start_check ?? problem('golden/golden.json has no start_check');
  const number = (value: unknown, name: string): number =>
    Number.isFinite(value) ? (value as number) : problem(`golden/golden.json has no number ${name}`);
  const samples = (value: unknown, name: string): Samples =>
    isSamples(value) ? value : problem(`golden/golden.json has no samples ${name}`);
  const voxels = shape[0] * shape[1] * shape[2];
  const stored = gunzipSync(readBytes(directory, join('golden', check.input)));
  if (stored.byteLength !== voxels * 2) problem(`golden/${check.input} does not hold ${voxels} int16 values`);
  return {
    directory,
    modelFile: join(directory, 'models/model.onnx'),
    description: {
      name: metadata.name,
      version: metadata.version,
      sha256: modelSha256 as string,
      disclaimer,
      intendedUse: metadata.intended_use,
      trainingData: metadata.training_data,
      trainingPrevalence: calibration.prevalence,
      cardMarkdown: readBytes(directory, 'docs/README.md').toString('utf8'),
    },
    documents: {
      metadata,
      evaluation: readDocument(directory, 'evaluation.json'),
      card: readDocument(directory, 'card.json'),
    },
    input: { shape, spacingMm: image.spacing_mm, padHu: image.pad_hu },
    attentionShape: metadata.network_data_format.outputs.attention.shape.slice(-3),
    followUpRangeHu: metadata.follow_up_range_hu,
    calibration: {
      prevalence: calibration.prevalence,
      interval: calibration.interval ?? null,
      intervalAbsentReason: calibration.interval ? null : (calibration.interval_absent_reason ?? 'not stated'),
    },
    outOfDistribution: {
      threshold: ood.threshold,
      refuseAbove: ood.refuse_above ?? (ood.action === 'refuse' ? ood.threshold : null),
    },
    agreement: {
      bloodMl: metadata.agreement?.blood_ml ?? AGREEMENT.bloodMl,
      low: metadata.agreement?.low ?? AGREEMENT.low,
      high: metadata.agreement?.high ?? AGREEMENT.high,
    },
    startCheck: {
      image: Float32Array.from({ length: voxels }, (_, i) => stored.readInt16LE(2 * i)),
      logit: number(check.logit, 'start_check.logit'),
      probability: number(check.probability, 'start_check.probability'),
      oodScore: number(check.ood_score, 'start_check.ood_score'),
      followUpSamples: samples(check.follow_up?.samples, 'start_check.follow_up.samples'),
      attentionSamples: samples(check.attention?.samples, 'start_check.attention.samples'),
      tolerance: {
        logit: number(golden.tolerance?.logit, 'tolerance.logit'),
        probability: number(golden.tolerance?.probability, 'tolerance.probability'),
        oodScore: number(golden.tolerance?.ood_score, 'tolerance.ood_score'),
        followUpHu: number(golden.tolerance?.follow_up_hu, 'tolerance.follow_up_hu'),
        attention: number(golden.tolerance?.attention, 'tolerance.attention'),
      },
    },
  };
}

function assertInterval(interval: Calibration['interval'], problem: (what: string) => never): void {
  if (interval === null) return;
  const { level, affine } = interval;
  if (!(level > 0 && level < 1)) problem('calibration.interval.level is not between 0 and 1');
  if (!Array.isArray(affine) || affine.length === 0 || !affine.every(isPair))
    problem('calibration.interval.affine is not a list of pairs of numbers');
}

function isPair(value: unknown): value is readonly [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every(Number.isFinite);
}

function isRange(value: unknown): boolean {
  return isPair(value) && value[0] < value[1];
}

function isSamples(value: unknown): value is Samples {
  return Array.isArray(value) && value.length > 0 && value.every(isPair);
}

/** A document that a bundle may lack; one that is there must be a JSON object. */
function readDocument(directory: string, file: string): ModelDocument {
  if (!existsSync(join(directory, file))) return { content: null, absentReason: `The bundle holds no ${file}.` };
  const content = readJson(directory, file);
  if (typeof content !== 'object' || content === null || Array.isArray(content))
    throw new ConfigurationError(`The model bundle ${directory} cannot be used: ${file} is not a JSON object.`);
  return { content, absentReason: null };
}

function readBytes(directory: string, file: string): Buffer {
  try {
    return readFileSync(join(directory, file));
  } catch {
    throw new ConfigurationError(`The model bundle ${directory} lacks ${file}; set MODEL_BUNDLE to a complete bundle.`);
  }
}

function readJson(directory: string, file: string): unknown {
  try {
    return JSON.parse(readBytes(directory, file).toString('utf8'));
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    throw new ConfigurationError(`The model bundle ${directory} cannot be used: ${file} is not JSON.`);
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
