/** The simulated patients' charts: who they are, why they came, what was done. Their images are filed by `link-study.ts`. */
import type { WithId } from '@medplum/core';
import type { CodeableConcept, Condition, Encounter, Meta, Patient, Procedure, Resource } from '@medplum/fhirtypes';
import { readIfExists } from './chart.ts';
import { digest, patientIdentifier } from './dicom-to-fhir.ts';
import type { SandboxRepository } from './fhir/repository.ts';
import type { ExpectedStudy } from './link-study.ts';
import type { SimulatedPatient } from './simulated-patients.ts';

/** Tag of a seeded resource; its code says from which patients.json entry, so that a changed entry is written anew. */
const seedTag = 'https://hemocast.example/fhir/CodeSystem/sandbox-seed';

/** Simulated arrival before the procedure, minutes: the simulator states no admission time. */
const doorToPunctureMin = 75;

/** Where the images of a simulated patient are filed. */
export function expectedStudy({ slug }: SimulatedPatient): ExpectedStudy {
  return { id: `${slug}-ct`, encounter: `Encounter/${slug}-admission` };
}

/**
 * Writes the charts that are not there yet, or whose description has changed since. What was edited or deleted in between stays
 * as it is.
 */
export async function seedCharts(repository: SandboxRepository, patients: readonly SimulatedPatient[]): Promise<void> {
  await repository.withTransaction(async (chart) => {
    for (const patient of patients) {
      const version = digest(JSON.stringify(patient));
      if (await isSeeded(chart, patient.slug, version)) continue;
      for (const resource of chartOf(patient, version)) await chart.updateResource(resource);
    }
  });
}

async function isSeeded(chart: SandboxRepository, slug: string, version: string): Promise<boolean> {
  const patient = await readIfExists<Patient>(chart, 'Patient', slug);
  if (patient === undefined) return chart.wasDeleted('Patient', slug);
  return patient.meta?.tag?.some(({ system, code }) => system === seedTag && code === version) ?? false;
}

function chartOf(patient: SimulatedPatient, version: string): WithId<Resource>[] {
  const meta: Meta = {
    security: [
      {
        system: 'http://terminology.hl7.org/CodeSystem/v3-ActReason',
        code: 'HTEST',
        display: 'test health data',
      },
    ],
    tag: [{ system: seedTag, code: version, display: 'Simulated patient' }],
  };
  return [toPatient(patient), toCondition(patient), toEncounter(patient), toProcedure(patient)].map((resource) => ({
    ...resource,
    meta,
  }));
}

function toPatient({ slug, patientId, issuer, family, given, sex, birthDate }: SimulatedPatient): WithId<Patient> {
  return {
    resourceType: 'Patient',
    id: slug,
    identifier: [patientIdentifier(patientId, issuer)],
    active: true,
    name: [{ use: 'official', family, given: [given] }],
    gender: sex,
    birthDate,
  };
}

function toCondition({ slug, side }: SimulatedPatient): WithId<Condition> {
  const status = (system: string, code: string): CodeableConcept => ({
    coding: [{ system: `http://terminology.hl7.org/CodeSystem/${system}`, code }],
  });
  return {
    resourceType: 'Condition',
    id: `${slug}-stroke`,
    clinicalStatus: status('condition-clinical', 'active'),
    verificationStatus: status('condition-ver-status', 'confirmed'),
    category: [status('condition-category', 'encounter-diagnosis')],
    code: {
      coding: [{ system: 'http://snomed.info/sct', code: '422504002', display: 'Ischemic stroke' }],
      text: `Acute ischemic stroke, ${side}`,
    },
    subject: { reference: `Patient/${slug}` },
    encounter: { reference: `Encounter/${slug}-admission` },
  };
}

function toEncounter({ slug, thrombectomyStart }: SimulatedPatient): WithId<Encounter> {
  return {
    resourceType: 'Encounter',
    id: `${slug}-admission`,
    status: 'in-progress',
    class: {
      system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode',
      code: 'IMP',
      display: 'inpatient encounter',
    },
    subject: { reference: `Patient/${slug}` },
    period: { start: minutesBefore(thrombectomyStart, doorToPunctureMin) },
    reasonReference: [{ reference: `Condition/${slug}-stroke` }],
  };
}

/** On the clock that the instant was written with. */
function minutesBefore(instant: string, minutes: number): string {
  const zone = /(Z|[+-]\d\d:\d\d)$/.exec(instant)![0];
  const onTheClock = Date.parse(instant.replace(zone, 'Z')) - minutes * 60_000;
  return new Date(onTheClock).toISOString().slice(0, 19) + zone;
}

function toProcedure({ slug, side, thrombectomyStart, thrombectomyEnd }: SimulatedPatient): WithId<Procedure> {
  return {
    resourceType: 'Procedure',
    id: `${slug}-thrombectomy`,
    status: 'completed',
    code: {
      coding: [
        {
          system: 'http://snomed.info/sct',
          code: '439541007',
          display: 'Percutaneous thrombectomy of cerebral artery using fluoroscopic guidance with contrast',
        },
      ],
      text: 'Mechanical thrombectomy',
    },
    subject: { reference: `Patient/${slug}` },
    encounter: { reference: `Encounter/${slug}-admission` },
    performedPeriod: { start: thrombectomyStart, end: thrombectomyEnd },
    reasonReference: [{ reference: `Condition/${slug}-stroke` }],
    bodySite: [{ text: `Artery of the brain, ${side}` }],
  };
}
