/**
 * JPEG Lossless, process 14 (ITU-T T.81 Annex H): Huffman-coded differences to one of seven predictors. One component,
 * 2 to 16 bits. Ours, because the packages at hand lose the last sample of a scan or of a restart interval when its code
 * ends in the last byte, and read zeros behind a truncated end.
 */
import { malformed } from './malformed.ts';

const DHT = 0xffc4;
const SOF3 = 0xffc3;
const SOS = 0xffda;
const DRI = 0xffdd;

interface Scan {
  readonly precision: number;
  readonly rows: number;
  readonly columns: number;
  /** Predictor 1..7 (T.81 table H.1). */
  readonly predictor: number;
  /** Samples were shifted right by this many bits before coding. */
  readonly pointTransform: number;
  /** Samples between two restart markers; 0 = none. */
  readonly restartInterval: number;
  /** By 16 bits of look-ahead: code length << 8 | difference category; 0 = no such code. */
  readonly codes: Uint16Array;
  /** Where the entropy-coded data begin. */
  readonly start: number;
}

/**
 * @param codestream from SOI to EOI
 * @param samples rows x columns that must come out
 * @returns the samples, unsigned
 * @throws RefusalError `dicom-malformed`
 */
export function decodeJpegLossless(codestream: Uint8Array, samples: number): Uint16Array {
  const scan = readMarkers(codestream);
  const { columns, predictor, pointTransform, restartInterval } = scan;
  if (scan.rows * columns !== samples)
    throw malformed('The JPEG Lossless codestream has another size than the DICOM header.');
  const bits = new BitReader(codestream, scan.start);
  const out = new Uint16Array(samples);
  const initial = 1 << (scan.precision - pointTransform - 1);
  let firstLine = true; // of the scan or of a restart interval: predicted from the left alone
  for (let at = 0; at < out.length; at += 1) {
    const column = at % columns;
    if (restartInterval > 0 && at > 0 && at % restartInterval === 0) {
      bits.restart();
      firstLine = true;
    } else if (column === 0 && at > 0) {
      firstLine = false;
    }
    let prediction: number;
    if (column === 0) prediction = firstLine ? initial : out[at - columns];
    else if (firstLine) prediction = out[at - 1];
    else prediction = predict(predictor, out[at - 1], out[at - columns], out[at - columns - 1]);
    out[at] = prediction + bits.difference(scan.codes); // modulo 2^16 (T.81 H.1.2.1)
  }
  if (pointTransform > 0) for (let at = 0; at < out.length; at += 1) out[at] <<= pointTransform;
  return out;
}

/** T.81 table H.1: `a` left, `b` above, `c` above left. */
function predict(predictor: number, a: number, b: number, c: number): number {
  switch (predictor) {
    case 1:
      return a;
    case 2:
      return b;
    case 3:
      return c;
    case 4:
      return a + b - c;
    case 5:
      return a + ((b - c) >> 1);
    case 6:
      return b + ((a - c) >> 1);
    default:
      return (a + b) >> 1;
  }
}

function readMarkers(codestream: Uint8Array): Scan {
  const view = new DataView(codestream.buffer, codestream.byteOffset, codestream.byteLength);
  const tables = new Map<number, Uint16Array>();
  let frame: Pick<Scan, 'precision' | 'rows' | 'columns'> | undefined;
  let restartInterval = 0;
  for (let at = 2; at + 4 <= view.byteLength;) {
    const marker = view.getUint16(at);
    if (marker === 0xffff) {
      at += 1; // fill byte
      continue;
    }
    const end = at + 2 + view.getUint16(at + 2);
    if (marker < 0xffc0 || end > view.byteLength || end < at + 4) break;
    const segment = codestream.subarray(at + 4, end);
    if (marker === DHT) readTables(segment, tables);
    if (marker === DRI && segment.length >= 2) restartInterval = (segment[0] << 8) | segment[1];
    if (marker === SOF3 && segment.length >= 9) {
      frame = { precision: segment[0], rows: view.getUint16(at + 5), columns: view.getUint16(at + 7) };
    }
    if (marker === SOS) return readScan(segment, frame, tables, restartInterval, end);
    at = end;
  }
  throw malformed('The JPEG Lossless codestream has no scan: it is damaged.');
}

