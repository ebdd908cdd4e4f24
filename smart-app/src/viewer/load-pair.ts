/** Both stacks, held against each other: same study, same slices in the same order, or nothing is shown side by side. */
import type { components } from '../../../api/generated/openapi.d.ts';
import type { GeneratedImage } from '../chart/provenance.ts';
import type { Session } from '../session/launched.ts';
import { readBody } from '../session/read-body.ts';
import { readMultiFrame } from './multi-frame.ts';
import type { MultiFrame } from './multi-frame.ts';

export type Geometry = components['schemas']['SliceGeometry'];

export interface CtPair {
  readonly geometry: Geometry;
  /** HU, `[slice][row][column]` */
  readonly initialHu: Int16Array;
  readonly generatedHu: Int16Array;
}

/**
 * Throws with words for the user.
 *
 * @param onProgress told of the share of both stacks' bytes that has arrived, 0 to 1, once their size is known
 */
export async function loadPair(
  { ehr, callService, patientReference }: Session,
  studyReference: string,
  image: GeneratedImage,
  onProgress: (share: number) => void,
): Promise<CtPair> {
  const route = `/v1/imaging-studies/${studyReference.slice('ImagingStudy/'.length)}`;
  const call = async (part: string, accept: string): Promise<Response> => {
    const response = await callService(`${route}/${part}`, { headers: { accept } }).catch(() => {
      throw new Error('The initial CT cannot be shown. The hemocast service could not be reached.');
    });
    if (!response.ok) throw new Error(await whyNot(response));
    return response;
  };
  let arrived = 0;
  let expected = Infinity;
  const onBytes = (count: number): void => {
    arrived += count;
    onProgress(Math.min(1, arrived / expected));
  };
  const readGeometry = async (): Promise<Geometry> => {
    const geometry = (await (await call('geometry', 'application/json')).json()) as Geometry;
    expected = 2 * geometry.slices * geometry.rows * geometry.columns * Int16Array.BYTES_PER_ELEMENT;
    return geometry;
  };
  const readInitial = async (): Promise<ArrayBuffer> =>
    readBody(await call('initial-ct', 'application/octet-stream'), onBytes).catch(() => {
      throw new Error('The initial CT cannot be shown. The service’s answer broke off.');
    });
  const [geometry, initial, dicom] = await Promise.all([
    readGeometry(),
    readInitial(),
    ehr.readBytes(image.binaryReference, 'application/dicom', onBytes).catch((error: Error) => {
      throw new Error(`The generated CT cannot be shown, and no CT is shown alone. ${error.message}`);
    }),
  ]);
  const initialHu = new Int16Array(initial); // int16, little endian, as every browser's machine
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
