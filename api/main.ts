/** `npm start`: reads the environment, starts the service, says what it serves, and ends it gracefully. */
import { readConfig } from './config.ts';
import { HemocastError } from './errors.ts';
import { createLogger } from './log.ts';
import { DISCLAIMER } from './prediction/prediction.ts';
import { startService } from './service.ts';
import type { Service } from './service.ts';

const began = performance.now();
try {
  const config = readConfig(process.env);
  const log = createLogger({ level: config.logLevel });
  const service = await startService(config, log, (step) => say(`hemocast: ${step} ...`));
  endWith(service);
  service.onLost((error) => {
    log.error('the service cannot go on', {}, error);
    process.exit(1);
  });
  say(describe(service));
} catch (error) {
  if (!(error instanceof HemocastError)) throw error;
  process.stderr.write(`hemocast: ${error.message}\n`);
  process.exitCode = 1;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function describe({ url, ehr, pacs, model, executionProvider, hasSandbox }: Service): string {
  const from = ({ sandbox }: { sandbox: boolean }): string => (sandbox ? ' (sandbox, simulated patients)' : '');
  return `
  ${DISCLAIMER}

  EHR    ${ehr.baseUrl}${from(ehr)}
  PACS   ${pacs.baseUrl}${from(pacs)}
  Model  ${model.name} ${model.version}, SHA-256 ${model.sha256.slice(0, 12)}, on ${executionProvider}
  API    ${url}/docs${hasSandbox ? `\n  Chart  ${url}/` : ''}
${hasSandbox && ehr.sandbox ? `\n  Assess a simulated patient:\n\n${curlLine(url)}\n` : ''}
hemocast is ready at ${url} (${((performance.now() - began) / 1000).toFixed(1)} s)`;
}

function curlLine(url: string): string {
  return `  curl -s ${url}/v1/assessments -H 'Content-Type: application/json' -d '{"imagingStudy":"ImagingStudy/moreau-claire-ct"}'`;
}

/** The first signal stops gracefully, a second one at once. */
function endWith(service: Service): void {
  let stopping = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(1);
      stopping = true;
      service.close().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
  }
}
