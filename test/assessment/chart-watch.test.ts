/** Following the chart: nothing that changed is lost, by a restart, by one bad record, or by a pause. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Assessment } from '../../api/assessment/assessment.ts';
import { ChartWatch } from '../../api/assessment/chart-watch.ts';
import type { ChartWatchParts } from '../../api/assessment/chart-watch.ts';
import type { Eligibility } from '../../api/assessment/eligibility.ts';
import type { Operation, OperationMode } from '../../api/assessment/operation.ts';
import { WITHDRAWALS } from '../../api/assessment/withdrawal.ts';
import type { WithdrawalCode } from '../../api/assessment/withdrawal.ts';
import type { InstanceHeader } from '../../api/imaging/volume.ts';
import type { ChartChanges, StudyRecord, StudyReference } from '../../api/assessment/ports.ts';
import { NotFoundError, TransientError, UpstreamError } from '../../api/errors.ts';
import { BASIS, writtenResources } from '../support/in-memory-hospital.ts';

const study = (id: string): StudyReference => ({ resourceType: 'ImagingStudy', id });
const signal = new AbortController().signal;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A chart and the service's records; a watch comes and goes, these stay. */
class Hospital {
  readonly cursors = new Map<string, string>();
  standing: Assessment[] = [];
  changes: Partial<ChartChanges> = {};
  readonly withdrawn: string[] = [];
  readonly reasons: string[] = [];
  readonly superseded: string[] = [];
  readonly assessed: string[] = [];
  readonly judged: string[] = [];
  readonly faults: unknown[] = [];
  eligibility: (id: string) => Eligibility = () => 'not-eligible';
  hasResult: () => boolean = () => true;
  /** What the chart says of the procedure, and the PACS of the images, that every result rests on. */
  thrombectomy: StudyRecord['thrombectomy'] = { reference: 'Procedure/t', endedAt: '2026-03-01T12:00:00Z' };
  images: () => readonly string[] = () => BASIS.sopInstanceUids;
  /** What reading a study answers with instead of the study that was assessed. */
  unreadable: (id: string) => Error | undefined = () => undefined;
  /** Called when a withdrawal reaches the chart. */
  onWithdraw: (signal: AbortSignal) => Promise<void> = async () => undefined;
  onSupersede: () => void = () => undefined;
  mode: OperationMode = 'running';
  #listener: (operation: Operation) => void = () => undefined;

  setMode(mode: OperationMode): void {
    this.mode = mode;
    this.#listener({ mode, changedAt: null, reason: null });
  }

  addResult(
    id: string,
    options: { shadow?: boolean; endedAt?: string | null; content?: string; completedMs?: number } = {},
  ): void {
    const { endedAt = BASIS.thrombectomy!.endedAt, content = id } = options;
    const assessment = { contentKey: content, revision: 1 };
    this.standing.push({
      id: `assessment-of-${content}`,
      study: study(id),
      studyInstanceUid: '2.25.1',
      patientReference: 'Patient/p',
      flags: [],
      createdAt: new Date().toISOString(),
      updatedAt: new Date(Date.now() + (options.completedMs ?? 0)).toISOString(),
      basis: { ...BASIS, thrombectomy: { ...BASIS.thrombectomy, endedAt } },
      resources: options.shadow === true ? null : writtenResources(assessment),
    } as unknown as Assessment);
  }

