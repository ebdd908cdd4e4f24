/**
 * The two panes on Cornerstone3D, drawn on the CPU: slices of CT need no more, and a thin client without a graphics card
 * shows the same pixels as a workstation.
 */
import {
  Enums,
  RenderingEngine,
  cache,
  imageLoader,
  init,
  metaData,
  setUseCPURendering,
  utilities,
} from '@cornerstonejs/core';
import type { StackViewport, Types } from '@cornerstonejs/core';
import type { CtPair } from './load-pair.ts';
import { voiRange } from './view-state.ts';
import type { ViewState } from './view-state.ts';

export type Side = 'initial' | 'generated';

/** A place on the screen and what is there. */
export interface Readout {
  readonly row: number;
  readonly column: number;
  readonly hu: number;
}

const SCHEME = 'hemocast';
/** Several viewers may be on one page in turn; each has its own stacks. */
let lastViewer = 0;
const pairs = new Map<string, CtPair>();

/** "hemocast:<viewer>/<side>/<slice>" */
function parse(imageId: string): { pair: CtPair | undefined; side: Side; slice: number } {
  const [viewer, side, slice] = imageId.slice(SCHEME.length + 1).split('/');
  return { pair: pairs.get(viewer), side: side as Side, slice: Number(slice) };
}

function start(): void {
  init();
  setUseCPURendering(true);
  imageLoader.registerImageLoader(SCHEME, (imageId) => ({ promise: Promise.resolve(makeImage(imageId)) }));
  metaData.addProvider((type: string, imageId: string) => {
    if (typeof imageId !== 'string' || !imageId.startsWith(`${SCHEME}:`)) return undefined;
    return describe(type, imageId);
  }, 1_000);
}
let started = false;

export class Panes {
  readonly #viewer = String(++lastViewer);
  readonly #engine: RenderingEngine;
  readonly #pair: CtPair;
  #slice = -1;

  static async open(pair: CtPair, elements: Record<Side, HTMLDivElement>): Promise<Panes> {
    if (!started) start();
    started = true;
    const panes = new Panes(pair);
    await panes.#fill(elements);
    return panes;
  }

  private constructor(pair: CtPair) {
    this.#pair = pair;
    pairs.set(this.#viewer, pair);
    this.#engine = new RenderingEngine(`hemocast-${this.#viewer}`);
  }

  async #fill(elements: Record<Side, HTMLDivElement>): Promise<void> {
    for (const side of ['initial', 'generated'] as const) {
      this.#engine.enableElement({ viewportId: side, type: Enums.ViewportType.STACK, element: elements[side] });
      const imageIds = Array.from(
        { length: this.#pair.geometry.slices },
        (_, slice) => `${SCHEME}:${this.#viewer}/${side}/${slice}`,
      );
      await this.#viewport(side).setStack(imageIds, 0);
    }
  }

  async show(state: ViewState): Promise<void> {
    this.resize();
    const moved = this.#slice !== state.slice;
    this.#slice = state.slice;
    for (const side of ['initial', 'generated'] as const) {
      const viewport = this.#viewport(side);
      if (moved) await viewport.setImageIdIndex(state.slice);
      viewport.setProperties({ voiRange: voiRange(state) });
      this.#place(viewport, state);
      viewport.render();
    }
  }

  /**
   * Absolute, as setPan and setZoom of the CPU path move on from where the last slice was left. In that path the scale counts
   * device pixels of the canvas per row.
   */
  #place(viewport: StackViewport, { zoom, panX, panY }: ViewState): void {
    const { rows, columns, rowSpacingMm, columnSpacingMm } = this.#pair.geometry;
    const paneMm = Math.max(rows * rowSpacingMm, columns * columnSpacingMm) / zoom;
    viewport.setCamera({ scale: (viewport.canvas.height * rowSpacingMm) / paneMm });
    viewport.setCamera({
      focalPoint: [
        (columns / 2) * columnSpacingMm - panX * paneMm,
        (rows / 2) * rowSpacingMm - panY * paneMm,
        this.#slice,
      ],
    });
  }

  /**
   * Canvases in device pixels. The engine's own resize gives the CPU path a canvas in CSS pixels, while the camera of that path
   * counts device pixels: slices would leave the pane on every screen of high density.
   */
  resize(): void {
    for (const side of ['initial', 'generated'] as const) {
      const { canvas, element } = this.#viewport(side);
      const [width, height] = [element.clientWidth, element.clientHeight].map((px) =>
        Math.round(px * devicePixelRatio),
      );
      if (canvas.width !== width) canvas.width = width;
      if (canvas.height !== height) canvas.height = height;
    }
  }

