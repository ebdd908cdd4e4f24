/** The signed difference between the generated follow-up and the initial CT, as colours over the generated one. Pure. */

/** Full colour from here on, HU. */
export const FULL_DIFFERENCE_HU = 40;
/** Below it nothing is drawn: noise and resampling differ by as much, HU. */
export const LEAST_DIFFERENCE_HU = 6;
/** Blue and orange of Okabe and Ito: told apart in every common colour vision deficiency, and by brightness. */
export const DARKER_RGB = [86, 180, 233] as const;
export const DENSER_RGB = [230, 120, 0] as const;
const MOST_OPAQUE = 0.8;
/** Brain, fluid and blood. Outside it (bone, air, the label in the pixels) a difference says nothing. */
const TISSUE_HU = { min: -50, max: 200 } as const;

/** Opacity 0..1 of a difference in HU. */
export function opacityOf(differenceHu: number): number {
  const size = Math.abs(differenceHu);
  if (size < LEAST_DIFFERENCE_HU) return 0;
  return MOST_OPAQUE * Math.min(1, size / FULL_DIFFERENCE_HU);
}

/**
 * @param initialHu one slice `[row][column]`
 * @param generatedHu the same slice
 * @param rgba 4 bytes per pixel, overwritten
 */
export function paintDifference(initialHu: Int16Array, generatedHu: Int16Array, rgba: Uint8ClampedArray): void {
  for (let at = 0; at < initialHu.length; at++) {
    const [before, after] = [initialHu[at], generatedHu[at]];
    const opacity = isTissue(before) && isTissue(after) ? opacityOf(after - before) : 0;
    const color = after > before ? DENSER_RGB : DARKER_RGB;
    rgba[4 * at] = color[0];
    rgba[4 * at + 1] = color[1];
    rgba[4 * at + 2] = color[2];
    rgba[4 * at + 3] = 255 * opacity;
  }
}

function isTissue(hu: number): boolean {
  return hu >= TISSUE_HU.min && hu <= TISSUE_HU.max;
}