  watch(changes: Partial<ChartWatchParts> = {}): ChartWatch {
    return new ChartWatch({
      ehr: {
        readStudy: async (reference) => {
          const error = this.unreadable(reference.id);
          if (error !== undefined) throw error;
          return {
            studyInstanceUid: '2.25.1',
            patientReference: 'Patient/p',
            thrombectomy: this.thrombectomy,
          } as StudyRecord;
        },
        withdraw: async (order, limit) => {
          await this.onWithdraw(limit);
          this.withdrawn.push(order.study.id);
          this.reasons.push(order.message);
        },
        supersede: async ({ resources, by }) => {
          this.onSupersede();
          this.superseded.push(`${resources.riskAssessment} by ${by}`);
        },
        findChanges: async (since) => ({ studies: [], patients: [], until: since, ...this.changes }),
        listStudies: async () => [],
      },
      pacs: {
        listInstances: async () => this.images().map((sopInstanceUid) => ({ sopInstanceUid }) as InstanceHeader),
      },
      records: {
        readCursor: async (name) => this.cursors.get(name) ?? null,
        writeCursor: async (name, value) => void this.cursors.set(name, value),
        listStanding: async (of) =>
          this.standing.filter(
            ({ study: { id }, updatedAt }) =>
              of === null ||
              of.studies.some((reference) => reference.id === id) ||
              updatedAt > (of.completedSince ?? updatedAt),
          ),
        withdraw: async (id) => {
          this.standing = this.standing.filter((assessment) => assessment.id !== id);
          return null;
        },
      },
      operation: {
        current: () => ({ mode: this.mode, changedAt: null, reason: null }),
        onChange: (listener) => {
          this.#listener = listener;
          return () => undefined;
        },
      },
      trigger: {
        judge: async ({ id }) => {
          this.judged.push(id);
          return this.eligibility(id);
        },
        assess: async ({ id }) => {
          this.assessed.push(id);
          return this.hasResult();
        },
      },
      intervalMs: 60_000,
      onFault: (error) => this.faults.push(error),
      ...changes,
    });
  }
}

let hospital: Hospital;
beforeEach(() => {
  hospital = new Hospital();
});
const gone = new NotFoundError('study-not-found', 'The EHR has no such ImagingStudy.');
const away = new UpstreamError('ehr-rejected', 'The EHR rejected the read.');

describe('A study whose images are still arriving', () => {
  beforeEach(async () => {
    const watch = hospital.watch();
    await watch.look(signal); // the beginning
    hospital.eligibility = () => 'still-arriving';
    hospital.changes = { studies: [study('late')] };
    await watch.look(signal);
    hospital.changes = {};
  });

  it('is assessed when they are there, though nothing in the chart changes any more', async () => {
    hospital.eligibility = () => 'eligible';
    await hospital.watch().look(signal); // a new process on the same records
    expect(hospital.assessed).toEqual(['late']);
    hospital.judged.length = 0;
    await hospital.watch().look(signal);
    expect(hospital.judged).toEqual([]);
  });

  it('is looked at again over any number of restarts', async () => {
    for (let restart = 0; restart < 3; restart++) await hospital.watch().look(signal);
    hospital.eligibility = () => 'eligible';
    await hospital.watch().look(signal);
    expect(hospital.assessed).toEqual(['late']);
  });

  it('is given up when its 72 h have passed', async () => {
    const [[name, kept]] = [...hospital.cursors].filter(([, value]) => value.includes('late'));
    const { 'ImagingStudy/late': since } = JSON.parse(kept) as Record<string, string>;
    const old = new Date(Date.parse(since) - 73 * 3_600_000).toISOString();
    hospital.cursors.set(name, JSON.stringify({ 'ImagingStudy/late': old }));
    hospital.judged.length = 0;
    await hospital.watch().look(signal);
    expect(hospital.judged).toEqual([]);
  });
});

describe('An eligible study', () => {
  it('is followed until its assessment has ended: one that failed while a system was away is begun again', async () => {
    await hospital.watch().look(signal);
    hospital.changes = { studies: [study('ct')] };
    hospital.eligibility = () => 'eligible';
    hospital.hasResult = () => false;
    await hospital.watch().look(signal);
    hospital.changes = {};
    await hospital.watch().look(signal);
    hospital.hasResult = () => true;
    await hospital.watch().look(signal);
    await hospital.watch().look(signal);
    expect(hospital.assessed).toEqual(['ct', 'ct', 'ct']);
  });
});

