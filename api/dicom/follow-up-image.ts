/**
 * The generated follow-up CT as DICOM: Multi-frame Grayscale Word Secondary Capture Image Storage (PS3.3 A.8.4), so that no
 * hanging protocol takes it for an acquired CT. Modality OT, Synthetic Data YES, and the visible label in every frame (the
 * caller burns it in).
 *
 * The IOD fixes Rescale Slope 1, Intercept 0, Type US: stored values are HU + 1024, and a Real World Value Mapping carries
 * the Hounsfield units.
 */
import type { InstanceHeader, Vector3, Volume } from '../imaging/volume.ts';
import { isoOffset } from './date-time.ts';
import { PATIENT_STUDY_VRS, REQUIRED_EMPTY } from './patient-study.ts';
import {
  code,
  decimals,
  doubles,
  raw,
  sequence,
  tagPointer,
  text,
  unsignedShorts,
  writePart10,
  type WrittenElement,
} from './part10-writer.ts';
import { deterministicUid } from './uid.ts';

export interface FollowUpImageInput {
  /** Headers of the initial CT's slices in any order, read from whole instances (`patientStudy` is copied). */
  readonly headers: readonly InstanceHeader[];
  /** Geometry of the initial CT. */
  readonly volume: Volume;
  /** HU of the generated follow-up on the voxels of `volume`, `[slice][row][column]`, label burned in. */
  readonly followUpHu: Float32Array | Int16Array;
  /** What the object is identified by: the content key and revision. The same identity gives the same UIDs. */
  readonly identity: string;
  readonly model: {
    readonly name: string;
    readonly version: string;
    readonly sha256: string;
    readonly disclaimer: string;
  };
  /** When the image was made; default: now. */
  readonly createdAt?: Date;
}

export interface FollowUpImage {
  /** DICOM Part 10, Explicit VR Little Endian, one frame per slice, inferior to superior. */
  readonly bytes: Uint8Array;
  readonly sopInstanceUid: string;
  readonly seriesInstanceUid: string;
}

export const FOLLOW_UP_SOP_CLASS = '1.2.840.10008.5.1.4.1.1.7.3';
/** Every description of our series begins with it; series that do are never read as input. */
export const SERIES_DESCRIPTION_PREFIX = 'AI-GENERATED NOT ACQUIRED RESEARCH';
const STORED_AT_ZERO_HU = 1024;
const MAX_STORED = 4095;
const SERIES_NUMBER = 9001; // behind what scanners count

/** @throws RangeError where headers, volume and voxels do not belong together (a fault of the caller) */
export function writeFollowUpImage(input: FollowUpImageInput): FollowUpImage {
  const { volume, followUpHu, identity } = input;
  if (followUpHu.length !== volume.slices * volume.rows * volume.columns) {
    throw new RangeError('The follow-up has another number of voxels than the volume.');
  }
  const sources = sourcesInOrder(input);
  const sopInstanceUid = deterministicUid('hemocast', 'follow-up', 'instance', identity);
  const seriesInstanceUid = deterministicUid('hemocast', 'follow-up', 'series', identity);
  const elements = [
    ...patientAndStudy(sources[0]),
    ...seriesAndEquipment(input, seriesInstanceUid),
    ...imageDescription(input, sources, sopInstanceUid),
    ...origin(input, sources),
    ...geometry(volume, sources[0]),
    ...pixels(volume, followUpHu),
  ];
  const bytes = writePart10({ sopClassUid: FOLLOW_UP_SOP_CLASS, sopInstanceUid }, elements);
  return { bytes, sopInstanceUid, seriesInstanceUid };
}

/** The source headers, in the order of the slices. */
function sourcesInOrder({ headers, volume }: FollowUpImageInput): readonly InstanceHeader[] {
  const byUid = new Map(headers.map((header) => [header.sopInstanceUid, header]));
  return volume.sopInstanceUids.map((uid) => {
    const header = byUid.get(uid);
    if (header === undefined) throw new RangeError('A slice of the volume has no header.');
    return header;
  });
}

function patientAndStudy(source: InstanceHeader): WrittenElement[] {
  const copies = { ...source.patientStudy };
  // Patient Identity Removed must say how (type 1C): where the source does not, nothing is claimed.
  if (copies['00120063'] === undefined) delete copies['00120062'];
  const elements = [text('0020000D', 'UI', source.studyInstanceUid)];
  for (const [tag, vr] of Object.entries(PATIENT_STUDY_VRS)) {
    const bytes = copies[tag];
    if (bytes !== undefined || REQUIRED_EMPTY.has(tag)) elements.push(raw(tag, vr, bytes ?? new Uint8Array(0)));
  }
  return elements;
}

