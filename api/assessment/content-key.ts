import { createHash } from 'node:crypto';

/**
 * What makes two requests the same work: the study, the slices that are read, and the network that reads them. SHA-256, hex.
 * The ids of everything written to the chart derive from it, so that repeating the work writes nothing new.
 */
export function contentKey(content: {
  readonly studyInstanceUid: string;
  readonly sopInstanceUids: readonly string[];
  readonly modelSha256: string;
}): string {
  const parts = [content.studyInstanceUid, ...[...content.sopInstanceUids].sort(), content.modelSha256];
  return createHash('sha256').update(parts.join('\n')).digest('hex');
}
