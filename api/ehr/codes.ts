/**
 * Every code the service reads from or writes to a chart, each with where it is defined. Nothing is coded elsewhere in this
 * folder. What no published code system names (our five measurements) is coded in our own namespace and always carries text.
 */
import type { CodeableConcept, Coding } from '@medplum/fhirtypes';
import type { RiskBand } from '../prediction/prediction.ts';

/** Root of our own identifiers and codes; `.example` is reserved (RFC 2606): names only, nothing is served there. */
export const NAMESPACE = 'https://hemocast.example/fhir';

export const SYSTEMS = {
  snomed: 'http://snomed.info/sct',
  ucum: 'http://unitsofmeasure.org',
  dicomUid: 'urn:dicom:uid', // http://hl7.org/fhir/R4/imagingstudy.html#notes
  dicomTerms: 'http://dicom.nema.org/resources/ontology/DCM',
  observationCategory: 'http://terminology.hl7.org/CodeSystem/observation-category',
  dataAbsentReason: 'http://terminology.hl7.org/CodeSystem/data-absent-reason',
  riskProbability: 'http://terminology.hl7.org/CodeSystem/risk-probability',
  mediaType: 'http://terminology.hl7.org/CodeSystem/media-type',
  endpointConnectionType: 'http://terminology.hl7.org/CodeSystem/endpoint-connection-type',
  provenanceParticipant: 'http://terminology.hl7.org/CodeSystem/provenance-participant-type',
  dataOperation: 'http://terminology.hl7.org/CodeSystem/v3-DataOperation',
  observationValue: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue',
  /** AI Transparency on FHIR (HL7, 1.0.0-ballot): kinds of AI devices; kinds of AI inputs (model card). */
  aiDeviceType: 'http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIdeviceTypeCS',
  aiInputs: 'http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIinputsCS',
  finding: `${NAMESPACE}/CodeSystem/finding`,
  resourceIdentifier: `${NAMESPACE}/resource-identifier`,
  bundleSha256: `${NAMESPACE}/model-sha256`,
} as const;

/** Security label of everything an AI asserted (v3-ObservationValue; newer than the terminology bundled with R4). */
export const AI_ASSERTED: Coding = {
  system: SYSTEMS.observationValue,
  code: 'AIAST',
  display: 'Artificial Intelligence asserted',
};

export const ARTIFICIAL_INTELLIGENCE: Coding = {
  system: SYSTEMS.aiDeviceType,
  code: 'Artificial-Intelligence',
  display: 'All kinds of Artificial Intelligence',
};

export const AI_MODEL_CARD: Coding = { system: SYSTEMS.aiInputs, code: 'AIModelCard', display: 'AI Model-Card' };

export const AI_MODEL_CARD_MARKDOWN: Coding = {
  system: SYSTEMS.aiInputs,
  code: 'AIModelCardMarkdownFormat',
  display: 'Markdown Format',
};

/** SNOMED CT 230706003; since the April 2025 release with the synonym "ischemic stroke with hemorrhagic transformation". */
export const HEMORRHAGIC_INFARCTION: Coding = {
  system: SYSTEMS.snomed,
  code: '230706003',
  display: 'Hemorrhagic cerebral infarction',
};

export const BRAIN: CodeableConcept = {
  coding: [{ system: SYSTEMS.snomed, code: '12738006', display: 'Brain structure' }],
};

export const SIDES: Readonly<Record<'left' | 'right' | 'bilateral', CodeableConcept>> = {
  left: { coding: [{ system: SYSTEMS.snomed, code: '7771000', display: 'Left' }], text: 'left' },
  right: { coding: [{ system: SYSTEMS.snomed, code: '24028007', display: 'Right' }], text: 'right' },
  bilateral: { coding: [{ system: SYSTEMS.snomed, code: '51440002', display: 'Right and left' }], text: 'bilateral' },
};

/** http://terminology.hl7.org/CodeSystem/risk-probability, by risk band. */
export const QUALITATIVE_RISK: Readonly<Record<RiskBand, CodeableConcept>> = {
  low: { coding: [{ system: SYSTEMS.riskProbability, code: 'low', display: 'Low likelihood' }], text: 'low' },
  moderate: {
    coding: [{ system: SYSTEMS.riskProbability, code: 'moderate', display: 'Moderate likelihood' }],
    text: 'moderate',
  },
  high: { coding: [{ system: SYSTEMS.riskProbability, code: 'high', display: 'High likelihood' }], text: 'high' },
};

/** UCUM: mL and Hounsfield unit. The apostrophe is part of the code. */
export const MILLILITRE = { unit: 'mL', system: SYSTEMS.ucum, code: 'mL' } as const;
export const HOUNSFIELD_UNIT = { unit: 'HU', system: SYSTEMS.ucum, code: "[hnsf'U]" } as const;
export const PERCENT = { unit: '%', system: SYSTEMS.ucum, code: '%' } as const;

export function concept(coding: Coding, text?: string): CodeableConcept {
  return { coding: [coding], text: text ?? coding.display };
}

/** A concept of our own: what is measured or forecast here and named by no published code system. */
export function ownConcept(code: string, text: string): CodeableConcept {
  return concept({ system: SYSTEMS.finding, code, display: text });
}

/**
 * Procedures that remove a clot from an artery of the brain, percutaneously. ICD-10-PCS table 03C (extirpation of matter,
 * upper arteries): body part G intracranial, K/L internal carotid right/left, P/Q vertebral right/left; approach 3
 * percutaneous; device Z none; qualifier 7 stent retriever, 6 bifurcation (until 2021), Z none. CPT 61645 also covers
 * intra-arterial thrombolysis of the same occlusion.
 */
const THROMBECTOMY_CODES: Readonly<Record<string, ReadonlySet<string>>> = {
  snomed: new Set(['439541007']), // percutaneous thrombectomy of cerebral artery using fluoroscopic guidance with contrast
  cpt: new Set(['61645']),
  icd10pcs: new Set([
    ...['03CG3Z7', '03CG3ZZ', '03CG3Z6'],
    ...['03CK3Z7', '03CK3ZZ', '03CL3Z7', '03CL3ZZ'],
    ...['03CP3Z7', '03CP3ZZ', '03CQ3Z7', '03CQ3ZZ'],
  ]),
};

/** The names under which senders put those three code systems. */
const CODE_SYSTEM_NAMES: Readonly<Record<string, keyof typeof THROMBECTOMY_CODES>> = {
  'http://snomed.info/sct': 'snomed',
  'http://www.ama-assn.org/go/cpt': 'cpt',
  'urn:oid:2.16.840.1.113883.6.12': 'cpt',
  'http://www.cms.gov/Medicare/Coding/ICD10': 'icd10pcs',
  'http://hl7.org/fhir/sid/icd-10-pcs': 'icd10pcs',
  'urn:oid:2.16.840.1.113883.6.4': 'icd10pcs',
};

/** Whether a Procedure.code says thrombectomy of a brain artery. Text alone is not enough: it is never guessed from words. */
export function isThrombectomy(code: CodeableConcept | undefined): boolean {
  return (code?.coding ?? []).some((coding) => {
    const system = CODE_SYSTEM_NAMES[coding.system ?? ''];
    return system !== undefined && coding.code !== undefined && THROMBECTOMY_CODES[system].has(coding.code);
  });
}
