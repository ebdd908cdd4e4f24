/**
 * `node test/bench/hooks.ts`: signed hooks at 200 requests/s while assessments run, with all of the prefetch sent along and
 * with none of it (the service then asks the sandbox EHR, which answers in the same process), each beside the same load on a
 * bare Express route in the same run, with the same assessments running. Open loop: a call is timed from when it was due, so
 * that a stall counts for every call it delayed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { measureStall } from '../support/event-loop.ts';
import { pause, ServiceProcess } from '../support/service-process.ts';
import { registerCdsClient } from './cds-client.ts';

const REQUESTS_PER_S = Number(process.env.RATE ?? 200);
const DURATION_S = Number(process.env.DURATION_S ?? 20);
const PATIENTS = ['rivera-ana', 'lindqvist-maja', 'okafor-james', 'moreau-claire'];
/** Assessed over and over meanwhile; no hook names it, so that the cards stay the same. */
const ASSESSED = 'silva-bento';
/** What tokens and calls name; nothing is dialled by it. */
const PUBLIC_URL = 'https://hemocast.example';
const FHIR_SERVER = `${PUBLIC_URL}/sandbox/fhir`;

interface Call {
  readonly path: string;
  readonly body: (instance: string) => string;
}

interface Signed extends Call {
  readonly authorization: string;
}

interface Load {
  readonly msSorted: readonly number[];
  readonly errors: number;
  readonly cards: number;
  readonly assessments: number;
  readonly stallMs: number;
  readonly idleStallMs: number;
}

const client = await registerCdsClient(FHIR_SERVER);
const service = await ServiceProcess.start({ LOG_LEVEL: 'silent', PUBLIC_URL, TRUST_FILE: client.trustFile });
const bare = spawn(
  process.execPath,
  ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'bare-express.ts')],
  {
    stdio: ['pipe', 'pipe', 'inherit'],
  },
);
const [line] = (await once(bare.stdout, 'data')) as [Buffer];
try {
  for (const patient of PATIENTS) {
    const { body } = await service.assess(`ImagingStudy/${patient}-ct`);
    await service.finished(body.id);
  }
  console.log(
    `${availableParallelism()} cores, load average ${loadavg()[0].toFixed(1)}, Node ${process.versions.node}: ${REQUESTS_PER_S} requests/s for ${DURATION_S} s each, signed by ES384`,
  );
  for (const sendsPrefetch of [true, false]) {
    const calls = (await Promise.all(PATIENTS.map((patient) => callsFor(patient, sendsPrefetch)))).flat();
    for (const call of await sign(calls, calls.length)) await post(service.url, call); // warm
    const signed = await sign(calls, REQUESTS_PER_S * DURATION_S);
    const bareLoad = await measure(line.toString().trim(), signed);
    const hooks = await measure(service.url, signed);
    console.log(sendsPrefetch ? 'all of the prefetch' : 'no prefetch');
    report('bare Express route', bareLoad);
    report('hooks', hooks);
    const { assessments, stallMs, idleStallMs } = hooks;
    console.log(
      `  longest stall of the service’s event loop ${stallMs.toFixed(0)} ms, of an idle process meanwhile ${idleStallMs.toFixed(0)} ms, over ${assessments} assessments`,
    );
  }
} finally {
  bare.stdin.write('\n');
  await service.stopAndForget();
  client.forget();
}

async function callsFor(patient: string, sendsPrefetch: boolean): Promise<Call[]> {
  const prefetch = sendsPrefetch && {
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
    body: (hookInstance) =>
      JSON.stringify({ hookInstance, fhirServer: FHIR_SERVER, ...(prefetch && { prefetch }), ...fields }),
  });
  return [
    call('hemocast-patient', { hook: 'patient-view', context }),
    call('hemocast-orders', { hook: 'order-sign', context: { ...context, draftOrders } }),
  ];
}

/** So many calls, each with a token of its own; signed beforehand, so that the client's work is not measured. */
async function sign(calls: readonly Call[], count: number): Promise<Signed[]> {
  const signed: Signed[] = [];
  for (let i = 0; i < count; i++) {
    const call = calls[i % calls.length];
    signed.push({ ...call, authorization: await client.authorize(PUBLIC_URL + call.path) });
  }
  return signed;
}

async function measure(url: string, calls: readonly Signed[]): Promise<Load> {
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

async function sendAtRate(url: string, calls: readonly Signed[]): Promise<Pick<Load, 'msSorted' | 'errors' | 'cards'>> {
  const ms: number[] = [];
  let [errors, cards] = [0, 0];
  const began = performance.now();
  const sent: Promise<void>[] = [];
  for (const [i, call] of calls.entries()) {
    const due = began + (i * 1000) / REQUESTS_PER_S;
    const wait = due - performance.now();
    if (wait > 0) await pause(wait);
    sent.push(
      post(url, call).then(
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

async function post(url: string, { path, body, authorization }: Signed): Promise<{ cards: unknown[] }> {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization },
    body: body(crypto.randomUUID()),
  });
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
  console.log(
    `  ${name.padEnd(20)} p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${msSorted.at(-1)!.toFixed(1)} ms, errors ${errors}, cards ${cards}, assessments meanwhile ${assessments}`,
  );
}
