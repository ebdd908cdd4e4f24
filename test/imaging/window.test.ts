import { describe, expect, it } from '@jest/globals';
import { BRAIN_WINDOW, greyOf } from '../../api/imaging/window.ts';

describe('The brain window', () => {
  it('is 80 HU wide around 40: black up to 0, white from 80', () => {
    expect(BRAIN_WINDOW).toEqual({ width: 80, center: 40 });
    // PS3.3 C.11.2.1.3.2, LINEAR_EXACT: y = ((x - c) / w + 0.5) * 255.
    for (const [hu, grey] of [
      [-1024, 0],
      [0, 0],
      [20, 64], // 0.25 * 255 = 63.75
      [40, 128], // 127.5, rounded up
      [60, 191], // 191.25
      [80, 255],
      [3071, 255],
    ])
      expect(greyOf(hu)).toBe(grey);
  });

  it('follows a window that is asked for', () => {
    expect(greyOf(1000, { width: 2000, center: 500 })).toBe(191); // (500 / 2000 + 0.5) * 255 = 191.25
  });
});
