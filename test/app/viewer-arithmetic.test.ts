/** The viewer's numbers, by hand: windows, the linked view, the difference, and the generated image's pixels. */
import { describe, expect, it } from '@jest/globals';
import { DARKER_RGB, DENSER_RGB, opacityOf, paintDifference } from '../../smart-app/src/viewer/difference.ts';
import { ATTENTION_RGB, mostAttendedSlice, paintAttention } from '../../smart-app/src/viewer/attention.ts';
import {
  initialView,
  openingSlice,
  presetOf,
  PRESETS,
  reduceView,
  voiRange,
} from '../../smart-app/src/viewer/view-state.ts';
import type { ViewAction, ViewState } from '../../smart-app/src/viewer/view-state.ts';
import { keyAction } from '../../smart-app/src/viewer/keys.ts';
import { rulerFor } from '../../smart-app/src/viewer/ruler.ts';

const reduce = (state: ViewState, ...actions: ViewAction[]): ViewState =>
  actions.reduce((current, action) => reduceView(current, action, 30, 12), state);

describe('Windows', () => {
  it('are those of stroke imaging', () => {
    expect(PRESETS).toEqual({
      Brain: { width: 80, center: 40 },
      Stroke: { width: 40, center: 40 },
      Subdural: { width: 200, center: 70 },
      Bone: { width: 1800, center: 400 },
    });
  });

  it('map center and width to black and white as PS3.3 C.11.2.1.2.1 does', () => {
    // c - 0.5 - (w - 1) / 2 = 40 - 0.5 - 39.5 = 0; c - 0.5 + (w - 1) / 2 = 79
    expect(voiRange({ center: 40, width: 80 })).toEqual({ lower: 0, upper: 79 });
  });

  it('cannot become empty or leave the scale of CT', () => {
    const narrow = reduce(initialView(12), { kind: 'window', byWidth: -5000, byCenter: -9000 });
    expect([narrow.width, narrow.center]).toEqual([2, -1000]);
    expect(presetOf(narrow)).toBeUndefined();
    expect(presetOf(reduce(narrow, { kind: 'preset', name: 'Bone' }))).toBe('Bone');
  });
});

describe('The linked view', () => {
  it('opens at the slice with the most hyperdense volume, else in the middle', () => {
    expect(openingSlice(4, [0, 0.2, 1.4, 0.3])).toBe(2);
    expect(openingSlice(5, [0, 0, 0, 0, 0])).toBe(2);
    expect(openingSlice(5, null)).toBe(2);
  });

  it('stays within the stack and returns to where it opened', () => {
    const top = reduce(initialView(12), { kind: 'scroll', by: 99 });
    expect(top.slice).toBe(29);
    expect(reduce(top, { kind: 'scroll', by: 1 }).slice).toBe(29);
    expect(reduce(top, { kind: 'slice', to: -Infinity }).slice).toBe(0);
    const changed = reduce(top, { kind: 'zoom', factor: 3 }, { kind: 'difference' }, { kind: 'attention' });
    expect(changed).toMatchObject({ difference: true, attention: true });
    expect(reduce(changed, { kind: 'reset' })).toEqual(initialView(12));
  });

  it('goes up the head with the arrow up and down with the arrow down, and leaves the browser its own shortcuts', () => {
    const key = (name: string, more = {}): ViewAction | undefined =>
      keyAction({ key: name, ctrlKey: false, metaKey: false, altKey: false, ...more });
    expect(key('ArrowUp')).toEqual({ kind: 'scroll', by: 1 });
    expect(key('ArrowDown')).toEqual({ kind: 'scroll', by: -1 });
    expect(key('PageDown')).toEqual({ kind: 'scroll', by: -5 });
    expect(key('2')).toEqual({ kind: 'preset', name: 'Stroke' });
    expect(key('d')).toEqual({ kind: 'difference' });
    expect(key('a')).toEqual({ kind: 'attention' });
    expect(key('r', { ctrlKey: true })).toBeUndefined();
    expect(key('Tab')).toBeUndefined();
  });
});

