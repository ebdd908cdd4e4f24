/** Grey values for the screen. */

/** The brain window, HU: width 80, centre 40. */
export const BRAIN_WINDOW = { width: 80, center: 40 } as const;

/** Grey 0..255 of a HU value in a window (PS3.3 C.11.2.1.2.1, LINEAR_EXACT). */
export function greyOf(hu: number, window: { readonly width: number; readonly center: number } = BRAIN_WINDOW): number {
  const share = (hu - window.center) / window.width + 0.5;
  if (share <= 0) return 0;
  return share >= 1 ? 255 : (255 * share + 0.5) | 0;
}
