/** The picture an EHR shows: what stands where, and that left is left. */
import { decode } from 'fast-png';
import { describe, expect, it } from '@jest/globals';
import { assertHead } from '../../api/imaging/anatomy.ts';
import { assembleVolume } from '../../api/imaging/assemble-volume.ts';
import { Canvas } from '../../api/imaging/canvas.ts';
import { chooseSlices } from '../../api/imaging/choose-slices.ts';
import {
  describeLimits,
  describeMeasurements,
  describeProbability,
  ROW_TITLES,
} from '../../api/imaging/comparison-text.ts';
import { drawComparison } from '../../api/imaging/comparison.ts';
import { findHyperdense } from '../../api/imaging/hyperdense.ts';
import { lineHeight, textWidth, wrapText, type Face } from '../../api/imaging/text.ts';
import { flag } from '../../api/prediction/flags.ts';
import { measure } from '../../api/prediction/measurements.ts';
import { DISCLAIMER } from '../../api/prediction/prediction.ts';
import type { Prediction } from '../../api/prediction/prediction.ts';
import { toPrediction } from '../../api/prediction/probability.ts';
import { storedAnotherWay, syntheticHead } from '../support/synthetic-head.ts';

const MARGIN = 30;
const GAP = 14;
const TILE = Math.floor((1500 - 2 * MARGIN - 5 * GAP) / 6);
const WHITE = [232, 236, 240] as const;
const ORANGE = [255, 184, 64] as const;
const BLUE = [140, 190, 230] as const;

/** A head with a bleed of 80 HU on the patient's left, 37 mm below the vertex, stored one of eight ways. */
const leftBleed = (way: number): ReturnType<typeof scene> =>
  scene(
    syntheticHead({ matrix: 160, spheres: [{ center: [40, -10, 35], radiusMm: 14, hu: 75 }] }).map((frame) =>
      storedAnotherWay(frame, way),
    ),
  );

function scene(frames: ReturnType<typeof syntheticHead>) {
  const { volume } = assembleVolume(frames);
  const anatomy = assertHead(volume);
  const prediction = toPrediction({
    logit: 1,
    probability: 0.62,
    calibration: { prevalence: 0.51, interval: null },
    assumedPrevalence: 0.35,
    riskBandBounds: { moderate: 0.15, high: 0.5 },
    measurements: measure(volume, anatomy),
    generatedHyperdenseVolumeMl: 0,
  });
  return { initial: volume, anatomy, prediction };
}

/** The picture read back from its PNG: grey or color of a pixel, and where a text stands. */
function readPicture(png: Uint8Array) {
  const { width, height, data, channels } = decode(png);
  const at = (x: number, y: number): number[] => [
    ...data.subarray((y * width + x) * channels, (y * width + x) * channels + 3),
  ];
  const rows = [...Array(height).keys()];
  return {
    width,
    height,
    at,
    /** y of the first line of pixels whose color at x is this one. */
    firstRow: (x: number, color: readonly number[], from = 0): number =>
      rows.findIndex((y) => y >= from && color.every((value, i) => at(x, y)[i] === value)),
    /** Number of pixels in a text drawn at (x, y) that have its full color, and how many the text has. */
    found: (
      text: string,
      face: Face,
      x: number,
      y: number,
      color: readonly number[],
    ): { readonly seen: number; readonly all: number } => {
      const stencil = new Canvas(textWidth(text, face) + 2, lineHeight(face) + 4, [0, 0, 0]);
      stencil.text(0, 0, text, face, [255, 255, 255]);
      let [seen, all] = [0, 0];
      for (let dy = 0; dy < stencil.height; dy++) {
        for (let dx = 0; dx < stencil.width; dx++) {
          if (stencil.get(dx, dy)[0] < 255) continue;
          all++;
          if (color.every((value, i) => at(x + dx, y + dy)[i] === value)) seen++;
        }
      }
      return { seen, all };
    },
  };
}

