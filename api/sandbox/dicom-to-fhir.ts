/**
 * A DICOM study as the resources a hospital's integration would make of it: Patient, Endpoint, ImagingStudy
 * (http://hl7.org/fhir/R4/imagingstudy.html). What the images do not state is left out.
 */
import { createHash } from 'node:crypto';
import type { Endpoint, HumanName, Identifier, ImagingStudy, ImagingStudySeries, Patient } from '@medplum/fhirtypes';
import { count, date, dateTime, personName, text, type DicomInstance } from './dicom-attributes.ts';

const dicomTerms = 'http://dicom.nema.org/resources/ontology/DCM';
const identifierTypes = 'http://terminology.hl7.org/CodeSystem/v2-0203';

/** Patient identifiers: this base plus the issuer of the id; the value is Patient ID (0010,0020) as sent. */
const patientIdSystems = 'https://hemocast.example/fhir/patient-id';

const sexes: Readonly<Record<string, Patient['gender']>> = { M: 'male', F: 'female', O: 'other' };

/** SNOMED CT codes of Body Part Examined, PS3.16 annex L. */
const bodySites: Readonly<Record<string, { code: string; display: string }>> = {
  HEAD: { code: '69536005', display: 'Head structure' },
  BRAIN: { code: '12738006', display: 'Brain structure' },
  SKULL: { code: '89546000', display: 'Bone structure of cranium' },
};

/** Hexadecimal digest for ids: the same thing gets the same id at each start and on each machine. */
export function digest(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
}

/** Identifier of a patient by Patient ID and Issuer of Patient ID; ids without a stated issuer share one system. */
export function patientIdentifier(value: string, issuer: string | undefined): Identifier {
  return {
    use: 'usual',
    type: { coding: [{ system: identifierTypes, code: 'MR', display: 'Medical record number' }] },
    system: `${patientIdSystems}/${issuer === undefined ? 'unknown-issuer' : encodeURIComponent(issuer)}`,
    value,
    ...(issuer !== undefined && { assigner: { display: issuer } }),
  };
}

export function studyIdentifier(studyInstanceUid: string): Identifier {
  return { use: 'official', system: 'urn:dicom:uid', value: `urn:oid:${studyInstanceUid}` };
}

export function studyInstanceUid(instance: DicomInstance): string {
  const uid = text(instance, '0020000D');
  if (uid === undefined) throw new Error('An instance lacks its Study Instance UID (0020,000D).');
  return uid;
}

/**
 * The patient of an instance. Without a Patient ID there is nobody to match, and the patient belongs to that study alone.
 */
export function toPatient(instance: DicomInstance): Patient & { id: string } {
  const patientId = text(instance, '00100020');
  const issuer = text(instance, '00100021');
  const [family, given, middle, prefix, suffix] = personName(instance, '00100010');
  const name: HumanName = {
    ...(family && { family }),
    ...((given || middle) && { given: [given, middle].filter((part) => part) }),
    ...(prefix && { prefix: [prefix] }),
    ...(suffix && { suffix: [suffix] }),
  };
  const birthDate = date(instance, '00100030');
  const gender = sexes[text(instance, '00100040') ?? ''];
  return {
    resourceType: 'Patient',
    id: `patient-${patientId === undefined ? digest(studyInstanceUid(instance)) : digest(issuer ?? '', patientId)}`,
    ...(patientId !== undefined && { identifier: [patientIdentifier(patientId, issuer)] }),
    ...(Object.keys(name).length > 0 && { name: [name] }),
    ...(gender !== undefined && { gender }),
    ...(birthDate !== undefined && { birthDate }),
  };
}

/** @param address DICOMweb root */
export function toEndpoint(id: string, name: string, address: string): Endpoint & { id: string } {
  return {
    resourceType: 'Endpoint',
    id,
    status: 'active',
    connectionType: {
      system: 'http://terminology.hl7.org/CodeSystem/endpoint-connection-type',
      code: 'dicom-wado-rs',
      display: 'DICOM WADO-RS',
    },
    name,
    payloadType: [
      {
        coding: [
          { system: 'http://terminology.hl7.org/CodeSystem/endpoint-payload-type', code: 'any', display: 'Any' },
        ],
        text: 'DICOM instances',
      },
    ],
    payloadMimeType: ['application/dicom'],
    address,
  };
}

