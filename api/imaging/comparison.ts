/**
 * The comparison picture: initial CT above, generated follow-up below, same slices, same window, radiological convention.
 * It is what an EHR that shows nothing but pictures will show, so all that must be known stands in its pixels.
 */
import type { Flag, Prediction } from '../prediction/prediction.ts';
import type { HeadAnatomy } from './anatomy.ts';
import { Canvas, type Color } from './canvas.ts';
import { chooseSlices } from './choose-slices.ts';
import { describeLimits, describeMeasurements, describeProbability, ROW_TITLES } from './comparison-text.ts';
import { cropOf, tileOf } from './comparison-tiles.ts';
import { slicePositions } from './geometry.ts';
import { findHyperdense } from './hyperdense.ts';
import { lineHeight, textWidth, wrapText, type Face } from './text.ts';
import type { Volume } from './volume.ts';
import { BRAIN_WINDOW } from './window.ts';

const WIDTH = 1500;
const MARGIN = 30;
const GAP = 14;
const TILES = 6;
/** Heights, pixels: title over a row of pictures, their captions, one line of the limits, the lines at the lower edge. */
const TITLE_HEIGHT = 34;
const CAPTION_HEIGHT = 28;
const LIMIT_LINE_HEIGHT = 18;
const FOOTER_HEIGHT = 62;

const BACKGROUND: Color = [11, 14, 18];
const TEXT: Color = [232, 236, 240];
const QUIET: Color = [148, 158, 168];
const ACQUIRED: Color = [140, 190, 230];
const GENERATED: Color = [255, 184, 64];
const BANDS: Readonly<Record<Prediction['riskBand'], Color>> = {
  low: [120, 190, 150],
  moderate: [240, 200, 100],
  high: [240, 128, 110],
};

