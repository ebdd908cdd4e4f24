/** Whether the pixels belong to the patient of the chart: compared before anything is read, a conflict ends it. */
import type { InstanceHeader } from '../imaging/volume.ts';
import { parseDay } from '../prediction/calendar.ts';
import { flag } from '../prediction/flags.ts';
import type { Flag } from '../prediction/prediction.ts';
import { RefusalError } from '../prediction/refusals.ts';
import type { StudyRecord } from './ports.ts';

/** What is compared; the refusal names one of these and never its value. */
type Attribute = 'study' | 'patientIdentifier' | 'birthDate' | 'sex';
type Comparison = 'same' | 'differs' | 'not-comparable';

/**
 * Matches ImagingStudy.subject against the instances, and the instances among each other.
 *
 * - study: every Study Instance UID (0020,000D) equals the ImagingStudy's.
 * - patient identifier: Patient ID (0010,0020) equals one of the chart's identifiers; where Issuer of Patient ID (0010,0021)
 *   names the system of some of them, only those count.
 * - birth date: (0010,0030) lies within the chart's, which may be a year or a month.
 * - sex: M against female, F against male. "O", "other" and "unknown" are not comparable: administrative gender and the sex
 *   on the images are kept by different people.
 *
 * @returns `identity-partial` when identifier, birth date or sex could not be compared
 * @throws RefusalError `identity-conflict`; details: `attribute`, and `between` "chart and images" or "images"
 */
export function matchIdentity(
  study: Pick<StudyRecord, 'studyInstanceUid' | 'patient'>,
  headers: readonly InstanceHeader[],
): Flag[] {
  const distinct = (read: (header: InstanceHeader) => string | undefined): string[] =>
    [
      ...new Set(headers.map((header) => read(header)?.trim()).filter((value) => value !== undefined && value !== '')),
    ] as string[];

  const studies = distinct((header) => header.studyInstanceUid);
  const patientIds = distinct((header) => header.patientId);
  const issuers = distinct((header) => header.issuerOfPatientId);
  const birthDates = distinct((header) => header.patientBirthDate);
  const sexes = distinct((header) => header.patientSex?.toUpperCase());
  const among: readonly [Attribute, readonly string[]][] = [
    ['study', studies],
    ['patientIdentifier', patientIds],
    ['patientIdentifier', issuers],
    ['birthDate', birthDates],
    ['sex', sexes],
  ];
  for (const [attribute, values] of among) if (values.length > 1) throw conflict(attribute, 'images');

  if (studies.some((uid) => uid !== study.studyInstanceUid)) throw conflict('study', 'chart and images');
  const comparisons: readonly [Attribute, Comparison][] = [
    ['patientIdentifier', compareIdentifier(study.patient.identifiers, patientIds[0], issuers[0])],
    ['birthDate', compareBirthDate(study.patient.birthDate, birthDates[0])],
    ['sex', compareSex(study.patient.sex, sexes[0])],
  ];
  for (const [attribute, result] of comparisons)
    if (result === 'differs') throw conflict(attribute, 'chart and images');
  return comparisons.some(([, result]) => result === 'not-comparable') ? [flag('identity-partial')] : [];
}

function compareIdentifier(
  identifiers: StudyRecord['patient']['identifiers'],
  patientId: string | undefined,
  issuer: string | undefined,
): Comparison {
  if (patientId === undefined || identifiers.length === 0) return 'not-comparable';
  const ofIssuer = identifiers.filter(
    ({ system }) => system !== undefined && issuer !== undefined && [issuer, `urn:oid:${issuer}`].includes(system),
  );
  const comparable = ofIssuer.length > 0 ? ofIssuer : identifiers;
  return comparable.some(({ value }) => value.trim() === patientId) ? 'same' : 'differs';
}

function compareBirthDate(chart: string | undefined, images: string | undefined): Comparison {
  const a = chart === undefined ? undefined : parseDay(chart);
  const b = images === undefined ? undefined : parseDay(images);
  if (a === undefined || b === undefined) return 'not-comparable';
  return b.earliest >= a.earliest && b.latest <= a.latest ? 'same' : 'differs';
}

function compareSex(chart: StudyRecord['patient']['sex'], images: string | undefined): Comparison {
  const expected = chart === 'male' ? 'M' : chart === 'female' ? 'F' : undefined;
  if (expected === undefined || (images !== 'M' && images !== 'F')) return 'not-comparable';
  return images === expected ? 'same' : 'differs';
}

function conflict(attribute: Attribute, between: 'images' | 'chart and images'): RefusalError {
  const words: Record<Attribute, string> = {
    study: 'Study Instance UID',
    patientIdentifier: 'patient identifier',
    birthDate: 'birth date',
    sex: 'sex',
  };
  const where = between === 'images' ? 'among the images' : 'between the chart and the images';
  return new RefusalError(
    'identity-conflict',
    `The ${words[attribute]} differs ${where}: reconcile patient and study first.`,
    { attribute, between },
  );
}
