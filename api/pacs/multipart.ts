/**
 * multipart/related as DICOMweb uses it (RFC 2046 5.1, RFC 2387, PS3.18 8.6.1.2): an incremental reader that yields each part as
 * soon as its closing delimiter has arrived, and a writer of one part. Whatever a sender may do with boundaries, a part
 * never grows beyond its limit and nothing is handed on before it is complete.
 */
import { UpstreamError } from '../errors.ts';

export interface MultipartLimits {
  /** Bytes of one part's body. */
  readonly maxPartBytes: number;
  readonly maxParts: number;
}

export const DEFAULT_MULTIPART_LIMITS: MultipartLimits = { maxPartBytes: 256 * 2 ** 20, maxParts: 10_000 };

export interface Part {
  /** Header names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** A copy of its own: it may be transferred to a worker. */
  readonly body: Uint8Array<ArrayBuffer>;
}

const MAX_PREAMBLE_BYTES = 64 * 1024;
const MAX_EPILOGUE_BYTES = 64 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;
const CRLF = Buffer.from('\r\n');
const END_OF_HEADERS = Buffer.from('\r\n\r\n');

function malformed(why: string): UpstreamError {
  return new UpstreamError('multipart-malformed', `The multipart answer cannot be read: ${why}.`);
}

/**
 * Takes a Content-Type apart: media type and parameter names in lower case, quoted values unquoted (RFC 9110 5.6.6).
 * Returns undefined when it is not one.
 */
export function parseContentType(
  value: string | null,
): { readonly mediaType: string; readonly parameters: ReadonlyMap<string, string> } | undefined {
  const mediaType = /^\s*([\w.+-]+\/[\w.+-]+)\s*(?=;|$)/.exec(value ?? '');
  if (value === null || mediaType === null) return undefined;
  const parameters = new Map<string, string>();
  let rest = value.slice(mediaType[0].length);
  while (rest.trim() !== '') {
    const parameter = /^\s*;\s*(?:([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))\s*)?/.exec(rest);
    if (parameter === null) return undefined;
    const [text, name, quoted, token] = parameter;
    if (name !== undefined) parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? token);
    rest = rest.slice(text.length);
  }
  return { mediaType: mediaType[1].toLowerCase(), parameters };
}

/**
 * Yields the parts of a multipart body in order, each when it is complete. Throws UpstreamError `multipart-malformed` when the
 * body is not multipart with this boundary, ends before its closing delimiter, or breaks a limit. Leaving the loop early
 * cancels the body.
 */
export async function* readParts(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  limits: MultipartLimits = DEFAULT_MULTIPART_LIMITS,
): AsyncGenerator<Part, void, undefined> {
  const parser = new PartParser(boundary, limits);
  let epilogueBytes = 0;
  for await (const chunk of body) {
    if (parser.closed) {
      // Read to its end, so that the connection can be used again; but an epilogue without end is not waited for.
      epilogueBytes += chunk.length;
      if (epilogueBytes > MAX_EPILOGUE_BYTES) return;
      continue;
    }
    parser.push(chunk);
    for (let part = parser.next(); part !== undefined; part = parser.next()) yield part;
  }
  if (!parser.closed) throw malformed('it ends before its closing delimiter');
}

class PartParser {
  readonly #delimiter: Buffer;
  readonly #limits: MultipartLimits;
  readonly #pending = new ByteQueue();
  /** Where the search for the next delimiter goes on. */
  #searchFrom = 0;
  #insidePart = false;
  #parts = 0;
  #closed = false;

  constructor(boundary: string, limits: MultipartLimits) {
    // RFC 2046 5.1.1: 1 to 70 characters of a small set, the last one no space.
    if (!/^[\w'()+,\-./:=? ]{0,69}[\w'()+,\-./:=?]$/.test(boundary)) throw malformed('its boundary is not a valid one');
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
    this.#limits = limits;
    this.#pending.push(CRLF); // so that a delimiter in the first line is found like any other
  }

  get closed(): boolean {
    return this.#closed;
  }

  push(chunk: Uint8Array): void {
    this.#pending.push(chunk);
  }

