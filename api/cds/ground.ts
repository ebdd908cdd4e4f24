/** Whether what a forecast rests on is still in the chart. The chart watch takes a result back at its next look; a card must not wait for it. */
import type { ImagingStudy, Procedure, Resource } from '@medplum/fhirtypes';
import type { AssessmentBasis } from '../assessment/assessment.ts';
import { TOLERATED_CORRECTION_MS } from '../assessment/withdrawal.ts';
import { readPrefetch } from './prefetch.ts';
import { isPatient } from './reference.ts';

export interface Ground {
  /** "ImagingStudy/<id>" */
  readonly study: string;
  /** "Patient/<id>" of records that the chart has merged into this patient's: the CT may still be filed there. */
  readonly mergedReferences: readonly string[];
  /** What the 72 hours are counted from; null where they are not, or where only the chart tells of the forecast. */
  readonly thrombectomy: AssessmentBasis['thrombectomy'];
}

export interface GroundSources {
  readonly patientId: string;
  readonly prefetch?: Readonly<Record<string, unknown>>;
  /** Undefined where the EHR could not be asked. */
  search(
    resourceType: 'ImagingStudy' | 'Procedure',
    parameters: Readonly<Record<string, string>>,
  ): Promise<readonly Resource[] | undefined>;
}

/** What was sent along decides where it is whole; the EHR is asked for the rest. Where that cannot be, only a whole list can say that it is lost. */
export async function hasLostItsGround(ground: Ground, sources: GroundSources): Promise<boolean> {
  const lost = await Promise.all([isStudyLost(ground, sources), isThrombectomyLost(ground, sources)]);
  return lost.includes(true);
}

/** As the chart holds it, whoever its patient is; null where it does not, undefined where the EHR could not be asked. */
export async function findStudy(
  study: string,
  { prefetch, search }: Pick<GroundSources, 'prefetch' | 'search'>,
): Promise<ImagingStudy | null | undefined> {
  const id = study.slice('ImagingStudy/'.length);
  const isIt = (resource: Resource): resource is ImagingStudy =>
    resource.resourceType === 'ImagingStudy' && resource.id === id;
  const sent = readPrefetch(prefetch, 'imagingStudies', 'ImagingStudy');
  const listed = sent.resources.find(isIt);
  if (listed !== undefined || sent.state === 'refused') return listed;
  // A list by modality leaves out a study without one, a list by patient one of a merged record.
  const found = await search('ImagingStudy', { _id: id });
  return found && (found.find(isIt) ?? null);
}

async function isStudyLost(
  { study, mergedReferences }: Ground,
  { patientId, prefetch, search }: GroundSources,
): Promise<boolean> {
  const stands = ({ status, subject }: ImagingStudy): boolean => {
    const isTakenBack = status === 'entered-in-error' || status === 'cancelled';
    const owners = [patientId, ...mergedReferences.map((reference) => reference.slice('Patient/'.length))];
    return !isTakenBack && owners.some((owner) => isPatient(subject?.reference, owner));
  };
  const found = await findStudy(study, { prefetch, search });
  if (found !== undefined) return found === null || !stands(found);
  const { state } = readPrefetch(prefetch, 'imagingStudies', 'ImagingStudy');
  return state === 'known' && mergedReferences.length === 0;
}

/** As withdrawal.ts judges it: another entry of the same time is no other thrombectomy. */
async function isThrombectomyLost(
  { thrombectomy, mergedReferences }: Ground,
  { patientId, prefetch, search }: GroundSources,
): Promise<boolean> {
  // That of a merged record may be filed there still.
  if (thrombectomy === null || mergedReferences.length > 0) return false;
  const { reference, endedAt } = thrombectomy;
  const sent = readPrefetch(prefetch, 'procedures', 'Procedure');
  if (sent.state === 'refused') return false;
  const list: readonly Resource[] | undefined =
    sent.state === 'known' ? sent.resources : await search('Procedure', { patient: patientId, status: 'completed' });
  if (list === undefined) return false;
  return !list
    .filter((one): one is Procedure => one.resourceType === 'Procedure' && one.status === 'completed')
    .some((one) => {
      const end = Date.parse(one.performedPeriod?.end ?? one.performedDateTime ?? '');
      const isAsLong = Math.abs(end - Date.parse(endedAt ?? '')) <= TOLERATED_CORRECTION_MS;
      return `Procedure/${one.id}` === reference || isAsLong;
    });
}
