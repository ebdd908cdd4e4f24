/** A small RGB canvas: rectangles, text and grey images, written as PNG. */
import { encode } from 'fast-png';
import type { Face } from './text.ts';
import { plotText, textWidth } from './text.ts';

export type Color = readonly [red: number, green: number, blue: number];

export class Canvas {
  readonly width: number;
  readonly height: number;
  readonly #pixels: Uint8Array;

  constructor(width: number, height: number, background: Color) {
    this.width = width;
    this.height = height;
    this.#pixels = new Uint8Array(width * height * 3);
    this.fill(0, 0, width, height, background);
  }

  /** `opacity` 0..1 mixes with what is there. */
  set(x: number, y: number, color: Color, opacity = 1): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    const at = (y * this.width + x) * 3;
    for (let channel = 0; channel < 3; channel++) {
      const before = this.#pixels[at + channel];
      this.#pixels[at + channel] = before + (color[channel] - before) * opacity + 0.5; // the array cuts the fraction off
    }
  }

  get(x: number, y: number): Color {
    const at = (y * this.width + x) * 3;
    return [this.#pixels[at], this.#pixels[at + 1], this.#pixels[at + 2]];
  }

  fill(x: number, y: number, width: number, height: number, color: Color, opacity = 1): void {
    for (let row = y; row < y + height; row++)
      for (let column = x; column < x + width; column++) this.set(column, row, color, opacity);
  }

  /** Returns the x where the text ends. */
  text(x: number, y: number, text: string, face: Face, color: Color): number {
    plotText(text, face, (dx, dy, coverage) => this.set(x + dx, y + dy, color, coverage));
    return x + textWidth(text, face);
  }

  /** Grey image `[row][column]`, 0..255; lies inside the canvas. */
  image(x: number, y: number, width: number, grey: Uint8Array): void {
    for (let row = 0, at = 0; at < grey.length; row++) {
      let to = ((y + row) * this.width + x) * 3;
      for (let column = 0; column < width; column++, at++, to += 3) this.#pixels.fill(grey[at], to, to + 3);
    }
  }

  /** A frame of diagonal stripes just outside the rectangle. */
  hatchedFrame(x: number, y: number, width: number, height: number, thickness: number, color: Color): void {
    for (let row = y - thickness; row < y + height + thickness; row++) {
      for (let column = x - thickness; column < x + width + thickness; column++) {
        const inside = column >= x && column < x + width && row >= y && row < y + height;
        if (!inside && (column + row + 4096) % 10 < 6) this.set(column, row, color);
      }
    }
  }

  png(): Uint8Array {
    return encode({ width: this.width, height: this.height, data: this.#pixels, channels: 3, depth: 8 });
  }
}