describe('One study that cannot be read', () => {
  beforeEach(() => {
    for (const id of ['a', 'bad', 'c']) hospital.addResult(id);
    hospital.unreadable = (id) => (id === 'bad' ? away : gone);
  });

  it('does not keep the results of others from being taken back', async () => {
    await hospital.watch().look(signal);
    expect(hospital.withdrawn).toEqual(['a', 'c']);
    expect(hospital.faults).toEqual([away]);
  });

  it('does not hold up what comes after it, and is judged again next time', async () => {
    const watch = hospital.watch();
    await watch.look(signal);
    hospital.changes = { studies: [study('new')], until: '2030-01-01T00:00:00.000Z' };
    hospital.eligibility = () => 'eligible';
    await watch.look(signal);
    expect(hospital.assessed).toContain('new');
    expect([...hospital.cursors.values()]).toContain('2030-01-01T00:00:00.000Z');
    hospital.unreadable = () => gone;
    hospital.changes = {};
    await hospital.watch().look(signal);
    expect(hospital.withdrawn).toEqual(['a', 'c', 'bad']);
  });

  it('does not keep another study from being assessed, and is tried again itself', async () => {
    const watch = hospital.watch();
    await watch.look(signal);
    hospital.changes = { studies: [study('broken'), study('good')] };
    hospital.eligibility = (id) => {
      if (id === 'broken') throw away;
      return id === 'good' ? 'eligible' : 'not-eligible';
    };
    await watch.look(signal);
    expect(hospital.assessed).toEqual(['good']);
    hospital.changes = {};
    hospital.eligibility = () => 'eligible';
    await watch.look(signal);
    expect(hospital.assessed).toContain('broken');
  });
});

describe('A forecast that counts from a thrombectomy', () => {
  it.each<[string, string | null, StudyRecord['thrombectomy'], string | undefined]>([
    [
      'stands when the end is noted half an hour later',
      '12:00',
      { reference: 'Procedure/t', endedAt: '12:30' },
      undefined,
    ],
    [
      'stands when the same end is filed under another record',
      '12:00',
      { reference: 'Procedure/again', endedAt: '12:00' },
      undefined,
    ],
    [
      'is taken back when the end was two hours earlier',
      '12:00',
      { reference: 'Procedure/t', endedAt: '10:00' },
      'procedure-corrected',
    ],
    [
      'is taken back when another thrombectomy is the one before the CT',
      '12:00',
      { reference: 'Procedure/first', endedAt: '04:00' },
      'procedure-corrected',
    ],
    ['is taken back when no more than its day is known', '12:00', { reference: 'Procedure/t' }, 'procedure-corrected'],
    ['is taken back when there is none', '12:00', undefined, 'procedure-withdrawn'],
    [
      'but was counted from the CT, stands when the end becomes known',
      null,
      { reference: 'Procedure/t', endedAt: '04:00' },
      undefined,
    ],
    ['but was counted from the CT, is taken back with it', null, { reference: 'Procedure/u' }, 'procedure-corrected'],
  ])('%s', async (_, endedAt, now, code) => {
    const onTheDay = (time: string): string => `2026-03-01T${time}:00Z`;
    hospital.addResult('ct', { endedAt: endedAt && onTheDay(endedAt) });
    hospital.thrombectomy = now && { ...now, ...(now.endedAt !== undefined && { endedAt: onTheDay(now.endedAt) }) };
    await hospital.watch().look(signal);
    expect(hospital.reasons).toEqual(code === undefined ? [] : [WITHDRAWALS[code as WithdrawalCode]]);
  });
});

