/** Attribute matching of QIDO-RS (PS3.18 10.6.1.2, PS3.4 C.2.2.2): single value, UID list, wildcard, range. */
import type { DicomJson } from './dicom-json.ts';

/** Whether an attribute of a data set matches a query value. An empty value matches everything (universal matching). */
export function matches(dataSet: DicomJson, tag: string, wanted: string): boolean {
  if (wanted === '') return true;
  const attribute = dataSet[tag];
  const values = (attribute?.Value ?? []).map(asText).filter((value) => value !== '');
  const vr = attribute?.vr ?? '';
  if (vr === 'UI') return wanted.split(/[\\,]/).some((uid) => values.includes(uid.trim()));
  if (/^(DA|TM|DT)$/.test(vr) && wanted.includes('-')) return values.some((value) => isInRange(value, wanted));
  // Names are matched whatever their case.
  const fold = (text: string): string => (vr === 'PN' ? text.toLowerCase() : text);
  return values.some((value) => isLike(fold(value), fold(wanted)));
}

function asText(value: unknown): string {
  if (typeof value === 'object' && value !== null) return String((value as { Alphabetic?: string }).Alphabetic ?? '');
  return value === null || value === undefined ? '' : String(value);
}

/** "20260101-20260131", "20260101-", "-20260131"; both ends included. DICOM dates and times sort as text. */
function isInRange(value: string, range: string): boolean {
  const [from, to] = range.split('-');
  return (from === '' || value >= from) && (to === '' || value.slice(0, to.length) <= to);
}

/**
 * "*" stands for any text, "?" for any character. Walks both texts once, going back to the last "*" only: a pattern of many
 * stars costs no more than length times length.
 */
function isLike(value: string, pattern: string): boolean {
  let at = 0;
  let wanted = 0;
  let star = -1;
  let resume = 0;
  while (at < value.length) {
    if (pattern[wanted] === '*') {
      star = wanted;
      resume = at;
      wanted += 1;
    } else if (pattern[wanted] === '?' || pattern[wanted] === value[at]) {
      wanted += 1;
      at += 1;
    } else if (star >= 0) {
      resume += 1;
      at = resume;
      wanted = star + 1;
    } else {
      return false;
    }
  }
  return /^\**$/.test(pattern.slice(wanted));
}
