/**
 * A JPEG Lossless encoder (ITU-T T.81 Annex H, process 14) for tests: any predictor, point transform and restart interval.
 * Every difference category has an 8-bit code, so that codes and bits end at every position of a byte.
 */
export interface EncodeOptions {
  readonly precision: number;
  readonly predictor: number;
  readonly pointTransform?: number;
  /** Lines between restart markers; 0 = none. */
  readonly restartLines?: number;
}

export function encodeJpegLossless(
  samples: ArrayLike<number>,
  rows: number,
  columns: number,
  { precision, predictor, pointTransform = 0, restartLines = 0 }: EncodeOptions,
): Uint8Array {
  const out: number[] = [0xff, 0xd8];
  const segment = (marker: number, ...payload: number[]): void => {
    out.push(0xff, marker, (payload.length + 2) >> 8, (payload.length + 2) & 0xff, ...payload);
  };
  segment(0xc3, precision, rows >> 8, rows & 0xff, columns >> 8, columns & 0xff, 1, 1, 0x11, 0);
  const counts = Array.from({ length: 16 }, (_, index) => (index === 7 ? 17 : 0));
  segment(0xc4, 0x00, ...counts, ...Array.from({ length: 17 }, (_, category) => category));
  if (restartLines > 0) segment(0xdd, (restartLines * columns) >> 8, (restartLines * columns) & 0xff);
  segment(0xda, 1, 1, 0x00, predictor, 0, pointTransform);

  let accumulator = '';
  const flush = (): void => {
    while (accumulator.length % 8 !== 0) accumulator += '1';
    for (let at = 0; at < accumulator.length; at += 8) {
      const byte = Number.parseInt(accumulator.slice(at, at + 8), 2);
      out.push(byte);
      if (byte === 0xff) out.push(0x00);
    }
    accumulator = '';
  };
  const x = (row: number, column: number): number => samples[row * columns + column] >> pointTransform;
  for (let row = 0; row < rows; row += 1) {
    const isRestart = restartLines > 0 && row > 0 && row % restartLines === 0;
    if (isRestart) {
      flush();
      out.push(0xff, 0xd0 + ((row / restartLines - 1) % 8));
    }
    const isFirst = row === 0 || isRestart;
    for (let column = 0; column < columns; column += 1) {
      const prediction = predictionOf(x, row, column, predictor, isFirst, 1 << (precision - pointTransform - 1));
      accumulator += bitsOf((((x(row, column) - prediction) & 0xffff) << 16) >> 16);
    }
  }
  flush();
  return new Uint8Array([...out, 0xff, 0xd9]);
}

function predictionOf(
  x: (row: number, column: number) => number,
  row: number,
  column: number,
  predictor: number,
  isFirst: boolean,
  initial: number,
): number {
  if (column === 0) return isFirst ? initial : x(row - 1, 0);
  const a = x(row, column - 1);
  if (isFirst) return a;
  const b = x(row - 1, column);
  const c = x(row - 1, column - 1);
  return [a, b, c, a + b - c, a + ((b - c) >> 1), b + ((a - c) >> 1), (a + b) >> 1][predictor - 1];
}

/** Category as an 8-bit code, then the difference in that many bits (T.81 H.1.2.2). */
function bitsOf(difference: number): string {
  if (difference === -32768) return (16).toString(2).padStart(8, '0');
  const category = difference === 0 ? 0 : Math.floor(Math.log2(Math.abs(difference))) + 1;
  const code = category.toString(2).padStart(8, '0');
  if (category === 0) return code;
  const bits = difference > 0 ? difference : difference + (1 << category) - 1;
  return code + bits.toString(2).padStart(category, '0');
}