function seriesAndEquipment({ model }: FollowUpImageInput, seriesInstanceUid: string): WrittenElement[] {
  return [
    text('00080060', 'CS', 'OT'), // Modality
    text('00080064', 'CS', 'WSD'), // Conversion Type: workstation
    text('00080070', 'LO', 'hemocast'), // Manufacturer
    text('00180015', 'CS', 'HEAD'), // Body Part Examined: nothing else is read
    text('0008103E', 'LO', `${SERIES_DESCRIPTION_PREFIX} follow-up CT`), // Series Description
    text('00081090', 'LO', model.name), // Manufacturer's Model Name
    text('00181020', 'LO', model.version, model.sha256), // Software Versions
    text('0020000E', 'UI', seriesInstanceUid),
    text('00200011', 'IS', String(SERIES_NUMBER)),
  ];
}

function imageDescription(
  { model, createdAt = new Date() }: FollowUpImageInput,
  sources: readonly InstanceHeader[],
  sopInstanceUid: string,
): WrittenElement[] {
  const { date, time } = localDateTime(createdAt, sources[0]);
  const lossy = sources.some((source) => source.lossyImageCompression === '01');
  return [
    text('00080008', 'CS', 'DERIVED', 'SECONDARY'), // Image Type
    text('00080012', 'DA', date), // Instance Creation Date, Time
    text('00080013', 'TM', time),
    text('00080016', 'UI', FOLLOW_UP_SOP_CLASS),
    text('00080018', 'UI', sopInstanceUid),
    text('0008001C', 'CS', 'YES'), // Synthetic Data
    text('00080023', 'DA', date), // Content Date, Time
    text('00080033', 'TM', time),
    text('00200013', 'IS', '1'), // Instance Number
    text('00200020', 'CS', 'L', 'P'), // Patient Orientation: rows run to the left, columns to the back (Volume)
    text('00204000', 'LT', `AI-generated forecast, not acquired. ${model.disclaimer}`), // Image Comments
    text('00280301', 'CS', 'NO'), // Burned In Annotation: no identity of the patient in the pixels
    text('00280302', 'CS', 'YES'), // Recognizable Visual Features: a face can be rendered
    ...(lossy ? [text('00282110', 'CS', '01')] : []), // Lossy Image Compression
  ];
}

/** What it was made from, by what. */
function origin(input: FollowUpImageInput, sources: readonly InstanceHeader[]): WrittenElement[] {
  const { model, createdAt = new Date() } = input;
  const reference = (source: InstanceHeader): WrittenElement[] => [
    text('00081150', 'UI', source.sopClassUid),
    text('00081155', 'UI', source.sopInstanceUid),
  ];
  const purpose = code('0040A170', '121322', 'DCM', 'Source image for image processing operation');
  const bySeries = Map.groupBy(sources, (source) => source.seriesInstanceUid);
  const description = `Follow-up CT within 72 h forecast from the initial CT by ${model.name} ${model.version}. ${model.disclaimer}`;
  return [
    text('00082111', 'ST', description), // Derivation Description
    sequence('00082112', ...sources.map((source) => [...reference(source), purpose])), // Source Image Sequence
    code('00089215', '123110', 'DCM', 'Artificial Intelligence'), // Derivation Code Sequence
    sequence(
      '00081115', // Referenced Series Sequence
      ...[...bySeries].map(([uid, images]) => [
        text('0020000E', 'UI', uid),
        sequence('0008114A', ...images.map(reference)), // Referenced Instance Sequence
      ]),
    ),
    sequence('0018A001', [
      // Contributing Equipment Sequence
      text('00080070', 'LO', 'hemocast'),
      text('00081090', 'LO', model.name),
      text('00181020', 'LO', model.version, model.sha256),
      text('0018A002', 'DT', `${compact(createdAt)}+0000`), // Contribution DateTime
      text('0018A003', 'ST', description), // Contribution Description
      code('0040A170', '109102', 'DCM', 'Processing Equipment'),
    ]),
  ];
}

