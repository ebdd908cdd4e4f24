/**
 * Builds an InstanceHeader from any representation of a DICOM data set. What the sender left out, left empty or wrote in a
 * way that cannot be read is undefined; nothing is filled in.
 */
import type { InstanceHeader, Vector3 } from '../imaging/volume.ts';
import { firstDateTime, isoDateTime, isoOffset } from './date-time.ts';
import { malformed } from './malformed.ts';
import { findTransferSyntax } from './transfer-syntaxes.ts';

/** Eight hexadecimal digits, group then element, as in the DICOM JSON model: "00100020". */
export type Tag = string;

/** Read access to the top level of a data set. Values of multi-valued elements come in order; none = absent or empty. */
export interface AttributeReader {
  /** Values as text, without padding. Decimal and integer strings (DS, IS) are text too. */
  texts(tag: Tag): readonly string[];
  /** Values of a 16-bit binary element (US, SS, or US/SS by `signed`). */
  integers(tag: Tag, signed?: boolean): readonly number[];
}

/** @throws RefusalError `dicom-malformed` where one of the four UIDs that name an instance is absent or not a UID */
export function buildHeader(reader: AttributeReader): InstanceHeader {
  const text = (tag: Tag): string | undefined => nonEmpty(reader.texts(tag)[0]);
  const list = (tag: Tag): readonly string[] | undefined => {
    const values = reader.texts(tag);
    return values.some((value) => value !== '') ? values : undefined;
  };
  const decimal = (tag: Tag): number | undefined => decimals(reader, tag, 1)?.[0];
  const integer = (tag: Tag): number | undefined => wholeNumber(decimal(tag));
  const short = (tag: Tag, signed = false): number | undefined => reader.integers(tag, signed)[0];

  const transferSyntaxUid = text('00020010');
  const pixelRepresentation = short('00280103');
  const signed = pixelRepresentation === 1;
  return {
    sopInstanceUid: requireUid(text('00080018'), 'SOP Instance UID (0008,0018)'),
    sopClassUid: requireUid(text('00080016'), 'SOP Class UID (0008,0016)'),
    studyInstanceUid: requireUid(text('0020000D'), 'Study Instance UID (0020,000D)'),
    seriesInstanceUid: requireUid(text('0020000E'), 'Series Instance UID (0020,000E)'),
    transferSyntaxUid,
    modality: text('00080060'),
    imageType: list('00080008'),
    syntheticData: text('0008001C'),
    manufacturer: text('00080070'),
    seriesDescription: text('0008103E'),
    seriesNumber: integer('00200011'),
    instanceNumber: integer('00200013'),
    bodyPartExamined: text('00180015'),
    contrastBolusAgent: text('00180010'),
    kvp: decimal('00180060'),
    convolutionKernel: list('00181210'),
    sliceThicknessMm: decimal('00180050'),
    gantryDetectorTiltDeg: decimal('00181120'),
    patientId: text('00100020'),
    issuerOfPatientId: text('00100021'),
    patientBirthDate: text('00100030'),
    patientSex: text('00100040'),
    patientAgeYears: ageInYears(text('00101010')),
    acquisitionDateTime: acquisitionDateTime(text),
    frameOfReferenceUid: text('00200052'),
    rows: short('00280010'),
    columns: short('00280011'),
    numberOfFrames: integer('00280008'),
    samplesPerPixel: short('00280002'),
    photometricInterpretation: text('00280004'),
    bitsAllocated: short('00280100'),
    bitsStored: short('00280101'),
    pixelRepresentation,
    pixelPaddingValue: short('00280120', signed),
    pixelPaddingRangeLimit: short('00280121', signed),
    rescaleSlope: decimal('00281053'),
    rescaleIntercept: decimal('00281052'),
    rescaleType: text('00281054'),
    lossyImageCompression: findTransferSyntax(transferSyntaxUid)?.lossy ? '01' : text('00282110'),
    pixelSpacingMm: decimals(reader, '00280030', 2) as readonly [number, number] | undefined,
    imagePositionPatient: decimals(reader, '00200032', 3) as Vector3 | undefined,
    imageOrientationPatient: decimals(reader, '00200037', 6) as InstanceHeader['imageOrientationPatient'],
  };
}

/** Exactly `count` finite decimal strings (DS, IS), or undefined. */
function decimals(reader: AttributeReader, tag: Tag, count: number): number[] | undefined {
  const values = reader.texts(tag);
  if (values.length !== count) return undefined;
  const numbers = values.map((value) =>
    /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) ? Number(value) : Number.NaN,
  );
  return numbers.every(Number.isFinite) ? numbers : undefined;
}

function wholeNumber(value: number | undefined): number | undefined {
  return Number.isSafeInteger(value) ? value : undefined;
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

/** UIDs become parts of URLs and of written resources: only digits and dots, at most 64 characters (PS3.5 section 9). */
function requireUid(value: string | undefined, name: string): string {
  if (value === undefined) throw malformed(`${name} is absent: the object cannot be told from others.`);
  if (!/^[0-9]+(\.[0-9]+)*$/.test(value) || value.length > 64) {
    throw malformed(`${name} is not a DICOM UID (digits and dots, at most 64 characters).`);
  }
  return value;
}

/** Patient's Age (0010,1010), AS: nnnD, nnnW, nnnM or nnnY. */
function ageInYears(value: string | undefined): number | undefined {
  const match = /^(\d{3})([DWMY])$/.exec(value ?? '');
  if (match === null) return undefined;
  const daysPerUnit = { D: 1, W: 7, M: 365.25 / 12, Y: 365.25 }[match[2] as 'D' | 'W' | 'M' | 'Y'];
  return (Number(match[1]) * daysPerUnit) / 365.25;
}

/** Acquisition DateTime, else acquisition, content, series and study date with time, in that order. */
function acquisitionDateTime(text: (tag: Tag) => string | undefined): string | undefined {
  const zone = isoOffset(text('00080201'));
  const pairs = [
    [text('00080022'), text('00080032')],
    [text('00080023'), text('00080033')],
    [text('00080021'), text('00080031')],
    [text('00080020'), text('00080030')],
  ] as const;
  return isoDateTime(text('0008002A'), zone) ?? firstDateTime(pairs, zone);
}
