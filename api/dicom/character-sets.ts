/**
 * Text of a data set by its Specific Character Set (0008,0005) (PS3.3 C.12.1.1.2). Single character sets are decoded; with
 * code extensions (ISO 2022 escape sequences) and unknown sets the bytes are kept one by one as Latin-1, which leaves
 * every ASCII value right and loses nothing.
 */
const ENCODINGS: Readonly<Record<string, string>> = {
  'ISO_IR 192': 'utf-8',
  'ISO_IR 101': 'iso-8859-2',
  'ISO_IR 109': 'iso-8859-3',
  'ISO_IR 110': 'iso-8859-4',
  'ISO_IR 144': 'iso-8859-5',
  'ISO_IR 127': 'iso-8859-6',
  'ISO_IR 126': 'iso-8859-7',
  'ISO_IR 138': 'iso-8859-8',
  'ISO_IR 148': 'iso-8859-9',
  'ISO_IR 203': 'iso-8859-15',
  'ISO_IR 166': 'windows-874',
  'ISO_IR 13': 'shift_jis',
  GB18030: 'gb18030',
  GBK: 'gbk',
};

/** `specificCharacterSet`: the raw value of (0008,0005); undefined or empty means ISO 646 (ASCII). */
export function decodeText(bytes: Uint8Array, specificCharacterSet: string | undefined): string {
  const encoding = specificCharacterSet === undefined ? undefined : ENCODINGS[specificCharacterSet.trim()];
  if (encoding !== undefined) return new TextDecoder(encoding).decode(bytes);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