/**
 * The study of all given instances. Series that a model made (Synthetic Data (0008,001C) YES) neither count nor appear, so that
 * storing one does not look like a study that has grown; a study of nothing else is given whole.
 * @param instances all instances of one study, at least one
 */
export function toImagingStudy(
  instances: readonly DicomInstance[],
  references: { readonly id: string; readonly patient: string; readonly endpoint: string },
): ImagingStudy & { id: string } {
  const real = instances.filter((instance) => text(instance, '0008001C') !== 'YES');
  const acquired = real.length > 0 ? real : instances;
  const [first] = acquired;
  const series = toSeries(acquired);
  const started = dateTime(first, '00080020', '00080030');
  const description = text(first, '00081030');
  const accessionNumber = text(first, '00080050');
  const modalities = new Set(
    acquired.map((instance) => text(instance, '00080060')).filter((code) => code !== undefined),
  );
  return {
    resourceType: 'ImagingStudy',
    id: references.id,
    identifier: [
      studyIdentifier(studyInstanceUid(first)),
      ...(accessionNumber === undefined ? [] : [accessionIdentifier(accessionNumber)]),
    ],
    status: 'available',
    ...(modalities.size > 0 && { modality: [...modalities].sort().map((code) => ({ system: dicomTerms, code })) }),
    subject: { reference: references.patient },
    ...(started !== undefined && { started }),
    endpoint: [{ reference: references.endpoint }],
    numberOfSeries: series.length,
    numberOfInstances: acquired.length,
    ...(isPlainHeadCt(acquired) && { procedureCode: [plainHeadCt] }),
    ...(description !== undefined && { description }),
    series,
  };
}

function accessionIdentifier(value: string): Identifier {
  return { type: { coding: [{ system: identifierTypes, code: 'ACSN', display: 'Accession ID' }] }, value };
}

function toSeries(instances: readonly DicomInstance[]): ImagingStudySeries[] {
  const bySeries = Map.groupBy(instances, (instance) => text(instance, '0020000E') ?? '');
  return [...bySeries]
    .map(([uid, members]): ImagingStudySeries => {
      const [first] = members;
      const modality = text(first, '00080060');
      const bodySite = bodySites[text(first, '00180015') ?? ''];
      const started = dateTime(first, '00080021', '00080031');
      const description = text(first, '0008103E');
      const number = count(first, '00200011');
      return {
        uid,
        ...(number !== undefined && { number }),
        // Modality is required in DICOM and here: where the sender left it out, that is said.
        modality: modality === undefined ? { extension: [unknown] } : { system: dicomTerms, code: modality },
        ...(description !== undefined && { description }),
        numberOfInstances: members.length,
        ...(bodySite !== undefined && { bodySite: { system: 'http://snomed.info/sct', ...bodySite } }),
        ...(started !== undefined && { started }),
        instance: members.map(toInstance).sort((a, b) => (a.number ?? 0) - (b.number ?? 0) || (a.uid < b.uid ? -1 : 1)),
      };
    })
    .sort((a, b) => (a.number ?? 0) - (b.number ?? 0) || (a.uid < b.uid ? -1 : 1));
}

const unknown = { url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'unknown' };

function toInstance(instance: DicomInstance): NonNullable<ImagingStudySeries['instance']>[number] {
  const number = count(instance, '00200013');
  return {
    uid: text(instance, '00080018') ?? '',
    sopClass: { system: 'urn:ietf:rfc:3986', code: `urn:oid:${text(instance, '00080016') ?? ''}` },
    ...(number !== undefined && { number }),
  };
}

const plainHeadCt = {
  coding: [{ system: 'http://loinc.org', code: '30799-1', display: 'CT Head WO contrast' }],
};

/** Only where the images say all of it: CT, head, no contrast agent anywhere, and "without contrast" in words. */
function isPlainHeadCt(instances: readonly DicomInstance[]): boolean {
  const [first] = instances;
  const words = `${text(first, '00081030') ?? ''} ${text(first, '0008103E') ?? ''}`;
  const bodyPart = text(first, '00180015') ?? '';
  return (
    instances.every((each) => text(each, '00080060') === 'CT' && text(each, '00180010') === undefined) &&
    (['HEAD', 'BRAIN'].includes(bodyPart) || /\b(head|brain|cranial)\b/i.test(words)) &&
    /\b(without|w\/?o|non?)[\s-]*(iv\s+)?contrast\b/i.test(words)
  );
}
