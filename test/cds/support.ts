/** The CDS Hooks door on the real app and PGlite, with the chart scripted and the hospital in memory. */
import type { Express } from 'express';
import type { ImagingStudy, Procedure, Resource, RiskAssessment } from '@medplum/fhirtypes';
import type { Assessment } from '../../api/assessment/assessment.ts';
import type { CdsClientRegistration } from '../../api/authorization/cds-client.ts';
import type { ChartAccess, ChartSearch, HookParts } from '../../api/cds/answer-hook.ts';
import { findEligibleStudy } from '../../api/ehr/eligible-study.ts';
import { UpstreamError } from '../../api/errors.ts';
import { CdsMetrics } from '../../api/http/cds-metrics.ts';
import type { CdsParts } from '../../api/http/cds-hooks.ts';
import { FeedbackStore } from '../../api/jobs/feedback-store.ts';
import { MODEL } from '../support/in-memory-hospital.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { untilEnded } from '../support/queue-service.ts';

export const OWN_EHR = 'https://ehr.example/fhir';
export const PUBLIC_URL = 'https://hemocast.example';
export const LOCAL: CdsClientRegistration = { iss: 'local', fhirServers: [OWN_EHR] };

export interface CdsDoor extends TestApp {
  readonly door: Express;
  /** What the chart answers to a search; throws where the EHR cannot be asked. Empty unless set. */
  chart: (search: ChartSearch, access: ChartAccess, signal: AbortSignal) => Promise<readonly Resource[]>;
  /** Every search of the chart so far. */
  readonly searches: (ChartSearch & ChartAccess)[];
  /** Studies that were asked for in the background. */
  readonly requested: string[];
  /** A patient with a completed assessment. */
  assessedPatient(patient: string): Promise<Assessment>;
  withParts(changes: Partial<CdsParts>): Express;
  withHooks(changes: Partial<HookParts>): Express;
}

export async function startCdsDoor(changes: Partial<HookParts> = {}): Promise<CdsDoor> {
  const service = await startTestApp();
  const searches: CdsDoor['searches'] = [];
  const requested: string[] = [];
  const feedback = new FeedbackStore(service.database);
  const parts: CdsParts = {
    hooks: {
      records: service.store,
      searchChart: async (search, access, signal) => {
        searches.push({ ...search, ...access });
        return testDoor.chart(search, access, signal);
      },
      findEligibleStudy,
      requestInBackground: ({ id }) => void requested.push(id),
      beginFault: () => undefined,
      mode: () => service.operation.current().mode,
      publicUrl: () => PUBLIC_URL,
      disclaimer: () => MODEL.disclaimer,
      now: () => new Date('2026-11-12T12:00:00Z'),
      windowEnds: false,
      ...changes,
    },
    feedback,
    metrics: new CdsMetrics(feedback),
    verifier: { verify: async () => null },
    localClient: LOCAL,
    ownFhirServers: [OWN_EHR],
  };
  const testDoor: CdsDoor = {
    ...service,
    door: service.variant({ cds: parts }),
    chart: async () => [],
    searches,
    requested,
    withHooks: (other) =>
      service.variant({
        cds: { ...parts, metrics: new CdsMetrics(feedback), hooks: { ...parts.hooks, ...other } },
      }),
    withParts: (other) => service.variant({ cds: { ...parts, metrics: new CdsMetrics(feedback), ...other } }),
    async assessedPatient(patient) {
      const study = service.hospital.addStudy({ patient });
      const { assessment } = await service.request(study);
      return untilEnded(service.store, assessment.id);
    },
  };
  return testDoor;
}

export const cannotBeAsked = async (): Promise<never> => {
  throw new UpstreamError('ehr-search-refused', 'Not today.');
};

let calls = 0;

export interface CallChanges {
  readonly prefetch?: unknown;
  readonly context?: object;
  readonly [field: string]: unknown;
}

export function patientView(patientId: string, { context, ...changes }: CallChanges = {}): object {
  return {
    hook: 'patient-view',
    hookInstance: `00000000-0000-4000-8000-${String(++calls).padStart(12, '0')}`,
    context: { userId: 'Practitioner/1', patientId, ...context },
    ...changes,
  };
}

export const ENOXAPARIN = {
  system: 'http://www.nlm.nih.gov/research/umls/rxnorm',
  code: '854235',
  display: '0.4 ML enoxaparin sodium 100 MG/ML Prefilled Syringe',
};
export const PARACETAMOL = { system: ENOXAPARIN.system, code: '313782', display: 'Acetaminophen 325 MG Oral Tablet' };
export const HEAD_CT = { system: 'http://loinc.org', code: '30799-1', display: 'CT Head WO contrast' };

export function draftOrder(id: string, patientId: string, coding: typeof ENOXAPARIN): Resource & { id: string } {
  const subject = { reference: `Patient/${patientId}` };
  return coding.system === HEAD_CT.system
    ? { resourceType: 'ServiceRequest', id, status: 'draft', intent: 'order', subject, code: { coding: [coding] } }
    : {
        resourceType: 'MedicationRequest',
        id,
        status: 'draft',
        intent: 'order',
        subject,
        medicationCodeableConcept: { coding: [coding] },
      };
}

export function orderHook(
  hook: 'order-select' | 'order-sign',
  patientId: string,
  codings: readonly (typeof ENOXAPARIN)[],
  changes: CallChanges = {},
): object {
  const orders = codings.map((coding, index) => draftOrder(`order-${index}`, patientId, coding));
  return patientView(patientId, {
    ...changes,
    hook,
    context: {
      draftOrders: { resourceType: 'Bundle', type: 'collection', entry: orders.map((resource) => ({ resource })) },
      ...(hook === 'order-select' && { selections: orders.map(({ resourceType, id }) => `${resourceType}/${id}`) }),
      ...changes.context,
    },
  });
}

