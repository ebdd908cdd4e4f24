/** The same story as assessStudy without an EHR: DICOM files in; prediction.json, comparison.png and follow-up.dcm out. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';
import { checkFrames, chooseSeries } from './assessment/choose-series.ts';
import { earliestAcquisition } from './assessment/assess-study.ts';
import { contentKey } from './assessment/content-key.ts';
import { matchIdentity } from './assessment/match-identity.ts';
import type { Config } from './config.ts';
import { DecodePool } from './dicom/decode-pool.ts';
import { parseInstance } from './dicom/parse.ts';
import { readDicomFiles } from './dicom/read-files.ts';
import { InvalidRequestError } from './errors.ts';
import type { InstanceHeader } from './imaging/volume.ts';
import { OnnxScanReader } from './inference/onnx-scan-reader.ts';
import { checkPatient } from './prediction/check-patient.ts';
import type { Flag } from './prediction/prediction.ts';
import type { Refusal } from './prediction/refusals.ts';
import { RefusalError } from './prediction/refusals.ts';

export interface PredictFilesRequest {
  /** Folder (searched recursively), DICOM file or zip. */
  readonly input: string;
  /** Folder of the results; made if absent, results of an earlier run are replaced. */
  readonly out: string;
  readonly config: Config;
}

/** Returns the exit code: 0 with a prediction, 2 with a refusal. Throws for a fault. */
export async function predictFiles({ input, out, config }: PredictFilesRequest): Promise<number> {
  mkdirSync(out, { recursive: true });
  for (const name of ['prediction.json', 'comparison.png', 'follow-up.dcm']) rmSync(join(out, name), { force: true });

  const progress = new SingleBar({
    format: '{bar} {percentage} % {stage}',
    hideCursor: true,
    clearOnComplete: false,
    noTTYOutput: false,
  });
  const show = (stage: string, fraction: number): void => progress.update(Math.round(100 * fraction), { stage });
  progress.start(100, 0, { stage: 'starting' });
  const signal = new AbortController().signal;
  const pool = new DecodePool();
  let reader: OnnxScanReader | undefined;
  const flags: Flag[] = [];
  let refusal: Refusal | null = null;
  try {
    reader = await OnnxScanReader.start(config);
    const { name, version, sha256, disclaimer } = reader.describe();
    const model = { name, version, sha256 };
    const write = (result: Record<string, unknown>): void =>
      writeFileSync(
        join(out, 'prediction.json'),
        `${JSON.stringify({ ...result, flags: uniqueFlags(flags), refusal, model, disclaimer }, null, 2)}\n`,
      );
    try {
      show('reading files', 0.05);
      const bytesByUid = new Map<string, Uint8Array>();
      const headers: InstanceHeader[] = [];
      for (const { bytes } of readDicomFiles(input).objects) {
        const { header } = parseInstance(bytes);
        headers.push(header);
        bytesByUid.set(header.sopInstanceUid, bytes);
      }
      if (headers.length === 0) {
        throw new InvalidRequestError('no-dicom', `No DICOM object was found in ${input}.`);
      }
      assertOneStudy(headers);
      show('choosing the series', 0.15);
      const { chosen, flags: choiceFlags } = chooseSeries(headers);
      flags.push(...choiceFlags);
      let decoded = 0;
      const frames = await Promise.all(
        chosen.map(async (header) => {
          const frame = await pool.decode(bytesByUid.get(header.sopInstanceUid)!, signal);
          show('decoding', 0.15 + (0.35 * ++decoded) / chosen.length);
          return frame;
        }),
      );
      const decodedHeaders = frames.map((frame) => frame.header);
      matchIdentity({ studyInstanceUid: chosen[0].studyInstanceUid, patient: { identifiers: [] } }, decodedHeaders);
      flags.push(...checkFrames(decodedHeaders));
      flags.push(...checkPatient({ headers: decodedHeaders, initialCtAt: earliestAcquisition(decodedHeaders) }));
      const identity = contentKey({
        filedUnder: [],
        studyInstanceUid: chosen[0].studyInstanceUid,
        sopInstanceUids: chosen.map((header) => header.sopInstanceUid),
        modelSha256: sha256,
      });
      const reading = await reader.read(
        {
          frames,
          identity: `${identity}/1`,
          assumedPrevalence: config.assumedPrevalence,
          riskBandBounds: config.riskBandBounds,
        },
        signal,
        (stage, fraction) => show(stage, 0.5 + 0.5 * fraction),
      );
      flags.push(...reading.flags);
      writeFileSync(join(out, 'comparison.png'), reading.images.comparisonPng);
      writeFileSync(join(out, 'follow-up.dcm'), reading.images.followUpDicom);
      write({ prediction: reading.prediction, executionProvider: reading.executionProvider, timings: reading.timings });
      show('done', 1);
      return 0;
    } catch (error) {
      if (!(error instanceof RefusalError)) throw error;
      refusal = error.toRefusal();
      write({ prediction: null });
      return 2;
    }
  } finally {
    progress.stop();
    if (refusal !== null) process.stderr.write(`refused: ${refusal.code}: ${refusal.message}\n`);
    await Promise.all([pool.close(), reader?.close()]);
  }
}

function assertOneStudy(headers: readonly InstanceHeader[]): void {
  const studies = new Set(headers.map((header) => header.studyInstanceUid));
  const patients = new Set(headers.map((header) => header.patientId ?? ''));
  if (studies.size > 1 || patients.size > 1) {
    throw new RefusalError('identity-conflict', 'The files belong to more than one study or patient; give one study.', {
      studies: studies.size,
      patients: patients.size,
    });
  }
}

function uniqueFlags(flags: readonly Flag[]): readonly Flag[] {
  return [...new Map(flags.map((flag) => [flag.code, flag])).values()];
}
