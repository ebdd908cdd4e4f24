/** Reading attributes of an instance in the DICOM JSON Model (PS3.18 annex F). Absent or empty stays undefined. */

export interface DicomAttribute {
  readonly vr?: string;
  readonly Value?: readonly unknown[];
}

/** One instance: tag in hexadecimal ("0020000D") to attribute. */
export type DicomInstance = Readonly<Record<string, DicomAttribute | undefined>>;

/** First value as text. */
export function text(instance: DicomInstance, tag: string): string | undefined {
  const [value] = instance[tag]?.Value ?? [];
  const trimmed = typeof value === 'string' || typeof value === 'number' ? String(value).trim() : '';
  return trimmed === '' ? undefined : trimmed;
}

/** First value as a whole number >= 0 (an IS may come as text or number). */
export function count(instance: DicomInstance, tag: string): number | undefined {
  const value = text(instance, tag);
  return value !== undefined && /^\d{1,9}$/.test(value) ? Number(value) : undefined;
}

/** Alphabetic representation of a person name: components separated by "^" (PS3.5 6.2.1). */
export function personName(instance: DicomInstance, tag: string): string[] {
  const [value] = instance[tag]?.Value ?? [];
  const name = typeof value === 'object' && value !== null ? (value as { Alphabetic?: unknown }).Alphabetic : value;
  return typeof name === 'string' ? name.split('^').map((part) => part.trim()) : [];
}

/** DA `YYYYMMDD` as FHIR date; undefined where it is no date of the calendar. */
export function date(instance: DicomInstance, tag: string): string | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)$/.exec(text(instance, tag) ?? '');
  if (match === null) return undefined;
  const iso = match.slice(1).join('-');
  const parsed = new Date(`${iso}T00:00:00Z`);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(iso) ? iso : undefined;
}

/**
 * DA and TM as FHIR dateTime. FHIR wants a zone with a time: where Timezone Offset From UTC (0008,0201) is not stated, only the
 * date is given.
 */
export function dateTime(instance: DicomInstance, dateTag: string, timeTag: string): string | undefined {
  const day = date(instance, dateTag);
  const time = /^([01]\d|2[0-3])([0-5]\d)([0-5]\d)?/.exec(text(instance, timeTag) ?? '');
  const zone = /^([+-])(0\d|1[0-4])([0-5]\d)$/.exec(text(instance, '00080201') ?? '');
  if (day === undefined || time === null || zone === null) return day;
  return `${day}T${time[1]}:${time[2]}:${time[3] ?? '00'}${zone[1]}${zone[2]}:${zone[3]}`;
}