/** A RiskAssessment as api/ehr/risk-assessment.ts writes it, in what the hooks read of it. */
export function filedForecast(
  of: { readonly id: string; readonly study: string; readonly patient: string },
  changes: Partial<RiskAssessment> = {},
): RiskAssessment {
  return {
    resourceType: 'RiskAssessment',
    id: of.id,
    identifier: [{ system: 'https://hemocast.example/fhir/resource-identifier', value: of.id }],
    status: 'preliminary',
    code: { coding: [{ system: 'https://hemocast.example/fhir/CodeSystem/finding', code: 'hemorrhage-forecast' }] },
    subject: { reference: `Patient/${of.patient}` },
    occurrenceDateTime: '2026-11-12T10:00:00Z',
    basis: [{ reference: of.study }],
    prediction: [
      {
        probabilityDecimal: 71.4,
        qualitativeRisk: {
          coding: [{ system: 'http://terminology.hl7.org/CodeSystem/risk-probability', code: 'high' }],
        },
        whenPeriod: { start: '2026-11-12T08:00:00Z', end: '2026-11-15T08:00:00Z' },
      },
    ],
    ...changes,
  };
}

/** The chart's copy of what an assessment wrote. */
export function filedFor(assessment: Assessment, changes: Partial<RiskAssessment> = {}): RiskAssessment {
  const of = {
    id: assessment.resources!.riskAssessment.split('/')[1],
    study: `ImagingStudy/${assessment.study.id}`,
    patient: assessment.patientReference.split('/')[1],
  };
  return filedForecast(of, changes);
}

export function thrombectomy(patient: string, end: string): Procedure {
  return {
    resourceType: 'Procedure',
    id: `thrombectomy-${patient}`,
    status: 'completed',
    subject: { reference: `Patient/${patient}` },
    code: { coding: [{ system: 'http://snomed.info/sct', code: '439541007' }] },
    performedPeriod: { end },
  };
}

export function headCt(
  id: string,
  patient: string,
  started: string,
  changes: Partial<ImagingStudy> = {},
): ImagingStudy {
  return {
    resourceType: 'ImagingStudy',
    id,
    status: 'available',
    subject: { reference: `Patient/${patient}` },
    started,
    modality: [{ system: 'http://dicom.nema.org/resources/ontology/DCM', code: 'CT' }],
    procedureCode: [{ coding: [HEAD_CT] }],
    ...changes,
  };
}

export function searchset(resources: readonly Resource[], more: object = {}): object {
  return { resourceType: 'Bundle', type: 'searchset', entry: resources.map((resource) => ({ resource })), ...more };
}

/** Prefetch in which every key is satisfied; the CTs and the thrombectomy that its forecasts rest on are in it. */
export function wholePrefetch(
  resources: readonly Resource[] = [],
  more: readonly Resource[] = groundOf(resources),
): Record<string, unknown> {
  const all = [...resources, ...more];
  const of = (type: string): object => searchset(all.filter(({ resourceType }) => resourceType === type));
  return { riskAssessments: of('RiskAssessment'), imagingStudies: of('ImagingStudy'), procedures: of('Procedure') };
}

const HOSPITAL_PROCEDURE: Procedure = {
  resourceType: 'Procedure',
  id: 't',
  status: 'completed',
  subject: { reference: 'Patient/any' },
};

/** The CTs that forecasts rest on, unless they are there, and the thrombectomy of the in-memory hospital. */
export function groundOf(resources: readonly Resource[]): Resource[] {
  const thrombectomies = resources.some(({ resourceType }) => resourceType === 'RiskAssessment')
    ? [HOSPITAL_PROCEDURE]
    : [];
  const studies = resources
    .filter((one): one is RiskAssessment => one.resourceType === 'RiskAssessment')
    .flatMap(({ basis = [], subject }) => basis.map(({ reference = '' }) => ({ id: reference.split('/')[1], subject })))
    .filter(({ id }) => !resources.some((one) => one.resourceType === 'ImagingStudy' && one.id === id))
    .map(({ id, subject }) => headCt(id, subject!.reference!.split('/')[1], '2026-11-12T08:00:00Z'));
  return [...studies, ...thrombectomies];
}

/** An EHR that holds these, and what its forecasts rest on. */
export function chartOf(
  resources: readonly Resource[],
  more: readonly Resource[] = groundOf(resources),
): CdsDoor['chart'] {
  return async (search) => [...resources, ...more].filter(({ resourceType }) => resourceType === search.resourceType);
}

/** A `fhirAuthorization`. */
export function lent(token: string): object {
  return { access_token: token, token_type: 'Bearer', expires_in: 300, scope: 'user/*.read', subject: 'hemocast' };
}

/** "", [] or {}: prohibited by "Use of JSON". */
export function isEmpty(value: unknown): boolean {
  return value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
}

/** Paths of the elements for which `holds`. */
export function places(value: unknown, holds: (element: unknown) => boolean, path = ''): string[] {
  if (holds(value)) return [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => places(inner, holds, `${path}.${key}`));
}

/** Every row of every table, as text. */
export async function everythingKept({ database }: CdsDoor): Promise<string> {
  const { rows: tables } = await database.executeSql(
    `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
     WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
  );
  const contents = [];
  for (const { name } of tables) {
    contents.push(JSON.stringify((await database.executeSql(`SELECT t::text AS row FROM ${name} t`)).rows));
  }
  return contents.join('\n');
}