describe('The ruler', () => {
  it('is the longest of 5, 2 and 1 cm, 5 and 2 mm that takes no more than a third of the pane', () => {
    // 240 mm in a pane of 360 px: 1.5 px for a millimetre, at most 120 px.
    expect(rulerFor(1.5, 360)).toEqual({ label: '5 cm', width: 75 });
    expect(rulerFor(1.5 * 2, 360)).toEqual({ label: '2 cm', width: 60 });
    expect(rulerFor(1.5 * 5, 360)).toEqual({ label: '1 cm', width: 75 });
    expect(rulerFor(1.5 * 12, 360)).toEqual({ label: '5 mm', width: 90 });
    expect(rulerFor(1.5 * 30, 360)).toEqual({ label: '2 mm', width: 90 });
  });
});

describe('The difference', () => {
  it('is orange where the generated CT is denser, blue where it is darker, and nothing near zero', () => {
    const rgba = new Uint8ClampedArray(16);
    paintDifference(Int16Array.of(30, 60, 30, 30), Int16Array.of(70, 20, 34, 25), rgba);
    expect([...rgba.subarray(0, 4)]).toEqual([...DENSER_RGB, 204]); // 0.8 x 255
    expect([...rgba.subarray(4, 8)]).toEqual([...DARKER_RGB, 204]);
    expect([rgba[11], rgba[15]]).toEqual([0, 0]); // +4 and -5 HU
    expect(opacityOf(20)).toBeCloseTo(0.4);
  });

  it('says nothing about air, bone and the label in the pixels', () => {
    const rgba = new Uint8ClampedArray(12);
    paintDifference(Int16Array.of(-1000, 900, 40), Int16Array.of(80, 60, -1024), rgba);
    expect([rgba[3], rgba[7], rgba[11]]).toEqual([0, 0, 0]);
  });
});

describe('The attention', () => {
  // A map of 2 x 1 x 2 cells of 4 mm (slices 6 mm apart), under slices of 1 x 5 pixels of 2 mm. Cell centres at x = 0 and 4.
  const grid = {
    ...{ slices: 2, rows: 1, columns: 2, sliceSpacingMm: 6, rowSpacingMm: 4, columnSpacingMm: 4 },
    ...{ rowDirection: [1, 0, 0], columnDirection: [0, 1, 0], normal: [0, 0, 1], origin: [10, 20, 30] },
  };
  const map = { grid, values: Uint8Array.of(0, 255, 255, 255) } as Parameters<typeof paintAttention>[0];
  const geometry = {
    ...{ slices: 3, rows: 1, columns: 5, rowSpacingMm: 2, columnSpacingMm: 2 },
    origins: [
      [10, 20, 30],
      [10, 20, 33],
      [10, 20, 60],
    ], // on the first plane, half-way to the second, far above
  } as unknown as Parameters<typeof paintAttention>[1];
  const opacities = (slice: number): number[] => {
    const rgba = new Uint8ClampedArray(4 * 5);
    paintAttention(map, geometry, slice, rgba);
    expect([...rgba.subarray(0, 3)]).toEqual([...ATTENTION_RGB]);
    return [3, 7, 11, 15, 19].map((at) => rgba[at]);
  };

  it('lies over the CT in millimetres: read linearly between its cells and planes, and clear outside of it', () => {
    // x = 0, 2, 4, 6, 8 mm are cells 0, 0.5, 1, 1.5 and 2: 0, half, all, the edge's own, outside. All is 0.75 x 255 = 191.
    expect(opacities(0)).toEqual([0, 96, 191, 191, 0]);
    expect(opacities(1)).toEqual([96, 143, 191, 191, 0]);
    expect(opacities(2)).toEqual([0, 0, 0, 0, 0]);
  });

  it('names the CT slice nearest to the most attended voxel', () => {
    const values = (strongest: number): Uint8Array =>
      Uint8Array.from([9, 9, 9, 9], (low, at) => (at === strongest ? 255 : low));
    expect(mostAttendedSlice({ grid, values: values(1) } as typeof map, geometry)).toBe(0);
    expect(mostAttendedSlice({ grid, values: values(2) } as typeof map, geometry)).toBe(1); // 3 mm below; the next is 24 mm above
  });
});