  /** The next complete part, or undefined when more bytes are needed or the last part has been given. */
  next(): Part | undefined {
    while (!this.#closed) {
      const bytes = this.#pending.bytes;
      const at = bytes.indexOf(this.#delimiter, this.#searchFrom);
      const contentEnd = at < 0 ? bytes.length - this.#delimiter.length : at;
      this.#checkSize(contentEnd);
      if (at < 0) {
        this.#searchFrom = Math.max(this.#searchFrom, contentEnd);
        return undefined;
      }
      const after = at + this.#delimiter.length;
      const kind = delimiterKind(bytes, after);
      if (kind === 'unknown') {
        this.#searchFrom = at;
        return undefined;
      }
      if (kind === 'text') {
        this.#searchFrom = after;
        continue;
      }
      const part = this.#insidePart ? readPart(bytes.subarray(0, at)) : undefined;
      this.#closed = kind === 'closing';
      this.#insidePart = true;
      this.#pending.drop(after);
      this.#searchFrom = 0;
      if (part === undefined) continue;
      this.#parts += 1;
      if (part.body.length > this.#limits.maxPartBytes) throw this.#tooLarge();
      if (this.#parts > this.#limits.maxParts) throw malformed(`it has more than ${this.#limits.maxParts} parts`);
      return part;
    }
    return undefined;
  }

  #checkSize(contentBytes: number): void {
    const limit = this.#insidePart ? this.#limits.maxPartBytes + MAX_HEADER_BYTES : MAX_PREAMBLE_BYTES;
    if (contentBytes > limit) throw this.#insidePart ? this.#tooLarge() : malformed('no part begins');
  }

  #tooLarge(): UpstreamError {
    return malformed(`a part exceeds ${this.#limits.maxPartBytes} bytes`);
  }
}

/**
 * What follows "CRLF--boundary": optional blanks and CRLF (a delimiter), "--" (the closing one), or something else, in which
 * case the bytes are text of the part that merely looks like a boundary.
 */
function delimiterKind(bytes: Buffer, from: number): 'opening' | 'closing' | 'text' | 'unknown' {
  if (bytes[from] === 0x2d && bytes[from + 1] === 0x2d) return 'closing';
  let at = from;
  while (bytes[at] === 0x20 || bytes[at] === 0x09) at += 1;
  if (at - from > 256) return 'text';
  if (bytes[at] === 0x0d && bytes[at + 1] === 0x0a) return 'opening';
  const mayStillBeOne = at >= bytes.length || (at === bytes.length - 1 && (bytes[at] === 0x0d || bytes[from] === 0x2d));
  return mayStillBeOne ? 'unknown' : 'text';
}

/** `raw` runs from after the boundary (blanks, CRLF, headers, empty line) to before the next delimiter. */
function readPart(raw: Buffer): Part {
  const lineEnd = raw.indexOf(CRLF);
  const headerEnd = raw.subarray(0, MAX_HEADER_BYTES).indexOf(END_OF_HEADERS, lineEnd);
  if (headerEnd < 0) throw malformed('the headers of a part do not end');
  const headers = new Map<string, string>();
  const lines = raw.subarray(lineEnd, headerEnd).toString('latin1').split('\r\n');
  for (const line of lines.filter((text) => text !== '')) {
    const header = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    if (header === null) throw malformed('a part has a header that is none');
    headers.set(header[1].toLowerCase(), header[2]);
  }
  return { headers, body: new Uint8Array(raw.subarray(headerEnd + END_OF_HEADERS.length)) };
}

/** Bytes in arrival order, in one buffer that doubles: each byte is moved a bounded number of times. */
class ByteQueue {
  #buffer = Buffer.alloc(64 * 1024);
  #start = 0;
  #end = 0;

  get bytes(): Buffer {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  push(chunk: Uint8Array): void {
    const length = this.#end - this.#start;
    if (this.#end + chunk.length > this.#buffer.length) {
      const fits = length + chunk.length <= this.#buffer.length / 2;
      const target = fits ? this.#buffer : Buffer.alloc(Math.max(this.#buffer.length, length + chunk.length) * 2);
      this.#buffer.copy(target, 0, this.#start, this.#end);
      this.#buffer = target;
      this.#start = 0;
      this.#end = length;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  drop(count: number): void {
    this.#start += count;
  }
}

/** One DICOM object as a multipart/related body for STOW-RS (PS3.18 10.5.1). */
export function writeDicomPart(part10: Uint8Array, boundary: string): Uint8Array<ArrayBuffer> {
  const head = `--${boundary}\r\nContent-Type: application/dicom\r\nContent-Length: ${part10.length}\r\n\r\n`;
  return new Uint8Array(Buffer.concat([Buffer.from(head), part10, Buffer.from(`\r\n--${boundary}--\r\n`)]));
}
