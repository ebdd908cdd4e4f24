/** The service as one thing: builds every part from the configuration, listens, works, and stops without losing anything. */
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { assessStudy } from './assessment/assess-study.ts';
import { parseStudyReference } from './assessment/assessment.ts';
import type { Assessment } from './assessment/assessment.ts';
import { InitialCtSource } from './assessment/initial-ct.ts';
import { ChartWatch } from './assessment/chart-watch.ts';
import { judgeEligibility } from './assessment/eligibility.ts';
import { planStudy } from './assessment/plan-study.ts';
import type { ModelDescription } from './assessment/ports.ts';
import { requestAssessment } from './assessment/request-assessment.ts';
import type { RequestParts } from './assessment/request-assessment.ts';
import { cdsSystems, composeCds } from './compose-cds.ts';
import { composeEhrAccess } from './compose-ehr-access.ts';
import type { EhrAccess } from './compose-ehr-access.ts';
import { composeTrust } from './compose-trust.ts';
import type { Config } from './config.ts';
import { isLoopback } from './config.ts';
import { DecodePool } from './dicom/decode-pool.ts';
import { Egress } from './egress/egress.ts';
import { FhirEhr } from './ehr/fhir-ehr.ts';
import { ConfigurationError } from './errors.ts';
import { createApp } from './http/app.ts';
import type { InitialCtParts } from './http/initial-ct.ts';
import { OnnxScanReader } from './inference/onnx-scan-reader.ts';
import { WorkerVolumeAssembler } from './inference/volume-assembler.ts';
import { openDatabase } from './jobs/database.ts';
import { lockDirectory } from './jobs/directory-lock.ts';
import { StoredOperationSwitch } from './jobs/operation-switch.ts';
import { PictureLedger } from './jobs/picture-ledger.ts';
import { AssessmentQueue } from './jobs/queue.ts';
import { AssessmentStore } from './jobs/store.ts';
import type { Logger } from './log.ts';
import { DicomwebPacs } from './pacs/dicomweb-pacs.ts';
import { registerStudyRoute } from './register-study.ts';
import { createSandbox } from './sandbox/sandbox.ts';
import type { Sandbox } from './sandbox/sandbox.ts';

/** Where `npm run build` puts the SMART app. */
const APP_DIRECTORY = resolve(import.meta.dirname, '../smart-app/dist');
/** Sandbox patients that are assessed when the sandbox starts: one high, one low risk. */
const ASSESSED_AT_START = ['lindqvist-maja-ct', 'rivera-ana-ct'];

export interface Service {
  /** Where clients on this machine reach it: "http://127.0.0.1:8080". */
  readonly url: string;
  readonly model: ModelDescription;
  readonly executionProvider: string | null;
  /** FHIR base and DICOMweb root in use, and whether each is the sandbox's. */
  readonly ehr: { readonly baseUrl: string; readonly sandbox: boolean };
  readonly pacs: { readonly baseUrl: string; readonly sandbox: boolean };
  readonly hasSandbox: boolean;
  /** Calls back when the service cannot go on and its process should end. */
  onLost(listener: (error: Error) => void): void;
  /** Hands running work back to the queue, answers meanwhile that it is stopping, and closes everything. */
  close(): Promise<void>;
}

/**
 * Resolves when the service is ready. `onStep` is told what takes its time.
 * Throws ConfigurationError for what the administrator can mend: a taken port, a folder in use, an unusable bundle.
 */
