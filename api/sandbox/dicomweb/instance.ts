/** One DICOM object as it arrives: what names it, and its header as DICOM JSON. */
import { inflateRawSync } from 'node:zlib';
import dicomParser from 'dicom-parser';
import { toDicomJson } from './dicom-json.ts';
import type { DicomJson } from './dicom-json.ts';
import { lookUpVr } from './dictionary.ts';

export interface InstanceIdentity {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
}

export interface Instance extends InstanceIdentity {
  /** Header without pixel data; Available Transfer Syntax UID (0008,3002) says how the instance is stored. */
  readonly json: DicomJson;
}

const EXPLICIT_BIG_ENDIAN = '1.2.840.10008.1.2.2';
const MAX_INFLATED_BYTES = 256 * 2 ** 20;

export function isUid(text: unknown): text is string {
  return typeof text === 'string' && /^[0-9]+(\.[0-9]+)*$/.test(text) && text.length <= 64;
}

/** Reads the header of a Part 10 object. Undefined when it cannot be read or lacks one of the UIDs that name it. */
export function readInstance(part10: Uint8Array): Instance | undefined {
  // A plain view: dicom-parser treats a Buffer's slices as copies, which they are not.
  const bytes = new Uint8Array(part10.buffer, part10.byteOffset, part10.byteLength);
  try {
    const dataSet = dicomParser.parseDicom(bytes, {
      untilTag: 'x7fe00010',
      vrCallback: sequencesOf,
      inflater: inflate,
    } as dicomParser.ParseDicomOptions);
    const transferSyntaxUid = dataSet.string('x00020010') ?? '';
    const json = toDicomJson(dataSet, transferSyntaxUid !== EXPLICIT_BIG_ENDIAN);
    return nameInstance({ ...json, '00083002': { vr: 'UI', Value: [transferSyntaxUid] } });
  } catch {
    return undefined; // dicom-parser throws text, errors and stack overflows alike; they all mean: not readable
  }
}

/** Takes the identity from a header. Undefined when a UID is absent or not one: UIDs become file names. */
export function nameInstance(json: DicomJson): Instance | undefined {
  const uid = (tag: string): unknown => json[tag]?.Value?.[0];
  const studyInstanceUid = uid('0020000D');
  const seriesInstanceUid = uid('0020000E');
  const sopInstanceUid = uid('00080018');
  const sopClassUid = uid('00080016');
  const transferSyntaxUid = uid('00083002');
  if (!isUid(studyInstanceUid) || !isUid(seriesInstanceUid) || !isUid(sopInstanceUid)) return undefined;
  if (!isUid(sopClassUid) || !isUid(transferSyntaxUid)) return undefined;
  return { studyInstanceUid, seriesInstanceUid, sopInstanceUid, sopClassUid, transferSyntaxUid, json };
}

/** Implicit VR: dicom-parser need only know where sequences are; the other VRs are looked up when values are read. */
function sequencesOf(tag: string): string | undefined {
  return lookUpVr(tag.slice(1).toUpperCase()) === 'SQ' ? 'SQ' : undefined;
}

function inflate(all: Uint8Array, start: number): Uint8Array {
  const inflated = inflateRawSync(all.subarray(start), { maxOutputLength: MAX_INFLATED_BYTES });
  const whole = new Uint8Array(start + inflated.length);
  whole.set(all.subarray(0, start));
  whole.set(inflated, start);
  return whole;
}