describe('The comparison picture', () => {
  const { initial, anatomy, prediction } = leftBleed(0);
  const followUpHu = initial.hu.map((hu) => (hu === 75 ? 60 : hu));
  const flags = [flag('contrast-can-look-like-blood'), flag('out-of-distribution')];
  const { png, width, height } = drawComparison({
    initial,
    followUpHu,
    anatomy,
    prediction,
    flags,
    disclaimer: DISCLAIMER,
  });
  const picture = readPicture(png);
  const initialTop = picture.firstRow(MARGIN, BLUE) - 5;
  const generatedTop = picture.firstRow(MARGIN, ORANGE, initialTop + 40) - 5;

  it('has the size it says', () => {
    expect([picture.width, picture.height]).toEqual([width, height]);
    expect(width).toBe(1500);
  });

  it('shows the initial CT above and the generated one below, each named for what it is', () => {
    expect(ROW_TITLES.acquired.title).toBe('INITIAL CT (acquired)');
    expect(ROW_TITLES.generated.title).toBe('AI-GENERATED FOLLOW-UP (not acquired)');
    // The orange bar of the row comes after the hatched frame begins nowhere above it.
    expect(generatedTop).toBeGreaterThan(initialTop + 200);
    const acquired = picture.found(ROW_TITLES.acquired.title, '16', MARGIN + 14, initialTop + 4, BLUE);
    const generated = picture.found(ROW_TITLES.generated.title, '16', MARGIN + 14, generatedTop + 4, ORANGE);
    expect(acquired.all).toBeGreaterThan(100);
    expect(acquired.seen).toBe(acquired.all);
    expect(generated.seen).toBe(generated.all);
  });

  it('labels every generated picture inside the picture, and none of the acquired ones', () => {
    const labelX = (i: number): number => MARGIN + i * (TILE + GAP) + ((TILE - textWidth('AI-GENERATED', '13')) >> 1);
    for (let i = 0; i < 6; i++) {
      const below = picture.found('AI-GENERATED', '13', labelX(i), generatedTop + 34 + 4, ORANGE);
      const above = picture.found('AI-GENERATED', '13', labelX(i), initialTop + 34 + 4, ORANGE);
      expect(below.seen).toBe(below.all);
      expect(above.seen).toBe(0);
    }
  });

  it('marks the patient right on the left side of every picture and left on the right', () => {
    const tileHeight = generatedTop - initialTop - 34 - 28;
    for (const top of [initialTop, generatedTop]) {
      for (let i = 0; i < 6; i++) {
        const x = MARGIN + i * (TILE + GAP);
        const y = top + 34 + (tileHeight >> 1) - 8;
        const right = picture.found('R', '13', x + 5, y, WHITE);
        const left = picture.found('L', '13', x + TILE - 5 - textWidth('L', '13'), y, WHITE);
        expect(right.seen).toBe(right.all);
        expect(left.seen).toBe(left.all);
      }
    }
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7])(
    'draws a bleed of the left side on the right of the picture, whichever way its pixels are stored (%s)',
    (way) => {
      const stored = leftBleed(way);
      const drawn = drawComparison({ ...stored, followUpHu: stored.initial.hu, flags, disclaimer: DISCLAIMER });
      const { at } = readPicture(drawn.png);
      const counts = { left: 0, right: 0 };
      for (let i = 0; i < 6; i++) {
        for (let y = initialTop + 40; y < generatedTop - 40; y++) {
          for (let x = 20; x < TILE - 20; x++) {
            // 75 HU is grey 239 in the brain window: brighter than brain (102), darker than bone (255) and the marks.
            const [r, g, b] = at(MARGIN + i * (TILE + GAP) + x, y);
            if (r === 239 && g === 239 && b === 239) counts[x < TILE / 2 ? 'left' : 'right']++;
          }
        }
      }
      expect(counts.right).toBeGreaterThan(300);
      expect(counts.left).toBeLessThan(counts.right / 50);
      expect(stored.prediction.measurements.side).toEqual({ value: 'left' });
    },
  );

  it('says probability, band, prevalence, measurements, limits and disclaimer in its pixels', () => {
    const seen = (text: string, face: Face, x: number, y: number): number => {
      const { seen: some, all } = picture.found(text, face, x, y, WHITE);
      return some / all;
    };
    expect(seen('46 %', '24b', MARGIN, 22)).toBe(1);
    expect(seen(`Measured on the initial CT: ${describeMeasurements(prediction.measurements)}`, '13', MARGIN, 88)).toBe(
      1,
    );
    expect(seen('What limits this result: Leftover contrast', '13', MARGIN, 112)).toBe(1);
    const disclaimer = 'Research use only, trained on simulated data, not a medical device.';
    expect(seen(disclaimer, '13', MARGIN, height - 30)).toBe(1);
    const band = textWidth('46 %', '24b') + textWidth('probability of hemorrhage within 72 h', '16') + MARGIN + 14 + 18;
    expect(picture.at(band + 4, 30)).toEqual([240, 200, 100]); // moderate
  });

  it('draws no text beyond its edge: a column of background stays on each side', () => {
    for (let y = 0; y < height; y++) {
      for (const x of [0, 10, 20, width - 21, width - 11, width - 1]) expect(picture.at(x, y)).toEqual([11, 14, 18]);
    }
  });

  it('shows the slices in which the findings are, from inferior to superior', () => {
    const slices = chooseSlices(anatomy, findHyperdense(initial, anatomy).layerMl, 6);
    expect(slices).toHaveLength(6);
    expect(slices).toEqual([...slices].sort((a, b) => a - b));
    const plane = initial.rows * initial.columns;
    const dense = slices.filter((slice) =>
      initial.hu.subarray(slice * plane, (slice + 1) * plane).some((hu) => hu === 75),
    );
    expect(dense.length).toBeGreaterThanOrEqual(2);
  });
});

