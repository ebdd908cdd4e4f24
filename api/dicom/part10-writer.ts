/**
 * Writes DICOM Part 10 objects, Explicit VR Little Endian (PS3.5 A.2, PS3.10 section 7). A writer of our own, because text
 * copied from a source must keep its bytes and its character set, attributes newer than a library's dictionary must be
 * written too, and the same input must give the same bytes.
 */
import type { Tag } from './header.ts';
import { EXPLICIT_LITTLE_ENDIAN } from './transfer-syntaxes.ts';
import { deterministicUid } from './uid.ts';

export interface WrittenElement {
  readonly tag: Tag;
  readonly vr: string;
  /** The value as it lies in the file, of even length. */
  readonly value: Uint8Array;
}

/** Value representations with a 32-bit length (PS3.5 table 7.1-1). */
const LONG_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OW', 'SQ', 'UC', 'UN', 'UR', 'UT']);
/** Longest text of one value, in characters (PS3.5 table 6.2-1). */
const MAX_CHARACTERS: Readonly<Record<string, number>> = {
  CS: 16,
  SH: 16,
  DS: 16,
  IS: 12,
  LO: 64,
  UI: 64,
  ST: 1024,
  LT: 10240,
};

/** Bytes as they are, for example copied from another object; padded to even length. */
export function raw(tag: Tag, vr: string, bytes: Uint8Array): WrittenElement {
  if (bytes.length % 2 === 0) return { tag, vr, value: bytes };
  const padded = new Uint8Array(bytes.length + 1).fill(vr === 'UI' || vr === 'OB' ? 0x00 : 0x20);
  padded.set(bytes);
  return { tag, vr, value: padded };
}

/** Text of the default repertoire; characters outside it and backslashes become "?", text too long is cut. */
export function text(tag: Tag, vr: string, ...values: readonly string[]): WrittenElement {
  const limit = MAX_CHARACTERS[vr] ?? Infinity;
  const clean = values.map((value) => value.replace(/[^\x20-\x5b\x5d-\x7e]/g, '?').slice(0, limit));
  return raw(tag, vr, new TextEncoder().encode(clean.join('\\')));
}

/** Decimal strings: the nearest number that fits into 16 characters. */
export function decimals(tag: Tag, ...values: readonly number[]): WrittenElement {
  return text(tag, 'DS', ...values.map(decimalString));
}

function decimalString(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError('A decimal string cannot hold a number that is not finite.');
  const plain = String(value === 0 ? 0 : value);
  if (plain.length <= 16) return plain;
  for (let digits = 15; digits > 0; digits -= 1) {
    const shorter = String(Number(value.toPrecision(digits)));
    if (shorter.length <= 16) return shorter;
  }
  return value.toExponential(8);
}

export function unsignedShorts(tag: Tag, ...values: readonly number[]): WrittenElement {
  return numbers(tag, 'US', 2, values, (view, at, value) => view.setUint16(at, value, true));
}

export function doubles(tag: Tag, ...values: readonly number[]): WrittenElement {
  return numbers(tag, 'FD', 8, values, (view, at, value) => view.setFloat64(at, value, true));
}

/** A pointer to another attribute (AT). */
export function tagPointer(tag: Tag, target: Tag): WrittenElement {
  const halves = [target.slice(0, 4), target.slice(4)].map((half) => Number.parseInt(half, 16));
  return { ...unsignedShorts(tag, ...halves), vr: 'AT' };
}

function numbers(
  tag: Tag,
  vr: string,
  size: number,
  values: readonly number[],
  set: (view: DataView, at: number, value: number) => void,
): WrittenElement {
  const value = new Uint8Array(values.length * size);
  const view = new DataView(value.buffer);
  values.forEach((number, index) => set(view, index * size, number));
  return { tag, vr, value };
}

/** A sequence of items, all of defined length. */
export function sequence(tag: Tag, ...items: readonly (readonly WrittenElement[])[]): WrittenElement {
  const written = items.flatMap((item) => {
    const body = encode(item);
    const header = new Uint8Array([0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0]);
    new DataView(header.buffer).setUint32(4, body.length, true);
    return [header, body];
  });
  return { tag, vr: 'SQ', value: concatenate(written) };
}

/** One item of a code sequence (PS3.3 section 8): value, scheme and meaning. */
export function code(tag: Tag, value: string, scheme: string, meaning: string): WrittenElement {
  return sequence(tag, [
    text('00080100', 'SH', value),
    text('00080102', 'SH', scheme),
    text('00080104', 'LO', meaning),
  ]);
}

/** A whole object: preamble, file meta information and data set. */
export function writePart10(
  object: { readonly sopClassUid: string; readonly sopInstanceUid: string },
  elements: readonly WrittenElement[],
): Uint8Array {
  const meta = encode([
    raw('00020001', 'OB', new Uint8Array([0x00, 0x01])),
    text('00020002', 'UI', object.sopClassUid),
    text('00020003', 'UI', object.sopInstanceUid),
    text('00020010', 'UI', EXPLICIT_LITTLE_ENDIAN),
    text('00020012', 'UI', deterministicUid('hemocast', 'implementation class')),
    text('00020013', 'SH', 'HEMOCAST'),
  ]);
  const metaLength = new Uint8Array(4);
  new DataView(metaLength.buffer).setUint32(0, meta.length, true);
  const preamble = new Uint8Array(132);
  preamble.set(new TextEncoder().encode('DICM'), 128);
  return concatenate([preamble, encode([raw('00020000', 'UL', metaLength)]), meta, encode(elements)]);
}

/** Elements in the order of their tags (PS3.5 section 7.1). */
function encode(elements: readonly WrittenElement[]): Uint8Array {
  const ordered = [...elements].sort((a, b) => (a.tag < b.tag ? -1 : 1));
  ordered.forEach(({ tag }, index) => {
    if (index > 0 && ordered[index - 1].tag === tag) throw new Error(`The element (${tag}) is written twice.`);
  });
  return concatenate(ordered.flatMap((element) => [elementHeader(element), element.value]));
}

function elementHeader({ tag, vr, value }: WrittenElement): Uint8Array {
  const isLong = LONG_VRS.has(vr);
  if (!isLong && value.length > 0xffff) throw new Error(`The value of (${tag}) is too long for ${vr}.`);
  const header = new Uint8Array(isLong ? 12 : 8);
  const view = new DataView(header.buffer);
  view.setUint16(0, Number.parseInt(tag.slice(0, 4), 16), true);
  view.setUint16(2, Number.parseInt(tag.slice(4), 16), true);
  header.set([vr.charCodeAt(0), vr.charCodeAt(1)], 4);
  if (isLong) view.setUint32(8, value.length, true);
  else view.setUint16(6, value.length, true);
  return header;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
