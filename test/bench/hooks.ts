/**
 * `node test/bench/hooks.ts`: hooks at 200 requests/s while assessments run, beside the same load on a bare Express route in the
 * same run, with the same assessments running. Open loop: a call is timed from when it was due, so that a stall counts for
 * every call it delayed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { measureStall } from '../support/event-loop.ts';
import { pause, ServiceProcess } from '../support/service-process.ts';

const REQUESTS_PER_S = Number(process.env.RATE ?? 200);
const DURATION_S = Number(process.env.DURATION_S ?? 20);
const PATIENTS = ['rivera-ana', 'lindqvist-maja', 'okafor-james', 'moreau-claire'];
/** Assessed over and over meanwhile; no hook names it, so that the cards stay the same. */
const ASSESSED = 'silva-bento';

interface Call {
  readonly path: string;
  readonly body: (instance: string) => string;
}

interface Load {
  readonly msSorted: readonly number[];
  readonly errors: number;
  readonly cards: number;
  readonly assessments: number;
  readonly stallMs: number;
  readonly idleStallMs: number;
}

const service = await ServiceProcess.start({ LOG_LEVEL: 'silent' });
const bare = spawn(
  process.execPath,
  ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'bare-express.ts')],
  {
    stdio: ['pipe', 'pipe', 'inherit'],
  },
);
const [line] = (await once(bare.stdout, 'data')) as [Buffer];
try {
  const calls: Call[] = [];
  for (const patient of PATIENTS) {
    const { body } = await service.assess(`ImagingStudy/${patient}-ct`);
    await service.finished(body.id);
    calls.push(...(await callsFor(patient)));
  }
  for (const { path, body } of calls) await post(service.url, path, body(crypto.randomUUID())); // warm
  const bareLoad = await measure(line.toString().trim(), calls);
  const hooks = await measure(service.url, calls);
  report('bare Express route', bareLoad);
  report('hooks', hooks);
  const { assessments, stallMs, idleStallMs } = hooks;
  console.log(
    `  longest stall of the service’s event loop ${stallMs.toFixed(0)} ms, of an idle process meanwhile ${idleStallMs.toFixed(0)} ms, over ${assessments} assessments`,
  );
} finally {
  bare.stdin.write('\n');
  await service.stopAndForget();
}

async function callsFor(patient: string): Promise<Call[]> {
  const prefetch = {
    riskAssessments: await service.fhir(`RiskAssessment?patient=${patient}`),
    imagingStudies: await service.fhir(`ImagingStudy?patient=${patient}&modality=CT`),
    procedures: await service.fhir(`Procedure?patient=${patient}&status=completed`),
  };
  const subject = { reference: `Patient/${patient}` };
  const coding = [{ system: 'http://www.nlm.nih.gov/research/umls/rxnorm', code: '854235' }];
  const order = {
    resourceType: 'MedicationRequest',
    id: 'o',
    status: 'draft',
    intent: 'order',
    subject,
    medicationCodeableConcept: { coding },
  };
  const context = { userId: 'Practitioner/1', patientId: patient };
  const draftOrders = { resourceType: 'Bundle', type: 'collection', entry: [{ resource: order }] };
  const call = (path: string, fields: object): Call => ({
    path: `/cds-services/${path}`,
    body: (hookInstance) => JSON.stringify({ hookInstance, prefetch, ...fields }),
  });
  return [
    call('hemocast-patient', { hook: 'patient-view', context }),
    call('hemocast-orders', { hook: 'order-sign', context: { ...context, draftOrders } }),
  ];
}

async function measure(url: string, calls: readonly Call[]): Promise<Load> {
  let result: Omit<Load, 'stallMs' | 'idleStallMs'> | undefined;
  const stall = await measureStall(service, async () => {
    let done = false;
    const work = assessUntil(() => done);
    const load = await sendAtRate(url, calls);
    done = true;
    result = { ...load, assessments: await work };
  });
  return { ...result!, stallMs: stall.serviceMs, idleStallMs: stall.idleMs };
}

async function sendAtRate(url: string, calls: readonly Call[]): Promise<Pick<Load, 'msSorted' | 'errors' | 'cards'>> {
  const ms: number[] = [];
  let [errors, cards] = [0, 0];
  const began = performance.now();
  const sent: Promise<void>[] = [];
  for (let i = 0; i < REQUESTS_PER_S * DURATION_S; i++) {
    const due = began + (i * 1000) / REQUESTS_PER_S;
    const wait = due - performance.now();
    if (wait > 0) await pause(wait);
    const { path, body } = calls[i % calls.length];
    sent.push(
      post(url, path, body(crypto.randomUUID())).then(
        (answer) => {
          ms.push(performance.now() - due);
          cards += answer.cards.length;
        },
        () => void errors++,
      ),
    );
  }
  await Promise.all(sent);
  return { msSorted: ms.sort((a, b) => a - b), errors, cards };
}

async function post(url: string, path: string, body: string): Promise<{ cards: unknown[] }> {
  const response = await fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as { cards: unknown[] };
}

async function assessUntil(isDone: () => boolean): Promise<number> {
  for (let count = 0; ; count++) {
    if (isDone()) return count;
    const { body } = await service.assess(`ImagingStudy/${ASSESSED}-ct`, { force: true });
    await service.finished(body.id);
  }
}

function report(name: string, { msSorted, errors, cards, assessments }: Load): void {
  const at = (share: number): string =>
    msSorted[Math.min(msSorted.length - 1, Math.floor(msSorted.length * share))].toFixed(1);
  if (name.startsWith('bare')) {
    console.log(
      `${availableParallelism()} cores, load average ${loadavg()[0].toFixed(1)}, Node ${process.versions.node}: ${REQUESTS_PER_S} requests/s for ${DURATION_S} s each`,
    );
  }
  console.log(
    `  ${name.padEnd(20)} p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${msSorted.at(-1)!.toFixed(1)} ms, errors ${errors}, cards ${cards}, assessments meanwhile ${assessments}`,
  );
}
