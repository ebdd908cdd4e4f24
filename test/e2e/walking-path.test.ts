/** The whole path as a newcomer walks it: `npm start`'s process, its printed curl line, and what then stands in the chart. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decode as decodePng } from 'fast-png';
import { parseInstance } from '../../api/dicom/parse.ts';
import { paste, printedCommands } from '../support/pasted-commands.ts';
import { measureStall } from '../support/event-loop.ts';
import { networkProcesses } from '../support/network-processes.ts';
import { pause, ServiceProcess } from '../support/service-process.ts';
import type { AssessmentJson } from '../support/service-process.ts';

const run = promisify(execFile);
const DISCLAIMER = 'Research use only, trained on simulated data, not a medical device';

let service: ServiceProcess;
beforeAll(async () => {
  service = await ServiceProcess.start({ LOG_LEVEL: 'debug' });
}, 120_000);
afterAll(() => service.stopAndForget());

const referencesOf = ({ resources }: AssessmentJson): string[] => [
  resources!.riskAssessment,
  ...resources!.media,
  ...resources!.observations,
  resources!.provenance,
  resources!.device,
];
const versionsOf = (assessment: AssessmentJson): Promise<string[]> =>
  Promise.all(referencesOf(assessment).map(async (ref) => `${ref}/${(await service.fhir(ref)).meta.versionId}`));
const total = async (search: string): Promise<number> => (await service.fhir(`${search}&_summary=count`)).total;

describe('A newcomer who starts hemocast', () => {
  it('reads what it serves, with which model and on what', () => {
    const printed = service.output();
    expect(printed).toContain(DISCLAIMER);
    expect(printed).toContain(`${service.url}/sandbox/fhir (sandbox, simulated patients)`);
    expect(printed).toContain(`${service.url}/sandbox/dicomweb`);
    expect(printed).toMatch(/hemocast-tiny \d+\.\d+\.\d+, SHA-256 [0-9a-f]{12}, on cpu/);
  });

  it('finds at least six patients, two of them assessed', async () => {
    expect(await total('Patient?_total=accurate')).toBeGreaterThanOrEqual(6);
    const { entry } = await service.fhir('RiskAssessment');
    const subjects = entry.map((e: { resource: { subject: { reference: string } } }) => e.resource.subject.reference);
    expect(subjects.sort()).toEqual(['Patient/lindqvist-maja', 'Patient/rivera-ana']);
  });

  it('pastes the printed curl line and gets an assessment', async () => {
    const line = /^ *(curl .*)$/m.exec(service.output())![1];
    const { stdout } = await run('bash', ['-c', line]);
    const assessment = await service.finished((JSON.parse(stdout) as AssessmentJson).id);
    expect(assessment.status).toBe('completed');
  }, 60_000);

  it('pastes the curl lines of the README', async () => {
    const printed = await paste(printedCommands('README.md'), service.url);
    const answers = printed.map((text) => JSON.parse(text) as Record<string, unknown>);
    expect(answers.length).toBeGreaterThanOrEqual(3);
    expect(answers[0]).toMatchObject({ imagingStudy: 'ImagingStudy/moreau-claire-ct', status: 'completed' });
    expect(answers[1].items).toHaveLength(1);
    expect(answers[2]).toMatchObject({ resourceType: 'Bundle', total: 1 });
  });

  it('pastes the lines of the API quickstart from top to bottom', async () => {
    const commands = printedCommands('docs/api-quickstart.md');
    const printed = await paste(commands, service.url);
    const answerTo = (part: string | RegExp): string =>
      printed[commands.findIndex((line) => (typeof part === 'string' ? line.includes(part) : part.test(line)))];
    const json = (part: string | RegExp): Record<string, unknown> =>
      JSON.parse(answerTo(part)) as Record<string, unknown>;
    expect(answerTo('id=')).toMatch(/^[0-9a-f-]{36}$/);
    expect(answerTo('/$id/events')).toContain('"status":"completed"');
    expect(json(/assessments\/\$id$/)).toMatchObject({ status: 'completed', revision: 1 });
    expect(json('&limit=5').items).toHaveLength(1);
    expect(json("RiskAssessment?subject=Patient/okafor-james'")).toMatchObject({ total: 1 });
    expect(answerTo('%header{location}')).toBe(`200 /v1/assessments/${answerTo('id=')}`);
    expect(answerTo('grep').split('\n').sort()).toEqual(['"status":"cancelled"', '"status":"preliminary"']);
    expect(json('DELETE')).toMatchObject({ status: 'cancelled', revision: 3 });
    expect(JSON.stringify(json('refusals'))).toContain('not-a-head');
    expect(json('no-such-study')).toMatchObject({ code: 'study-not-found', status: 404 });
    expect(JSON.stringify(json('models'))).toContain('hemocast-tiny');
    expect(answerTo('sandbox/dicomweb/studies')).toContain('00081199'); // Referenced SOP Sequence
    expect(answerTo('notifications')).toBe('202');
    expect(json('health/ready')).toMatchObject({ status: 'ready' });
    expect(json('operation')).toMatchObject({ mode: 'running' });
  }, 60_000);

  it('can read the interface description and its pages without a network', async () => {
    expect(await (await service.fetch('/openapi.yaml')).text()).toContain('openapi: 3.1.0');
    const page = await (await service.fetch('/docs')).text();
    expect([...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1][0])).not.toContain('h');
  });
});

describe('An assessment of a simulated patient', () => {
  let assessment: AssessmentJson;
  beforeAll(async () => {
    const { status, body } = await service.assess('ImagingStudy/haddad-omar-ct');
    expect(status).toBe(202);
    expect(body.status).toMatch(/created|active/);
    assessment = await service.finished(body.id);
  }, 60_000);

  it('completes with a probability, its interval and the measurements', () => {
    expect(assessment.status).toBe('completed');
    const { probability, probabilityInterval, riskBand, assumedPrevalence, measurements } = assessment.prediction!;
    expect(probability).toBeGreaterThanOrEqual(probabilityInterval!.low);
    expect(probability).toBeLessThanOrEqual(probabilityInterval!.high);
    expect(riskBand).toBe(probability >= 0.5 ? 'high' : probability >= 0.15 ? 'moderate' : 'low');
    expect(assumedPrevalence).toBe(0.35);
    expect(measurements.hyperdenseVolumeMl.value).toBeGreaterThan(5); // a large hematoma
    expect(measurements.side.value).toBe('right');
    expect(assessment.disclaimer).toContain(DISCLAIMER);
    expect(Object.keys(assessment.timings)).toEqual(expect.arrayContaining(['retrieving', 'network', 'writing-back']));
  });

  it('writes the forecast as a percentage with method, basis and window', async () => {
    const risk = await service.fhir(assessment.resources!.riskAssessment);
    const [prediction] = risk.prediction;
    expect(prediction.probabilityDecimal).toBeCloseTo(100 * assessment.prediction!.probability, 0);
    expect(prediction.outcome.coding[0].code).toBe('230706003');
    expect(Date.parse(prediction.whenPeriod.end) - Date.parse(prediction.whenPeriod.start)).toBe(72 * 3_600_000);
    expect(risk.subject.reference).toBe('Patient/haddad-omar');
    const basis = risk.basis.map(({ reference }: { reference: string }) => reference);
    expect(basis).toEqual(
      expect.arrayContaining(['ImagingStudy/haddad-omar-ct', ...assessment.resources!.observations]),
    );
    expect(risk.performer.reference).toBe(assessment.resources!.device);
    expect(JSON.stringify(risk.note)).toContain('not a medical device');
    expect(risk.meta.security).toEqual([expect.objectContaining({ code: 'AIAST' })]);
  });

  it('names every written resource in its Provenance', async () => {
    const provenance = await service.fhir(assessment.resources!.provenance);
    const targets = provenance.target.map(({ reference }: { reference: string }) => reference);
    const { riskAssessment, media, observations } = assessment.resources!;
    expect(targets).toEqual(expect.arrayContaining([riskAssessment, ...media, ...observations]));
  });

  it('keeps a comparison picture that any EHR can show', async () => {
    const media = await service.fhir(assessment.resources!.media[1]);
    expect(media.content.contentType).toBe('image/png');
    const bytes = await binary(media.content.url);
    expect(bytes.length).toBe(media.content.size);
    const picture = decodePng(bytes);
    expect([picture.width, picture.height]).toEqual([media.width, media.height]);
  });

  it('keeps the generated follow-up CT as DICOM that says it is one', async () => {
    const media = await service.fhir(assessment.resources!.media[0]);
    expect(media.content.contentType).toBe('application/dicom');
    const { header } = parseInstance(await binary(media.content.url));
    expect(header.seriesDescription).toMatch(/^AI-GENERATED NOT ACQUIRED RESEARCH/);
    expect(header.syntheticData).toBe('YES');
    const study = await service.fhir('ImagingStudy/haddad-omar-ct');
    expect(media.frames).toBe(study.numberOfInstances);
  });

  it('is the same assessment when asked for again, and nothing is written anew', async () => {
    const before = await versionsOf(assessment);
    const { status, body } = await service.assess('ImagingStudy/haddad-omar-ct');
    expect(status).toBe(200);
    expect(body).toEqual(assessment);
    expect(await versionsOf(assessment)).toEqual(before);
  });

  it('becomes a new revision that supersedes the first when forced', async () => {
    const { status, body } = await service.assess('ImagingStudy/haddad-omar-ct', { force: true });
    expect(status).toBe(202);
    const revision = await service.finished(body.id);
    expect(revision).toMatchObject({ status: 'completed', revision: 2, supersedes: assessment.id });
    expect(revision.resources!.riskAssessment).not.toBe(assessment.resources!.riskAssessment);
    const provenance = await service.fhir(revision.resources!.provenance);
    expect(JSON.stringify(provenance.entity)).toContain(assessment.resources!.riskAssessment);
    const statusOf = async ({ resources }: AssessmentJson): Promise<string> =>
      (await service.fhir(resources!.riskAssessment)).status;
    expect([await statusOf(assessment), await statusOf(revision)]).toEqual(['cancelled', 'preliminary']);
    expect(revision.prediction!.probability).toBeCloseTo(assessment.prediction!.probability, 6);
  }, 60_000);

  it('is listed by study and by patient, page by page', async () => {
    const pages: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query = `patient=Patient/haddad-omar&limit=1${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
      const page = (await (await service.fetch(`/v1/assessments?${query}`)).json()) as {
        items: AssessmentJson[];
        next: string | null;
      };
      pages.push(...page.items.map(({ id }) => id));
      cursor = page.next;
    }
    expect(pages.length).toBe(2);
    expect(pages[1]).toBe(assessment.id);
  });

  const binary = async (url: string): Promise<Buffer> => {
    const response = await fetch(`${service.url}/sandbox/fhir/${url}`, { headers: { accept: '*/*' } });
    expect(response.status).toBe(200);
    return Buffer.from(await response.arrayBuffer());
  };
});

