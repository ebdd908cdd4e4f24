/** The network as a Device (http://hl7.org/fhir/R4/device.html; profile AI Device of AI Transparency on FHIR). One per bundle. */
import type { Device } from '@medplum/fhirtypes';
import type { ModelDescription } from '../assessment/ports.ts';
import { ARTIFICIAL_INTELLIGENCE, SYSTEMS, concept } from './codes.ts';
import { deviceId, ownIdentifier } from './ids.ts';
import { narrative, notes } from './text.ts';

export function toDevice(model: ModelDescription): Device {
  const id = deviceId(model);
  const lines = [model.disclaimer, `Intended use: ${model.intendedUse}`, `Training data: ${model.trainingData}`];
  return {
    resourceType: 'Device',
    id,
    text: narrative([`${model.name} ${model.version}`, ...lines]),
    identifier: [ownIdentifier(id), { system: SYSTEMS.bundleSha256, value: model.sha256 }],
    status: 'active',
    deviceName: [{ name: model.name, type: 'model-name' }],
    type: concept(ARTIFICIAL_INTELLIGENCE),
    version: [{ value: model.version }],
    note: notes(lines),
  };
}
