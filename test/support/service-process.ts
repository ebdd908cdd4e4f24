/** The service as its user runs it: a process of its own, reached over HTTP on a port of the system's choosing. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { components } from '../../api/generated/openapi.d.ts';

export type AssessmentJson = components['schemas']['Assessment'];

export class ServiceProcess {
  readonly url: string;
  readonly dataDir: string;
  readonly output: () => string;
  readonly #child: ChildProcess;
  readonly #headers: Record<string, string>;

  private constructor(child: ChildProcess, url: string, dataDir: string, output: () => string, token?: string) {
    this.#child = child;
    this.url = url;
    this.dataDir = dataDir;
    this.output = output;
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  /** Starts `api/main.ts` and resolves when it says that it is ready. `dataDir`: an earlier one, to start again on its data. */
  static async start(env: Record<string, string> = {}, dataDir?: string): Promise<ServiceProcess> {
    const directory = dataDir ?? mkdtempSync(join(tmpdir(), 'hemocast-e2e-'));
    const child = spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        '--max-semi-space-size=32',
        join(import.meta.dirname, '../../api/main.ts'),
      ],
      {
        env: { PATH: process.env.PATH, PORT: '0', DATA_DIR: directory, LOG_LEVEL: 'warn', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let text = '';
    child.stdout!.on('data', (chunk) => (text += chunk));
    child.stderr!.on('data', (chunk) => (text += chunk));
    const deadline = Date.now() + 90_000;
    for (;;) {
      const url = /hemocast is ready at (http:\/\/\S+)/.exec(text)?.[1];
      if (url !== undefined) return new ServiceProcess(child, url, directory, () => text, env.API_TOKEN);
      if (child.exitCode !== null) throw new Error(`The service ended with ${child.exitCode}:\n${text}`);
      if (Date.now() > deadline) {
        child.kill('SIGKILL');
        throw new Error(`The service was not ready in 90 s:\n${text}`);
      }
      await pause(50);
    }
  }

  get pid(): number {
    return this.#child.pid!;
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, {
      ...init,
      headers: { ...this.#headers, ...(init.headers as Record<string, string>) },
    });
  }

  /** POST /v1/assessments; returns status and body. */
  async assess(
    imagingStudy: string,
    options: { force?: boolean } = {},
  ): Promise<{ status: number; body: AssessmentJson }> {
    const response = await this.fetch('/v1/assessments', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ imagingStudy, ...options }),
    });
    return { status: response.status, body: (await response.json()) as AssessmentJson };
  }

  /** Reads the assessment until it has ended. */
  async finished(id: string, timeoutMs = 90_000): Promise<AssessmentJson> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const assessment = (await (await this.fetch(`/v1/assessments/${id}`)).json()) as AssessmentJson;
      if (['completed', 'refused', 'failed', 'cancelled'].includes(assessment.status)) return assessment;
      if (Date.now() > deadline)
        throw new Error(`Still ${assessment.status} (${assessment.stage}) after ${timeoutMs} ms`);
      await pause(100);
    }
  }

  /** Reads the assessment until its result was taken back. */
  async withdrawn(id: string, timeoutMs = 30_000): Promise<AssessmentJson> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const assessment = (await (await this.fetch(`/v1/assessments/${id}`)).json()) as AssessmentJson;
      if (assessment.withdrawal !== null) return assessment;
      if (Date.now() > deadline) throw new Error(`It still stands after ${timeoutMs} ms.`);
      await pause(100);
    }
  }

  /** PUT /v1/operation. */
  async setMode(mode: string): Promise<void> {
    const answer = await this.fetch('/v1/operation', {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ mode }),
    });
    if (!answer.ok) throw new Error(`The mode was not set: ${answer.status} ${await answer.text()}`);
  }

  /** What the cards beside a patient's chart say in their summaries; `more` of the hook call, such as its prefetch. */
  async viewChart(patientId: string, more: object = {}): Promise<readonly string[]> {
    const answer = await this.fetch('/cds-services/hemocast-patient', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        hook: 'patient-view',
        hookInstance: randomUUID(),
        context: { userId: 'Practitioner/1', patientId },
        ...more,
      }),
    });
    if (!answer.ok) throw new Error(`The hook answered ${answer.status} ${await answer.text()}`);
    return ((await answer.json()) as { cards: { summary: string }[] }).cards.map(({ summary }) => summary);
  }

  /** Reads a FHIR resource or search from the sandbox EHR. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  async fhir(path: string): Promise<any> {
    const response = await fetch(`${this.url}/sandbox/fhir/${path}`, { headers: { accept: 'application/fhir+json' } });
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** Resident memory of the process, MiB (Linux). */
  residentMiB(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) / 1024;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode;
    const exit = once(this.#child, 'exit');
    this.#child.kill(signal);
    const [code] = await exit;
    return code as number | null;
  }

  async stopAndForget(): Promise<void> {
    await this.stop();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
