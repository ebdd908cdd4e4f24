import { Router } from 'express';
import type { SystemHealth } from '../assessment/ports.ts';
import type { components } from '../generated/openapi.d.ts';
import type { Services } from './app.ts';

type Readiness = components['schemas']['Readiness'];

/** Longest wait for one system's answer, ms: a load balancer asks every few seconds. */
const CHECK_TIMEOUT_MS = 3_000;

/** GET /health/live and /health/ready. They carry no patient data and need no token. */
export function healthRoutes(services: Pick<Services, 'ehr' | 'pacs' | 'reader' | 'work' | 'operation'>): Router {
  const router = Router();
  router.get('/health/live', (_request, response) => {
    response.json({ status: 'live' });
  });
  router.get('/health/ready', async (_request, response) => {
    const readiness = await checkReadiness(services);
    response.status(readiness.status === 'ready' ? 200 : 503).json(readiness);
  });
  return router;
}

async function checkReadiness({
  ehr,
  pacs,
  reader,
  work,
  operation,
}: Pick<Services, 'ehr' | 'pacs' | 'reader' | 'work' | 'operation'>): Promise<Readiness> {
  const [ehrHealth, pacsHealth, queueHealth] = await Promise.all([
    ask((signal) => ehr.health(signal)),
    ask((signal) => pacs.health(signal)),
    ask((signal) => work.health(signal)),
  ]);
  const { executionProvider, passedOver, ...model } = reader.health();
  const checks = { ehr: ehrHealth, pacs: pacsHealth, queue: queueHealth, model };
  const ready = Object.values(checks).every(({ ok }) => ok);
  return {
    status: ready ? 'ready' : 'not-ready',
    checks,
    operation: operation.current(),
    model: model.ok ? identify(reader) : null,
    executionProvider,
    passedOver: [...passedOver],
  };
}

function identify(reader: Services['reader']): Readiness['model'] {
  const { name, version, sha256 } = reader.describe();
  return { name, version, sha256 };
}

async function ask(health: (signal: AbortSignal) => Promise<SystemHealth>): Promise<SystemHealth> {
  const signal = AbortSignal.timeout(CHECK_TIMEOUT_MS);
  const late = new Promise<SystemHealth>((resolve) => {
    const reason = `No answer within ${CHECK_TIMEOUT_MS / 1000} s.`;
    signal.addEventListener('abort', () => resolve({ ok: false, reason }), { once: true });
  });
  const failed = { ok: false, reason: 'The check failed; see the log of the service.' };
  const { ok, reason } = await Promise.race([health(signal).catch(() => failed), late]);
  return { ok, ...(reason === undefined ? {} : { reason }) };
}