  /** Where the slice lies in the pane, CSS pixels. The CPU path's plane counts from the edge of the first voxel, not its centre. */
  frame(side: Side): { left: number; top: number; width: number; height: number } {
    const { rows, columns, rowSpacingMm, columnSpacingMm } = this.#pair.geometry;
    const viewport = this.#viewport(side);
    const at = (column: number, row: number): Types.Point2 =>
      viewport.worldToCanvas([column * columnSpacingMm, row * rowSpacingMm, this.#slice]);
    const [[left, top], [right, bottom]] = [at(0, 0), at(columns, rows)];
    return { left, top, width: right - left, height: bottom - top };
  }

  /** What is seen of the slice at a point of the screen, CSS pixels. */
  readout(side: Side, clientX: number, clientY: number): Readout | undefined {
    const { rows, columns } = this.#pair.geometry;
    const pane = this.#viewport(side).element.getBoundingClientRect();
    const { left, top, width, height } = this.frame(side);
    const [x, y] = [clientX - pane.left, clientY - pane.top];
    if (x < 0 || y < 0 || x >= pane.width || y >= pane.height) return undefined;
    const column = Math.floor(((x - left) / width) * columns);
    const row = Math.floor(((y - top) / height) * rows);
    if (column < 0 || row < 0 || column >= columns || row >= rows) return undefined;
    return { row, column, hu: sliceOf(this.#pair, side, this.#slice)[row * columns + column] };
  }

  close(): void {
    this.#engine.destroy();
    pairs.delete(this.#viewer);
    cache.purgeCache();
  }

  #viewport(side: Side): StackViewport {
    return this.#engine.getViewport(side) as StackViewport;
  }
}

export function sliceOf({ geometry, initialHu, generatedHu }: CtPair, side: Side, slice: number): Int16Array {
  const size = geometry.rows * geometry.columns;
  return (side === 'initial' ? initialHu : generatedHu).subarray(slice * size, (slice + 1) * size);
}

function makeImage(imageId: string): Types.IImage {
  const { pair, side, slice } = parse(imageId);
  if (pair === undefined) throw new Error('The viewer has been closed.');
  const { rows, columns, rowSpacingMm, columnSpacingMm } = pair.geometry;
  const pixels = sliceOf(pair, side, slice);
  let [min, max] = [pixels[0], pixels[0]];
  for (const hu of pixels) {
    if (hu < min) min = hu;
    if (hu > max) max = hu;
  }
  return {
    imageId,
    minPixelValue: min,
    maxPixelValue: max,
    slope: 1,
    intercept: 0,
    windowCenter: 40,
    windowWidth: 80,
    voiLUTFunction: Enums.VOILUTFunctionType.LINEAR,
    rows,
    columns,
    height: rows,
    width: columns,
    color: false,
    rgba: false,
    numberOfComponents: 1,
    invert: false,
    columnPixelSpacing: columnSpacingMm,
    rowPixelSpacing: rowSpacingMm,
    sizeInBytes: pixels.byteLength,
    dataType: 'Int16Array',
    getPixelData: () => pixels,
    getCanvas: () => document.createElement('canvas'),
    voxelManager: utilities.VoxelManager.createImageVoxelManager({
      width: columns,
      height: rows,
      scalarData: pixels,
      numberOfComponents: 1,
    }),
  } as Types.IImage;
}

/** The plane is the screen's own: x to the right in mm, y down in mm, z = the slice. Directions of the patient are fixed (L/R). */
function describe(type: string, imageId: string): object | undefined {
  const { pair, slice } = parse(imageId);
  if (pair === undefined) return undefined;
  const { rows, columns, rowSpacingMm, columnSpacingMm } = pair.geometry;
  switch (type) {
    case 'imagePixelModule':
      return {
        rows,
        columns,
        samplesPerPixel: 1,
        photometricInterpretation: 'MONOCHROME2',
        bitsAllocated: 16,
        bitsStored: 16,
        highBit: 15,
        pixelRepresentation: 1,
      };
    case 'imagePlaneModule':
      return {
        rows,
        columns,
        frameOfReferenceUID: SCHEME,
        imageOrientationPatient: [1, 0, 0, 0, 1, 0],
        imagePositionPatient: [0, 0, slice],
        rowCosines: [1, 0, 0],
        columnCosines: [0, 1, 0],
        rowPixelSpacing: rowSpacingMm,
        columnPixelSpacing: columnSpacingMm,
        pixelSpacing: [rowSpacingMm, columnSpacingMm],
        sliceThickness: 1,
        sliceLocation: slice,
      };
    case 'generalSeriesModule':
      return { modality: 'CT', seriesInstanceUID: SCHEME };
    case 'voiLutModule':
      return { windowCenter: [40], windowWidth: [80] };
    case 'modalityLutModule':
      return { rescaleSlope: 1, rescaleIntercept: 0, rescaleType: 'HU' };
    default:
      return undefined;
  }
}
