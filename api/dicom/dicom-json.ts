/**
 * Headers from the DICOM JSON model (PS3.18 Annex F), as WADO-RS metadata and QIDO-RS answer it. Servers differ: Orthanc
 * leaves `Value` out of empty attributes, some write decimal strings as numbers and some as text, nulls stand for empty
 * values.
 */
import type { InstanceHeader } from '../imaging/volume.ts';
import { buildHeader, type AttributeReader, type Tag } from './header.ts';
import { malformed } from './malformed.ts';

/**
 * @param json one data set of the DICOM JSON model: `{ "00080018": { "vr": "UI", "Value": ["1.2.3"] }, ... }`. Transfer
 *   syntax comes from (0002,0010) or, where a server lists exactly one, Available Transfer Syntax UID (0008,3002).
 * @throws RefusalError `dicom-malformed` where it is not one, or where a UID that names the instance is absent
 */
export function headerFromDicomJson(json: unknown): InstanceHeader {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw malformed('The DICOM JSON of an instance is not an object (PS3.18 Annex F).');
  }
  const attributes = json as Readonly<Record<Tag, unknown>>;
  const values = (tag: Tag): readonly unknown[] => valuesOf(attributes[tag]);
  const reader: AttributeReader = {
    texts: (tag) => (tag === '00020010' ? transferSyntax(values) : values(tag)).map(asText),
    integers: (tag) => values(tag).flatMap((value) => asInteger(value) ?? []),
  };
  return buildHeader(reader);
}

function valuesOf(attribute: unknown): readonly unknown[] {
  const value = (attribute as { Value?: unknown } | null | undefined)?.Value;
  return Array.isArray(value) ? value : [];
}

function transferSyntax(values: (tag: Tag) => readonly unknown[]): readonly unknown[] {
  const stated = values('00020010');
  const available = values('00083002');
  return stated.length > 0 || available.length !== 1 ? stated : available;
}

/** `Number` alone would make zero of null and of empty text. */
function asInteger(value: unknown): number | undefined {
  const isNumber = typeof value === 'number' || (typeof value === 'string' && /^\s*[+-]?\d+\s*$/.test(value));
  return isNumber && Number.isInteger(Number(value)) ? Number(value) : undefined;
}

function asText(value: unknown): string {
  if (typeof value === 'string') return value.trim();
  return typeof value === 'number' ? String(value) : '';
}
