/**
 * The two pictures (http://hl7.org/fhir/R4/media.html). R5 has no Media: there a picture is a DocumentReference, and this file
 * is the place to change.
 */
import type { Attachment, DocumentReference, Media } from '@medplum/fhirtypes';
import type { AssessmentReport } from '../assessment/ports.ts';
import { AI_ASSERTED, SYSTEMS, concept, ownConcept } from './codes.ts';
import { ownIdentifier, referenceTo, resourceId } from './ids.ts';
import type { PictureKey } from './ids.ts';
import { narrative, notes } from './text.ts';
import { NOT_ACQUIRED, modelName } from './written-report.ts';
import type { PictureDigests, WrittenReport } from './written-report.ts';

interface Picture {
  readonly title: string;
  readonly contentType: string;
  readonly bytes: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly frames?: number;
  readonly notes: readonly string[];
}

/** The bytes of a picture and how they are labelled. */
export function pictureOf(report: AssessmentReport, key: PictureKey): Picture {
  const { images } = report.reading;
  if (key === 'follow-up') {
    return {
      title: 'AI-GENERATED NOT ACQUIRED RESEARCH: generated follow-up CT of the head',
      contentType: 'application/dicom',
      bytes: images.followUpDicom,
      width: images.followUpColumns,
      height: images.followUpRows,
      frames: images.followUpFrames,
      notes: [
        NOT_ACQUIRED,
        'What the network expects a follow-up CT to look like; no such scan was taken.',
        report.model.disclaimer,
      ],
    };
  }
  return {
    title: 'AI-GENERATED NOT ACQUIRED RESEARCH: initial CT beside the generated follow-up CT',
    contentType: 'image/png',
    bytes: images.comparisonPng,
    width: images.comparisonWidth,
    height: images.comparisonHeight,
    notes: [
      `The row labelled as generated is ${NOT_ACQUIRED}`,
      'Initial and generated slices in the same window, radiological convention (the right side of the patient is on the left).',
      report.model.disclaimer,
    ],
  };
}

/** One picture as Media; its bytes lie in the Binary that `content.url` names. */
export function toMedia(written: WrittenReport, key: PictureKey): Media {
  const { report, references, writtenAt } = written;
  const picture = pictureOf(report, key);
  const id = resourceId(report, `media/${key}`);
  return {
    resourceType: 'Media',
    id,
    meta: { security: [AI_ASSERTED] },
    text: narrative([picture.title, ...picture.notes]),
    identifier: [
      ownIdentifier(id),
      ...(key === 'follow-up'
        ? [{ system: SYSTEMS.dicomUid, value: `urn:oid:${report.reading.images.followUpSopInstanceUid}` }]
        : []),
    ],
    partOf: [referenceTo(`ImagingStudy/${report.study.reference.id}`)],
    status: 'completed',
    type: concept({ system: SYSTEMS.mediaType, code: 'image', display: 'Image' }),
    ...(key === 'follow-up' && {
      modality: concept({ system: SYSTEMS.dicomTerms, code: 'OT' }, 'Generated image, not acquired'),
    }),
    subject: referenceTo(report.study.patientReference),
    ...(report.study.encounterReference && { encounter: referenceTo(report.study.encounterReference) }),
    createdDateTime: writtenAt,
    deviceName: modelName(report),
    device: referenceTo(references.device),
    height: picture.height,
    width: picture.width,
    ...(picture.frames !== undefined && { frames: picture.frames }),
    content: toAttachment(written, key),
    note: notes(picture.notes),
  };
}

/** The comparison as a DocumentReference, for a chart that keeps no Media. */
export function toPictureDocument(written: WrittenReport): DocumentReference {
  const { report, writtenAt } = written;
  const picture = pictureOf(report, 'comparison');
  const id = resourceId(report, 'media/comparison');
  return {
    resourceType: 'DocumentReference',
    id,
    meta: { security: [AI_ASSERTED] },
    text: narrative([picture.title, ...picture.notes]),
    identifier: [ownIdentifier(id)],
    status: 'current',
    docStatus: 'preliminary',
    type: ownConcept('comparison-picture', picture.title),
    subject: referenceTo(report.study.patientReference),
    date: writtenAt,
    author: [referenceTo(written.references.device)],
    description: [picture.title, ...picture.notes].join(' '),
    content: [{ attachment: toAttachment(written, 'comparison') }],
    context: { related: [referenceTo(`ImagingStudy/${report.study.reference.id}`)] },
  };
}

/** `size` in bytes; `hash` is the SHA-1 of the bytes in base64 (http://hl7.org/fhir/R4/datatypes.html#Attachment). */
function toAttachment(written: WrittenReport, key: PictureKey): Attachment {
  const picture = pictureOf(written.report, key);
  const url = written.references.binaries[key];
  if (url === undefined) throw new Error(`The bytes of the picture "${key}" were not stored before it was mapped.`);
  return {
    contentType: picture.contentType,
    url,
    size: picture.bytes.byteLength,
    hash: written.pictureDigests[key],
    title: picture.title,
    creation: written.writtenAt,
  };
}

/** Digests of both pictures, taken in Node's thread pool: they are tens of megabytes. */
export async function digestPictures(report: AssessmentReport): Promise<PictureDigests> {
  return {
    'follow-up': await sha1Base64(pictureOf(report, 'follow-up').bytes),
    comparison: await sha1Base64(pictureOf(report, 'comparison').bytes),
  };
}

async function sha1Base64(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-1', bytes as Uint8Array<ArrayBuffer>)).toString('base64');
}