describe('The images a forecast was read from', () => {
  beforeEach(() => hospital.addResult('ct'));

  it.each<[string, () => readonly string[], boolean]>([
    ['take it back when one is removed', () => ['2.25.11'], true],
    ['take it back when one is replaced', () => ['2.25.11', '2.25.13'], true],
    ['let it stand when others are added', () => ['2.25.10', '2.25.11', '2.25.12'], false],
    ['let it stand when the archive has the whole study no longer', () => [], false],
  ])('%s', async (_, images, isTakenBack) => {
    hospital.images = images;
    const watch = hospital.watch();
    await watch.look(signal);
    expect(hospital.reasons).toEqual([]); // an archive may be indexing anew
    await watch.look(signal);
    expect(hospital.reasons).toEqual(isTakenBack ? [WITHDRAWALS['images-corrected']] : []);
  });

  it('let it stand when they are there again at the next look', async () => {
    const watch = hospital.watch();
    hospital.images = () => ['2.25.11'];
    await watch.look(signal);
    hospital.images = () => BASIS.sopInstanceUids;
    await watch.look(signal);
    hospital.images = () => ['2.25.12'];
    hospital.changes = { studies: [study('ct')] };
    await watch.look(signal);
    expect(hospital.reasons).toEqual([]);
  });

  it('that were removed lead to a new assessment, where eligible studies are assessed', async () => {
    hospital.images = () => ['2.25.11'];
    hospital.eligibility = () => 'eligible';
    hospital.hasResult = () => true;
    const watch = hospital.watch();
    for (let looks = 0; looks < 4; looks++) await watch.look(signal);
    expect([hospital.withdrawn, hospital.assessed.at(-1)]).toEqual([['ct'], 'ct']);
  });

  it('of an archive that hangs keep no chart from being judged, and are asked for once in a look', async () => {
    hospital.addResult('second');
    hospital.addResult('third');
    let asked = 0;
    hospital.images = () => {
      asked += 1;
      throw new TransientError('pacs-unavailable', 'The PACS does not answer.');
    };
    hospital.unreadable = (id) => (id === 'third' ? gone : undefined);
    await hospital.watch().look(signal);
    expect([asked, hospital.withdrawn]).toEqual([1, ['third']]);
  });

  it('are looked at again when the archive was away, and a chart that takes it back needs no archive', async () => {
    hospital.images = () => {
      throw away;
    };
    await hospital.watch().look(signal);
    expect([hospital.withdrawn, hospital.faults]).toEqual([[], [away]]);
    hospital.images = () => [];
    hospital.thrombectomy = undefined;
    await hospital.watch().look(signal);
    expect(hospital.withdrawn).toEqual(['ct']);
  });
});

describe('A result that was still in the making when the chart changed', () => {
  it('is judged at the first look after it was completed', async () => {
    const watch = hospital.watch();
    await watch.look(signal);
    hospital.addResult('late', { completedMs: -5_000 }); // by the clock of the database
    hospital.thrombectomy = undefined;
    await watch.look(signal);
    expect(hospital.withdrawn).toEqual(['late']);
  });
});

describe('Two forecasts of one study, written at the same time by two processes', () => {
  const riskAssessment = (content: string): string =>
    writtenResources({ contentKey: content, revision: 1 }).riskAssessment;

  it('do not both stay current: the one completed last supersedes the other', async () => {
    const watch = hospital.watch();
    await watch.look(signal);
    await pause(5);
    hospital.addResult('ct', { content: 'all slices', completedMs: 20 });
    hospital.addResult('ct', { content: 'first slices', completedMs: 10 });
    hospital.addResult('other');
    await watch.look(signal);
    const expected = `${riskAssessment('first slices')} by ${riskAssessment('all slices')}`;
    expect(new Set(hospital.superseded)).toEqual(new Set([expected]));
    expect(hospital.withdrawn).toEqual([]);
  });

  it('are settled later where the chart was away, and not in shadow operation', async () => {
    const watch = hospital.watch();
    await watch.look(signal);
    await pause(5);
    hospital.addResult('ct', { content: 'all slices', completedMs: 20 });
    hospital.addResult('ct', { content: 'first slices', completedMs: 10 });
    hospital.onSupersede = () => {
      throw new TransientError('ehr-unavailable', 'The EHR is away.');
    };
    await watch.look(signal);
    expect(hospital.superseded).toEqual([]);
    hospital.onSupersede = () => undefined;
    hospital.mode = 'shadow';
    await watch.look(signal);
    expect(hospital.superseded).toEqual([]);
    hospital.mode = 'running';
    for (let looks = 0; looks < 20; looks++) await watch.look(signal);
    expect(hospital.superseded.length).toBeGreaterThan(0);
  });

  it('of which one was taken back, leave the other alone', async () => {
    hospital.addResult('ct', { content: 'all slices', completedMs: 20 });
    hospital.unreadable = () => gone;
    await hospital.watch().look(signal);
    expect(hospital.superseded).toEqual([]);
  });
});