describe('Someone who follows an assessment', () => {
  it('hears of its stages and its end as server-sent events', async () => {
    const { body } = await service.assess('ImagingStudy/novak-petra-ct');
    const text = await (await service.fetch(`/v1/assessments/${body.id}/events`)).text(); // ends with the assessment
    const states = [...text.matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1]) as AssessmentJson);
    expect(states.at(-1)!.status).toBe('completed');
    expect(states.map(({ stage }) => stage)).toEqual(expect.arrayContaining(['retrieving', 'reading-scan']));
    const progress = states.map((state) => state.progress);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
  }, 60_000);

  it('can cancel it: nothing is written, and asking again begins anew', async () => {
    const { body } = await service.assess('ImagingStudy/tanaka-hiro-ct');
    const answer = await service.fetch(`/v1/assessments/${body.id}`, { method: 'DELETE' });
    expect(answer.status).toBe(200);
    expect((await service.finished(body.id)).status).toBe('cancelled');
    expect(await total('RiskAssessment?subject=Patient/tanaka-hiro')).toBe(0);
    const again = await service.assess('ImagingStudy/tanaka-hiro-ct');
    expect(again.status).toBe(202);
    expect((await service.finished(again.body.id)).status).toBe('completed');
    expect(await total('RiskAssessment?subject=Patient/tanaka-hiro')).toBe(1);
  }, 90_000);
});

