/** The whole flow on one screen, in the order in which the data moves. */
import { InvalidRequestError, UpstreamError } from '../errors.ts';
import type { InstanceHeader } from '../imaging/volume.ts';
import { flag, gravestFirst } from '../prediction/flags.ts';
import type { Flag, Prediction } from '../prediction/prediction.ts';
import { checkPatient } from '../prediction/check-patient.ts';
import type { Refusal } from '../prediction/refusals.ts';
import { RefusalError } from '../prediction/refusals.ts';
import type { Assessment, AssessmentBasis, AssessmentStage } from './assessment.ts';
import { StudyIncompleteError, WRITING_BEGINS_AT } from './assessment.ts';
import { checkFrames } from './choose-series.ts';
import { isFirstCt } from './eligibility.ts';
import { matchIdentity } from './match-identity.ts';
import { planStudy } from './plan-study.ts';
import type { StudyPlan } from './plan-study.ts';
import type { Ehr, Pacs, ScanReader, StudyRecord, StudyReference, WrittenResources } from './ports.ts';
import type { ResultMaps } from './result-maps.ts';

export interface AssessmentPolicy {
  readonly assumedPrevalence: number;
  readonly riskBandBounds: { readonly moderate: number; readonly high: number };
  /** Also store the generated image in the PACS. */
  readonly storeGeneratedImage: boolean;
  /** Whether anything is written at all; in shadow operation the result is only kept. */
  readonly writes: boolean;
}

export interface AssessmentParts {
  readonly ehr: Ehr;
  readonly pacs: Pacs;
  readonly reader: ScanReader;
  readonly policy: AssessmentPolicy;
  /** Earlier results of this study in the chart of this patient, newest first. */
  findEarlier(study: StudyRecord): Promise<readonly WrittenResources[]>;
}

export interface AssessmentProgress {
  readonly stage: AssessmentStage;
  /** 0..1 over the whole assessment */
  readonly progress: number;
  readonly contentKey?: string;
}

export type Timings = Readonly<Record<string, number>>;

export type AssessmentOutcome =
  | {
      readonly kind: 'completed';
      readonly prediction: Prediction;
      readonly flags: readonly Flag[];
      /** Null in shadow operation. */
      readonly resources: WrittenResources | null;
      readonly basis: AssessmentBasis | null;
      readonly maps: ResultMaps | null;
      readonly executionProvider: string;
      readonly timings: Timings;
    }
  | {
      readonly kind: 'refused';
      readonly refusal: Refusal;
      readonly flags: readonly Flag[];
      readonly timings: Timings;
    };

/**
 * Study in, resources out. Repeating it after any interruption ends in the same resources.
 * Throws StudyIncompleteError (look again later), TransientError (try again), any other error (failed).
 */
