/** Which study nobody had to name: the first plain CT of the head after the latest thrombectomy. */
import type { CodeableConcept, ImagingStudy, Procedure } from '@medplum/fhirtypes';
import { isThrombectomy } from './codes.ts';
import { timeSpan } from './date-time.ts';

const HOUR_MS = 3_600_000;
/** A CT later than this after the procedure is not its initial CT, and the forecast ends this long after it. */
const WINDOW_MS = 72 * HOUR_MS;

/** CT of the head without contrast. LOINC 24727-0 is the one WITH contrast. */
const PLAIN_HEAD_CT: ReadonlySet<string> = new Set([
  'http://loinc.org|30799-1',
  'http://www.ama-assn.org/go/cpt|70450',
  'http://snomed.info/sct|408754009',
  'http://snomed.info/sct|383371000119108',
]);

/** Body sites of a series that lies in the head, SNOMED CT as in PS3.16 annex L. */
const HEAD: ReadonlySet<string> = new Set(['69536005', '12738006', '89546000']);

/**
 * "ImagingStudy/<id>" of the initial CT: started within 72 h after the end of a completed thrombectomy, the first of its kind.
 * With `now`, only while the 72 h the forecast is about have not passed. Codes decide, never words; a study without any code
 * counts where every CT series of it lies in the head (whether contrast was given, the images themselves must say).
 * Undefined where order in time cannot be told: it is never assumed.
 */
export function findEligibleStudy(
  studies: readonly ImagingStudy[],
  procedures: readonly Procedure[],
  now: Date | undefined,
): string | undefined {
  const ends = procedures
    .filter(({ status, code }) => status === 'completed' && isThrombectomy(code))
    .map(({ performedPeriod, performedDateTime }) => timeSpan(performedPeriod?.end ?? performedDateTime))
    .filter((end) => end !== undefined)
    .sort((a, b) => b.latest - a.latest);
  const [end] = ends;
  if (end === undefined || (now !== undefined && end.latest + WINDOW_MS < now.getTime())) return undefined;
  const first = studies
    .filter(isPlainHeadCt)
    .flatMap(({ id, started }) => {
      const start = timeSpan(started);
      return id === undefined || start === undefined ? [] : [{ id, start }];
    })
    .filter(({ start }) => start.latest >= end.earliest && start.earliest <= end.latest + WINDOW_MS)
    .sort((a, b) => a.start.earliest - b.start.earliest)[0];
  return first && `ImagingStudy/${first.id}`;
}

function isPlainHeadCt({ id, status, modality, series, procedureCode }: ImagingStudy): boolean {
  if (id === undefined || status === 'cancelled' || status === 'entered-in-error') return false;
  const ct = (series ?? []).filter((one) => one.modality?.code === 'CT');
  if (ct.length === 0 && !(modality ?? []).some(({ code }) => code === 'CT')) return false;
  const codes = (procedureCode ?? []).flatMap(codingKeys);
  if (codes.length > 0) return codes.some((key) => PLAIN_HEAD_CT.has(key));
  return ct.length > 0 && ct.every(({ bodySite }) => HEAD.has(bodySite?.code ?? ''));
}

function codingKeys({ coding }: CodeableConcept): string[] {
  return (coding ?? []).map(({ system, code }) => `${system}|${code}`);
}
