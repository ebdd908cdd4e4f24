/** Whether the patient and the moment of the scan are in scope: adults, at most 24 h after the thrombectomy. */
import type { InstanceHeader } from '../imaging/volume.ts';
import { parseDay, parseTime, yearsBetween, zoneOf } from './calendar.ts';
import { flag } from './flags.ts';
import type { Flag } from './prediction.ts';
import { RefusalError } from './refusals.ts';

const ADULT_YEARS = 18;
const LONGEST_AFTER_PROCEDURE_H = 24;
const HOUR_MS = 3_600_000;

export interface PatientCheckInput {
  /** What the chart says; absent where there is no chart. */
  readonly study?: {
    readonly patient: { readonly birthDate?: string };
    readonly thrombectomy?: { readonly endedAt?: string };
  };
  /** Headers of the chosen slices: birth date and age where the chart has none. */
  readonly headers: readonly InstanceHeader[];
  /** When the initial CT was taken, ISO 8601. */
  readonly initialCtAt?: string;
}

/**
 * Checks age and time since the procedure. What is merely unknown is flagged, not refused.
 *
 * @returns flags `age-unknown`, `procedure-unknown`, `window-from-ct`, `time-since-procedure-unknown`
 * @throws RefusalError `patient-under-18`, `too-long-after-procedure`
 */
export function checkPatient(input: PatientCheckInput): Flag[] {
  return [...checkAge(input), ...checkProcedure(input)];
}

/** Age at the scan, from the chart's birth date, else the images' birth date, else the age the images state. */
function checkAge({ study, headers, initialCtAt }: PatientCheckInput): Flag[] {
  const birthText = study?.patient.birthDate ?? headers.find((h) => h.patientBirthDate !== undefined)?.patientBirthDate;
  const birth = birthText === undefined ? undefined : parseDay(birthText);
  const scan = initialCtAt === undefined ? undefined : parseDay(initialCtAt);
  const statedAge = headers.find((header) => header.patientAgeYears !== undefined)?.patientAgeYears;
  const age =
    birth !== undefined && scan !== undefined
      ? yearsBetween(birth, scan)
      : statedAge !== undefined
        ? { fewest: statedAge, most: statedAge }
        : undefined;
  if (age === undefined) return [flag('age-unknown')];
  if (age.most < ADULT_YEARS) {
    throw new RefusalError('patient-under-18', 'The patient was under 18 at the scan; only adults are in scope.', {
      minimumAgeYears: ADULT_YEARS,
    });
  }
  return age.fewest < ADULT_YEARS ? [flag('age-unknown')] : [];
}

/**
 * Time from the end of the thrombectomy to the scan. A scanner's time without a time zone is read in the zone of the
 * chart's procedure: both stand in the same hospital.
 */
function checkProcedure({ study, initialCtAt }: PatientCheckInput): Flag[] {
  const endedAt = study?.thrombectomy?.endedAt;
  if (study?.thrombectomy === undefined) return [flag('procedure-unknown'), flag('window-from-ct')];
  const end = endedAt === undefined ? undefined : parseTime(endedAt);
  if (endedAt === undefined || end === undefined) return [flag('window-from-ct')];
  const scan = initialCtAt === undefined ? undefined : parseTime(initialCtAt, zoneOf(endedAt));
  if (scan === undefined) return [flag('time-since-procedure-unknown')];

  const shortestH = (scan.earliest - end.latest) / HOUR_MS;
  const longestH = (scan.latest - end.earliest) / HOUR_MS;
  if (shortestH > LONGEST_AFTER_PROCEDURE_H) {
    throw new RefusalError(
      'too-long-after-procedure',
      'The scan was taken more than 24 h after the end of the thrombectomy: contrast has washed out by then.',
      { hoursAfterProcedure: Number(shortestH.toFixed(1)), limitHours: LONGEST_AFTER_PROCEDURE_H },
    );
  }
  // Before its end is out of scope too: then this is no scan after the procedure, or one of the two times is wrong.
  const certain = shortestH >= 0 && longestH <= LONGEST_AFTER_PROCEDURE_H;
  return certain ? [] : [flag('time-since-procedure-unknown')];
}
