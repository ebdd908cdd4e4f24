import { RefusalError, type RefusalDetails } from '../prediction/refusals.ts';

/** The refusal of an object that cannot be read. `reason` is a full sentence; it never quotes text from the object. */
export function malformed(reason: string, details: RefusalDetails = {}): RefusalError {
  return new RefusalError('dicom-malformed', reason, details);
}
