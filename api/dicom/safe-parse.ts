/**
 * The one door between bytes from outside and dicom-parser. dicom-parser throws strings, overflows the stack on deep
 * nesting, inflates without a ceiling, keeps any number of elements and passes over truncated ends; behind this door
 * every object is either wholly parsed within the limits or refused with a RefusalError.
 */
import { inflateRawSync } from 'node:zlib';
import dicomParser, { type ByteArrayParser, type ByteStream, type DataSet, type Element } from 'dicom-parser';
import { RefusalError } from '../prediction/refusals.ts';
import { malformed } from './malformed.ts';
import { hasPreamble, sniffTransferSyntax } from './part10.ts';
import { encodingOf, type Encoding } from './transfer-syntaxes.ts';

export interface ParseLimits {
  /** Largest object, in bytes as received. A 2048 x 2048 CT image is 8 MiB. */
  readonly maxBytes: number;
  /** Largest object after inflating a deflated data set, in bytes. */
  readonly maxInflatedBytes: number;
  /** Most elements, items and fragments together; CT images stay below 2,000. */
  readonly maxElements: number;
  /** Deepest nesting of sequences; CT images of any vendor stay below 10. */
  readonly maxDepth: number;
}

export const PARSE_LIMITS: ParseLimits = {
  maxBytes: 32 * 1024 * 1024,
  maxInflatedBytes: 32 * 1024 * 1024,
  maxElements: 50_000,
  maxDepth: 32,
};

export interface ParsedDataSet {
  readonly dataSet: DataSet;
  readonly transferSyntaxUid: string;
}

export const PIXEL_DATA = 'x7fe00010';
const UNDEFINED_LENGTH = 0xffffffff;
/** The file meta information is looked for in this many bytes; it is some hundred bytes long. */
const META_BYTES = 64 * 1024;

/** dicom-parser exports the class, its declarations only the interface. */
type DataSetClass = new (parser: ByteArrayParser, bytes: Uint8Array, elements: Record<string, Element>) => DataSet;
const ParserDataSet = (dicomParser as unknown as { DataSet: DataSetClass }).DataSet;

/**
 * Parses one DICOM object: Part 10 (PS3.10 section 7), or a bare data set whose encoding leaves no doubt.
 *
 * @param object the bytes; the data set refers to them, they are not copied (a deflated one is inflated into new memory)
 * @throws RefusalError `dicom-malformed`: over a limit, truncated, no or ambiguous meta information, not DICOM
 */
export function safeParse(object: Uint8Array, limits: ParseLimits = PARSE_LIMITS): ParsedDataSet {
  if (object.length > limits.maxBytes) {
    throw malformed(`The object has ${object.length} bytes; at most ${limits.maxBytes} are read.`, {
      bytes: object.length,
      limit: limits.maxBytes,
    });
  }
  // A plain view: `slice` of a Buffer would share memory where that of a Uint8Array copies.
  const bytes = new Uint8Array(object.buffer, object.byteOffset, object.byteLength);
  const { transferSyntaxUid, start } = readMeta(bytes);
  const encoding = encodingOf(transferSyntaxUid);
  const body = encoding.deflated ? inflate(bytes.subarray(start), limits.maxInflatedBytes) : bytes.subarray(start);
  const dataSet = parseElements(body, encoding, limits);
  assertDepth(dataSet, limits.maxDepth);
  assertComplete(dataSet);
  return { dataSet, transferSyntaxUid };
}

/** Transfer Syntax UID (0002,0010), and where the data set begins. */
function readMeta(bytes: Uint8Array): { transferSyntaxUid: string; start: number } {
  if (!hasPreamble(bytes)) return { transferSyntaxUid: sniffTransferSyntax(bytes), start: 0 };
  let uid: string | undefined;
  let start: number;
  try {
    const meta = dicomParser.readPart10Header(bytes.subarray(0, META_BYTES));
    uid = meta.string('x00020010');
    start = (meta as DataSet & { position: number }).position;
  } catch {
    throw malformed('The file meta information cannot be read.');
  }
  if (!uid) {
    throw malformed(
      'The file meta information does not state a Transfer Syntax UID (0002,0010): the encoding is unknown.',
    );
  }
  return { transferSyntaxUid: uid, start };
}

/** Inflates a deflated data set (PS3.5 A.5). */
function inflate(deflated: Uint8Array, maxBytes: number): Uint8Array {
  try {
    const inflated = inflateRawSync(deflated, { maxOutputLength: maxBytes });
    return new Uint8Array(inflated.buffer, inflated.byteOffset, inflated.byteLength);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw malformed(`The deflated data set grows beyond ${maxBytes} bytes.`, { limit: maxBytes });
    }
    throw malformed('The deflated data set cannot be inflated.');
  }
}

function parseElements(body: Uint8Array, encoding: Encoding, limits: ParseLimits): DataSet {
  const parser = encoding.littleEndian ? dicomParser.littleEndianByteArrayParser : dicomParser.bigEndianByteArrayParser;
  const dataSet = new ParserDataSet(parser, body, {});
  dataSet.warnings = [];
  try {
    const stream = meteredStream(parser, body, limits.maxElements);
    if (encoding.explicitVr) dicomParser.parseDicomDataSetExplicit(dataSet, stream, body.length);
    else dicomParser.parseDicomDataSetImplicit(dataSet, stream, body.length);
  } catch (thrown) {
    // Some archives pad files to a block size: what follows complete pixel data is not part of the object.
    if (isInside(dataSet, dataSet.elements[PIXEL_DATA])) return dataSet;
    if (thrown instanceof RefusalError) throw thrown;
    // What was thrown may quote values of the object: it stays out of the message.
    throw malformed('The data set cannot be read: it is damaged, truncated or not DICOM.');
  }
  return dataSet;
}

/** dicom-parser reads two 16-bit numbers for a tag and at most one for a length: counting them bounds what it keeps. */
function meteredStream(parser: ByteArrayParser, body: Uint8Array, maxElements: number): ByteStream {
  const stream = new dicomParser.ByteStream(parser, body, 0);
  const readUint16 = stream.readUint16;
  let reads = 0;
  stream.readUint16 = () => {
    reads += 1;
    if (reads > 3 * maxElements) {
      throw malformed(`The data set has more than ${maxElements} elements.`, { limit: maxElements });
    }
    return readUint16.call(stream);
  };
  return stream;
}

function assertDepth(dataSet: DataSet, maxDepth: number): void {
  let level: DataSet[] = [dataSet];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > maxDepth) {
      throw malformed(`Sequences are nested more than ${maxDepth} deep.`, { limit: maxDepth });
    }
    const elements = level.flatMap((parent) => Object.values(parent.elements));
    level = elements.flatMap(({ items = [] }) => items.flatMap((item) => item.dataSet ?? []));
  }
}

/** dicom-parser lets the last element reach beyond the end; an object cut short must not pass for a whole one. */
function assertComplete(dataSet: DataSet): void {
  if (!Object.values(dataSet.elements).every((element) => isInside(dataSet, element))) {
    throw malformed('The object ends in the middle of an element: it is truncated.', {
      bytes: dataSet.byteArray.length,
    });
  }
}

function isInside(dataSet: DataSet, element: Element | undefined): boolean {
  return (
    element !== undefined &&
    element.length !== UNDEFINED_LENGTH &&
    element.dataOffset + element.length <= dataSet.byteArray.length
  );
}
