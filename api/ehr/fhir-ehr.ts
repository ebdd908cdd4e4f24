/** A hospital's FHIR R4 server as the service sees it: one study to read, one result to file, and whether it is there at all. */
import type {
  Admit,
  AssessmentReport,
  ChartChanges,
  Ehr,
  StudyRecord,
  StudyReference,
  SupersessionOrder,
  SystemHealth,
  WithdrawalOrder,
  WrittenResources,
} from '../assessment/ports.ts';
import type { Egress } from '../egress/egress.ts';
import { CancelledError, HemocastError } from '../errors.ts';
import { findChanges, listStudies } from './changes.ts';
import { FhirConnection } from './fhir-connection.ts';
import { readStudy } from './imaging-study.ts';
import { supersede } from './supersede.ts';
import { withdraw } from './withdraw.ts';
import { writeBack } from './write-back.ts';
import { MemoryLedger } from './write-by-create.ts';
import type { BinaryLedger } from './write-by-create.ts';

export interface FhirEhrOptions {
  /** FHIR base URL, registered with egress under the credential of this EHR. */
  readonly baseUrl: string;
  /** The only way out. It must be installed (`egress.install()`): the FHIR client calls the global fetch. */
  readonly egress: Pick<Egress, 'fetch'>;
  /** Where ids of stored pictures are kept for an EHR that chooses ids itself; in memory when left out. */
  readonly ledger?: BinaryLedger;
  readonly now?: () => Date;
}

export class FhirEhr implements Ehr {
  readonly #connection: FhirConnection;
  readonly #ledger: BinaryLedger;
  readonly #now: () => Date;

  constructor(options: FhirEhrOptions) {
    this.#connection = new FhirConnection(options);
    this.#ledger = options.ledger ?? new MemoryLedger();
    this.#now = options.now ?? (() => new Date());
  }

  /** See imaging-study.ts. */
  async readStudy(reference: StudyReference, signal: AbortSignal, admit?: Admit): Promise<StudyRecord> {
    return readStudy(reference, this.#connection, signal, admit);
  }

  /** See write-back.ts. */
  async writeBack(report: AssessmentReport, signal: AbortSignal): Promise<WrittenResources> {
    return writeBack(report, { connection: this.#connection, ledger: this.#ledger, now: this.#now }, signal);
  }

  /** See supersede.ts. */
  async supersede(order: SupersessionOrder, signal: AbortSignal): Promise<void> {
    return supersede(order, { connection: this.#connection, now: this.#now }, signal);
  }

  /** See withdraw.ts. */
  async withdraw(order: WithdrawalOrder, signal: AbortSignal): Promise<void> {
    return withdraw(order, { connection: this.#connection, now: this.#now }, signal);
  }

  /** See changes.ts. */
  async listStudies(patientReference: string, signal: AbortSignal): ReturnType<Ehr['listStudies']> {
    return listStudies(patientReference, this.#connection, signal);
  }

  /** See changes.ts. */
  async findChanges(since: string, signal: AbortSignal): Promise<ChartChanges> {
    return findChanges(since, this.#connection, signal, this.#now());
  }

  /** Ready when the EHR states that it speaks R4. Throws CancelledError only. */
  async health(signal: AbortSignal): Promise<SystemHealth> {
    try {
      const capabilities = await this.#connection.capabilities(signal, true);
      if (capabilities.isR4) return { ok: true };
      return { ok: false, reason: 'The EHR does not speak FHIR R4 (CapabilityStatement.fhirVersion).' };
    } catch (error) {
      if (error instanceof CancelledError || !(error instanceof HemocastError)) throw error;
      return { ok: false, reason: `${error.message} (${error.code})` };
    }
  }
}
