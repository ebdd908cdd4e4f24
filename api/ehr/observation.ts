/** The measurements on the initial CT, one Observation each (http://hl7.org/fhir/R4/observation.html). */
import type { Observation } from '@medplum/fhirtypes';
import type { Absent, Measured, Measurements } from '../prediction/prediction.ts';
import { AI_ASSERTED, BRAIN, HOUNSFIELD_UNIT, MILLILITRE, SIDES, SYSTEMS, concept, ownConcept } from './codes.ts';
import { FINDING_KEYS, ownIdentifier, referenceTo, resourceId } from './ids.ts';
import type { FindingKey } from './ids.ts';
import { narrative, notes, oneDecimal } from './text.ts';
import { initialCtTime } from './window.ts';
import { modelName } from './written-report.ts';
import type { WrittenReport } from './written-report.ts';

type ObservationValue = Pick<
  Observation,
  'valueQuantity' | 'valueCodeableConcept' | 'valueBoolean' | 'dataAbsentReason'
>;

interface Finding {
  readonly name: string;
  readonly definition: string;
  readonly value: (measurements: Measurements) => ObservationValue;
  /** For narrative and rationale. */
  readonly words: (measurements: Measurements) => string;
}

const HYPERDENSE =
  'hyperdense = above 50 HU after smoothing by a 3 mm Gaussian, inside the skull eroded 4 mm from bone, components of 0.1 mL or more';

/** Definitions as they are computed in the reading of the scan; the words go into Observation.method. */
export const FINDINGS: Readonly<Record<FindingKey, Finding>> = {
  'hyperdense-volume': {
    name: 'Volume of hyperdense intracranial areas',
    definition: `Sum of the hyperdense components; ${HYPERDENSE}.`,
    value: ({ hyperdenseVolumeMl }) => quantity(hyperdenseVolumeMl, MILLILITRE),
    words: ({ hyperdenseVolumeMl }) => numberWords(hyperdenseVolumeMl, 'mL'),
  },
  'maximum-attenuation': {
    name: 'Maximum attenuation of hyperdense intracranial areas',
    definition: `Highest unsmoothed value inside the hyperdense components; ${HYPERDENSE}.`,
    value: ({ maxHu }) => quantity(maxHu, HOUNSFIELD_UNIT),
    words: ({ maxHu }) => numberWords(maxHu, 'HU'),
  },
  'mean-attenuation': {
    name: 'Mean attenuation of hyperdense intracranial areas',
    definition: `Mean of the unsmoothed values inside the hyperdense components; ${HYPERDENSE}.`,
    value: ({ meanHu }) => quantity(meanHu, HOUNSFIELD_UNIT),
    words: ({ meanHu }) => numberWords(meanHu, 'HU'),
  },
  side: {
    name: 'Side of hyperdense intracranial areas',
    definition: `Side of the patient that holds more than 80 % of the hyperdense volume, otherwise bilateral; ${HYPERDENSE}.`,
    value: ({ side }) => (isAbsent(side) ? absent(side) : { valueCodeableConcept: SIDES[side.value] }),
    words: ({ side }) => (isAbsent(side) ? unknownWords(side) : side.value),
  },
  'metallic-sign': {
    name: 'Metallic hyperdensity sign',
    definition: 'A part above 90 HU of a hyperdense component, 10 mm or more across, in the deep grey matter.',
    value: ({ metallicSign }) => (isAbsent(metallicSign) ? absent(metallicSign) : { valueBoolean: metallicSign.value }),
    words: ({ metallicSign }) =>
      isAbsent(metallicSign) ? unknownWords(metallicSign) : metallicSign.value ? 'present' : 'not present',
  },
};

/** One measurement. A quantity that could not be had carries its reason and no value. */
export function toObservation(written: WrittenReport, key: FindingKey): Observation {
  const { report, references, writtenAt } = written;
  const { measurements } = report.reading.prediction;
  const finding = FINDINGS[key];
  const id = resourceId(report, `observation/${key}`);
  const effectiveDateTime = initialCtTime(report);
  return {
    resourceType: 'Observation',
    id,
    meta: { security: [AI_ASSERTED] },
    text: narrative([`${finding.name}: ${finding.words(measurements)}.`, report.model.disclaimer]),
    identifier: [ownIdentifier(id)],
    status: 'preliminary',
    category: [concept({ system: SYSTEMS.observationCategory, code: 'imaging', display: 'Imaging' })],
    code: ownConcept(key, finding.name),
    subject: referenceTo(report.study.patientReference),
    ...(report.study.encounterReference && { encounter: referenceTo(report.study.encounterReference) }),
    ...(effectiveDateTime && { effectiveDateTime }),
    issued: writtenAt,
    ...finding.value(measurements),
    bodySite: BRAIN,
    method: { text: `${finding.definition} Computed by ${modelName(report)} on the initial CT.` },
    device: referenceTo(references.device),
    derivedFrom: [referenceTo(`ImagingStudy/${report.study.reference.id}`)],
    note: notes([report.model.disclaimer]),
  };
}

/** "Volume of hyperdense intracranial areas: 12.3 mL; ..." */
export function measurementsInWords(measurements: Measurements): string {
  return FINDING_KEYS.map((key) => `${FINDINGS[key].name}: ${FINDINGS[key].words(measurements)}`).join('; ');
}

function isAbsent<T>(measured: Measured<T>): measured is Absent {
  return measured.value === null;
}

function quantity(measured: Measured<number>, unit: typeof MILLILITRE | typeof HOUNSFIELD_UNIT): ObservationValue {
  return isAbsent(measured) ? absent(measured) : { valueQuantity: { value: oneDecimal(measured.value), ...unit } };
}

/** R4 data-absent-reason has no code for our reasons; the text says which it is. */
function absent({ reason }: Absent): ObservationValue {
  return {
    dataAbsentReason: {
      coding: [{ system: SYSTEMS.dataAbsentReason, code: 'unknown', display: 'Unknown' }],
      text: reason,
    },
  };
}

function numberWords(measured: Measured<number>, unit: string): string {
  return isAbsent(measured) ? unknownWords(measured) : `${oneDecimal(measured.value)} ${unit}`;
}

function unknownWords({ reason }: Absent): string {
  return `not available (${reason})`;
}
