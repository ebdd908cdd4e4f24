/** From a DICOM data set to the DICOM JSON model (PS3.18 Annex F). Bulk data beyond a few kilobytes is left out. */
import type { DataSet, Element } from 'dicom-parser';
import { decodeText } from './character-set.ts';
import { lookUpVr } from './dictionary.ts';

export interface DicomJsonAttribute {
  readonly vr: string;
  readonly Value?: readonly unknown[];
  readonly InlineBinary?: string;
}

/** One data set: eight-digit tag -> attribute. */
export type DicomJson = Readonly<Record<string, DicomJsonAttribute>>;

const MAX_INLINE_BYTES = 4096;
const MULTI_TEXT = new Set(['AE', 'AS', 'CS', 'DA', 'DT', 'LO', 'SH', 'TM', 'UC', 'UI', 'DS', 'IS', 'PN']);
const SINGLE_TEXT = new Set(['LT', 'ST', 'UT', 'UR']);
/** VRs whose text is in the Specific Character Set (PS3.5 6.1.2.3). */
const IN_CHARACTER_SET = new Set(['LO', 'SH', 'PN', 'UC', 'LT', 'ST', 'UT']);

const BINARY_NUMBERS: Readonly<
  Record<string, readonly [bytes: number, read: (view: DataView, at: number, le: boolean) => number]>
> = {
  US: [2, (view, at, le) => view.getUint16(at, le)],
  SS: [2, (view, at, le) => view.getInt16(at, le)],
  UL: [4, (view, at, le) => view.getUint32(at, le)],
  SL: [4, (view, at, le) => view.getInt32(at, le)],
  FL: [4, (view, at, le) => view.getFloat32(at, le)],
  FD: [8, (view, at, le) => view.getFloat64(at, le)],
};

/** Converts a data set without its File Meta Information (group 0002), group lengths and pixel data. */
export function toDicomJson(dataSet: DataSet, littleEndian: boolean, parentCharacterSet?: string): DicomJson {
  const characterSet = dataSet.string('x00080005') ?? parentCharacterSet;
  const signed = dataSet.uint16('x00280103') === 1;
  const json: Record<string, DicomJsonAttribute> = {};
  for (const key of Object.keys(dataSet.elements).sort()) {
    const element = dataSet.elements[key];
    const tag = key.slice(1).toUpperCase();
    if (tag.startsWith('0002') || tag.endsWith('0000') || tag === '7FE00010' || tag === 'FFFCFFFC') continue;
    const vr = valueRepresentation(tag, element, signed);
    json[tag] = { vr, ...valueOf(dataSet, element, vr, littleEndian, characterSet) };
  }
  return json;
}

function valueRepresentation(tag: string, element: Element, signed: boolean): string {
  if (element.items !== undefined) return 'SQ';
  if (element.vr !== undefined && /^[A-Z]{2}$/.test(element.vr) && element.vr !== 'UN') return element.vr;
  const vr = lookUpVr(tag);
  // Padding value and smallest/largest pixel value have the pixels' own sign.
  return vr === 'US' && signed && /^0028(010[4-9]|0110|0111|012[01])$/.test(tag) ? 'SS' : vr;
}

function valueOf(
  dataSet: DataSet,
  element: Element,
  vr: string,
  littleEndian: boolean,
  characterSet: string | undefined,
): Omit<DicomJsonAttribute, 'vr'> {
  if (vr === 'SQ') {
    const items = (element.items ?? []).flatMap((item) =>
      item.dataSet === undefined ? [] : [toDicomJson(item.dataSet, littleEndian, characterSet)],
    );
    return items.length === 0 ? {} : { Value: items };
  }
  if (element.length === 0 || element.fragments !== undefined) return {};
  const bytes = dataSet.byteArray.subarray(element.dataOffset, element.dataOffset + element.length);
  if (MULTI_TEXT.has(vr) || SINGLE_TEXT.has(vr)) {
    const text = decodeText(bytes, IN_CHARACTER_SET.has(vr) ? characterSet : undefined);
    const values = SINGLE_TEXT.has(vr)
      ? [text.replace(/[\0 ]+$/, '')]
      : text.split('\\').map((part) => toValue(part, vr));
    return values.every((value) => value === null || value === '') ? {} : { Value: values };
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (vr === 'AT') {
    const part = (at: number): string => view.getUint16(at, littleEndian).toString(16).padStart(4, '0');
    return { Value: everyNth(bytes.length, 4).map((at) => (part(at) + part(at + 2)).toUpperCase()) };
  }
  const binary = BINARY_NUMBERS[vr];
  if (binary !== undefined) {
    const [size, read] = binary;
    return { Value: everyNth(bytes.length, size).map((at) => finiteOrNull(read(view, at, littleEndian))) };
  }
  return bytes.length > MAX_INLINE_BYTES ? {} : { InlineBinary: Buffer.from(bytes).toString('base64') };
}

/** One value of a text VR: a name in its component groups, a number where it is one, else text; null when empty. */
function toValue(raw: string, vr: string): unknown {
  const text = raw.replace(/^ +|[\0 ]+$/g, '');
  if (text === '') return null;
  if (vr === 'PN') {
    const [alphabetic, ideographic, phonetic] = text.split('=');
    return {
      ...(alphabetic && { Alphabetic: alphabetic }),
      ...(ideographic && { Ideographic: ideographic }),
      ...(phonetic && { Phonetic: phonetic }),
    };
  }
  if (vr !== 'DS' && vr !== 'IS') return text;
  const number = Number(text);
  return Number.isFinite(number) ? number : text;
}

/** JSON has no NaN and no infinity. */
function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function everyNth(length: number, size: number): number[] {
  return Array.from({ length: Math.floor(length / size) }, (_, index) => index * size);
}