describe('The words of the picture', () => {
  const prediction = (change: Partial<Prediction>): Prediction => ({ ...leftBleedPrediction, ...change });
  const leftBleedPrediction = leftBleed(0).prediction;

  it('never claim more certainty than there is: below 1 % and above 99 % they say so', () => {
    expect(describeProbability(prediction({ probability: 0.004 })).percent).toBe('<1 %');
    expect(describeProbability(prediction({ probability: 0.997 })).percent).toBe('>99 %');
    expect(describeProbability(prediction({ probability: 0.625 })).percent).toBe('63 %');
  });

  it('state the interval with its level, or that there is none', () => {
    expect(describeProbability(prediction({})).interval).toBe('no interval available for this model');
    const probabilityInterval = { low: 0.4, high: 0.8, level: 0.9, method: 'bootstrap' };
    expect(describeProbability(prediction({ probabilityInterval })).interval).toBe('90 % interval 40 % to 80 %');
  });

  it('say which quantity could not be had instead of leaving it out', () => {
    const none = { value: null, reason: 'none found' } as const;
    expect(
      describeMeasurements({
        hyperdenseVolumeMl: { value: 0 },
        maxHu: none,
        meanHu: none,
        side: none,
        metallicSign: { value: false },
      }),
    ).toBe('hyperdense volume 0.0 mL · maximum none · mean none · side none · metallic sign absent');
  });

  it('list every limit, and that the follow-up CT is never replaced', () => {
    expect(describeLimits([flag('out-of-distribution')])).toBe(
      'What limits this result: This scan differs from what the network was trained on; the forecast may be off. ' +
        'A forecast never replaces the follow-up CT.',
    );
  });

  it('break between words, and no line is wider than asked', () => {
    const text = 'one two three four five six seven eight nine ten';
    const lines = wrapText(text, '13', 120);
    expect(lines.join(' ')).toBe(text);
    expect(lines.length).toBeGreaterThan(2);
    for (const line of lines) expect(textWidth(line, '13')).toBeLessThanOrEqual(120);
  });
});
