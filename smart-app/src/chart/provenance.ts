/** Who made what from what: Provenance, the Device behind it, and the generated image. */
import type { Device, DocumentReference, Media, Provenance } from '@medplum/fhirtypes';
import { NAMESPACE, isResource, listOf, numberOf, textOf } from './fhir-text.ts';
import { localReference } from './forecast.ts';

export interface Origin {
  /** Media, or the DocumentReference of a chart that keeps no Media. */
  readonly pictureReferences: readonly string[];
  readonly modelCardReference: string | undefined;
}

/** The Provenance of how the forecast was made. */
export function toOrigin(values: readonly unknown[], forecastReference: string): Origin | undefined {
  const provenance = provenancesOf(values, forecastReference).find((one) => !isWithdrawal(one));
  if (provenance === undefined) return undefined;
  const targets = listOf(provenance.target).map(({ reference }) => localReference(reference) ?? '');
  const card = listOf(provenance.entity)
    .map(({ what }) => localReference(what?.reference) ?? '')
    .find((reference) => reference.startsWith('DocumentReference/'));
  return {
    pictureReferences: targets.filter((target) => /^(Media|DocumentReference)\//.test(target)),
    modelCardReference: card,
  };
}

/** When the forecast was taken back, as the Provenance of the withdrawal records it. */
export function toWithdrawnAt(values: readonly unknown[], forecastReference: string): string | undefined {
  return textOf(provenancesOf(values, forecastReference).find(isWithdrawal)?.recorded);
}

function provenancesOf(values: readonly unknown[], forecastReference: string): readonly Provenance[] {
  return values
    .filter((value) => isResource<Provenance>(value, 'Provenance'))
    .filter(({ target }) => listOf(target).some(({ reference }) => localReference(reference) === forecastReference));
}

/** http://terminology.hl7.org/CodeSystem/v3-DataOperation, as api/ehr/withdraw.ts writes it. */
function isWithdrawal({ activity }: Provenance): boolean {
  return listOf(activity?.coding).some(({ code }) => code === 'NULLIFY');
}

export interface ModelName {
  readonly name: string;
  readonly version: string;
  readonly sha256: string | undefined;
  readonly notes: readonly string[];
}

export function toModelName(value: unknown): ModelName | undefined {
  if (!isResource<Device>(value, 'Device')) return undefined;
  return {
    name: textOf(listOf(value.deviceName)[0]?.name) ?? 'model not named',
    version: textOf(listOf(value.version)[0]?.value) ?? 'version not stated',
    sha256: textOf(listOf(value.identifier).find(({ system }) => system === `${NAMESPACE}model-sha256`)?.value),
    notes: listOf(value.note).map(({ text }) => textOf(text) ?? ''),
  };
}

export interface GeneratedImage {
  /** "Binary/<id>" in this EHR. */
  readonly binaryReference: string;
  readonly sopInstanceUid: string | undefined;
  readonly frames: number;
}

/** The multi-frame DICOM of this patient and study; undefined where the chart has none that may be shown. */
export function toGeneratedImage(
  values: readonly unknown[],
  patientReference: string,
  studyReference: string | undefined,
): GeneratedImage | undefined {
  for (const media of values.filter((value) => isResource<Media>(value, 'Media'))) {
    const binaryReference = localReference(media.content?.url);
    const frames = numberOf(media.frames);
    const belongs =
      localReference(media.subject?.reference) === patientReference &&
      listOf(media.partOf).some(({ reference }) => localReference(reference) === studyReference);
    if (!belongs || media.status === 'entered-in-error' || media.content?.contentType !== 'application/dicom') continue;
    if (binaryReference?.startsWith('Binary/') !== true || frames === undefined) continue;
    const uid = listOf(media.identifier).find(({ system }) => system === 'urn:dicom:uid')?.value;
    return { binaryReference, frames, sopInstanceUid: textOf(uid)?.replace('urn:oid:', '') };
  }
  return undefined;
}

export interface Comparison {
  /** "Binary/<id>" in this EHR: a PNG. */
  readonly binaryReference: string;
  /** SHA-1 of its bytes in base64: Attachment.hash. */
  readonly sha1: string;
  /** What it shows, in the service's words. */
  readonly description: string | undefined;
}

/** The picture of both CTs of this patient and study in a chart that keeps no Media; undefined where it has none that may be shown. */
export function toComparison(
  values: readonly unknown[],
  patientReference: string,
  studyReference: string | undefined,
): Comparison | undefined {
  if (studyReference === undefined) return undefined;
  for (const document of values.filter((value) => isResource<DocumentReference>(value, 'DocumentReference'))) {
    const { url, hash, contentType } = listOf(document.content)[0]?.attachment ?? {};
    const [binaryReference, sha1] = [localReference(url), textOf(hash)];
    const belongs =
      localReference(document.subject?.reference) === patientReference &&
      listOf(document.context?.related).some(({ reference }) => localReference(reference) === studyReference);
    if (!belongs || document.status !== 'current' || contentType !== 'image/png' || sha1 === undefined) continue;
    if (binaryReference?.startsWith('Binary/') !== true) continue;
    return { binaryReference, sha1, description: textOf(document.description) };
  }
  return undefined;
}

/** The model card's Markdown as plain text. */
export function toCardText(value: unknown): string | undefined {
  if (!isResource<DocumentReference>(value, 'DocumentReference')) return undefined;
  const data = textOf(listOf(value.content)[0]?.attachment?.data);
  if (data === undefined) return undefined;
  return new TextDecoder().decode(Uint8Array.from(atob(data), (character) => character.charCodeAt(0)));
}
