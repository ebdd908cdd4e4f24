/** All resources of one report, in the order in which they refer to each other. */
import type { DocumentReference, Media, Observation, Provenance, RiskAssessment } from '@medplum/fhirtypes';
import { toForecastObservation } from './degraded.ts';
import type { ReportForm } from './degraded.ts';
import { FINDING_KEYS } from './ids.ts';
import type { PictureKey, Role } from './ids.ts';
import { toMedia, toPictureDocument } from './media.ts';
import { toObservation } from './observation.ts';
import { toProvenance } from './provenance.ts';
import { toRiskAssessment } from './risk-assessment.ts';
import type { ReportReferences, WrittenReport } from './written-report.ts';

export type ReportResource = Observation | Media | DocumentReference | RiskAssessment | Provenance;

/** A part of the report that is a JSON resource of its own. */
export type ReportRole = Exclude<Role, `binary/${string}`>;

/** Which pictures a form carries: a DICOM object in a DocumentReference would help no reader. */
export function picturesOf(form: ReportForm): readonly PictureKey[] {
  return form.pictures === 'Media' ? ['follow-up', 'comparison'] : ['comparison'];
}

export function rolesOf(form: ReportForm): readonly ReportRole[] {
  return [
    ...FINDING_KEYS.map((key) => `observation/${key}` as const),
    ...picturesOf(form).map((key) => `media/${key}` as const),
    'risk-assessment',
    'provenance',
  ];
}

export function typeOf(role: ReportRole, form: ReportForm): ReportResource['resourceType'] {
  if (role === 'risk-assessment') return form.forecast;
  if (role === 'provenance') return 'Provenance';
  return role.startsWith('media/') ? form.pictures : 'Observation';
}

export function toResource(role: ReportRole, written: WrittenReport, form: ReportForm): ReportResource {
  if (role === 'risk-assessment') {
    return form.forecast === 'RiskAssessment' ? toRiskAssessment(written) : toForecastObservation(written);
  }
  if (role === 'provenance') return toProvenance(written);
  if (role === 'media/follow-up' || role === 'media/comparison') {
    return form.pictures === 'Media' ? toMedia(written, pictureKey(role)) : toPictureDocument(written);
  }
  return toObservation(written, FINDING_KEYS[FINDING_KEYS.findIndex((key) => role === `observation/${key}`)]);
}

export function pictureKey(role: 'media/follow-up' | 'media/comparison'): PictureKey {
  return role === 'media/follow-up' ? 'follow-up' : 'comparison';
}

/** Puts the references of all roles into the shape the mappings read. */
export function gatherReferences(
  place: (role: ReportRole) => string,
  form: ReportForm,
  shared: Pick<ReportReferences, 'device' | 'modelCard' | 'binaries'>,
): ReportReferences {
  const [volume, maximum, mean, side, metallic] = FINDING_KEYS.map((key) => place(`observation/${key}`));
  return {
    ...shared,
    riskAssessment: place('risk-assessment'),
    provenance: place('provenance'),
    observations: {
      'hyperdense-volume': volume,
      'maximum-attenuation': maximum,
      'mean-attenuation': mean,
      side,
      'metallic-sign': metallic,
    },
    media: Object.fromEntries(picturesOf(form).map((key) => [key, place(`media/${key}`)])),
  };
}
