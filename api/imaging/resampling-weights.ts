/**
 * Weights of one-dimensional resampling and their application: docs/bundle.md, "Resampling weights".
 * models/training/hemocast_training/resample.py computes the same; golden vectors hold both together.
 */

/** Weights of one axis as a sparse matrix `outputs x positions`; the non-zero weights of an output are neighbours. */
export interface AxisWeights {
  readonly inputs: number;
  readonly outputs: number;
  /** Index of the first input that output `i` reads. */
  readonly first: Int32Array;
  /** `values[start[i] .. start[i + 1]]` are the weights of output `i`. */
  readonly start: Int32Array;
  readonly values: Float64Array;
  /** 1 minus the sum of the weights of output `i`: the share that takes the pad value. */
  readonly missing: Float64Array;
}

/** A box thinner than this is none, mm: it comes from rounding and would divide one rounding error by another. */
const THINNEST_BOX_MM = 1e-6;

/**
 * Weights that read samples at `positions` at the places `outputs`.
 *
 * @param positions increasing sample positions in mm, at least two
 * @param outputs output positions in mm, any order
 * @param outputSpacing size of the output voxel in mm, one number or one for each output
 * @throws RangeError when positions are fewer than two, not finite or not increasing (a caller's fault: series with such
 *   geometry are refused by `assembleVolume`)
 */
export function resamplingWeights(
  positions: ArrayLike<number>,
  outputs: ArrayLike<number>,
  outputSpacing: number | ArrayLike<number>,
): AxisWeights {
  const n = positions.length;
  if (n < 2) throw new RangeError(`resampling needs at least two sample positions along an axis; got ${n}`);
  for (let i = 0; i < n; i++) {
    if (!Number.isFinite(positions[i]) || (i > 0 && positions[i] <= positions[i - 1]))
      throw new RangeError('sample positions must be finite and strictly increasing');
  }
  const first = new Int32Array(outputs.length);
  const start = new Int32Array(outputs.length + 1);
  const missing = new Float64Array(outputs.length);
  const values: number[] = [];
  for (let i = 0; i < outputs.length; i++) {
    const q = outputs[i];
    const j = gapContaining(positions, q);
    const spacing = typeof outputSpacing === 'number' ? outputSpacing : outputSpacing[i];
    const wider = spacing - (positions[j + 1] - positions[j]);
    const width = wider < THINNEST_BOX_MM ? 0 : wider;
    const low = gapContaining(positions, q - width / 2);
    const high = gapContaining(positions, q + width / 2) + 1;
    let sum = 0;
    first[i] = low;
    for (let k = low; k <= high; k++) {
      const weight = width > 0 ? hatMean(positions, k, q - width / 2, q + width / 2) : hatAt(positions, k, q);
      sum += weight;
      values.push(weight);
    }
    start[i + 1] = values.length;
    missing[i] = 1 - sum;
  }
  return { inputs: n, outputs: outputs.length, first, start, values: Float64Array.from(values), missing };
}

/** The weights as full rows, for golden vectors and tests. */
export function denseWeights(weights: AxisWeights): number[][] {
  return Array.from({ length: weights.outputs }, (_, i) => {
    const row = new Array<number>(weights.inputs).fill(0);
    for (let k = weights.start[i]; k < weights.start[i + 1]; k++)
      row[weights.first[i] + k - weights.start[i]] = weights.values[k];
    return row;
  });
}

/** Largest j with positions[j] <= q, kept inside 0..n-2 (the end gaps continue outside the range). */
function gapContaining(positions: ArrayLike<number>, q: number): number {
  let low = 0;
  let high = positions.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (positions[middle + 1] <= q) low = middle + 1;
    else high = middle;
  }
  return Math.min(low, positions.length - 2);
}

/** Hat function of sample k at q: 1 at its position, 0 at its neighbours, constant for half the end gap beyond an end. */
function hatAt(positions: ArrayLike<number>, k: number, q: number): number {
  const last = positions.length - 1;
  const here = positions[k];
  if (q < here) {
    if (k === 0) return q >= here - (positions[1] - here) / 2 ? 1 : 0;
    return Math.max(0, 1 - (here - q) / (here - positions[k - 1]));
  }
  if (k === last) return q <= here + (here - positions[last - 1]) / 2 ? 1 : 0;
  return Math.max(0, 1 - (q - here) / (positions[k + 1] - here));
}

/** Mean of the hat function of sample k over [a, b], in closed form. */
function hatMean(positions: ArrayLike<number>, k: number, a: number, b: number): number {
  return (hatIntegral(positions, k, b) - hatIntegral(positions, k, a)) / (b - a);
}

/** Integral of the hat function of sample k from its position to q (negative below it). */
function hatIntegral(positions: ArrayLike<number>, k: number, q: number): number {
  const last = positions.length - 1;
  const distance = q - positions[k];
  if (distance < 0) {
    if (k === 0) return Math.max(distance, -(positions[1] - positions[0]) / 2);
    const gap = positions[k] - positions[k - 1];
    const reach = Math.min(-distance, gap);
    return -(reach - (reach * reach) / (2 * gap));
  }
  if (k === last) return Math.min(distance, (positions[last] - positions[last - 1]) / 2);
  const gap = positions[k + 1] - positions[k];
  const reach = Math.min(distance, gap);
  return reach - (reach * reach) / (2 * gap);
}

/** Applies weights along the fastest axis: `[lines][inputs]` -> `[lines][outputs]`. */
export function resampleLines(
  source: Float32Array,
  sourceOffset: number,
  lines: number,
  weights: AxisWeights,
  padHu: number,
  target: Float32Array,
  targetOffset: number,
): void {
  const { inputs, outputs, first, start, values, missing } = weights;
  for (let line = 0; line < lines; line++) {
    const from = sourceOffset + line * inputs;
    const to = targetOffset + line * outputs;
    for (let i = 0; i < outputs; i++) {
      let sum = missing[i] * padHu;
      let at = from + first[i];
      for (let k = start[i]; k < start[i + 1]; k++) sum += values[k] * source[at++];
      target[to + i] = sum;
    }
  }
}

/** Applies weights along a slower axis: `[inputs][stride]` -> `[outputs][stride]`, whole runs of `stride` voxels at a time. */
export function resamplePlanes(
  source: Float32Array,
  sourceOffset: number,
  stride: number,
  weights: AxisWeights,
  padHu: number,
  target: Float32Array,
  targetOffset: number,
): void {
  const { outputs, first, start, values, missing } = weights;
  for (let i = 0; i < outputs; i++) {
    const to = targetOffset + i * stride;
    target.fill(missing[i] * padHu, to, to + stride);
    for (let k = start[i]; k < start[i + 1]; k++) {
      const weight = values[k];
      if (weight === 0) continue;
      const from = sourceOffset + (first[i] + k - start[i]) * stride;
      for (let v = 0; v < stride; v++) target[to + v] += weight * source[from + v];
    }
  }
}
