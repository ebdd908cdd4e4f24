/** DICOM dates and times (PS3.5 table 6.2-1: DA, TM, DT) as ISO 8601. What is not stated is not added. */

/** `YYYYMMDD` (also the retired `YYYY.MM.DD`) to `YYYY-MM-DD`; undefined where it is not a date of the calendar. */
export function isoDate(da: string | undefined): string | undefined {
  const match = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(da?.trim() ?? '');
  if (match === null) return undefined;
  const [, year, month, day] = match;
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  const exists = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  return exists ? `${year}-${month}-${day}` : undefined;
}

/** `HHMM[SS[.FFFFFF]]` (also the retired `HH:MM:SS`) to `HH:MM[:SS[.FFFFFF]]`; undefined for an hour alone. */
export function isoTime(tm: string | undefined): string | undefined {
  const match = /^(\d{2}):?(\d{2})(?::?(\d{2})(\.\d{1,6})?)?$/.exec(tm?.trim() ?? '');
  if (match === null) return undefined;
  const [, hours, minutes, seconds, fraction] = match;
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds ?? 0) > 59) return undefined;
  return `${hours}:${minutes}${seconds === undefined ? '' : `:${seconds}${fraction ?? ''}`}`;
}

/** `+HHMM` or `-HHMM` (0008,0201) to `+HH:MM`; undefined outside -12:00 to +14:00. */
export function isoOffset(offset: string | undefined): string | undefined {
  const match = /^([+-])(\d{2})(\d{2})$/.exec(offset?.trim() ?? '');
  if (match === null) return undefined;
  const [, sign, hours, minutes] = match;
  const total = Number(hours) * 60 + Number(minutes);
  const possible = Number(minutes) < 60 && total <= (sign === '+' ? 14 * 60 : 12 * 60);
  return possible ? `${sign}${hours}:${minutes}` : undefined;
}

/**
 * `YYYYMMDD[HHMM[SS[.FFFFFF]]][&ZZXX]` to ISO 8601. `zone` (an ISO offset) applies where the value has none of its own; an
 * instant without a zone is local time at the scanner. A partial date (year or month alone) is undefined.
 */
export function isoDateTime(dt: string | undefined, zone: string | undefined): string | undefined {
  const match = /^(\d{8})([\d.]*)([+-]\d{4})?$/.exec(dt?.trim() ?? '');
  if (match === null) return undefined;
  const date = isoDate(match[1]);
  if (date === undefined) return undefined;
  const time = isoTime(match[2]);
  return time === undefined ? date : `${date}T${time}${isoOffset(match[3]) ?? zone ?? ''}`;
}

/**
 * The first date with a time among the pairs, else the first date alone; the order of `pairs` is the order of preference.
 */
export function firstDateTime(
  pairs: readonly (readonly [date: string | undefined, time: string | undefined])[],
  zone: string | undefined,
): string | undefined {
  const read = pairs.map(([date, time]) => ({ date: isoDate(date), time: isoTime(time) }));
  const full = read.find(({ date, time }) => date !== undefined && time !== undefined);
  if (full !== undefined) return `${full.date}T${full.time}${zone ?? ''}`;
  return read.find(({ date }) => date !== undefined)?.date;
}
