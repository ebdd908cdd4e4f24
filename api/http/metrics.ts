import { Router } from 'express';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { AssessmentRecords } from '../assessment/assessment-records.ts';

/**
 * GET /metrics in the Prometheus text format: the process's memory, CPU time and event loop delay (each scrape covers the time
 * since the one before), and how much work is open. Counts only, no patient data.
 */
export function metricsRoutes(records: Pick<AssessmentRecords, 'countOpen'>): Router {
  const register = new Registry();
  collectDefaultMetrics({ register });
  new Gauge({
    name: 'hemocast_open_assessments',
    help: 'Assessments that are waiting or being worked on.',
    registers: [register],
    async collect() {
      this.set(await records.countOpen());
    },
  });
  const router = Router();
  router.get('/metrics', async (_request, response) => {
    response.type(register.contentType).send(await register.metrics());
  });
  return router;
}
