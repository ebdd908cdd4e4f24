import type { Vector3, Volume } from './volume.ts';

/** Small vector algebra in patient coordinates (LPS). */
export function dot(a: Vector3, b: Vector3): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

export function cross(a: Vector3, b: Vector3): Vector3 {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

export function add(a: Vector3, b: Vector3): Vector3 {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
}

export function scale(a: Vector3, factor: number): Vector3 {
  return [a[0] * factor, a[1] * factor, a[2] * factor];
}

export function norm(a: Vector3): number {
  return Math.sqrt(dot(a, a));
}

export function normalize(a: Vector3): Vector3 {
  return scale(a, 1 / norm(a));
}

/** Angle between two lines (not directions) in degrees, 0..90. */
export function angleBetweenLinesDeg(a: Vector3, b: Vector3): number {
  const cosine = Math.min(1, Math.abs(dot(a, b)) / (norm(a) * norm(b)));
  return (Math.acos(cosine) * 180) / Math.PI;
}

/**
 * Where the first voxel of each slice lies in the axes of the image planes (docs/bundle.md, "Axes"), mm:
 * `x` along `rowDirection`, `y` along `columnDirection`, `z` along `normal`. With gantry tilt, `y` differs between slices.
 */
export interface SlicePositions {
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly z: Float64Array;
}

export function slicePositions(volume: Volume): SlicePositions {
  return {
    x: Float64Array.from(volume.origins, (origin) => dot(origin, volume.rowDirection)),
    y: Float64Array.from(volume.origins, (origin) => dot(origin, volume.columnDirection)),
    z: Float64Array.from(volume.origins, (origin) => dot(origin, volume.normal)),
  };
}

/** `n` positions from `first` in steps of `spacing`, mm. */
export function evenPositions(first: number, spacing: number, n: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => first + i * spacing);
}

/** Thickness in mm each slice stands for: half the distance to each neighbour; at an end, half the one gap. */
export function cellThicknesses(z: Float64Array): Float64Array {
  return z.map((here, i) => {
    const below = i > 0 ? here - z[i - 1] : 0;
    const above = i + 1 < z.length ? z[i + 1] - here : 0;
    return (below + above) / 2;
  });
}

/** Native spacing at each slice in mm: the mean of its two gaps; at an end, the one gap. */
export function sliceSpacings(z: Float64Array): Float64Array {
  const last = z.length - 1;
  return z.map((here, i) => {
    if (i === 0) return z[1] - here;
    if (i === last) return here - z[last - 1];
    return (z[i + 1] - z[i - 1]) / 2;
  });
}
