/**
 * Instances on disk: <root>/<study>/<series>/<instance>.dcm as it was sent, and beside it .json, its header, so that a start
 * reads headers only. Files appear whole (written aside, then renamed); a header that is lost is read again from its object.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DicomJson } from './dicom-json.ts';
import { isUid, nameInstance, readInstance } from './instance.ts';
import type { Instance, InstanceIdentity } from './instance.ts';

/** Failure Reason (0008,1197) codes of PS3.18 table 10.5.3-2 / PS3.4 GG. */
export const FAILURE = {
  processing: 0x0110,
  duplicateSopInstance: 0x0111,
  doesNotMatchRequest: 0xa900,
  cannotUnderstand: 0xc000,
} as const;

export type StoreOutcome =
  | (InstanceIdentity & { readonly status: 'stored' | 'already-stored' })
  | (Partial<InstanceIdentity> & {
      readonly status: 'failed';
      readonly failureReason: number;
      readonly message: string;
    });

export interface StoredStudy {
  readonly studyInstanceUid: string;
  /** Header of every instance, without pixel data. */
  readonly instances: readonly DicomJson[];
}

export interface StoredInstance extends Instance {
  readonly file: string;
}

export class InstanceStore {
  readonly #root: string;
  readonly #instances = new Map<string, StoredInstance>();
  readonly #studies = new Map<string, Map<string, StoredInstance>>();
  #lastWrite: Promise<unknown> = Promise.resolve();

  /** Reads what is there. `root` is created when absent. */
  constructor(root: string) {
    this.#root = root;
    mkdirSync(root, { recursive: true });
    for (const study of uidsIn(root)) {
      for (const series of uidsIn(join(root, study))) this.#loadSeries(join(root, study, series));
    }
  }

  listStudies(): readonly StoredStudy[] {
    return [...this.#studies.keys()].map((uid) => this.study(uid) as StoredStudy);
  }

  study(studyInstanceUid: string): StoredStudy | undefined {
    const instances = this.#studies.get(studyInstanceUid);
    return instances && { studyInstanceUid, instances: [...instances.values()].map(({ json }) => json) };
  }

  /** Instances of a study, a series or one instance; none when there is no such thing. */
  find(level: { readonly study?: string; readonly series?: string; readonly instance?: string }): StoredInstance[] {
    const candidates = level.study === undefined ? this.#instances : (this.#studies.get(level.study) ?? new Map());
    return [...(candidates as Map<string, StoredInstance>).values()].filter(
      (stored) =>
        (level.series === undefined || stored.seriesInstanceUid === level.series) &&
        (level.instance === undefined || stored.sopInstanceUid === level.instance),
    );
  }

  /**
   * Stores one DICOM Part 10 object. The same object again is `already-stored`. What cannot be kept is `failed`, with the
   * DICOM failure reason: not readable, other bytes under a known UID, a second patient in one study, another study than
   * `expectedStudy`.
   */
  store(part10: Uint8Array, expectedStudy?: string): Promise<StoreOutcome> {
    const outcome = this.#lastWrite.then(() => this.#store(part10, expectedStudy));
    this.#lastWrite = outcome.catch(() => undefined);
    return outcome;
  }

  /** Waits for writes under way. */
  async settle(): Promise<void> {
    await this.#lastWrite;
  }

  async #store(part10: Uint8Array, expectedStudy?: string): Promise<StoreOutcome> {
    const instance = readInstance(part10);
    if (instance === undefined) return failed(FAILURE.cannotUnderstand, 'The object is not readable DICOM.', {});
    if (expectedStudy !== undefined && instance.studyInstanceUid !== expectedStudy) {
      return failed(FAILURE.doesNotMatchRequest, 'The instance belongs to another study than the request.', instance);
    }
    const known = this.#instances.get(instance.sopInstanceUid);
    if (known !== undefined) {
      const same = Buffer.compare(await readFile(known.file), part10) === 0;
      if (same) return { ...identity(instance), status: 'already-stored' };
      return failed(FAILURE.duplicateSopInstance, 'Another object is stored under this SOP Instance UID.', instance);
    }
    const neighbour = this.#studies.get(instance.studyInstanceUid)?.values().next().value;
    if (neighbour !== undefined && patientOf(neighbour.json) !== patientOf(instance.json)) {
      return failed(FAILURE.doesNotMatchRequest, 'The study holds instances of another patient.', instance);
    }
    const file = join(
      this.#root,
      instance.studyInstanceUid,
      instance.seriesInstanceUid,
      `${instance.sopInstanceUid}.dcm`,
    );
    await mkdir(dirname(file), { recursive: true });
    await writeWhole(file, part10);
    await writeWhole(headerFile(file), JSON.stringify(instance.json));
    this.#add({ ...instance, file });
    return { ...identity(instance), status: 'stored' };
  }

  #loadSeries(folder: string): void {
    for (const name of readdirSync(folder)) {
      const file = join(folder, name);
      if (name.includes('.tmp-')) rmSync(file, { force: true });
      if (!name.endsWith('.dcm')) continue;
      const instance = readHeaderFile(headerFile(file)) ?? restoreHeader(file);
      if (instance !== undefined) this.#add({ ...instance, file });
    }
  }

  #add(instance: StoredInstance): void {
    this.#instances.set(instance.sopInstanceUid, instance);
    const study = this.#studies.get(instance.studyInstanceUid) ?? new Map<string, StoredInstance>();
    this.#studies.set(instance.studyInstanceUid, study.set(instance.sopInstanceUid, instance));
  }
}

function uidsIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && isUid(entry.name))
    .map((entry) => entry.name);
}

function headerFile(file: string): string {
  return file.replace(/\.dcm$/, '.json');
}

function readHeaderFile(file: string): Instance | undefined {
  try {
    return nameInstance(JSON.parse(readFileSync(file, 'utf8')) as DicomJson);
  } catch {
    return undefined; // absent or cut off: the object itself still has it
  }
}

function restoreHeader(file: string): Instance | undefined {
  const instance = readInstance(readFileSync(file));
  if (instance !== undefined) {
    const aside = `${file}.tmp-${randomUUID()}`;
    writeFileSync(aside, JSON.stringify(instance.json));
    renameSync(aside, headerFile(file));
  }
  return instance;
}

async function writeWhole(file: string, content: Uint8Array | string): Promise<void> {
  const aside = `${file}.tmp-${randomUUID()}`;
  try {
    await writeFile(aside, content);
    await rename(aside, file);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
}

/** Patient ID with its issuer: what tells patients apart (PS3.3 C.2.2). */
function patientOf(json: DicomJson): string {
  return JSON.stringify([json['00100020']?.Value?.[0] ?? '', json['00100021']?.Value?.[0] ?? '']);
}

function identity(instance: Instance): InstanceIdentity {
  const { studyInstanceUid, seriesInstanceUid, sopInstanceUid, sopClassUid, transferSyntaxUid } = instance;
  return { studyInstanceUid, seriesInstanceUid, sopInstanceUid, sopClassUid, transferSyntaxUid };
}

function failed(failureReason: number, message: string, instance: Instance | object): StoreOutcome {
  return { ...('json' in instance ? identity(instance) : {}), status: 'failed', failureReason, message };
}
