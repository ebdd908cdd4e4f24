/** Both stacks, held against each other: same study, same slices in the same order, or nothing is shown side by side. */
import type { components } from '../../../api/generated/openapi.d.ts';
import type { GeneratedImage } from '../chart/provenance.ts';
import type { Session } from '../session/launched.ts';
import { readMultiFrame } from './multi-frame.ts';
import type { MultiFrame } from './multi-frame.ts';

export type Geometry = components['schemas']['SliceGeometry'];

export interface CtPair {
  readonly geometry: Geometry;
  /** HU, `[slice][row][column]` */
  readonly initialHu: Int16Array;
  readonly generatedHu: Int16Array;
}

/** Throws with words for the user. */
export async function loadPair(
  { ehr, callService, patientReference }: Session,
  studyReference: string,
  image: GeneratedImage,
): Promise<CtPair> {
  const route = `/v1/imaging-studies/${studyReference.slice('ImagingStudy/'.length)}`;
  const call = (part: string, accept: string): Promise<Response> =>
    callService(`${route}/${part}`, { headers: { accept } }).catch(() => {
      throw new Error('The initial CT cannot be shown. The hemocast service could not be reached.');
    });
  const [geometryResponse, voxelResponse, dicom] = await Promise.all([
    call('geometry', 'application/json'),
    call('initial-ct', 'application/octet-stream'),
    ehr.readBytes(image.binaryReference, 'application/dicom').catch((error: Error) => {
      throw new Error(`The generated CT cannot be shown, and no CT is shown alone. ${error.message}`);
    }),
  ]);
  if (!geometryResponse.ok) throw new Error(await whyNot(geometryResponse));
  if (!voxelResponse.ok) throw new Error(await whyNot(voxelResponse));
  const geometry = (await geometryResponse.json()) as Geometry;
  const initialHu = new Int16Array(await voxelResponse.arrayBuffer()); // int16, little endian, as every browser's machine
  const generated = readMultiFrame(new Uint8Array(dicom));
  assertPair(geometry, initialHu, generated, { patientReference, studyReference, image });
  return { geometry, initialHu, generatedHu: generated.hu };
}

/** Throws unless both stacks are of this patient, this study and slice by slice of each other. */
export function assertPair(
  geometry: Geometry,
  initialHu: Int16Array,
  generated: MultiFrame,
  expected: { readonly patientReference: string; readonly studyReference: string; readonly image: GeneratedImage },
): void {
  const { slices, rows, columns } = geometry;
  if (geometry.patient !== expected.patientReference || geometry.imagingStudy !== expected.studyReference) {
    throw new Error('The initial CT that the service sent belongs to another patient or study; it is not shown.');
  }
  if (
    generated.studyInstanceUid !== geometry.studyInstanceUid ||
    generated.sopInstanceUid !== expected.image.sopInstanceUid
  ) {
    throw new Error('The generated image in the chart belongs to another study; it is not shown.');
  }
  const sameSlices =
    generated.sourceSopInstanceUids.length === geometry.sopInstanceUids.length &&
    generated.sourceSopInstanceUids.every((uid, at) => uid === geometry.sopInstanceUids[at]);
  const sameShape = generated.frames === slices && generated.rows === rows && generated.columns === columns;
  if (!sameSlices || !sameShape || initialHu.length !== slices * rows * columns) {
    throw new Error('The images of the study have changed since this forecast was made; the two CTs are not compared.');
  }
}

async function whyNot(response: Response): Promise<string> {
  const problem = (await response.json().catch(() => undefined)) as { detail?: unknown } | undefined;
  const why = typeof problem?.detail === 'string' ? problem.detail : `The service answered ${response.status}.`;
  return `The initial CT cannot be shown. ${why}`;
}