export interface Comparison {
  readonly png: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/**
 * Draws the picture. It carries no name, identifier or date.
 *
 * @param input.followUpHu generated follow-up on the initial CT's own geometry, HU of the shape of `initial.hu`
 * @param input.disclaimer the label of the network, as its bundle states it
 * @param input.flags what limits the result, as far as the scan and the network show it
 */
export function drawComparison(input: {
  readonly initial: Volume;
  readonly followUpHu: Float32Array;
  readonly anatomy: HeadAnatomy;
  readonly prediction: Prediction;
  readonly flags: readonly Flag[];
  readonly disclaimer: string;
}): Comparison {
  const { initial, followUpHu, anatomy, prediction, flags, disclaimer } = input;
  const before = findHyperdense(initial, anatomy).layerMl;
  const after = findHyperdense(initial, anatomy, followUpHu).layerMl;
  const slices = chooseSlices(
    anatomy,
    before.map((ml, layer) => Math.max(ml, after[layer])),
    TILES,
  );

  const tileWidth = Math.floor((WIDTH - 2 * MARGIN - (TILES - 1) * GAP) / TILES);
  const crop = cropOf(initial, anatomy, tileWidth);
  const tileHeight = crop.yMm.length;
  const limits = wrapText(describeLimits(flags), '13', WIDTH - 2 * MARGIN);
  const headerHeight = 134 + limits.length * LIMIT_LINE_HEIGHT;
  const rowHeight = TITLE_HEIGHT + tileHeight + CAPTION_HEIGHT;
  const height = headerHeight + 2 * rowHeight + FOOTER_HEIGHT;
  const canvas = new Canvas(WIDTH, height, BACKGROUND);

  drawHeader(canvas, prediction, limits);
  const { z } = slicePositions(initial);
  for (const [row, hu] of [initial.hu, followUpHu].entries()) {
    const generated = row === 1;
    const top = headerHeight + row * rowHeight;
    drawRowTitle(canvas, top, generated);
    slices.forEach((slice, i) => {
      const x = MARGIN + i * (tileWidth + GAP);
      const y = top + TITLE_HEIGHT;
      canvas.image(x, y, tileWidth, tileOf(initial, hu, slice, crop));
      markTile(canvas, x, y, tileWidth, tileHeight, `${Math.round(anatomy.vertexZ - z[slice])} mm below vertex`);
      if (generated) frameGenerated(canvas, x, y, tileWidth, tileHeight);
    });
  }
  drawFooter(canvas, height - FOOTER_HEIGHT + 6, disclaimer);
  return { png: canvas.png(), width: WIDTH, height };
}

function drawHeader(canvas: Canvas, prediction: Prediction, limits: readonly string[]): void {
  const { percent, claim, interval, assumptions } = describeProbability(prediction);
  let x = canvas.text(MARGIN, 22, percent, '24b', TEXT);
  x = canvas.text(x + 14, 29, claim, '16', TEXT);
  x = drawChip(canvas, x + 18, 25, `${prediction.riskBand} risk`.toUpperCase(), BANDS[prediction.riskBand]);
  canvas.text(x + 18, 29, interval, '16', TEXT);
  canvas.text(MARGIN, 62, assumptions, '13', QUIET);
  canvas.text(MARGIN, 88, `Measured on the initial CT: ${describeMeasurements(prediction.measurements)}`, '13', TEXT);
  limits.forEach((line, i) => canvas.text(MARGIN, 112 + i * LIMIT_LINE_HEIGHT, line, '13', TEXT));
  canvas.fill(MARGIN, 122 + limits.length * LIMIT_LINE_HEIGHT, WIDTH - 2 * MARGIN, 1, [48, 56, 64]);
}

function drawRowTitle(canvas: Canvas, top: number, generated: boolean): void {
  const color = generated ? GENERATED : ACQUIRED;
  canvas.fill(MARGIN, top + 5, 5, 18, color);
  const { title, remark } = generated ? ROW_TITLES.generated : ROW_TITLES.acquired;
  const x = canvas.text(MARGIN + 14, top + 4, title, '16', color);
  canvas.text(x + 12, top + 6, remark, '13', QUIET);
}

/** R and L as on a light box: the patient's right on the left of the picture; the slice's height at the lower edge. */
function markTile(canvas: Canvas, x: number, y: number, width: number, height: number, position: string): void {
  labelOn(canvas, x + 5, y + (height >> 1) - 8, 'R', '13', TEXT);
  labelOn(canvas, x + width - 5 - textWidth('L', '13'), y + (height >> 1) - 8, 'L', '13', TEXT);
  canvas.text(x + ((width - textWidth(position, '13')) >> 1), y + height + 7, position, '13', QUIET);
}

function frameGenerated(canvas: Canvas, x: number, y: number, width: number, height: number): void {
  canvas.hatchedFrame(x, y, width, height, 4, GENERATED);
  const lines: readonly [string, number][] = [
    ['AI-GENERATED', y + 4],
    ['NOT ACQUIRED', y + height - lineHeight('13') - 4],
  ];
  for (const [line, top] of lines) {
    labelOn(canvas, x + ((width - textWidth(line, '13')) >> 1), top, line, '13', GENERATED);
  }
}

/** Text on a dark plate, so that it stays legible over bone. */
function labelOn(canvas: Canvas, x: number, y: number, text: string, face: Face, color: Color): void {
  canvas.fill(x - 3, y - 1, textWidth(text, face) + 6, lineHeight(face) + 2, [0, 0, 0], 0.7);
  canvas.text(x, y, text, face, color);
}

function drawChip(canvas: Canvas, x: number, y: number, text: string, color: Color): number {
  const width = textWidth(text, '13') + 20;
  canvas.fill(x, y, width, 26, color);
  canvas.text(x + 10, y + 5, text, '13', [16, 18, 20]);
  return x + width;
}

function drawFooter(canvas: Canvas, y: number, disclaimer: string): void {
  const { width, center } = BRAIN_WINDOW;
  canvas.fill(MARGIN, y - 6, WIDTH - 2 * MARGIN, 1, [48, 56, 64]);
  const view = `Both rows: window width ${width}, center ${center} HU. Seen from below, the patient's right is on the left.`;
  canvas.text(MARGIN, y + 4, view, '13', QUIET);
  canvas.text(MARGIN, y + 26, disclaimer, '13', TEXT);
}
