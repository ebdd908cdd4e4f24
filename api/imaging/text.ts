/** Letters for pictures: DejaVu Sans, rasterised beforehand (font/make_font.py), the same pixels on every machine. */
import { readFileSync } from 'node:fs';

/** Pixel size; "24b" is bold. */
export type Face = '11' | '13' | '16' | '24b';

/** [advance, left, top, width, height, 4-bit coverage in base64] */
type PackedGlyph = readonly [number, number, number, number, number, string];

interface Glyph {
  readonly advance: number;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** 0..1, `[row][column]`. */
  readonly coverage: Float32Array;
}

interface FontFace {
  readonly lineHeight: number;
  readonly glyphs: ReadonlyMap<string, Glyph>;
}

const faces: ReadonlyMap<string, FontFace> = loadFaces();

/** Height of a line, pixels. */
export function lineHeight(face: Face): number {
  return faces.get(face)!.lineHeight;
}

/** Width of a text, pixels. */
export function textWidth(text: string, face: Face): number {
  let width = 0;
  for (const character of text) width += glyphOf(character, face).advance;
  return Math.ceil(width);
}

/** Breaks a text between words into lines of at most `width` pixels; a longer word has a line of its own. */
export function wrapText(text: string, face: Face, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const longer = lines.length === 0 ? word : `${lines[lines.length - 1]} ${word}`;
    if (lines.length > 0 && textWidth(longer, face) <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/**
 * Calls `plot` for every pixel that the text covers, relative to the upper left corner of its line, with the coverage 0..1.
 * A character the font does not hold is drawn as a question mark.
 */
export function plotText(text: string, face: Face, plot: (x: number, y: number, coverage: number) => void): void {
  let pen = 0;
  for (const character of text) {
    const glyph = glyphOf(character, face);
    const left = Math.round(pen) + glyph.left;
    for (let y = 0, at = 0; y < glyph.height; y++) {
      for (let x = 0; x < glyph.width; x++, at++) {
        if (glyph.coverage[at] > 0) plot(left + x, glyph.top + y, glyph.coverage[at]);
      }
    }
    pen += glyph.advance;
  }
}

function glyphOf(character: string, face: Face): Glyph {
  const { glyphs } = faces.get(face)!;
  return glyphs.get(character) ?? glyphs.get('?')!;
}

function loadFaces(): Map<string, FontFace> {
  const file = new URL('./font/glyphs.json', import.meta.url);
  const { faces: packed } = JSON.parse(readFileSync(file, 'utf8')) as {
    faces: Record<string, { lineHeight: number; glyphs: Record<string, PackedGlyph> }>;
  };
  return new Map(
    Object.entries(packed).map(([name, face]) => [
      name,
      {
        lineHeight: face.lineHeight,
        glyphs: new Map(Object.entries(face.glyphs).map(([character, glyph]) => [character, unpack(glyph)])),
      },
    ]),
  );
}

function unpack([advance, left, top, width, height, base64]: PackedGlyph): Glyph {
  const bytes = Buffer.from(base64, 'base64');
  const stride = Math.ceil(width / 2);
  const coverage = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const byte = bytes[y * stride + (x >> 1)];
      coverage[y * width + x] = (x % 2 === 0 ? byte >> 4 : byte & 15) / 15;
    }
  }
  return { advance, left, top, width, height, coverage };
}