describe('What a search cannot name', () => {
  it('a deleted study takes its result back at the next sweep, which every process begins with', async () => {
    const watch = hospital.watch();
    await watch.look(signal);
    hospital.addResult('deleted', { completedMs: -60_000 });
    await watch.look(signal); // it stands
    hospital.unreadable = () => gone;
    await watch.look(signal);
    expect(hospital.withdrawn).toEqual([]); // nothing changed that a search could name
    for (let looks = 0; looks < 20; looks++) await watch.look(signal);
    expect(hospital.withdrawn).toEqual(['deleted']);

    hospital.addResult('deleted-while-away');
    await hospital.watch().look(signal);
    expect(hospital.withdrawn).toEqual(['deleted', 'deleted-while-away']);
  });

  it('where more changed than can be asked for, every result is judged, and the watch goes on from now', async () => {
    await hospital.watch().look(signal);
    hospital.addResult('one-of-many');
    hospital.unreadable = () => gone;
    const endless = new UpstreamError('ehr-paging-endless', 'The search does not end.');
    const before = new Date().toISOString();
    const watch = hospital.watch();
    Object.defineProperty(hospital, 'changes', {
      get: () => {
        throw endless;
      },
    });
    await watch.look(signal);
    expect(hospital.withdrawn).toEqual(['one-of-many']);
    expect(hospital.faults).toEqual([endless]);
    expect(hospital.cursors.get('chart-watch')! >= before).toBe(true);
  });
});

describe('Without any notification', () => {
  it('the chart is looked at all the same; a burst of notifications is one look more, not many', async () => {
    let looks = 0;
    const watch = hospital.watch({ intervalMs: 100 });
    hospital.eligibility = () => 'eligible';
    watch.start();
    await pause(400);
    hospital.changes = { studies: [study('arrived')] };
    for (let waited = 0; waited < 50 && hospital.assessed.length === 0; waited++) await pause(100);
    await watch.stop();
    expect(hospital.assessed).toContain('arrived');

    hospital.changes = {};
    const patient = hospital.watch();
    Object.defineProperty(hospital, 'changes', { get: () => (looks++, {}) });
    patient.start();
    while (looks === 0) await pause(10);
    for (let i = 0; i < 200; i++) patient.poke();
    await pause(1_000);
    await patient.stop();
    expect(looks).toBe(2);
  });
});

describe('The switch', () => {
  const started: ChartWatch[] = [];
  const start = (): ChartWatch => {
    const watch = hospital.watch();
    watch.start();
    started.push(watch);
    return watch;
  };
  beforeEach(async () => {
    for (const watch of started.splice(0)) await watch.stop();
    hospital.addResult('first');
    hospital.addResult('second');
    hospital.unreadable = () => gone;
  });

  it('paused in the middle of taking results back, ends that write and begins no other; they are made up for', async () => {
    let begun: () => void = () => undefined;
    const first = new Promise<void>((resolve) => (begun = resolve));
    hospital.onWithdraw = (limit) =>
      new Promise((_, reject) => {
        begun();
        limit.addEventListener('abort', () => reject(limit.reason as Error), { once: true });
      });
    const watch = start();
    await first;
    hospital.setMode('paused');
    await pause(300);
    hospital.onWithdraw = async () => undefined;
    watch.poke();
    await pause(500);
    expect(hospital.withdrawn).toEqual([]);
    expect(hospital.faults).toEqual([]);
    hospital.setMode('running');
    await pause(500);
    expect(hospital.withdrawn).toEqual(['first', 'second']);
    await watch.stop();
  });

  it('in shadow operation takes nothing back in the chart, only what was never written, until the service runs', async () => {
    hospital.addResult('dark', { shadow: true });
    hospital.mode = 'shadow';
    const watch = start();
    await pause(300);
    expect(hospital.withdrawn).toEqual([]);
    expect(hospital.standing.map((assessment) => assessment.study.id)).toEqual(['first', 'second']);
    hospital.setMode('running');
    await pause(500);
    expect(hospital.withdrawn).toEqual(['first', 'second']);
    await watch.stop();
  });
});