export async function assessStudy(
  assessment: Assessment,
  parts: AssessmentParts,
  signal: AbortSignal,
  onProgress: (progress: AssessmentProgress) => Promise<void>,
): Promise<AssessmentOutcome> {
  const { ehr, pacs, reader, policy } = parts;
  const model = reader.describe();
  const clock = new StageClock();
  const flags: Flag[] = [];
  try {
    await onProgress({ stage: 'choosing-series', progress: 0.02 });
    const plan = await planStudy(assessment.study, { ehr, pacs, modelSha256: model.sha256 }, signal);
    clock.lap('choosing-series');
    assertStillFiled(assessment, plan.study);
    if (!plan.complete || plan.contentKey === null) {
      throw new StudyIncompleteError(plan.instancesPresent, plan.study.numberOfInstances);
    }
    await onProgress({ stage: 'retrieving', progress: 0.1, contentKey: plan.contentKey });
    if (plan.refusal !== null) {
      return { kind: 'refused', refusal: plan.refusal, flags, timings: clock.timings };
    }

    const frames = await pacs.retrieveFrames(
      {
        studyInstanceUid: plan.study.studyInstanceUid,
        seriesInstanceUid: plan.chosen[0].seriesInstanceUid,
        sopInstanceUids: plan.chosen.map((header) => header.sopInstanceUid),
        addresses: plan.study.dicomwebAddresses,
      },
      signal,
      (fraction) => void onProgress({ stage: 'retrieving', progress: 0.1 + 0.4 * fraction }),
    );
    clock.lap('retrieving');

    const headers = frames.map((frame) => frame.header);
    const initialCtAt = earliestAcquisition(headers) ?? plan.study.startedAt;
    flags.push(...plan.flags, ...matchIdentity(plan.study, headers), ...checkFrames(headers));
    flags.push(...checkPatient({ study: plan.study, headers, initialCtAt }));
    const planOther = (reference: StudyReference): ReturnType<typeof planStudy> =>
      planStudy(reference, { ehr, pacs, modelSha256: model.sha256 }, signal);
    if (!(await isFirstCt(plan.study, { ehr, planStudy: planOther }, signal))) flags.push(flag('first-ct-uncertain'));

    await onProgress({ stage: 'reading-scan', progress: 0.55 });
    const reading = await reader.read(
      {
        frames,
        identity: `${plan.contentKey}/${assessment.revision}`,
        assumedPrevalence: policy.assumedPrevalence,
        riskBandBounds: policy.riskBandBounds,
      },
      signal,
      (_stage, fraction) => void onProgress({ stage: 'reading-scan', progress: 0.55 + 0.3 * fraction }),
    );
    flags.push(...reading.flags);
    clock.add(reading.timings);
    clock.lap('reading-scan');

    const result = {
      kind: 'completed',
      prediction: reading.prediction,
      basis: basisOf(plan),
      maps: reading.maps,
      executionProvider: reading.executionProvider,
    } as const;
    if (!policy.writes) {
      flags.push(flag('shadow-operation'));
      return { ...result, flags: gravestFirst(flags), resources: null, timings: clock.timings };
    }
    // The reading took its time: the images may have been moved or withdrawn meanwhile.
    assertStillFiled(assessment, await ehr.readStudy(assessment.study, signal));
    await onProgress({ stage: 'writing-back', progress: WRITING_BEGINS_AT });
    if (policy.storeGeneratedImage) {
      await pacs.store(plan.study.studyInstanceUid, reading.images.followUpDicom, signal);
    }
    const earlier = await parts.findEarlier(plan.study);
    const resources = await ehr.writeBack(
      {
        study: plan.study,
        contentKey: plan.contentKey,
        revision: assessment.revision,
        supersedes: earlier.at(0)?.riskAssessment,
        initialCtAt,
        model,
        reading,
        flags: gravestFirst(flags),
      },
      signal,
    );
    // The new result first: at no moment is the chart without one.
    const unmarked = await supersede(earlier, resources, ehr, signal);
    clock.lap('writing-back');
    if (unmarked) flags.push(flag('earlier-forecast-unmarked'));
    if (resources.degraded !== undefined) flags.push(flag('derived-outputs-degraded'));
    return { ...result, flags: gravestFirst(flags), resources, timings: clock.timings };
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error;
    return { kind: 'refused', refusal: error.toRefusal(), flags: gravestFirst(flags), timings: clock.timings };
  }
}

function basisOf({ study: { thrombectomy }, chosen }: StudyPlan): AssessmentBasis {
  return {
    seriesInstanceUid: chosen[0].seriesInstanceUid,
    sopInstanceUids: chosen.map(({ sopInstanceUid }) => sopInstanceUid),
    thrombectomy: thrombectomy ? { reference: thrombectomy.reference, endedAt: thrombectomy.endedAt ?? null } : null,
  };
}

/** What was asked for is kept under its patient; a result for another one would be theirs under a wrong name. */
function assertStillFiled(asked: Assessment, { patientReference, studyInstanceUid }: StudyRecord): void {
  if (patientReference === asked.patientReference && studyInstanceUid === asked.studyInstanceUid) return;
  throw new InvalidRequestError(
    'study-refiled',
    'Since it was asked for, the ImagingStudy was filed under another patient or given other images; ask again.',
  );
}

/** Whether the EHR kept one of the earlier results from being marked; the new one is in the chart all the same. */
async function supersede(
  earlier: readonly WrittenResources[],
  { riskAssessment: by }: WrittenResources,
  ehr: Pick<Ehr, 'supersede'>,
  signal: AbortSignal,
): Promise<boolean> {
  let unmarked = false;
  for (const resources of earlier.filter(({ riskAssessment }) => riskAssessment !== by)) {
    try {
      await ehr.supersede({ resources, by }, signal);
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      unmarked = true;
    }
  }
  return unmarked;
}

/** ms per stage, from the end of one lap to the end of the next. */
class StageClock {
  readonly timings: Record<string, number> = {};
  #last = performance.now();

  lap(stage: string): void {
    const now = performance.now();
    this.timings[stage] = Math.round(now - this.#last);
    this.#last = now;
  }

  add(timings: Timings): void {
    Object.assign(this.timings, timings);
  }
}

/** When the first slice was acquired, as far as stated. */
export function earliestAcquisition(headers: readonly InstanceHeader[]): string | undefined {
  return headers
    .map(({ acquisitionDateTime }) => acquisitionDateTime)
    .filter((time) => time !== undefined)
    .sort((a, b) => Date.parse(a) - Date.parse(b))[0];
}
