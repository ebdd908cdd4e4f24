import { createHash } from 'node:crypto';

/**
 * What makes two requests the same work: where in the chart it is filed, the study, the slices that are read, and the network
 * that reads them. SHA-256, hex. The same images under another patient or another chart entry are another piece of work: its
 * identity has not been matched yet, and its result belongs to someone else.
 * The ids of everything written to the chart derive from it, so that repeating the work writes nothing new.
 */
export function contentKey(content: {
  /** "ImagingStudy/<id>" and "Patient/<id>"; none for files without a chart. */
  readonly filedUnder: readonly string[];
  readonly studyInstanceUid: string;
  readonly sopInstanceUids: readonly string[];
  readonly modelSha256: string;
}): string {
  const parts = [
    ...content.filedUnder,
    content.studyInstanceUid,
    ...[...content.sopInstanceUids].sort(),
    content.modelSha256,
  ];
  return createHash('sha256').update(parts.join('\n')).digest('hex');
}
