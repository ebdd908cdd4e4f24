/** Entry of the volume worker: frames of one series to int16 voxels and their geometry. One series, then the thread ends. */
import { parentPort } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import type { InitialCt, SliceGeometry } from '../assessment/initial-ct.ts';
import { assertHead } from '../imaging/anatomy.ts';
import { assembleVolume } from '../imaging/assemble-volume.ts';
import { findHyperdense } from '../imaging/hyperdense.ts';
import type { Frame, Vector3, Volume } from '../imaging/volume.ts';
import { computeInBackground } from '../priority.ts';
import { RefusalError } from '../prediction/refusals.ts';
import type { Refusal } from '../prediction/refusals.ts';

export type VolumeAnswer =
  | { readonly kind: 'volume'; readonly ct: InitialCt }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'failed'; readonly message: string };

/** Speed before size: the next level halves the speed and saves a tenth. */
const GZIP_LEVEL = 1;

computeInBackground();
const port = parentPort!;
port.once('message', (frames: readonly Frame[]) => {
  const answer = assemble(frames);
  port.postMessage(answer, answer.kind === 'volume' ? [answer.ct.huGzip.buffer as ArrayBuffer] : []);
  port.close();
});

function assemble(frames: readonly Frame[]): VolumeAnswer {
  try {
    const { volume } = assembleVolume(frames);
    const huGzip = new Uint8Array(gzipSync(toInt16(volume.hu), { level: GZIP_LEVEL }));
    return { kind: 'volume', ct: { geometry: toGeometry(volume), huGzip } };
  } catch (error) {
    if (error instanceof RefusalError) return { kind: 'refused', refusal: error.toRefusal() };
    return { kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** HU rounded and held within int16, little endian. */
function toInt16(hu: Float32Array): Uint8Array {
  const bytes = new Uint8Array(2 * hu.length);
  const view = new DataView(bytes.buffer);
  hu.forEach((value, at) => view.setInt16(2 * at, Math.max(-32768, Math.min(32767, Math.round(value))), true));
  return bytes;
}

function toGeometry(volume: Volume): SliceGeometry {
  const { slices, rows, columns, rowSpacingMm, columnSpacingMm, rowDirection, columnDirection, normal } = volume;
  return {
    slices,
    rows,
    columns,
    rowSpacingMm,
    columnSpacingMm,
    rowDirection,
    columnDirection,
    normal,
    origins: volume.origins,
    sopInstanceUids: volume.sopInstanceUids,
    sliceThicknessMm: volume.sliceThicknessMm ?? null,
    gantryTiltDeg: tiltDeg(volume.origins, normal),
    hyperdenseMl: hyperdenseMl(volume),
  };
}

function tiltDeg(origins: readonly Vector3[], normal: Vector3): number {
  const [first, last] = [origins[0], origins[origins.length - 1]];
  const along = [last[0] - first[0], last[1] - first[1], last[2] - first[2]];
  const cosine = (along[0] * normal[0] + along[1] * normal[1] + along[2] * normal[2]) / Math.hypot(...along);
  return Number(((Math.acos(Math.min(1, Math.abs(cosine))) * 180) / Math.PI).toFixed(2));
}

/** Where a viewer opens: at the slice with the most. A layer of the lattice may hold several slices: they share it evenly. */
function hyperdenseMl(volume: Volume): number[] | null {
  try {
    const anatomy = assertHead(volume);
    const { firstSlice } = anatomy.lattice;
    const perSlice = new Array<number>(volume.slices).fill(0);
    findHyperdense(volume, anatomy).layerMl.forEach((ml, layer) => {
      const [from, to] = [firstSlice[layer], firstSlice[layer + 1]];
      for (let slice = from; slice < to; slice++) perSlice[slice] = Number((ml / (to - from)).toFixed(3));
    });
    return perSlice;
  } catch (error) {
    if (error instanceof RefusalError) return null; // the slices can be shown, a head was not recognized in them
    throw error;
  }
}