describe('Someone who cancels while the scan is read', () => {
  it('stops that assessment and nothing else, however often', async () => {
    for (let i = 0; i < 6; i++) {
      const { body } = await service.assess('ImagingStudy/silva-bento-ct');
      await untilStage(body.id, 'reading-scan');
      await service.fetch(`/v1/assessments/${body.id}`, { method: 'DELETE' });
    }
    expect((await service.fetch('/health/live')).status).toBe(200);
    const { body } = await service.assess('ImagingStudy/silva-bento-ct');
    expect((await service.finished(body.id)).status).toBe('completed');
  }, 90_000);

  const untilStage = async (id: string, stage: string): Promise<void> => {
    for (let i = 0; i < 2_000; i++) {
      const assessment = (await (await service.fetch(`/v1/assessments/${id}`)).json()) as AssessmentJson;
      if (assessment.stage === stage || assessment.status === 'completed') return;
      await pause(5);
    }
    throw new Error(`"${stage}" was never reached.`);
  };
});

describe('An administrator', () => {
  it('sees EHR, PACS, queue and model ready', async () => {
    const ready = await (await service.fetch('/health/ready')).json();
    expect(ready).toMatchObject({
      status: 'ready',
      checks: { ehr: { ok: true }, pacs: { ok: true }, queue: { ok: true }, model: { ok: true } },
      executionProvider: 'cpu',
    });
  });

  it('gets answers while scans are read: the event loop never works more than 50 ms without a pause', async () => {
    const { turnMs } = await measureStall(service, async () => {
      const { body } = await service.assess('ImagingStudy/okafor-james-ct', { force: true });
      expect((await service.finished(body.id)).status).toBe('completed');
    });
    expect(turnMs).toBeGreaterThan(1);
    expect(turnMs).toBeLessThanOrEqual(50);
  }, 60_000);

  it('finds the network behind those who wait at the door when the processor is short', () => {
    const [network, ...others] = networkProcesses(service.pid);
    expect(others).toEqual([]);
    expect(getPriority(network)).toBe(Math.min(19, getPriority(service.pid) + 10));
  });

  it('finds at most 1.5 GB resident at the peak, database and model included', () => {
    const peakKiB = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${service.pid}/status`, 'utf8'))![1]);
    expect(peakKiB / 1024).toBeLessThanOrEqual(1_536);
  });

  it('finds no patient data in the log, not even at its most talkative', () => {
    const log = service
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'));
    expect(log.length).toBeGreaterThan(20);
    for (const canary of ['Haddad', 'Omar', 'SIM-', 'haddad-omar', '1938-03', '193803']) {
      expect(log.filter((line) => line.includes(canary))).toEqual([]);
    }
  });
});
