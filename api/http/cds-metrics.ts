import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { FeedbackRecords } from '../cds/feedback.ts';
import { OVERRIDE_REASONS } from '../cds/value-sets.ts';

const OUR_REASONS = new Set(['none', ...OVERRIDE_REASONS.map(({ code }) => code)]);

/** What /metrics tells of the hooks: answers by what they rest on, how long they took, and feedback as it is kept. */
export class CdsMetrics {
  readonly register = new Registry();
  readonly answers: Counter<'hook' | 'state' | 'cards'>;
  readonly seconds: Histogram<'hook'>;

  constructor(feedback: Pick<FeedbackRecords, 'count'>) {
    const registers = [this.register];
    this.answers = new Counter({
      name: 'hemocast_cds_answers_total',
      help: 'Answered hook calls: what they rest on, and how many cards they showed.',
      labelNames: ['hook', 'state', 'cards'],
      registers,
    });
    this.seconds = new Histogram({
      name: 'hemocast_cds_answer_seconds',
      help: 'Time from a verified hook call to its answer.',
      labelNames: ['hook'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
      registers,
    });
    new Gauge({
      name: 'hemocast_cds_feedback',
      help: 'Feedback on cards that is kept, by outcome and reason; reasons of the EHR itself count as "other".',
      labelNames: ['service', 'outcome', 'reason'],
      registers,
      async collect() {
        this.reset();
        for (const { count, reason, ...labels } of await feedback.count()) {
          this.inc({ ...labels, reason: OUR_REASONS.has(reason) ? reason : 'other' }, count);
        }
      },
    });
  }
}
