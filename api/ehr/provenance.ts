/** Who made what from what (http://hl7.org/fhir/R4/provenance.html; profile AI Provenance of AI Transparency on FHIR). */
import type { Provenance, ProvenanceEntity } from '@medplum/fhirtypes';
import { AI_ASSERTED, ARTIFICIAL_INTELLIGENCE, SYSTEMS, concept } from './codes.ts';
import { referenceTo, resourceId } from './ids.ts';
import { narrative } from './text.ts';
import { modelName } from './written-report.ts';
import type { WrittenReport } from './written-report.ts';

/**
 * Targets are the forecast, the measurements, the pictures and their bytes (a raw Binary has no label of its own). The Device
 * is the agent and the model card an input: neither was made by this assessment. A superseded forecast is named as the entity that
 * this one revises.
 */
export function toProvenance(written: WrittenReport): Provenance {
  const { report, references, writtenAt } = written;
  const targets = [
    references.riskAssessment,
    ...Object.values(references.observations),
    ...Object.values(references.media),
    ...Object.values(references.binaries),
  ];
  const supersedes = report.supersedes === undefined ? [] : [`It revises ${report.supersedes}.`];
  return {
    resourceType: 'Provenance',
    id: resourceId(report, 'provenance'),
    text: narrative([
      `Made by ${modelName(report)}, an artificial intelligence.`,
      ...supersedes,
      report.model.disclaimer,
    ]),
    target: targets.map((target) => referenceTo(target)),
    occurredDateTime: writtenAt,
    recorded: writtenAt,
    reason: [concept(AI_ASSERTED)],
    activity: concept({ system: SYSTEMS.dataOperation, code: 'CREATE', display: 'create' }),
    agent: [
      {
        type: concept({ system: SYSTEMS.provenanceParticipant, code: 'author', display: 'Author' }),
        role: [concept(ARTIFICIAL_INTELLIGENCE)],
        who: referenceTo(references.device),
      },
    ],
    entity: [
      entity('source', `ImagingStudy/${report.study.reference.id}`),
      ...(report.study.thrombectomy === undefined ? [] : [entity('source', report.study.thrombectomy.reference)]),
      entity('derivation', references.modelCard),
      ...(report.supersedes === undefined ? [] : [entity('revision', report.supersedes)]),
    ],
  };
}

function entity(role: ProvenanceEntity['role'], reference: string): ProvenanceEntity {
  return { role, what: referenceTo(reference) };
}
