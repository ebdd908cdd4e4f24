/**
 * The visible label of generated slices, in their pixels: whatever a viewer does to headers and overlays, a generated image
 * cannot pass for an acquired one.
 */
import { textWidth, lineHeight, plotText, type Face } from './text.ts';
import type { Volume } from './volume.ts';

/** Layouts from one wide line to a narrow block; the one that covers least of the head is taken. */
const LAYOUTS: readonly (readonly string[])[] = [
  ['AI-GENERATED', 'NOT ACQUIRED', 'RESEARCH', 'USE ONLY'],
  ['AI-GENERATED NOT ACQUIRED', 'RESEARCH USE ONLY'],
  ['AI-GENERATED NOT ACQUIRED RESEARCH USE ONLY'],
];
/** Black and white of the brain window 80/40; seen against -1024 also in any wider one. */
const BAND_HU = -1024;
const TEXT_HU = 80;
/** Anything denser than this is head, HU. */
const HEAD_HU = -300;
const PADDING = 3;

/** Where the label stands, the same in every slice. */
export interface LabelPlacement {
  readonly lines: readonly string[];
  readonly face: Face;
  /** Upper left corner and size of the band, pixels. */
  readonly row: number;
  readonly column: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Copies generated slices with the label burnt in.
 *
 * @param hu generated HU of the shape of `volume.hu`; not changed
 */
export function labelGeneratedSlices(volume: Volume, hu: Float32Array): Float32Array {
  const labelled = hu.slice();
  const placement = placeLabel(volume);
  const size = volume.rows * volume.columns;
  for (let slice = 0; slice < volume.slices; slice++) {
    burnLabel(labelled.subarray(slice * size, (slice + 1) * size), volume.columns, placement);
  }
  return labelled;
}

/**
 * The corner and layout that cover the fewest voxels of the head, counted over all slices; the first of equals.
 *
 * @throws RangeError for a matrix too small for the label: no skull of an adult fits into one at the accepted pixel spacings
 */
export function placeLabel(volume: Volume): LabelPlacement {
  const face: Face = volume.columns >= 400 ? '16' : volume.columns >= 300 ? '13' : '11';
  const covered = headPerPixel(volume);
  const sized = LAYOUTS.map((lines) => ({
    lines,
    width: Math.max(...lines.map((line) => textWidth(line, face))) + 2 * PADDING,
    height: lines.length * lineHeight(face) + 2 * PADDING,
  }));
  const fitting = sized.filter(({ width, height }) => width <= volume.columns && height <= volume.rows);
  if (fitting.length === 0)
    throw new RangeError(`the label does not fit into ${volume.columns} x ${volume.rows} pixels`);
  let best: { placement: LabelPlacement; cost: number } | undefined;
  for (const { lines, width, height } of fitting) {
    for (const row of [0, volume.rows - height]) {
      for (const column of [0, volume.columns - width]) {
        const placement = { lines, face, row, column, width, height };
        const cost = sumOver(covered, volume.columns, placement);
        if (best === undefined || cost < best.cost) best = { placement, cost };
      }
    }
  }
  return best!.placement;
}

/**
 * Writes the label into one slice: a band of air with letters from 0 to 80 HU by coverage.
 *
 * @param sliceHu one slice `[row][column]`, changed
 */
export function burnLabel(sliceHu: Float32Array, columns: number, placement: LabelPlacement): void {
  const { lines, face, row, column, width, height } = placement;
  for (let r = row; r < row + height; r++) sliceHu.fill(BAND_HU, r * columns + column, r * columns + column + width);
  lines.forEach((line, i) => {
    plotText(line, face, (x, y, coverage) => {
      const [r, c] = [row + PADDING + i * lineHeight(face) + y, column + PADDING + x];
      sliceHu[r * columns + c] = TEXT_HU * coverage;
    });
  });
}

/** In how many slices each pixel shows the head. */
function headPerPixel(volume: Volume): Uint16Array {
  const size = volume.rows * volume.columns;
  const counts = new Uint16Array(size);
  for (let at = 0; at < volume.hu.length; at++) if (volume.hu[at] > HEAD_HU) counts[at % size]++;
  return counts;
}

function sumOver(counts: Uint16Array, columns: number, { row, column, width, height }: LabelPlacement): number {
  let sum = 0;
  for (let r = row; r < row + height; r++) for (let c = column; c < column + width; c++) sum += counts[r * columns + c];
  return sum;
}
