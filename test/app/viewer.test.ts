/** The viewer in Chromium after an EHR launch, judged by the pixels of its screenshots against the Hounsfield units they stand for. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { decode } from 'fast-png';
import type { Browser, Page } from 'playwright-core';
import { readMultiFrame } from '../../smart-app/src/viewer/multi-frame.ts';
import type { MultiFrame } from '../../smart-app/src/viewer/multi-frame.ts';
import { describeWith } from '../support/components.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { launchApp, openApp, settled, startApp, stopApp, viewerReady, violations } from './support/app-browser.ts';
import type { AppPage } from './support/app-browser.ts';

const PATIENT = 'lindqvist-maja';
/** Correlation of noise-bearing slices that lie exactly over each other, drawn at another size; half a pixel off costs 0.05. */
const ALIKE = 0.92;
/** Every second voxel of both axes is looked at. */
const STEP = 2;
type Side = 'initial' | 'generated';

describeWith('Chromium', 'The viewer', () => {
  let service: ServiceProcess;
  let browser: Browser;
  let app: AppPage;
  let page: Page;
  let generated: MultiFrame;
  let initialHu: Int16Array;
  beforeAll(async () => {
    [service, browser] = await startApp();
    const bundle = await service.fhir(`Media?subject=Patient/${PATIENT}`);
    const media = bundle.entry.map((entry: { resource: { frames?: number } }) => entry.resource);
    const { content } = media.find(({ frames }: { frames?: number }) => frames !== undefined);
    const dicom = await fetch(`${service.url}/sandbox/fhir/${content.url}`, {
      headers: { accept: 'application/dicom' },
    });
    generated = readMultiFrame(new Uint8Array(await dicom.arrayBuffer()));
    initialHu = new Int16Array(
      await (await service.fetch(`/v1/imaging-studies/${PATIENT}-ct/initial-ct`)).arrayBuffer(),
    );
    app = await launchApp(browser, service, PATIENT, { viewport: { width: 1280, height: 900 } });
    page = app.page;
    await viewerReady(page);
  });
  afterAll(() => stopApp(service, browser));

  const slice = async (): Promise<number> => Number(await page.getAttribute('.viewer-tools', 'data-slice'));
  const press = async (...keys: string[]): Promise<void> => {
    await page.focus('.viewer-tools');
    for (const key of keys) await page.keyboard.press(key);
    await settled(page);
  };

  /** Correlation of a pane's screenshot with the grey values that the window makes of HU, over part of the matrix. */
  const likeness = async (
    side: Side,
    hu: Int16Array,
    window: { center: number; width: number },
    part = { top: 0, left: 0, bottom: generated.rows, right: generated.columns },
  ): Promise<number> => {
    // Panes lie between device pixels: places are worked out from their exact boxes, not from a cropped picture.
    await page.locator('.panes').scrollIntoViewIfNeeded();
    const box = (await page.locator(`.viewport[data-side="${side}"]`).boundingBox())!;
    const picture = decode(await page.screenshot());
    const perCssPixel = picture.width / page.viewportSize()!.width;
    const pairs: [number, number][] = [];
    for (let row = part.top; row < part.bottom; row += STEP) {
      for (let column = part.left; column < part.right; column += STEP) {
        const x = (box.x + ((column + 0.5) / generated.columns) * box.width) * perCssPixel - 0.5;
        const y = (box.y + ((row + 0.5) / generated.rows) * box.height) * perCssPixel - 0.5;
        const grey = (hu[row * generated.columns + column] - window.center) / window.width + 0.5;
        pairs.push([Math.min(1, Math.max(0, grey)), between(picture, x, y) / 255]);
      }
    }
    return correlation(pairs);
  };
  const sliceHu = (all: Int16Array, at: number): Int16Array => {
    const size = generated.rows * generated.columns;
    return all.subarray(at * size, (at + 1) * size);
  };

  it('shows the acquired CT on the left and the generated one on the right, the same slice in the brain window', async () => {
    const boxes = await Promise.all(
      ['initial', 'generated'].map((side) => page.locator(`.viewport[data-side="${side}"]`).boundingBox()),
    );
    expect(boxes[0]!.x + boxes[0]!.width).toBeLessThan(boxes[1]!.x);
    expect(Math.abs(boxes[0]!.y - boxes[1]!.y)).toBeLessThan(2);
    const at = await slice();
    const brain = { center: 40, width: 80 };
    expect(await likeness('initial', sliceHu(initialHu, at), brain)).toBeGreaterThan(ALIKE);
    expect(await likeness('generated', sliceHu(generated.hu, at), brain)).toBeGreaterThan(ALIKE);
    expect(await likeness('initial', sliceHu(initialHu, at).toReversed(), brain)).toBeLessThan(0.8); // the measure can fail
  });

  it('carries the words in the pixels of the generated CT, in every slice looked at', async () => {
    for (const key of ['Home', 'End', 'r']) {
      await press(key);
      const at = await slice();
      const letters = lettersOf(sliceHu(initialHu, at), sliceHu(generated.hu, at), generated.columns);
      expect(letters.count).toBeGreaterThan(300);
      expect(
        await likeness('generated', sliceHu(generated.hu, at), { center: 40, width: 80 }, letters.box),
      ).toBeGreaterThan(0.8);
    }
    expect(await page.locator('.pane.generated figcaption').innerText()).toMatch(/AI-generated[^]*not acquired/);
  });

  it('scrolls both CTs together, by wheel over either, by key and by slider', async () => {
    const opened = await slice();
    await page.locator('.viewport[data-side="generated"]').hover();
    for (const notch of [67, 100, 120]) {
      await page.mouse.wheel(0, notch); // of a mouse
      await settled(page);
    }
    expect(await slice()).toBe(opened - 3);
    for (const step of [30, 30, -30, -30]) await page.mouse.wheel(0, step); // of a touchpad
    await settled(page);
    expect(await slice()).toBe(opened - 3);
    await page.locator('.viewport[data-side="initial"]').hover();
    await page.mouse.wheel(0, -50);
    await press('ArrowUp', 'ArrowUp', 'ArrowDown');
    expect(await slice()).toBe(opened - 1);
    await page.getByLabel('Slice', { exact: true }).fill('20');
    await settled(page);
    expect(await slice()).toBe(19);
    const brain = { center: 40, width: 80 };
    expect(await likeness('initial', sliceHu(initialHu, 19), brain)).toBeGreaterThan(ALIKE);
    expect(await likeness('generated', sliceHu(generated.hu, 19), brain)).toBeGreaterThan(ALIKE);
    for (const neighbour of [18, 20]) {
      expect(await likeness('initial', sliceHu(initialHu, neighbour), brain)).toBeLessThan(ALIKE);
    }
  });

  it.each(['.viewer-tools', '#slice'])(
    'goes towards the feet when it goes down, by wheel and by key in %s',
    async (focus) => {
      await page.getByLabel('Slice', { exact: true }).fill('20');
      await page.locator('.viewport[data-side="initial"]').hover();
      await page.mouse.wheel(0, 50);
      await settled(page);
      expect(await slice()).toBe(18);
      await page.focus(focus);
      for (const [key, expected] of [
        ['ArrowDown', 17],
        ['PageDown', 12],
        ['PageUp', 17],
        ['ArrowUp', 18],
      ] as const) {
        await page.keyboard.press(key);
        await settled(page);
        expect(await slice()).toBe(expected);
      }
      await page.locator('.viewport[data-side="initial"]').hover();
      await page.mouse.wheel(0, -50);
      await settled(page);
      expect(await slice()).toBe(19);
      expect(await page.locator('#viewer-help').textContent()).toMatch(
        /Down, by wheel, swipe or key, is towards the feet/,
      );
    },
  );

  it('zooms by + and - also while the slider has the focus', async () => {
    await press('r');
    await page.focus('#slice');
    await page.keyboard.press('+');
    expect(await page.getAttribute('.viewer-tools', 'data-zoom')).toBe('1.25');
    await page.keyboard.press('-');
    expect(await page.getAttribute('.viewer-tools', 'data-zoom')).toBe('1.00');
  });

  it.each([
    ['1', 40, 80],
    ['2', 40, 40],
    ['3', 70, 200],
    ['4', 400, 1800],
  ])('applies window preset %s to both: center %d, width %d HU', async (key, center, width) => {
    await press('r', key);
    expect(await page.getAttribute('.viewer-tools', 'data-window')).toBe(`${width}/${center}`);
    const at = await slice();
    expect(await likeness('initial', sliceHu(initialHu, at), { center, width })).toBeGreaterThan(ALIKE);
    expect(await likeness('generated', sliceHu(generated.hu, at), { center, width })).toBeGreaterThan(ALIKE);
  });

  it('lays the difference over the generated CT only, with its legend in HU', async () => {
    await press('r');
    const plain = await Promise.all([shot('initial'), shot('generated')]);
    await press('d');
    expect(await page.locator('.legend').innerText()).toMatch(/−40 HU[^]*\+40 HU/);
    expect(colored(await shot('initial'))).toBe(0);
    expect(colored(plain[1])).toBeLessThan(400); // the marks
    expect(colored(await shot('generated'))).toBeGreaterThan(colored(plain[1]) + 500);
    await press('d');
    expect(await page.locator('.legend').count()).toBe(0);
  });

  it('lays the attention over the initial CT only, off at opening, and takes it away again', async () => {
    await press('r', 'a');
    await page.getByText('Where both tasks looked').waitFor();
    const strongest = Number(/Strongest in slice (\d+)/.exec(await page.locator('.legend').innerText())![1]);
    await page.getByRole('button', { name: `slice ${strongest}` }).click();
    await settled(page);
    expect(await slice()).toBe(strongest - 1);
    const over = [colored(await shot('initial')), colored(await shot('generated'))];
    await page.keyboard.press('a'); // the button that had the focus goes with its legend, the viewer keeps the keys
    await settled(page);
    expect(await page.evaluate('document.activeElement.className')).toBe('viewer-tools');
    const plain = [colored(await shot('initial')), colored(await shot('generated'))];
    expect(over[0]).toBeGreaterThan(plain[0] + 100);
    expect(over[1]).toBe(plain[1]);
  });

  it('is as accessible with both overlays and the help on its keys', async () => {
    await press('r', 'd', 'a', '?');
    await page.getByText('Where both tasks looked').waitFor();
    await page.locator('#viewer-help').waitFor();
    expect(await violations(page)).toEqual([]);
    await press('r', '?');
  });

  it('sets the window by a left drag, zooms by a right one and moves by a middle one', async () => {
    await press('r');
    const box = (await page.locator('.viewport[data-side="initial"]').boundingBox())!;
    const middle = { x: Math.floor(box.x + box.width / 2), y: Math.floor(box.y + box.height / 2) };
    const drag = async (button: 'left' | 'right' | 'middle', dx: number, dy: number): Promise<void> => {
      await page.mouse.move(middle.x, middle.y);
      await page.mouse.down({ button });
      await page.mouse.move(middle.x + dx, middle.y + dy);
      await page.mouse.up({ button });
      await settled(page);
    };
    await drag('left', 40, -20);
    expect(await page.getAttribute('.viewer-tools', 'data-window')).toBe('120/50'); // 1 HU of width, half of center a pixel
    await press('r');
    await drag('right', 0, -60);
    expect(await page.getAttribute('.viewer-tools', 'data-zoom')).toBe('1.49'); // e^(60/150)
    await press('r');

    const [row, column] = [Math.floor(generated.rows / 2), Math.floor(generated.columns / 2)];
    const at = sliceHu(initialHu, await slice());
    const around = [-1, 0, 1].flatMap((dr) => [-1, 0, 1].map((dc) => at[(row + dr) * generated.columns + column + dc]));
    await drag('middle', 50, 30);
    // What was in the middle is under the pointer still.
    await page.mouse.move(middle.x + 51, middle.y + 30);
    await page.mouse.move(middle.x + 50, middle.y + 30);
    const read = Number(/^(-?\d+) HU$/.exec(await page.locator('.pane.initial .readout').innerText())?.[1]);
    expect(around).toContain(read);
    await press('r');
  });

  it('zooms and moves both together, and returns on reset', async () => {
    await press('r', '+', '+');
    expect(await page.getAttribute('.viewer-tools', 'data-zoom')).toBe('1.56');
    const at = await slice();
    const brain = { center: 40, width: 80 };
    expect(await likeness('initial', sliceHu(initialHu, at), brain)).toBeLessThan(0.9);
    await page.locator('.viewport[data-side="initial"]').dblclick();
    await settled(page);
    expect(await likeness('initial', sliceHu(initialHu, at), brain)).toBeGreaterThan(ALIKE);
  });

  it('shows HU under the pointer, and says where they are estimated', async () => {
    await press('r');
    const { width, height } = (await page.locator('.viewport[data-side="generated"]').boundingBox())!;
    const position = { x: Math.floor(width / 2), y: Math.floor(height / 2) };
    await page.locator('.viewport[data-side="generated"]').hover({ position });
    expect(await page.locator('.pane.generated .readout').innerText()).toMatch(/^-?\d+ HU, estimated$/);
    await page.locator('.viewport[data-side="initial"]').hover({ position });
    const read = Number(/^(-?\d+) HU$/.exec(await page.locator('.pane.initial .readout').innerText())?.[1]);
    const around = [-1, 0, 1].flatMap((dr) => [-1, 0, 1].map((dc) => [dr, dc]));
    const [row, column] = [Math.floor(generated.rows / 2), Math.floor(generated.columns / 2)];
    const at = sliceHu(initialHu, await slice());
    expect(around.map(([dr, dc]) => at[(row + dr) * generated.columns + column + dc])).toContain(read);
  });

  it('shows the HU of what is under a pointer that rests, while slice, zoom and place change', async () => {
    await press('r');
    const box = (await page.locator('.viewport[data-side="initial"]').boundingBox())!;
    const pointer = { x: Math.floor(box.x + 0.4 * box.width), y: Math.floor(box.y + 0.42 * box.height) };
    await page.mouse.move(pointer.x, pointer.y);
    const readout = (): Promise<string> => page.locator('.pane.initial .readout').innerText();
    const underPointer = async (): Promise<string> => {
      const zoom =
        1.25 ** Math.round(Math.log(Number(await page.getAttribute('.viewer-tools', 'data-zoom'))) / Math.log(1.25));
      const voxel = (share: number, count: number): number => Math.floor((0.5 + (share - 0.5) / zoom) * count);
      const row = voxel((pointer.y - box.y) / box.height, generated.rows);
      const column = voxel((pointer.x - box.x) / box.width, generated.columns);
      return `${sliceHu(initialHu, await slice())[row * generated.columns + column]} HU`;
    };
    const seen = new Set<string>();
    const changes: (() => Promise<void>)[] = [
      () => page.mouse.wheel(0, 50),
      () => page.mouse.wheel(0, 50),
      () => press('ArrowDown'),
      () => page.getByLabel('Slice', { exact: true }).fill('17'),
      () => press('+'),
      () => press('+', '+'),
      () => press('r'),
    ];
    for (const change of changes) {
      await change();
      await settled(page);
      expect(await readout()).toBe(await underPointer());
      seen.add(await readout());
    }
    expect(seen.size).toBeGreaterThan(3);
    // Small in its pane, the image no longer reaches to the pointer.
    await page.mouse.move(Math.ceil(box.x) + 5, pointer.y);
    expect(await readout()).toMatch(/HU$/);
    await press('-', '-');
    expect(await readout()).toBe('');
    await press('r');
    expect(await readout()).toMatch(/HU$/);
    await page.mouse.move(0, 0);
    await press('ArrowUp');
    expect(await readout()).toBe('');
  });

  it('keeps both CTs in their panes on a screen of high density, and on a phone', async () => {
    for (const options of [
      { viewport: { width: 1280, height: 900 }, deviceScaleFactor: 2 },
      { viewport: { width: 375, height: 800 }, deviceScaleFactor: 2, hasTouch: true },
    ]) {
      const dense = await openApp(browser, service, PATIENT, options);
      await viewerReady(dense.page);
      const earlier = page;
      page = dense.page;
      const at = sliceHu(initialHu, await slice());
      // On a phone fewer pixels than voxels are drawn.
      expect(await likeness('initial', at, { center: 40, width: 80 })).toBeGreaterThan(0.8);
      expect(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')).toBe(
        0,
      );
      page = earlier;
      await dense.close();
    }
    expect(app.complaints).toEqual([]);
  });

  it('scrolls its slices by a swipe, while the page stays, moves by two fingers and zooms by a pinch', async () => {
    const phone = { viewport: { width: 375, height: 800 }, deviceScaleFactor: 2, hasTouch: true };
    const hand = await openApp(browser, service, PATIENT, phone);
    await viewerReady(hand.page);
    const tools = hand.page.locator('.viewer-tools');
    const read = async (name: string): Promise<number> => Number(await tools.getAttribute(`data-${name}`));
    await hand.page.locator('.pane.initial').scrollIntoViewIfNeeded();
    const { x, y, width, height } = (await hand.page.locator('.pane.initial .frame').boundingBox())!;
    const [middle, center] = [x + width / 2, y + height / 2];
    const session = await hand.context.newCDPSession(hand.page);
    type Finger = readonly [x: number, y: number];
    /** Fingers go down at the first places and through the others. */
    const touch = async (...places: readonly (readonly Finger[])[]): Promise<void> => {
      for (const [at, fingers] of places.entries()) {
        const touchPoints = fingers.map(([fingerX, fingerY], id) => ({ x: fingerX, y: fingerY, id }));
        await session.send('Input.dispatchTouchEvent', { type: at === 0 ? 'touchStart' : 'touchMove', touchPoints });
      }
      await session.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
      await settled(hand.page);
    };

    const [before, scrolled] = [await read('slice'), await hand.page.evaluate('scrollY')];
    await touch([[middle, center]], [[middle, center + 20]], [[middle, center + 40]]);
    expect(await read('slice')).toBe(before - 3); // down, towards the feet
    expect(await hand.page.evaluate('scrollY')).toBe(scrolled);
    const zoom = await read('zoom');
    const apart = (px: number, [dx, dy] = [0, 0]): Finger[] => [
      [middle - px + dx, center + dy],
      [middle + px + dx, center + dy],
    ];
    const heads = async (): Promise<readonly [number, number][]> =>
      Promise.all(
        (['initial', 'generated'] as const).map(async (side) =>
          middleOfLight(decode(await hand.page.locator(`.viewport[data-side="${side}"]`).screenshot())),
        ),
      );
    const still = await heads();
    await touch(apart(20), apart(20, [6, -3]), apart(20, [12, -6]));
    for (const [side, [headX, headY]] of (await heads()).entries()) {
      expect(Math.abs(headX - still[side][0] - 2 * 12)).toBeLessThan(4); // two device pixels each
      expect(Math.abs(headY - still[side][1] + 2 * 6)).toBeLessThan(4);
    }
    expect(await read('zoom')).toBe(zoom);
    await touch(apart(20), apart(30), apart(40));
    expect((await read('zoom')) / zoom).toBeCloseTo(2, 0);
    expect(hand.complaints).toEqual([]);
    await hand.close();
  });

  const shot = async (side: Side): Promise<ReturnType<typeof decode>> =>
    decode(await page.locator(`.pane.${side} .frame`).screenshot());
});