export async function startService(
  config: Config,
  log: Logger,
  onStep: (step: string) => void = () => undefined,
): Promise<Service> {
  const closers: (() => Promise<unknown>)[] = [];
  const lost: ((error: Error) => void)[] = [];
  const tellLost = (error: Error): void => lost.forEach((listener) => listener(error));
  let handler: RequestListener = answerUnavailable('starting');
  const close = async (): Promise<void> => {
    handler = answerUnavailable('stopping');
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const wantsSandbox = config.ehr === undefined || config.pacs === undefined;
    const server = await listen(config, (request, response) => handler(request, response));
    closers.push(() => stopListening(server));
    const url = localUrl(server, wantsSandbox);

    onStep('opening the queue');
    const database = await openDatabase(config);
    closers.push(() => database.close());
    database.onLost(tellLost);
    if (wantsSandbox && database.kind === 'postgresql') {
      closers.push(await lockDirectory(config.dataDir, tellLost)); // the embedded database takes this lock itself
    }

    onStep('loading the model');
    const reader = await OnnxScanReader.start({ bundleDirectory: config.modelBundle, provider: config.provider });
    closers.push(() => reader.close());
    const pool = new DecodePool();
    closers.push(() => pool.close());

    const sandbox = wantsSandbox ? await openSandbox(config, url, log) : undefined;
    if (sandbox !== undefined) closers.push(() => sandbox.close());
    const access = await composeEhrAccess(config);
    if (access !== undefined) closers.push(() => access.close());
    const systems = namedSystems(config, url, access);
    const trust = composeTrust(config, {
      ehr: systems.ehr,
      sandboxIntrospection: sandbox?.introspectionCredential,
      url,
    });
    const known = [...systems.all, ...trust.systems];
    const egress = new Egress([...known, ...cdsSystems(trust.registry.cdsClients, known)]);
    egress.install();
    closers.push(() => egress.close());
    const store = await AssessmentStore.open(database);
    const ehr = new FhirEhr({ baseUrl: systems.ehr.baseUrl, egress, ledger: new PictureLedger(database) });
    const pacs = new DicomwebPacs({
      egress,
      baseUrl: systems.pacs.baseUrl,
      allowed: systems.otherDicomweb,
      decode: pool,
      store: config.storeGeneratedImage,
    });

    const operation = await StoredOperationSwitch.open(database, log);
    closers.push(async () => operation.close());
    const writes = (): boolean => operation.current().mode !== 'shadow';
    const policy = {
      assumedPrevalence: config.assumedPrevalence,
      riskBandBounds: config.riskBandBounds,
      storeGeneratedImage: config.storeGeneratedImage,
    };
    const queue = await AssessmentQueue.open(database, {
      store,
      log,
      operation,
      limits: { assessmentTimeoutMs: config.assessmentTimeoutMs, instanceWaitMs: config.instanceWaitMs },
      assess: async (assessment, signal, onProgress) => {
        const supersededRiskAssessment = await findSuperseded(assessment, store);
        const parts = { ehr, pacs, reader, policy: { ...policy, writes: writes() }, supersededRiskAssessment };
        return assessStudy(assessment, parts, signal, onProgress);
      },
      describeModel: () => identify(reader.describe()),
    });
    closers.push(() => queue.stop());

    const planOf: InitialCtParts['planStudy'] = (reference, signal) =>
      planStudy(reference, { ehr, pacs, modelSha256: reader.describe().sha256 }, signal);
    const requestParts: RequestParts = {
      planStudy: planOf,
      describeModel: () => reader.describe(),
      records: store,
      work: queue,
      writes,
      queueLimit: config.queueLimit,
    };
    const watch = new ChartWatch({
      ehr,
      records: store,
      operation,
      trigger: config.autoAssess
        ? {
            judge: (reference, signal) => judgeEligibility(reference, { ehr, planStudy: planOf }, signal),
            assess: async (reference, signal) => void (await requestAssessment(reference, false, requestParts, signal)),
          }
        : undefined,
      intervalMs: config.chartWatchMs,
      onFault: (error) => log.warn('the chart could not be followed', { system: 'ehr' }, error),
    });
    handler = createApp({
      ...requestParts,
      onChartChange: () => watch.poke(),
      ehr,
      pacs,
      reader,
      operation,
      authentication: trust.authentication(egress),
      publicKey: access?.publicKey,
      log,
      initialCt: {
        planStudy: planOf,
        source: new InitialCtSource({ pacs, assembler: new WorkerVolumeAssembler() }),
      },
      smartApp: { directory: APP_DIRECTORY, sandboxEhr: systems.ehr.sandbox, ...trust.app },
      cds: composeCds({
        database,
        egress,
        requestParts,
        operation,
        log,
        publicUrl: config.publicUrl ?? url,
        ehr: systems.ehr,
        clients: trust.registry.cdsClients,
      }),
      sandbox: sandbox && [sandbox.router, registerStudyRoute(sandbox, egress, systems.pacs.baseUrl)],
    }) as RequestListener;

    if (sandbox !== undefined) {
      onStep('filling the sandbox');
      await sandbox.seed();
    }
    await queue.start();
    watch.start();
    closers.push(() => watch.stop());
    if (systems.ehr.sandbox && systems.pacs.sandbox && operation.current().mode === 'running') {
      onStep('assessing two of its patients');
      await assessAtStart(requestParts, store, log);
    }
    collectGarbage();
    return {
      url,
      model: reader.describe(),
      executionProvider: reader.health().executionProvider,
      ehr: systems.ehr,
      pacs: systems.pacs,
      hasSandbox: wantsSandbox,
      onLost: (listener) => void lost.push(listener),
      close,
    };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

/** Who is asked for what, and every base that may be dialled with the one credential that goes there. */
function namedSystems(config: Config, url: string, access: EhrAccess | undefined) {
  const sandboxEhr = { baseUrl: `${url}/sandbox/fhir`, authorization: undefined };
  const sandboxPacs = { baseUrl: `${url}/sandbox/dicomweb`, authorization: undefined };
  const ehr = { ...(config.ehr ?? sandboxEhr), sandbox: config.ehr === undefined };
  const pacs = { ...(config.pacs ?? sandboxPacs), sandbox: config.pacs === undefined };
  // The sandbox's own patients stay readable beside a real PACS.
  const other = [...config.allowedDicomweb, ...(ehr.sandbox && !pacs.sandbox ? [sandboxPacs] : [])];
  const all = [
    { name: 'ehr', ...ehr, credential: access?.credential },
    { name: 'pacs', ...pacs },
    ...other.map((system) => ({ name: 'pacs', ...system })),
  ];
  return { ehr, pacs, otherDicomweb: other.map(({ baseUrl }) => baseUrl), all };
}

function openSandbox(config: Config, url: string, log: Logger): Promise<Sandbox> {
  return createSandbox({
    dataDir: config.dataDir,
    patientsDir: resolve(import.meta.dirname, 'sandbox/patients'),
    baseUrl: () => url,
    onError: (error) => log.error('sandbox request failed', { system: 'sandbox' }, error),
  });
}

/** Starting leaves much behind; collected later, it would stall the first callers for some 80 ms. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** The latest revision before this one that was written; those of shadow operation were not. */
async function findSuperseded(assessment: Assessment, store: AssessmentStore): Promise<string | undefined> {
  let before: Assessment | null = assessment;
  while (before !== null && before.supersedes !== null) {
    before = await store.get(before.supersedes);
    if (before?.resources) return before.resources.riskAssessment;
  }
  return undefined;
}

function identify({ name, version, sha256 }: ModelDescription): Assessment['model'] {
  return { name, version, sha256 };
}

/** Through the same door as everyone's; what has been assessed at an earlier start is found and not done again. */
async function assessAtStart(parts: RequestParts, store: AssessmentStore, log: Logger): Promise<void> {
  for (const id of ASSESSED_AT_START) {
    try {
      const reference = parseStudyReference(`ImagingStudy/${id}`);
      const { assessment } = await requestAssessment(reference, false, parts, AbortSignal.timeout(30_000));
      await untilEnded(assessment, store);
    } catch (error) {
      log.warn('a sandbox patient could not be assessed at start', { system: 'sandbox' }, error);
    }
  }
}

function untilEnded(assessment: Assessment, store: AssessmentStore): Promise<void> {
  return new Promise((resolvePromise, reject) => {
    const deadline = setTimeout(() => finish(() => reject(new Error('not assessed in time'))), 60_000);
    const look = (state: Assessment | null): void => {
      if (state === null || !['created', 'active'].includes(state.status)) finish(resolvePromise);
    };
    const stop = store.watch(assessment.id, look);
    const finish = (settle: () => void): void => {
      clearTimeout(deadline);
      stop();
      settle();
    };
    store.get(assessment.id).then(look, reject);
  });
}

async function listen({ host, port }: Config, handler: RequestListener): Promise<Server> {
  const server = createServer({ headersTimeout: 15_000, requestTimeout: 120_000, keepAliveTimeout: 10_000 }, handler);
  await new Promise<void>((resolvePromise, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE' ? 'something else listens there; choose another PORT' : (error.code ?? 'unknown');
      reject(new ConfigurationError(`Cannot listen on ${host} port ${port}: ${why}.`));
    });
    server.listen(port, host, resolvePromise);
  });
  return server;
}

