/**
 * What the story needs from outside. Each port has two or three methods, a real adapter, and a twin in the sandbox that
 * speaks the same protocol over HTTP.
 */
import type { Frame, InstanceHeader } from '../imaging/volume.ts';
import type { Flag, Prediction } from '../prediction/prediction.ts';
import type { ResultMaps } from './result-maps.ts';

/** "ImagingStudy/<id>": parsed once at the door (`parseStudyReference`), never a bare string after. */
export interface StudyReference {
  readonly resourceType: 'ImagingStudy';
  readonly id: string;
}

/** What the chart says of the study and its subject; `undefined` = not stated there. */
export interface StudyRecord {
  readonly reference: StudyReference;
  readonly studyInstanceUid: string;
  /** "Patient/<id>"; the surviving record where the EHR has merged patients. */
  readonly patientReference: string;
  /** Records that the study still names and that the surviving one replaced. */
  readonly mergedPatientReferences?: readonly string[];
  readonly encounterReference?: string;
  readonly status: string;
  readonly startedAt?: string;
  readonly numberOfInstances?: number;
  /** DICOMweb addresses the EHR names (ImagingStudy.endpoint, series.endpoint), connection type dicom-wado-rs. */
  readonly dicomwebAddresses: readonly string[];
  readonly patient: {
    readonly identifiers: readonly { readonly system?: string; readonly value: string }[];
    readonly birthDate?: string; // YYYY-MM-DD (may be partial)
    readonly sex?: 'male' | 'female' | 'other' | 'unknown';
  };
  /** The thrombectomy nearest before the study, from a Procedure resource. */
  readonly thrombectomy?: { readonly reference: string; readonly endedAt?: string };
}

/** One instance as the PACS lists it, header attributes only. */
export type InstanceListing = InstanceHeader;

