/** The model card (http://hl7.org/fhir/R4/documentreference.html; profile AI Model-Card of AI Transparency on FHIR). */
import { createHash } from 'node:crypto';
import type { DocumentReference } from '@medplum/fhirtypes';
import type { ModelDescription } from '../assessment/ports.ts';
import { AI_MODEL_CARD, AI_MODEL_CARD_MARKDOWN, SYSTEMS, concept } from './codes.ts';
import { modelCardId, ownIdentifier } from './ids.ts';
import { narrative } from './text.ts';

/** The card travels as Markdown bytes; nothing of it is put into the narrative, where it could act as markup. */
export function toModelCard(model: ModelDescription, writtenAt: string): DocumentReference {
  const id = modelCardId(model);
  const card = new TextEncoder().encode(model.cardMarkdown);
  const title = `Model card of ${model.name} ${model.version}`;
  return {
    resourceType: 'DocumentReference',
    id,
    text: narrative([title, model.disclaimer]),
    identifier: [ownIdentifier(id), { system: SYSTEMS.bundleSha256, value: model.sha256 }],
    status: 'current',
    type: concept(AI_MODEL_CARD),
    category: [concept(AI_MODEL_CARD_MARKDOWN)],
    date: writtenAt,
    description: `${title}. ${model.disclaimer}`,
    content: [
      {
        attachment: {
          contentType: 'text/markdown',
          data: Buffer.from(card).toString('base64'),
          size: card.byteLength,
          hash: createHash('sha1').update(card).digest('base64'),
          title,
          creation: writtenAt,
        },
      },
    ],
  };
}