/** Red at a place between pixels, bilinear; the edge's own outside. */
function between({ data, width, height, channels }: ReturnType<typeof decode>, x: number, y: number): number {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const at = (column: number, row: number): number =>
    data[(Math.min(height - 1, Math.max(0, row)) * width + Math.min(width - 1, Math.max(0, column))) * channels];
  const [right, down] = [x - left, y - top];
  const above = at(left, top) * (1 - right) + at(left + 1, top) * right;
  const below = at(left, top + 1) * (1 - right) + at(left + 1, top + 1) * right;
  return above * (1 - down) + below * down;
}

/** Where the middle of what is not black lies, pixels. */
function middleOfLight({ data, width, height, channels }: ReturnType<typeof decode>): [number, number] {
  let [sum, sumX, sumY] = [0, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const light = data[(y * width + x) * channels] > 40 ? 1 : 0;
      sum += light;
      sumX += light * x;
      sumY += light * y;
    }
  }
  return [sumX / sum, sumY / sum];
}

/** How many pixels of the middle of a picture are not grey. */
function colored({ data, width, height, channels }: ReturnType<typeof decode>): number {
  let count = 0;
  for (let y = Math.floor(height * 0.2); y < height * 0.8; y++) {
    for (let x = Math.floor(width * 0.2); x < width * 0.8; x++) {
      const at = (y * width + x) * channels;
      if (Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 12) count++;
    }
  }
  return count;
}

/** Where the generated slice is white and the acquired one is air: the letters. */
function lettersOf(initial: Int16Array, generated: Int16Array, columns: number) {
  const at = [...generated.keys()].filter((voxel) => generated[voxel] > 40 && initial[voxel] < -500);
  const rows = at.map((voxel) => Math.floor(voxel / columns));
  const inRow = at.map((voxel) => voxel % columns);
  const box = {
    top: Math.min(...rows),
    bottom: Math.max(...rows) + 1,
    left: Math.min(...inRow),
    right: Math.max(...inRow) + 1,
  };
  return { count: at.length, box };
}

function correlation(pairs: readonly (readonly [number, number])[]): number {
  const mean = (index: 0 | 1): number => pairs.reduce((sum, pair) => sum + pair[index], 0) / pairs.length;
  const [a, b] = [mean(0), mean(1)];
  let [ab, aa, bb] = [0, 0, 0];
  for (const [x, y] of pairs) {
    ab += (x - a) * (y - b);
    aa += (x - a) ** 2;
    bb += (y - b) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}
