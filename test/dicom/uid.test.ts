import { describe, expect, it } from '@jest/globals';
import { deterministicUid } from '../../api/dicom/uid.ts';

describe('A deterministic UID', () => {
  it('is the same for the same parts and another for any other', () => {
    expect(deterministicUid('a', 'b')).toBe(deterministicUid('a', 'b'));
    const others = [['a'], ['ab'], ['b', 'a'], ['a', 'b', ''], ['ab', ''], ['', 'ab'], ['1:a1:b']].map((parts) =>
      deterministicUid(...parts),
    );
    expect(new Set([...others, deterministicUid('a', 'b')]).size).toBe(others.length + 1);
  });

  it('is a UUID of version 8 as a decimal integer below 2.25 (PS3.5 B.2)', () => {
    for (let i = 0; i < 200; i += 1) {
      const uid = deterministicUid('test', String(i));
      expect(uid).toMatch(/^2\.25\.[1-9][0-9]{0,38}$/);
      const uuid = BigInt(uid.slice(5)).toString(16).padStart(32, '0');
      expect(uuid[12]).toBe('8');
      expect('89ab').toContain(uuid[16]);
    }
  });
});
