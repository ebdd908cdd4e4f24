/** A study has one forecast that counts: the story writes the new one first, then marks what stood before it. */
import { expect, it } from '@jest/globals';
import { assessStudy } from '../../api/assessment/assess-study.ts';
import type { AssessmentOutcome, AssessmentParts } from '../../api/assessment/assess-study.ts';
import type { Assessment } from '../../api/assessment/assessment.ts';
import type { StudyReference, SupersessionOrder, WrittenResources } from '../../api/assessment/ports.ts';
import { TransientError, UpstreamError } from '../../api/errors.ts';
import { MODEL, READING, STUDY } from '../ehr/support/report.ts';
import { syntheticHead } from '../support/synthetic-head.ts';

const FRAMES = syntheticHead({ slices: 24, matrix: 4, fieldOfViewMm: 2 });
const [{ header }] = FRAMES;
const written = (name: string): WrittenResources => ({
  riskAssessment: `RiskAssessment/${name}`,
  media: [],
  observations: [],
  provenance: `Provenance/${name}`,
  device: 'Device/d',
});

/** What reached the chart, in order. */
let chart: string[];
/** The patient's other studies, as the EHR lists them. */
let listStudies: () => readonly { readonly reference: StudyReference; readonly startedAt?: string }[] = () => [];

async function assess(
  earlier: readonly WrittenResources[],
  supersede: (order: SupersessionOrder) => void = () => undefined,
  asked: Partial<Assessment> = {},
  afterReading: Partial<typeof STUDY> = {},
): Promise<AssessmentOutcome> {
  chart = [];
  const { birthDate, sex } = STUDY.patient;
  const study = {
    ...STUDY,
    studyInstanceUid: header.studyInstanceUid,
    numberOfInstances: 24,
    patient: { identifiers: [{ value: header.patientId ?? 'P1' }], birthDate, sex },
  };
  let isRead = false;
  const parts = {
    ehr: {
      listStudies: async () => listStudies(),
      readStudy: async () => (isRead ? { ...study, ...afterReading } : study),
      writeBack: async ({ supersedes }: { supersedes?: string }) => {
        chart.push(`writes new, naming ${supersedes ?? 'none'}`);
        return written('new');
      },
      supersede: async (order: SupersessionOrder) => {
        chart.push(`marks ${order.resources.riskAssessment} for ${order.by}`);
        supersede(order);
      },
    },
    pacs: { listInstances: async () => FRAMES.map((frame) => frame.header), retrieveFrames: async () => FRAMES },
    reader: { describe: () => MODEL, read: async () => ((isRead = true), READING) },
    policy: {
      assumedPrevalence: 0.35,
      riskBandBounds: { moderate: 0.15, high: 0.5 },
      storeGeneratedImage: false,
      writes: true,
    },
    findEarlier: async () => earlier,
  } as unknown as AssessmentParts;
  const { reference, patientReference, studyInstanceUid } = study;
  const assessment = { study: reference, revision: 2, patientReference, studyInstanceUid, ...asked } as Assessment;
  return assessStudy(assessment, parts, new AbortController().signal, async () => undefined);
}
const flagsOf = (outcome: AssessmentOutcome): string[] => outcome.flags.map(({ code }) => code);

it('writes the new forecast, then marks every earlier one; the chart is never without one', async () => {
  const outcome = await assess([written('second'), written('first')]);
  expect(outcome.kind).toBe('completed');
  expect(chart).toEqual([
    'writes new, naming RiskAssessment/second',
    'marks RiskAssessment/second for RiskAssessment/new',
    'marks RiskAssessment/first for RiskAssessment/new',
  ]);
  expect(flagsOf(outcome)).not.toContain('earlier-forecast-unmarked');
});

it('never marks what it has just written, also when an earlier run of the same work had written it', async () => {
  await assess([written('new')]);
  expect(chart).toEqual(['writes new, naming RiskAssessment/new']);
});

it('says so where the EHR does not let the earlier one be marked, and the new result stands', async () => {
  const outcome = await assess([written('first')], () => {
    throw new UpstreamError('ehr-rejected', 'The EHR rejected the transaction.');
  });
  expect(outcome).toMatchObject({ kind: 'completed', resources: written('new') });
  expect(flagsOf(outcome)).toContain('earlier-forecast-unmarked');
});

it('comes back later where the EHR is away before the earlier one is marked', async () => {
  const away = assess([written('first')], () => {
    throw new TransientError('ehr-unavailable', 'The EHR is away.');
  });
  await expect(away).rejects.toMatchObject({ code: 'ehr-unavailable' });
});

it.each<[string, Partial<Assessment>]>([
  ['patient', { patientReference: 'Patient/someone-else' }],
  ['study', { studyInstanceUid: '2.25.404' }],
])('writes nothing for another %s than was asked for, though the chart names it now', async (_, asked) => {
  await expect(assess([], undefined, asked)).rejects.toMatchObject({ code: 'study-refiled' });
  expect(chart).toEqual([]);
});

it.each<[string, Partial<typeof STUDY>]>([
  ['patient', { patientReference: 'Patient/someone-else' }],
  ['study', { studyInstanceUid: '2.25.404' }],
])('writes nothing where the images came to another %s while they were read', async (_, afterReading) => {
  await expect(assess([], undefined, {}, afterReading)).rejects.toMatchObject({ code: 'study-refiled' });
  expect(chart).toEqual([]);
});

it('says where an earlier CT after the thrombectomy may be the first, or where that cannot be told; and writes its forecast all the same', async () => {
  const uncertain = async (list: typeof listStudies): Promise<boolean> => {
    listStudies = list;
    return flagsOf(await assess([])).includes('first-ct-uncertain');
  };
  const at = (minutes: number): string => new Date(Date.parse(STUDY.startedAt!) + minutes * 60_000).toISOString();
  const other = { resourceType: 'ImagingStudy', id: 'other' } as const;
  expect(await uncertain(() => [])).toBe(false);
  expect(await uncertain(() => [{ reference: other, startedAt: at(60) }])).toBe(false);
  expect(await uncertain(() => [{ reference: other, startedAt: at(-1) }])).toBe(true);
  const refused = () => {
    throw new UpstreamError('ehr-search-refused', 'The EHR does not list studies.');
  };
  expect(await uncertain(refused)).toBe(true);
  expect(chart).toEqual(['writes new, naming none']);
});
