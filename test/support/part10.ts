/** Small DICOM Part 10 objects made for tests: a data set given element by element, written little endian (PS3.10, PS3.5). */
export type Value = string | readonly number[] | Uint8Array | readonly Elements[];
/** Eight-digit tag -> VR and value; undefined leaves an element out. */
export type Elements = Readonly<Record<string, readonly [vr: string, value: Value] | undefined>>;

const LONG = /^(OB|OW|SQ|UN|UT|UC|UR)$/;
const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1';
export const IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2';

export function writePart10(elements: Elements, transferSyntaxUid: string = EXPLICIT_LITTLE_ENDIAN): Buffer {
  const meta = writeElements(
    {
      '00020001': ['OB', new Uint8Array([0, 1])],
      '00020002': elements['00080016'],
      '00020003': elements['00080018'],
      '00020010': ['UI', transferSyntaxUid],
    },
    true,
  );
  const length = writeElements({ '00020000': ['UL', [meta.length]] }, true);
  const dataSet = writeElements(elements, transferSyntaxUid !== IMPLICIT_LITTLE_ENDIAN);
  return Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), length, meta, dataSet]);
}

function writeElements(elements: Elements, explicit: boolean): Buffer {
  const written = Object.keys(elements)
    .sort()
    .flatMap((tag) => {
      const element = elements[tag];
      return element === undefined ? [] : [writeElement(tag, element[0], element[1], explicit)];
    });
  return Buffer.concat(written);
}

function writeElement(tag: string, vr: string, value: Value, explicit: boolean): Buffer {
  const bytes = encode(vr, value, explicit);
  const isLong = explicit && LONG.test(vr);
  const head = Buffer.alloc(isLong ? 12 : 8);
  head.writeUInt16LE(parseInt(tag.slice(0, 4), 16), 0);
  head.writeUInt16LE(parseInt(tag.slice(4), 16), 2);
  if (explicit) head.write(vr, 4, 'latin1');
  if (explicit && !isLong) head.writeUInt16LE(bytes.length, 6);
  else head.writeUInt32LE(bytes.length, isLong ? 8 : 4);
  return Buffer.concat([head, bytes]);
}

function encode(vr: string, value: Value, explicit: boolean): Buffer {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'utf8');
    return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.from(vr === 'UI' ? '\0' : ' ')]);
  }
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (vr === 'SQ') {
    const items = (value as readonly Elements[]).map((item) => {
      const content = writeElements(item, explicit);
      const head = Buffer.from([0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0]);
      head.writeUInt32LE(content.length, 4);
      return Buffer.concat([head, content]);
    });
    return Buffer.concat(items);
  }
  const size = vr === 'US' || vr === 'SS' ? 2 : vr === 'FD' ? 8 : 4;
  const bytes = Buffer.alloc((value as readonly number[]).length * size);
  (value as readonly number[]).forEach((number, index) => {
    if (vr === 'US') bytes.writeUInt16LE(number, index * size);
    else if (vr === 'SS') bytes.writeInt16LE(number, index * size);
    else if (vr === 'FD') bytes.writeDoubleLE(number, index * size);
    else bytes.writeUInt32LE(number, index * size);
  });
  return bytes;
}

/** Elements of a small but complete CT image; `overrides` replace or, as undefined, leave out. */
export function ctElements(
  uids: { study: string; series: string; instance: string },
  overrides: Elements = {},
): Elements {
  const number = Number(uids.instance.split('.').at(-1));
  const pixels = Buffer.alloc(2 * 16 * 16);
  for (let at = 0; at < 256; at += 1) pixels.writeInt16LE(at - 128 + number, 2 * at);
  return {
    '00080005': ['CS', 'ISO_IR 192'],
    '00080008': ['CS', 'ORIGINAL\\PRIMARY\\AXIAL'],
    '00080016': ['UI', '1.2.840.10008.5.1.4.1.1.2'],
    '00080018': ['UI', uids.instance],
    '00080020': ['DA', '20260301'],
    '00080030': ['TM', '101500'],
    '00080050': ['SH', `ACC${uids.study.length}`],
    '00080060': ['CS', 'CT'],
    '0008103E': ['LO', 'Head without contrast'],
    '00100010': ['PN', 'Müller^Anna'],
    '00100020': ['LO', 'P-0001'],
    '00100021': ['LO', 'TEST'],
    '00100030': ['DA', '19500101'],
    '00100040': ['CS', 'F'],
    '00180050': ['DS', '5.0'],
    '00180060': ['DS', '120'],
    '0020000D': ['UI', uids.study],
    '0020000E': ['UI', uids.series],
    '00200011': ['IS', '2'],
    '00200013': ['IS', String(number)],
    '00200032': ['DS', `-120\\-120\\${5 * number}`],
    '00200037': ['DS', '1\\0\\0\\0\\1\\0'],
    '00280002': ['US', [1]],
    '00280004': ['CS', 'MONOCHROME2'],
    '00280010': ['US', [16]],
    '00280011': ['US', [16]],
    '00280030': ['DS', '0.5\\0.5'],
    '00280100': ['US', [16]],
    '00280101': ['US', [16]],
    '00280102': ['US', [15]],
    '00280103': ['US', [1]],
    '00280120': ['SS', [-1500]],
    '00281052': ['DS', '-24'],
    '00281053': ['DS', '1'],
    '7FE00010': ['OW', new Uint8Array(pixels)],
    ...overrides,
  };
}

/** `count` slices of one series; UIDs are <study>.1 and <study>.1.<n>. */
export function ctSeries(study: string, count: number, overrides: Elements = {}): Buffer[] {
  return Array.from({ length: count }, (_, index) =>
    writePart10(ctElements({ study, series: `${study}.1`, instance: `${study}.1.${index + 1}` }, overrides)),
  );
}