export interface Pacs {
  /**
   * Lists every instance of the study with its header (WADO-RS metadata, PS3.18 10.4, or QIDO-RS).
   * `addresses`: DICOMweb addresses named by the EHR; only allow-listed ones are dialled, else the configured root.
   */
  listInstances(
    studyInstanceUid: string,
    addresses: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly InstanceListing[]>;
  /**
   * Retrieves and decodes exactly the named instances of a series (WADO-RS whole instances). Throws when one is missing,
   * foreign or unreadable. `onProgress` gets 0..1.
   */
  retrieveFrames(
    request: {
      readonly studyInstanceUid: string;
      readonly seriesInstanceUid: string;
      readonly sopInstanceUids: readonly string[];
      readonly addresses: readonly string[];
    },
    signal: AbortSignal,
    onProgress?: (fraction: number) => void,
  ): Promise<readonly Frame[]>;
  /** Stores a DICOM Part 10 object (STOW-RS, PS3.18 10.5). Repeating it stores nothing new. */
  store(studyInstanceUid: string, part10: Uint8Array, signal: AbortSignal): Promise<void>;
  health(signal: AbortSignal): Promise<SystemHealth>;
}

export interface SystemHealth {
  readonly ok: boolean;
  /** Why not, in words for an administrator. No credentials, no patient data. */
  readonly reason?: string;
}

/** What names the network in every output. */
export interface ModelDescription {
  readonly name: string;
  readonly version: string;
  /** SHA-256 of model.onnx, hex. */
  readonly sha256: string;
  readonly disclaimer: string;
  readonly intendedUse: string;
  readonly trainingData: string;
  /** Share of hemorrhage in the cohort that the probability was calibrated on, 0..1. */
  readonly trainingPrevalence: number;
  /** The model card in Markdown. */
  readonly cardMarkdown: string;
}

/** What an assessment keeps of the network that made it; `disclaimer` is the label of everything shown of it. */
export type ModelIdentity = Pick<ModelDescription, 'name' | 'version' | 'sha256' | 'disclaimer'>;

export function identify({ name, version, sha256, disclaimer }: ModelDescription): ModelIdentity {
  return { name, version, sha256, disclaimer };
}

/** What a bundle says of its network at length, as its files hold it. */
export interface ModelDocuments {
  /** configs/metadata.json */
  readonly metadata: object;
  /** evaluation.json: measured figures. */
  readonly evaluation: ModelDocument;
  /** card.json: the model card for machines. */
  readonly card: ModelDocument;
}

export type ModelDocument =
  { readonly content: object; readonly absentReason: null } | { readonly content: null; readonly absentReason: string };

/** The chosen slices with everything the reading of the scan may depend on. */
export interface SeriesInput {
  readonly frames: readonly Frame[];
  /** Content key and revision: the UIDs of the generated image derive from it. */
  readonly identity: string;
  readonly assumedPrevalence: number;
  readonly riskBandBounds: { readonly moderate: number; readonly high: number };
}

/** A picture or object made from a reading, ready to be written. */
export interface ReadingImages {
  /** PNG: initial and generated rows, window 80/40, labelled, L/R marks. */
  readonly comparisonPng: Uint8Array;
  readonly comparisonWidth: number;
  readonly comparisonHeight: number;
  /** DICOM Part 10, multi-frame grayscale word secondary capture of the generated follow-up CT, one frame per initial slice. */
  readonly followUpDicom: Uint8Array;
  readonly followUpSopInstanceUid: string;
  readonly followUpSeriesInstanceUid: string;
  readonly followUpFrames: number;
  readonly followUpRows: number;
  readonly followUpColumns: number;
}

export interface SeriesReading {
  readonly prediction: Prediction;
  readonly flags: readonly Flag[];
  readonly images: ReadingImages;
  readonly maps: ResultMaps;
  readonly executionProvider: string;
  /** ms per stage of the reading. */
  readonly timings: Readonly<Record<string, number>>;
}

/** Reads one series: frames in, prediction and pictures out. Throws RefusalError for what cannot be vouched for. */
export interface ScanReader {
  describe(): ModelDescription;
  documents(): ModelDocuments;
  read(
    input: SeriesInput,
    signal: AbortSignal,
    onStage?: (stage: string, fraction: number) => void,
  ): Promise<SeriesReading>;
  health(): SystemHealth & {
    readonly executionProvider: string | null;
    /** Faster ones that were not taken, and why. */
    readonly passedOver: readonly { readonly provider: string; readonly reason: string }[];
  };
}

/** Relative references ("RiskAssessment/abc") of what was written. */
export interface WrittenResources {
  readonly riskAssessment: string;
  readonly media: readonly string[];
  readonly observations: readonly string[];
  readonly provenance: string;
  readonly device: string;
  /** Resource types the EHR does not keep, whose content was written in a simpler form (flag derived-outputs-degraded). */
  readonly degraded?: readonly string[];
}

/** Everything the chart needs to know of one completed assessment. */
export interface AssessmentReport {
  readonly study: StudyRecord;
  /** Hash of study + chosen instances + bundle (+ revision): the ids of the written resources derive from it. */
  readonly contentKey: string;
  readonly revision: number;
  /** The forecast of the same study that stood before this one. */
  readonly supersedes?: string;
  readonly initialCtAt?: string;
  readonly model: ModelDescription;
  readonly reading: SeriesReading;
  readonly flags: readonly Flag[];
}

/** A written result to be taken back. */
export interface WithdrawalOrder {
  readonly resources: WrittenResources;
  readonly study: StudyReference;
  readonly model: ModelIdentity;
  /** Why, in words for the chart. */
  readonly message: string;
}

/** An earlier result of the same study that a newer one replaces. */
export interface SupersessionOrder {
  readonly resources: WrittenResources;
  /** The forecast that counts now. */
  readonly by: string;
}

/** What changed in the chart. */
export interface ChartChanges {
  readonly studies: readonly StudyReference[];
  /** "Patient/<id>": the record itself or a procedure of the patient. */
  readonly patients: readonly string[];
  /** Where the next search begins, on the EHR's clock; what is named may be named again. */
  readonly until: string;
}

/** Told whose a study is ("Patient/<id>") before anything else is said of it; throws where the caller may not know that. */
export type Admit = (patientReference: string) => void;

export interface Ehr {
  /** Reads the ImagingStudy, its Patient, Endpoints and the nearest thrombectomy. NotFoundError when there is none. */
  readStudy(reference: StudyReference, signal: AbortSignal, admit?: Admit): Promise<StudyRecord>;
  /** Writes and reads back every resource of the report; repeating it writes nothing new. */
  writeBack(report: AssessmentReport, signal: AbortSignal): Promise<WrittenResources>;
  /** Marks an earlier result as superseded, as far as nobody has changed its status; repeating it changes nothing. */
  supersede(order: SupersessionOrder, signal: AbortSignal): Promise<void>;
  /** Turns a written result to entered-in-error and says why; repeating it changes nothing. */
  withdraw(order: WithdrawalOrder, signal: AbortSignal): Promise<void>;
  /** Every study of the patient that was not withdrawn, oldest first; `startedAt` as the chart states it. */
  listStudies(
    patientReference: string,
    signal: AbortSignal,
  ): Promise<readonly { readonly reference: StudyReference; readonly startedAt?: string }[]>;
  /** What changed at or after an instant, as far as results may depend on it. */
  findChanges(since: string, signal: AbortSignal): Promise<ChartChanges>;
  health(signal: AbortSignal): Promise<SystemHealth>;
}
