/** The processes of networks that live under a process (Linux). */
import { readdirSync, readFileSync } from 'node:fs';

export function networkProcesses(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const ofPid = Number(/\nPPid:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
        return ofPid === parent && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('network-main');
      } catch {
        return false; // it ended meanwhile
      }
    });
}
