/** Shapes in planes and stacks of cells: Euclidean dilation, hole filling and connected components on typed arrays. */

/** The extent and cell size of one layer. */
export interface PlaneGrid {
  readonly rows: number;
  readonly columns: number;
  readonly rowMm: number;
  readonly columnMm: number;
}

/**
 * Cells within `radiusMm` of a set cell, in the plane: exact Euclidean distance between cell centres. Every run of set cells
 * is written, widened by the disc's half width, into each row that the disc reaches.
 *
 * @param source, offset layer of 0/1 cells
 * @param target receives 1 for every cell in reach and 0 elsewhere, from `offset` on; not `source` itself
 */
export function dilatePlane(
  grid: PlaneGrid,
  source: Uint8Array,
  offset: number,
  radiusMm: number,
  target: Uint8Array,
): void {
  const { rows, columns } = grid;
  const reach = Math.floor(radiusMm / grid.rowMm + 1e-9);
  const halfWidth = Int32Array.from({ length: reach + 1 }, (_, row) =>
    Math.floor(Math.sqrt(Math.max(0, radiusMm ** 2 - (row * grid.rowMm) ** 2)) / grid.columnMm + 1e-9),
  );
  target.fill(0, offset, offset + rows * columns);
  for (let row = 0; row < rows; row++) {
    const from = offset + row * columns;
    const first = row > reach ? row - reach : 0;
    const last = row + reach < rows ? row + reach : rows - 1;
    for (let column = 0; column < columns; column++) {
      if (source[from + column] === 0) continue;
      const begin = column;
      while (column < columns && source[from + column] !== 0) column++;
      for (let other = first; other <= last; other++) {
        const width = halfWidth[other < row ? row - other : other - row];
        const to = offset + other * columns;
        target.fill(
          1,
          begin > width ? to + begin - width : to,
          to + (column + width < columns ? column + width : columns),
        );
      }
    }
  }
}

/** Sets every cell of a layer that cannot reach the layer's border through unset cells (4-connected). */
export function fillHoles(grid: PlaneGrid, cells: Uint8Array, offset: number): void {
  const { rows, columns } = grid;
  const outside = new Uint8Array(rows * columns);
  const stack: number[] = [];
  const visit = (cell: number): void => {
    if (outside[cell] === 0 && cells[offset + cell] === 0) {
      outside[cell] = 1;
      stack.push(cell);
    }
  };
  for (let column = 0; column < columns; column++) {
    visit(column);
    visit((rows - 1) * columns + column);
  }
  for (let row = 0; row < rows; row++) {
    visit(row * columns);
    visit(row * columns + columns - 1);
  }
  for (let cell = stack.pop(); cell !== undefined; cell = stack.pop()) {
    const column = cell % columns;
    if (column > 0) visit(cell - 1);
    if (column < columns - 1) visit(cell + 1);
    if (cell >= columns) visit(cell - columns);
    if (cell < (rows - 1) * columns) visit(cell + columns);
  }
  for (let cell = 0; cell < rows * columns; cell++) if (outside[cell] === 0) cells[offset + cell] = 1;
}

/** Connected components (6-connected) of a stack: a label per cell (0 = unset), and the cells of each label. */
export function labelComponents(
  cells: Uint8Array,
  layers: number,
  rows: number,
  columns: number,
): { readonly labels: Int32Array; readonly members: readonly Int32Array[] } {
  const plane = rows * columns;
  const labels = new Int32Array(cells.length);
  const members: Int32Array[] = [];
  const queue = new Int32Array(cells.length);
  for (let seed = 0; seed < layers * plane; seed++) {
    if (cells[seed] === 0 || labels[seed] !== 0) continue;
    const label = members.length + 1;
    let [head, tail] = [0, 0];
    const visit = (cell: number): void => {
      if (cells[cell] !== 0 && labels[cell] === 0) {
        labels[cell] = label;
        queue[tail++] = cell;
      }
    };
    visit(seed);
    while (head < tail) {
      const cell = queue[head++];
      const inPlane = cell % plane;
      const column = inPlane % columns;
      if (column > 0) visit(cell - 1);
      if (column < columns - 1) visit(cell + 1);
      if (inPlane >= columns) visit(cell - columns);
      if (inPlane < plane - columns) visit(cell + columns);
      if (cell >= plane) visit(cell - plane);
      if (cell < (layers - 1) * plane) visit(cell + plane);
    }
    members.push(queue.slice(0, tail));
  }
  return { labels, members };
}
