/** Text of a data set by its Specific Character Set (0008,0005) (PS3.3 C.12.1.1.2), through the platform's decoders. */
const ENCODINGS: Readonly<Record<string, string>> = {
  'ISO_IR 100': 'windows-1252',
  'ISO_IR 101': 'iso-8859-2',
  'ISO_IR 109': 'iso-8859-3',
  'ISO_IR 110': 'iso-8859-4',
  'ISO_IR 144': 'iso-8859-5',
  'ISO_IR 127': 'iso-8859-6',
  'ISO_IR 126': 'iso-8859-7',
  'ISO_IR 138': 'iso-8859-8',
  'ISO_IR 148': 'windows-1254',
  'ISO_IR 203': 'iso-8859-15',
  'ISO_IR 166': 'windows-874',
  'ISO_IR 13': 'shift_jis',
  'ISO_IR 192': 'utf-8',
  'ISO 2022 IR 87': 'iso-2022-jp',
  'ISO 2022 IR 159': 'iso-2022-jp',
  'ISO 2022 IR 149': 'euc-kr',
  GB18030: 'gb18030',
  GBK: 'gbk',
};

/** Decodes text; without a character set, or with one not known here, the default repertoire with Latin-1 above it. */
export function decodeText(bytes: Uint8Array, specificCharacterSet: string | undefined): string {
  const defined = (specificCharacterSet ?? '')
    .split('\\')
    .map((term) => term.trim())
    .filter((term) => term in ENCODINGS || term.replace('ISO 2022 IR', 'ISO_IR') in ENCODINGS);
  const term = defined.at(-1);
  if (term === undefined) return Buffer.from(bytes).toString('latin1');
  return new TextDecoder(ENCODINGS[term] ?? ENCODINGS[term.replace('ISO 2022 IR', 'ISO_IR')]).decode(bytes);
}
