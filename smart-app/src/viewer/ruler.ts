/** The ruler below the initial CT. Pure. */

export interface Ruler {
  readonly label: string;
  /** CSS pixels */
  readonly width: number;
}

const LENGTHS = [
  { mm: 50, label: '5 cm' },
  { mm: 20, label: '2 cm' },
  { mm: 10, label: '1 cm' },
  { mm: 5, label: '5 mm' },
  { mm: 2, label: '2 mm' },
] as const;

/** The longest that takes no more than a third of the pane. */
export function rulerFor(pxPerMm: number, paneWidth: number): Ruler {
  const { mm, label } = LENGTHS.find((length) => length.mm * pxPerMm <= paneWidth / 3) ?? LENGTHS.at(-1)!;
  return { label, width: mm * pxPerMm };
}
