/** The service as one thing: builds every part from the configuration, listens, works, and stops without losing anything. */
import type { RequestListener } from 'node:http';
import { resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { InitialCtSource } from './assessment/initial-ct.ts';
import type { ModelDescription } from './assessment/ports.ts';
import { cdsSystems, composeCds } from './compose-cds.ts';
import { answerUnavailable, listen, localUrl, stopListening } from './compose-door.ts';
import { composeEhrAccess } from './compose-ehr-access.ts';
import { assessAtStart, openSandbox } from './compose-sandbox.ts';
import { nameSystems } from './compose-systems.ts';
import { composeTrust } from './compose-trust.ts';
import { composeWork } from './compose-work.ts';
import type { Config } from './config.ts';
import { DecodePool } from './dicom/decode-pool.ts';
import { Egress } from './egress/egress.ts';
import { FhirEhr } from './ehr/fhir-ehr.ts';
import { createApp } from './http/app.ts';
import { OnnxScanReader } from './inference/onnx-scan-reader.ts';
import { WorkerVolumeAssembler } from './inference/volume-assembler.ts';
import { openDatabase } from './jobs/database.ts';
import { lockDirectory } from './jobs/directory-lock.ts';
import { StoredOperationSwitch } from './jobs/operation-switch.ts';
import { PictureLedger } from './jobs/picture-ledger.ts';
import { AssessmentStore } from './jobs/store.ts';
import type { Logger } from './log.ts';
import { DicomwebPacs } from './pacs/dicomweb-pacs.ts';
import { registerStudyRoute } from './register-study.ts';

/** Where `npm run build` puts the SMART app. */
const APP_DIRECTORY = resolve(import.meta.dirname, '../smart-app/dist');

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
    const reader = await OnnxScanReader.start(config);
    closers.push(() => reader.close());
    const pool = new DecodePool();
    closers.push(() => pool.close());

    const sandbox = wantsSandbox ? await openSandbox(config, url, log) : undefined;
    if (sandbox !== undefined) closers.push(() => sandbox.close());
    const access = await composeEhrAccess(config);
    if (access !== undefined) closers.push(() => access.close());
    const systems = nameSystems(config, url, access);
    const trust = composeTrust(config, {
      ehr: systems.ehr,
      sandboxIntrospection: sandbox?.introspectionCredential,
      url,
    });
    const known = [...systems.all, ...trust.systems];
    const egress = new Egress([...known, ...cdsSystems(trust.registry.cdsClients, known)]);
    egress.install();
    closers.push(() => egress.close());
    const ehr = new FhirEhr({ baseUrl: systems.ehr.baseUrl, egress, ledger: new PictureLedger(database) });
    const pacs = new DicomwebPacs({
      egress,
      baseUrl: systems.pacs.baseUrl,
      allowed: systems.otherDicomweb,
      decode: pool,
      store: config.storeGeneratedImage,
    });

    const store = await AssessmentStore.open(database);
    const operation = await StoredOperationSwitch.open(database, log);
    closers.push(async () => operation.close());
    const work = await composeWork(config, { database, store, ehr, pacs, reader, operation, log });
    closers.push(() => work.queue.stop());
    handler = createApp({
      ...work.request,
      onChartChange: () => work.watch.poke(),
      ehr,
      pacs,
      reader,
      operation,
      authentication: trust.authentication(egress),
      publicKey: access?.publicKey,
      log,
      initialCt: {
        planStudy: work.request.planStudy,
        source: new InitialCtSource({ pacs, assembler: new WorkerVolumeAssembler() }),
      },
      smartApp: { directory: APP_DIRECTORY, sandboxEhr: systems.ehr.sandbox, ...trust.app },
      cds: composeCds({
        database,
        egress,
        requestParts: work.request,
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
    await work.queue.start();
    work.watch.start();
    closers.push(() => work.watch.stop());
    if (systems.ehr.sandbox && systems.pacs.sandbox && operation.current().mode === 'running') {
      onStep('assessing two of its patients');
      await assessAtStart(work.request, log);
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

/** Starting leaves much behind; collected later, it would stall the first callers for some 80 ms. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
