/** Reads one DICOM object: its header, and where its pixel data lie. */
import type { DataSet } from 'dicom-parser';
import type { InstanceHeader, PatientStudyAttributes } from '../imaging/volume.ts';
import { decodeText } from './character-sets.ts';
import { buildHeader, type AttributeReader, type Tag } from './header.ts';
import { malformed } from './malformed.ts';
import { PATIENT_STUDY_VRS } from './patient-study.ts';
import { PARSE_LIMITS, PIXEL_DATA, safeParse, type ParseLimits } from './safe-parse.ts';

/** Pixel Data (7FE0,0010) as it lies in the object; views, not copies. */
export interface PixelData {
  /** Native: the one value. Encapsulated (PS3.5 A.4): the fragments in order, without the basic offset table. */
  readonly parts: readonly Uint8Array[];
  readonly encapsulated: boolean;
  /** Entries of the basic offset table: one per frame where the sender filled it. */
  readonly offsets: number;
}

export interface ParsedInstance {
  readonly header: InstanceHeader;
  readonly transferSyntaxUid: string;
  /** High Bit (0028,0102). */
  readonly highBit?: number;
  /** Undefined for objects without pixels (reports, plans). */
  readonly pixelData?: PixelData;
}

/**
 * @param bytes a Part 10 object (PS3.10), or a bare data set whose encoding leaves no doubt
 * @throws RefusalError `dicom-malformed`
 */
export function parseInstance(bytes: Uint8Array, limits: ParseLimits = PARSE_LIMITS): ParsedInstance {
  const { dataSet, transferSyntaxUid } = safeParse(bytes, limits);
  const reader = dataSetReader(dataSet, transferSyntaxUid);
  return {
    header: { ...buildHeader(reader), patientStudy: patientStudyAttributes(dataSet) },
    transferSyntaxUid,
    highBit: reader.integers('00280102')[0],
    pixelData: locatePixelData(dataSet),
  };
}

function dataSetReader(dataSet: DataSet, transferSyntaxUid: string): AttributeReader {
  const characterSet = dataSet.string('x00080005');
  return {
    texts(tag) {
      if (tag === '00020010') return [transferSyntaxUid];
      const bytes = elementBytes(dataSet, tag);
      if (bytes === undefined || bytes.length === 0) return [];
      return decodeText(bytes, characterSet).split('\\').map(withoutPadding);
    },
    integers(tag, signed = false) {
      const length = elementBytes(dataSet, tag)?.length ?? 0;
      const name = parserTag(tag);
      return Array.from({ length: Math.floor(length / 2) }, (_, index) =>
        signed ? (dataSet.int16(name, index) as number) : (dataSet.uint16(name, index) as number),
      );
    },
  };
}

function withoutPadding(text: string): string {
  return text.replaceAll('\0', '').trim();
}

function parserTag(tag: Tag): string {
  return `x${tag.toLowerCase()}`;
}

function elementBytes(dataSet: DataSet, tag: Tag): Uint8Array | undefined {
  const element = dataSet.elements[parserTag(tag)];
  return element && dataSet.byteArray.subarray(element.dataOffset, element.dataOffset + element.length);
}

function patientStudyAttributes(dataSet: DataSet): PatientStudyAttributes {
  const copies: Record<Tag, Uint8Array> = {};
  for (const tag of Object.keys(PATIENT_STUDY_VRS)) {
    const bytes = elementBytes(dataSet, tag);
    if (bytes !== undefined && bytes.length > 0) copies[tag] = bytes.slice();
  }
  return copies;
}

function locatePixelData(dataSet: DataSet): PixelData | undefined {
  const element = dataSet.elements[PIXEL_DATA];
  if (element === undefined) return undefined;
  const view = (start: number, length: number): Uint8Array => dataSet.byteArray.subarray(start, start + length);
  if (!element.encapsulatedPixelData) {
    return { parts: [view(element.dataOffset, element.length)], encapsulated: false, offsets: 0 };
  }
  const fragments = element.fragments ?? [];
  // dicom-parser takes anything between fragments for one more fragment: only items (FFFE,E000) are.
  if (!fragments.every(({ position }) => startsWithItemTag(dataSet.byteArray, position - 8))) {
    throw malformed('Encapsulated Pixel Data (7FE0,0010) hold something other than items.');
  }
  return {
    parts: fragments.map(({ position, length }) => view(position, length)),
    encapsulated: true,
    offsets: element.basicOffsetTable?.length ?? 0,
  };
}

/** Item tag (FFFE,E000); encapsulated syntaxes are little endian. */
function startsWithItemTag(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xfe && bytes[at + 1] === 0xff && bytes[at + 2] === 0x00 && bytes[at + 3] === 0xe0;
}
