/** multipart/related bodies (RFC 2046 5.1): taking a whole one apart, and the frame around each part sent. */
export interface BodyPart {
  readonly contentType: string;
  /** A view into the body. */
  readonly content: Buffer;
}

/** The parts of a complete body; undefined when it is not multipart with this boundary or ends before its closing delimiter. */
export function splitParts(body: Buffer, boundary: string): BodyPart[] | undefined {
  const delimiter = Buffer.from(`--${boundary}`, 'latin1');
  const inner = Buffer.from(`\r\n--${boundary}`, 'latin1');
  let at = body.subarray(0, delimiter.length).equals(delimiter) ? delimiter.length : endOf(body, inner, 0);
  const parts: BodyPart[] = [];
  while (at >= 0) {
    if (body.toString('latin1', at, at + 2) === '--') return parts;
    const partEnd = body.indexOf(inner, at);
    const headerEnd = body.indexOf('\r\n\r\n', at, 'latin1');
    if (partEnd < 0 || headerEnd < 0 || headerEnd > partEnd) return undefined;
    const headers = body.toString('latin1', at, headerEnd);
    const contentType = /\r\ncontent-type:[ \t]*([^\r\n]*)/i.exec(headers)?.[1] ?? '';
    parts.push({ contentType, content: body.subarray(headerEnd + 4, partEnd) });
    at = partEnd + inner.length;
  }
  return undefined;
}

function endOf(body: Buffer, delimiter: Buffer, from: number): number {
  const at = body.indexOf(delimiter, from);
  return at < 0 ? -1 : at + delimiter.length;
}

export function partHead(boundary: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `\r\n--${boundary}\r\n${lines.join('')}\r\n`;
}

export function closing(boundary: string): string {
  return `\r\n--${boundary}--\r\n`;
}
