/**
 * What a derived object takes over from its source, byte for byte: attributes of patient and study (PS3.3 C.7.1.1,
 * C.7.2.1) with their value representations. They identify a person and are never logged.
 */
import type { Tag } from './header.ts';

export const PATIENT_STUDY_VRS: Readonly<Record<Tag, string>> = {
  '00080005': 'CS', // Specific Character Set: what the other values are written in
  '00080020': 'DA', // Study Date
  '00080030': 'TM', // Study Time
  '00080050': 'SH', // Accession Number
  '00080090': 'PN', // Referring Physician's Name
  '00080201': 'SH', // Timezone Offset From UTC
  '00081030': 'LO', // Study Description
  '00100010': 'PN', // Patient's Name
  '00100020': 'LO', // Patient ID
  '00100021': 'LO', // Issuer of Patient ID
  '00100030': 'DA', // Patient's Birth Date
  '00100040': 'CS', // Patient's Sex
  '00101010': 'AS', // Patient's Age
  '00120062': 'CS', // Patient Identity Removed
  '00120063': 'LO', // De-identification Method
  '00200010': 'SH', // Study ID
  '00201040': 'LO', // Position Reference Indicator
};

/** Written empty where the source has none: type 2 of the Patient, General Study and Frame of Reference modules. */
export const REQUIRED_EMPTY: ReadonlySet<Tag> = new Set([
  '00080020',
  '00080030',
  '00080050',
  '00080090',
  '00100010',
  '00100020',
  '00100030',
  '00100040',
  '00200010',
  '00201040',
]);
