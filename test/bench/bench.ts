/**
 * `npm run bench`: what an assessment costs, on this machine, now. Every figure stands beside one of the same run that it can be
 * held against: the network alone, or a process that does nothing.
 */
import { availableParallelism } from 'node:os';
import { measureStall } from '../support/event-loop.ts';
import { ServiceProcess } from '../support/service-process.ts';
import type { AssessmentJson } from '../support/service-process.ts';

const REPEATS = Number(process.env.REPEATS ?? 7);
const PATIENTS = ['rivera-ana', 'okafor-james', 'lindqvist-maja', 'moreau-claire', 'silva-bento'];

const began = performance.now();
const first = await ServiceProcess.start({ LOG_LEVEL: 'silent' });
const firstStartS = (performance.now() - began) / 1000;
await first.stop();
const again = performance.now();
const service = await ServiceProcess.start({ LOG_LEVEL: 'silent' }, first.dataDir);
const laterStartS = (performance.now() - again) / 1000;

const runs: { readonly wallMs: number; readonly timings: AssessmentJson['timings'] }[] = [];
const stall = await measureStall(service, async () => {
  for (let i = 0; i < REPEATS; i++) {
    const start = performance.now();
    const { body } = await service.assess(`ImagingStudy/${PATIENTS[i % PATIENTS.length]}-ct`, { force: true });
    const { status, timings } = await service.finished(body.id);
    if (status !== 'completed') throw new Error(`An assessment ended as ${status}.`);
    runs.push({ wallMs: performance.now() - start, timings });
    process.stderr.write('.');
  }
});
process.stderr.write('\n');

const spread = (values: number[]): string => {
  const sorted = [...values].sort((a, b) => a - b);
  return `${format(sorted[sorted.length >> 1])} (${format(sorted[0])} to ${format(sorted.at(-1)!)})`;
};
const format = (value: number): string => value.toFixed(value < 10 ? 2 : 0);
const stage = (name: string): number[] => runs.map(({ timings }) => timings[name]);

console.log(
  `${availableParallelism()} cores, Node ${process.versions.node}, ${REPEATS} assessments, median (least to most)`,
);
console.log(`  first start, ready after              ${firstStartS.toFixed(1)} s (with two assessments)`);
console.log(`  later start, ready after              ${laterStartS.toFixed(1)} s`);
console.log(`  request to result in the chart, ms    ${spread(runs.map(({ wallMs }) => wallMs))}`);
console.log(`  the network alone, ms                 ${spread(stage('network'))}`);
console.log(`  request to result : network alone     ${spread(runs.map((run) => run.wallMs / run.timings.network))}`);
for (const name of ['choosing-series', 'retrieving', 'reading-scan', 'writing-back']) {
  console.log(`    ${name.padEnd(36)}${spread(stage(name))}`);
}
console.log(`  longest turn of the event loop, ms    ${format(stall.turnMs)} of processor time`);
console.log(
  `  longest stall of the event loop, ms   ${format(stall.serviceMs)}, idle process meanwhile ${format(stall.idleMs)}`,
);
console.log(`  resident memory, MiB                  ${format(service.residentMiB())}`);
await service.stopAndForget();
