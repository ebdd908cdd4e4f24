import { Router } from 'express';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { AssessmentRecords } from '../assessment/assessment-records.ts';
import { LongestTurn } from './longest-turn.ts';

/**
 * GET /metrics in the Prometheus text format: the process's memory, CPU time and event loop delay (each scrape covers the time
 * since the one before), how much work is open, and what other doors count (`others`). Counts only, no patient data.
 */
export function metricsRoutes(records: Pick<AssessmentRecords, 'countOpen'>, others: readonly Registry[] = []): Router {
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
  if ('threadCpuUsage' in process) {
    const turns = new LongestTurn(); // from Node 23.9
    new Gauge({
      name: 'hemocast_longest_turn_seconds',
      help: 'Most processor time the thread that answers requests used without a pause since the last scrape.',
      registers: [register],
      collect() {
        this.set(turns.take() / 1000);
      },
    });
  }
  const router = Router();
  router.get('/metrics', async (_request, response) => {
    const texts = await Promise.all([register, ...others].map((one) => one.metrics()));
    response.type(register.contentType).send(texts.join('\n'));
  });
  return router;
}
