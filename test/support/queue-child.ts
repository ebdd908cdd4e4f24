/**
 * A process to be killed: requests `count` assessments, says each one that is acknowledged, and works on everything that is
 * open.
 * Arguments: JSON of { databaseUrl?, dataDir, chart, count }.
 */
import { InMemoryHospital } from './in-memory-hospital.ts';
import type { Story } from './in-memory-hospital.ts';
import { startQueueService } from './queue-service.ts';
import { writeToChart } from './chart-folder.ts';

const { chart, count, ...config } = JSON.parse(process.argv[2]) as {
  databaseUrl?: string;
  dataDir: string;
  chart: string;
  count: number;
};
const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

const write = writeToChart(chart, (wrote) => say({ wrote }));
const assess: Story = (assessment, signal, onProgress) => {
  say({ began: assessment.id });
  return write(assessment, signal, onProgress);
};
const hospital = Object.assign(new InMemoryHospital(), { assess });
const service = await startQueueService(config, { hospital });
say({ ready: true });
for (let i = 0; i < count; i++) {
  const { assessment } = await service.request(hospital.addStudy());
  say({ acknowledged: assessment.id });
}
