import { createHash } from 'node:crypto';

/**
 * The same parts give the same UID, on any machine: "2.25." and a UUID as a decimal integer (PS3.5 section B.2). The UUID
 * is of version 8 (RFC 9562 section 5.8): 122 bits of the SHA-256 of the parts.
 *
 * @returns a UID of at most 44 characters
 */
export function deterministicUid(...parts: readonly string[]): string {
  // The lengths keep ("ab", "c") and ("a", "bc") apart.
  const digest = createHash('sha256')
    .update(parts.map((part) => `${part.length}:${part}`).join(''))
    .digest();
  const uuid = digest.subarray(0, 16);
  uuid[6] = (uuid[6] & 0x0f) | 0x80;
  uuid[8] = (uuid[8] & 0x3f) | 0x80;
  return `2.25.${BigInt(`0x${uuid.toString('hex')}`)}`;
}