/** Position and orientation of each frame, exactly those of the initial CT, tilted and uneven stacks included. */
function geometry(volume: Volume, source: InstanceHeader): WrittenElement[] {
  // A series without a Frame of Reference shares its space with no other: it gets one of its own.
  const frameOfReferenceUid =
    volume.frameOfReferenceUid ?? deterministicUid('hemocast', 'frame of reference', source.seriesInstanceUid);
  const thickness = volume.sliceThicknessMm;
  const shared = [
    sequence('00289110', [
      // Pixel Measures Sequence
      ...(thickness === undefined ? [] : [decimals('00180050', thickness)]),
      decimals('00280030', volume.rowSpacingMm, volume.columnSpacingMm),
    ]),
    sequence('00209116', [decimals('00200037', ...volume.rowDirection, ...volume.columnDirection)]), // Plane Orientation
  ];
  const perFrame = volume.origins.map((position) => [
    sequence('00209113', [decimals('00200032', ...position)]), // Plane Position (Patient) Sequence
  ]);
  return [
    text('00200052', 'UI', frameOfReferenceUid),
    sequence('52009229', shared), // Shared Functional Groups Sequence
    sequence('52009230', ...perFrame), // Per-Frame Functional Groups Sequence
    // PS3.3 C.8.6.4: the frames are ordered by their distance along the slice normal.
    tagPointer('00280009', '00182005'), // Frame Increment Pointer to ...
    decimals('00182005', ...volume.origins.map((position) => dot(position, volume.normal))), // ... Slice Location Vector
  ];
}

function pixels(volume: Volume, followUpHu: Float32Array | Int16Array): WrittenElement[] {
  const stored = new DataView(new ArrayBuffer(2 * followUpHu.length));
  for (let i = 0; i < followUpHu.length; i += 1) {
    const value = Math.min(MAX_STORED, Math.max(0, Math.round(followUpHu[i]) + STORED_AT_ZERO_HU));
    stored.setUint16(2 * i, value, true);
  }
  return [
    unsignedShorts('00280002', 1), // Samples per Pixel
    text('00280004', 'CS', 'MONOCHROME2'),
    text('00280008', 'IS', String(volume.slices)), // Number of Frames
    unsignedShorts('00280010', volume.rows),
    unsignedShorts('00280011', volume.columns),
    unsignedShorts('00280100', 16), // Bits Allocated, Bits Stored, High Bit
    unsignedShorts('00280101', 12),
    unsignedShorts('00280102', 11),
    unsignedShorts('00280103', 0), // Pixel Representation
    decimals('00281050', 40 + STORED_AT_ZERO_HU), // Window Center, Width: brain window
    decimals('00281051', 80),
    decimals('00281052', 0), // Rescale Intercept, Slope, Type: fixed by the IOD
    decimals('00281053', 1),
    text('00281054', 'LO', 'US'),
    text('20500020', 'CS', 'IDENTITY'), // Presentation LUT Shape
    sequence('00409096', [
      // Real World Value Mapping Sequence
      text('00283003', 'LO', 'Hounsfield units'), // LUT Explanation
      text('00409210', 'SH', 'HU'), // LUT Label
      code('004008EA', "[hnsf'U]", 'UCUM', 'Hounsfield unit'), // Measurement Units Code Sequence
      unsignedShorts('00409211', MAX_STORED), // Real World Value Last Value Mapped
      unsignedShorts('00409216', 0), // Real World Value First Value Mapped
      doubles('00409224', -STORED_AT_ZERO_HU), // Real World Value Intercept
      doubles('00409225', 1), // Real World Value Slope
    ]),
    raw('7FE00010', 'OW', new Uint8Array(stored.buffer)),
  ];
}

function dot(a: Vector3, b: Vector3): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** Date and time on the clock that the copied study date and time are written in: the source's offset, else local time. */
function localDateTime(instant: Date, source: InstanceHeader): { date: string; time: string } {
  const bytes = source.patientStudy?.['00080201'];
  const offset = bytes === undefined ? undefined : isoOffset(new TextDecoder().decode(bytes).replaceAll('\0', ''));
  const minutesEast = offset === undefined ? -instant.getTimezoneOffset() : minutesOf(offset);
  const shifted = compact(new Date(instant.getTime() + minutesEast * 60_000));
  return { date: shifted.slice(0, 8), time: shifted.slice(8) };
}

/** "+05:30" to 330. */
function minutesOf(isoOffsetText: string): number {
  const [hours, minutes] = isoOffsetText.slice(1).split(':').map(Number);
  return (isoOffsetText.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}

/** UTC as YYYYMMDDHHMMSS. */
function compact(instant: Date): string {
  return instant.toISOString().replace(/\D/g, '').slice(0, 14);
}
