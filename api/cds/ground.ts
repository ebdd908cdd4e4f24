/** Whether what a forecast rests on is still in the chart. The chart watch takes a result back at its next look; a card must not wait for it. */
import type { ImagingStudy, Procedure, Resource } from '@medplum/fhirtypes';
import { readPrefetch } from './prefetch.ts';
import { isPatient } from './reference.ts';
import type { PrefetchKey } from './services.ts';

export interface Ground {
  /** "ImagingStudy/<id>" */
  readonly study: string;
  /** The images are filed under a record that the chart has merged into this patient's. */
  readonly isOfMergedRecord: boolean;
  /** "Procedure/<id>" that the 72 hours are counted from; null where they are not, or where only the chart tells of the forecast. */
  readonly thrombectomy: string | null;
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

/**
 * What was sent along decides where it lists the CT and the thrombectomy; the EHR is asked for one that it does not list. Lost is also what
 * a whole list leaves out where the EHR cannot be asked.
 */
export async function hasLostItsGround(ground: Ground, sources: GroundSources): Promise<boolean> {
  const { study, isOfMergedRecord, thrombectomy } = ground;
  const { patientId } = sources;
  const lost = await Promise.all([
    isGone('ImagingStudy', study, 'imagingStudies', sources, (one) => {
      const { status, subject } = one as ImagingStudy;
      const isTakenBack = status === 'entered-in-error' || status === 'cancelled';
      return !isTakenBack && (isOfMergedRecord || isPatient(subject?.reference, patientId));
    }),
    thrombectomy !== null &&
      isGone('Procedure', thrombectomy, 'procedures', sources, (one) => (one as Procedure).status === 'completed'),
  ]);
  return lost.includes(true);
}

async function isGone(
  resourceType: 'ImagingStudy' | 'Procedure',
  reference: string,
  key: PrefetchKey,
  { prefetch, search }: GroundSources,
  stands: (resource: Resource) => boolean,
): Promise<boolean> {
  const id = reference.slice(resourceType.length + 1);
  const isIt = (resource: Resource): boolean => resource.resourceType === resourceType && resource.id === id;
  const sent = readPrefetch(prefetch, key, resourceType);
  const listed = sent.resources.find(isIt);
  if (listed !== undefined) return !stands(listed);
  const found = sent.state === 'refused' ? undefined : await search(resourceType, { _id: id });
  if (found === undefined) return sent.state === 'known';
  const it = found.find(isIt);
  return it === undefined || !stands(it);
}