/** Event streams never end by themselves: their connections are cut, and clients come back to the next process. */
async function stopListening(server: Server): Promise<void> {
  const closed = new Promise((resolvePromise) => server.close(resolvePromise));
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), 2_000);
  await closed;
  clearTimeout(cut);
}

/** The address for clients on this machine. The sandbox answers on loopback only, so HOST must include it. */
function localUrl(server: Server, wantsSandbox: boolean): string {
  const { address, port, family } = server.address() as AddressInfo;
  if (['0.0.0.0', '::'].includes(address)) return `http://127.0.0.1:${port}`;
  const host = family === 'IPv6' ? `[${address}]` : address;
  if (wantsSandbox && !isLoopback(host)) {
    throw new ConfigurationError(
      `HOST=${address} leaves no loopback address for the sandbox: use 127.0.0.1 or 0.0.0.0, or configure EHR_FHIR_URL and PACS_DICOMWEB_URL.`,
    );
  }
  return `http://${host}:${port}`;
}

/** Before the parts are built and while they are taken down the door is open and says so, instead of refusing connections. */
function answerUnavailable(code: 'starting' | 'stopping'): RequestListener {
  const detail = `The service is ${code}; ask again shortly.`;
  const problem = { type: `urn:hemocast:problem:${code}`, title: 'Service Unavailable', status: 503, code, detail };
  return (request, response) => {
    const live = request.url === '/health/live';
    response.writeHead(live ? 200 : 503, {
      'Content-Type': live ? 'application/json' : 'application/problem+json',
      ...(live ? {} : { 'Retry-After': '2' }),
    });
    response.end(JSON.stringify(live ? { status: 'live' } : problem));
  };
}
