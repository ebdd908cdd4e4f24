/** Reads the generated follow-up CT, a Multi-frame Grayscale Word Secondary Capture (PS3.3 A.8.4), into Hounsfield units. */
import { parseDicom } from 'dicom-parser';
import type { DataSet } from 'dicom-parser';

export interface MultiFrame {
  readonly sopInstanceUid: string;
  readonly studyInstanceUid: string;
  readonly frames: number;
  readonly rows: number;
  readonly columns: number;
  /** `[frame][row][column]` */
  readonly hu: Int16Array;
  /** SOP Instance UIDs of the acquired slices it was made from, in the order of the frames. */
  readonly sourceSopInstanceUids: readonly string[];
}

const MULTI_FRAME_GRAYSCALE_WORD = '1.2.840.10008.5.1.4.1.1.7.3';
const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1';
/** 600 slices of 512 x 512. */
const MOST_VOXELS = 600 * 512 * 512;

/** Throws an Error that names what is wrong: an image that cannot be vouched for is not shown. */
export function readMultiFrame(bytes: Uint8Array): MultiFrame {
  const dicom = parseDicom(bytes);
  const expect = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(`The generated image is not as this app knows it: ${what}.`);
  };
  expect(dicom.string('x00020010') === EXPLICIT_LITTLE_ENDIAN, 'transfer syntax');
  expect(dicom.string('x00080016') === MULTI_FRAME_GRAYSCALE_WORD, 'SOP class');
  expect(dicom.string('x0008001c') === 'YES', 'it does not say that it is synthetic');
  expect(dicom.string('x00280004') === 'MONOCHROME2' && dicom.uint16('x00280100') === 16, 'pixel format');
  expect(dicom.uint16('x00280103') === 0, 'signed pixels');

  const frames = dicom.intString('x00280008') ?? 0;
  const [rows, columns] = [dicom.uint16('x00280010') ?? 0, dicom.uint16('x00280011') ?? 0];
  const voxels = frames * rows * columns;
  const pixels = dicom.elements.x7fe00010;
  expect(voxels > 0 && voxels <= MOST_VOXELS && pixels?.length >= 2 * voxels, 'number of pixels');

  const { slope, intercept } = realWorldValues(dicom);
  expect(Number.isFinite(slope) && Number.isFinite(intercept), 'no Hounsfield units');
  const stored = new DataView(bytes.buffer, bytes.byteOffset + pixels.dataOffset, 2 * voxels);
  const hu = new Int16Array(voxels);
  for (let at = 0; at < voxels; at++) hu[at] = stored.getUint16(2 * at, true) * slope + intercept;
  return {
    sopInstanceUid: dicom.string('x00080018') ?? '',
    studyInstanceUid: dicom.string('x0020000d') ?? '',
    frames,
    rows,
    columns,
    hu,
    sourceSopInstanceUids: (dicom.elements.x00082112?.items ?? []).map(
      ({ dataSet }) => dataSet?.string('x00081155') ?? '',
    ),
  };
}

/** Real World Value Mapping Sequence (0040,9096), where its unit is the Hounsfield unit of UCUM. */
function realWorldValues(dicom: DataSet): { slope: number; intercept: number } {
  const mapping = dicom.elements.x00409096?.items?.[0]?.dataSet;
  const unit = mapping?.elements.x004008ea?.items?.[0]?.dataSet?.string('x00080100');
  if (unit !== "[hnsf'U]") return { slope: NaN, intercept: NaN };
  return { slope: mapping?.double('x00409225') ?? NaN, intercept: mapping?.double('x00409224') ?? NaN };
}
