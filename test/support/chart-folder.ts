import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { completed, writtenResources } from './in-memory-hospital.ts';
import type { Story } from './in-memory-hospital.ts';

/** A story whose chart is a folder: a write-back puts one file per RiskAssessment (by id, as a PUT does) and notes it in a journal. */
export function writeToChart(folder: string, onWritten: (id: string) => void = () => undefined): Story {
  return async (assessment, signal, onProgress) => {
    await onProgress({ stage: 'retrieving', progress: 0.3 });
    await pause(150, undefined, { signal });
    await onProgress({ stage: 'writing-back', progress: 0.9 });
    await writeFile(join(folder, fileOf(assessment)), assessment.id);
    await appendFile(join(folder, 'journal'), `${assessment.id}\n`);
    onWritten(assessment.id);
    await pause(300, undefined, { signal }); // time to be killed in, before the assessment is known to be completed
    return completed(assessment);
  };
}

/** The file of an assessment's RiskAssessment. */
export function fileOf(assessment: Parameters<typeof writtenResources>[0]): string {
  return writtenResources(assessment).riskAssessment.replace('/', '-');
}

export async function readChart(folder: string): Promise<{ files: string[]; writes: number }> {
  const files = (await readdir(folder)).filter((file) => file !== 'journal');
  const journal = await readFile(join(folder, 'journal'), 'utf8');
  return { files, writes: journal.trim().split('\n').length };
}
