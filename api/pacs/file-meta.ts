/**
 * Media Storage SOP Instance UID (0002,0003) from the File Meta Information (PS3.10 7.1), which is always explicit VR little
 * endian: tells which instance a part is before any decoding. Undefined where it cannot be read.
 */
export function peekSopInstanceUid(part10: Uint8Array): string | undefined {
  const view = new DataView(part10.buffer, part10.byteOffset, part10.byteLength);
  const text = (at: number, length: number): string =>
    Buffer.from(part10.buffer, part10.byteOffset + at, length).toString('latin1');
  if (part10.length < 140 || text(128, 4) !== 'DICM') return undefined;
  for (let at = 132; at + 12 <= part10.length;) {
    const group = view.getUint16(at, true);
    const element = view.getUint16(at + 2, true);
    if (group !== 0x0002 || element > 0x0003) return undefined;
    const isLong = /^(OB|OW|OF|OD|OL|OV|SQ|UC|UR|UT|UN|SV|UV)$/.test(text(at + 4, 2));
    const length = isLong ? view.getUint32(at + 8, true) : view.getUint16(at + 6, true);
    const valueAt = at + (isLong ? 12 : 8);
    if (valueAt + length > part10.length) return undefined;
    // eslint-disable-next-line no-control-regex -- UIDs are padded with a NUL
    if (element === 0x0003) return text(valueAt, length).replace(/[\u0000 ]+$/, '');
    at = valueAt + length;
  }
  return undefined;
}