function readScan(
  segment: Uint8Array,
  frame: Pick<Scan, 'precision' | 'rows' | 'columns'> | undefined,
  tables: ReadonlyMap<number, Uint16Array>,
  restartInterval: number,
  start: number,
): Scan {
  const codes = tables.get(segment[2] >> 4);
  const predictor = segment[3];
  const pointTransform = segment[5] & 0x0f;
  const valid = segment.length >= 6 && segment[0] === 1 && predictor >= 1 && predictor <= 7;
  if (!valid || frame === undefined || codes === undefined) throw damagedScan();
  if (frame.precision < 2 || frame.precision > 16 || pointTransform >= frame.precision) throw damagedScan();
  // T.81 H.1.1: an interval holds whole lines, else the predictors of T.81 are not defined.
  if (restartInterval % Math.max(1, frame.columns) !== 0) throw damagedScan();
  return { ...frame, predictor, pointTransform, restartInterval, codes, start };
}

function damagedScan(): Error {
  return malformed('The JPEG Lossless scan header is damaged or not of process 14 with one component.');
}

/** DHT segment (T.81 B.2.4.2): class and id, 16 counts of codes by length, their values; repeated. */
function readTables(segment: Uint8Array, tables: Map<number, Uint16Array>): void {
  for (let at = 0; at + 17 <= segment.length;) {
    const counts = segment.subarray(at + 1, at + 17);
    const total = counts.reduce((sum, count) => sum + count, 0);
    const values = segment.subarray(at + 17, at + 17 + total);
    if (values.length < total) throw malformed('A Huffman table of the JPEG Lossless codestream is cut short.');
    tables.set(segment[at] & 0x0f, lookAheadTable(counts, values));
    at += 17 + total;
  }
}

/** Canonical codes (T.81 Annex C): every 16-bit look-ahead that begins with a code maps to its length and value. */
function lookAheadTable(counts: Uint8Array, values: Uint8Array): Uint16Array {
  const table = new Uint16Array(1 << 16);
  let next = 0; // the next code, left-aligned to 16 bits
  let index = 0;
  for (let length = 1; length <= 16; length += 1) {
    for (let i = 0; i < counts[length - 1]; i += 1, index += 1) {
      const span = 1 << (16 - length);
      if (next + span > table.length || values[index] > 16)
        throw malformed('A Huffman table of JPEG Lossless is damaged.');
      table.fill((length << 8) | values[index], next, next + span);
      next += span;
    }
  }
  return table;
}

/** Bits of the entropy-coded data, most significant first; a zero byte after FF is stuffing (T.81 F.1.2.3). */
class BitReader {
  readonly #bytes: Uint8Array;
  #at: number;
  #buffer = 0;
  #count = 0;
  /** How many of the buffered bits lie behind the end of the data: looked at, never to be used. */
  #beyond = 0;

  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = bytes;
    this.#at = start;
  }

  /** One coded difference: its category, then as many bits (T.81 H.1.2.2). */
  difference(codes: Uint16Array): number {
    this.#fill();
    const entry = codes[(this.#buffer >>> (this.#count - 16)) & 0xffff];
    if (entry === 0) throw malformed('The JPEG Lossless data hold a code that no table defines: they are damaged.');
    this.#drop(entry >> 8);
    const category = entry & 0xff;
    if (category === 0) return 0;
    if (category === 16) return 32768;
    this.#fill();
    const bits = (this.#buffer >>> (this.#count - category)) & ((1 << category) - 1);
    this.#drop(category);
    return bits < 1 << (category - 1) ? bits - (1 << category) + 1 : bits;
  }

  /** Steps over the padding bits and one restart marker RST0..RST7. */
  restart(): void {
    this.#buffer = 0;
    this.#count = 0;
    this.#beyond = 0;
    const marker = this.#bytes[this.#at + 1];
    if (this.#bytes[this.#at] !== 0xff || marker < 0xd0 || marker > 0xd7) {
      throw malformed('A restart marker of the JPEG Lossless data is missing: they are damaged.');
    }
    this.#at += 2;
  }

  #fill(): void {
    while (this.#count <= 16) {
      let byte = this.#bytes[this.#at];
      const isData = byte !== undefined && (byte !== 0xff || this.#bytes[this.#at + 1] === 0x00);
      if (isData) {
        this.#at += byte === 0xff ? 2 : 1;
      } else {
        byte = 0;
        this.#beyond += 8;
      }
      this.#buffer = (this.#buffer << 8) | byte;
      this.#count += 8;
    }
  }

  #drop(bits: number): void {
    this.#count -= bits;
    if (this.#count < this.#beyond) throw malformed('The JPEG Lossless data end before the last sample.');
  }
}
