/** Words and numbers as the chart shows them. */
import type { Annotation, Narrative } from '@medplum/fhirtypes';

/** Escapes text for XHTML: content and attribute values alike. Characters that XML 1.0 forbids are dropped. */
export function escapeXhtml(text: string): string {
  return text
    .replace(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** A narrative of plain paragraphs; every line is escaped, none is markup. */
export function narrative(lines: readonly string[]): Narrative {
  const paragraphs = lines.map((line) => `<p>${escapeXhtml(line)}</p>`).join('');
  return { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${paragraphs}</div>` };
}

/** The same narrative with a paragraph before all others. */
export function withLeadingLine({ status, div = '' }: Narrative, line: string): Narrative {
  return { status, div: div.replace(/^\s*<div\b[^>]*>/, (opening) => `${opening}<p>${escapeXhtml(line)}</p>`) };
}

export function notes(lines: readonly string[]): Annotation[] {
  return lines.map((text) => ({ text }));
}

/**
 * A probability 0..1 as a percentage 0..100 with one decimal: 0.714 becomes 71.4. Rounding never turns a small risk into
 * none, nor a large one into certainty: then four decimals are kept.
 */
export function toPercentage(probability: number): number {
  const percentage = probability * 100;
  const rounded = Math.round(percentage * 10) / 10;
  const saturated = (rounded === 0 && percentage > 0) || (rounded === 100 && percentage < 100);
  return saturated ? Number(percentage.toFixed(4)) : rounded;
}

/** "71.4 %" */
export function percentText(probability: number): string {
  return `${toPercentage(probability)} %`;
}

/** A measured value with one decimal: as exact as the measurement is. */
export function oneDecimal(value: number): number {
  return Math.round(value * 10) / 10;
}
