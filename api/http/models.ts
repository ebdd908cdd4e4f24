import { Router } from 'express';
import type { ScanReader } from '../assessment/ports.ts';
import { NotFoundError } from '../errors.ts';

/** GET /v1/models: the bundle in use. GET /v1/models/{name}: all that is known of it, or its card as Markdown. */
export function modelRoutes({
  reader,
}: {
  readonly reader: Pick<ScanReader, 'describe' | 'documents' | 'health'>;
}): Router {
  const router = Router();
  router.get('/v1/models', (_request, response) => {
    const { executionProvider } = reader.health();
    response.json({ items: [{ ...reader.describe(), executionProvider }] });
  });
  router.get('/v1/models/:name', (request, response) => {
    const description = reader.describe();
    if (request.params.name !== description.name)
      throw new NotFoundError('model-not-found', 'No model of this name is in use; see /v1/models.');
    response.vary('Accept');
    if (request.accepts(['application/json', 'text/markdown']) === 'text/markdown') {
      response.type('text/markdown').send(description.cardMarkdown);
      return;
    }
    const { metadata, evaluation, card } = reader.documents();
    response.json({
      ...description,
      executionProvider: reader.health().executionProvider,
      metadata,
      evaluation: evaluation.content,
      evaluationAbsentReason: evaluation.absentReason,
      card: card.content,
      cardAbsentReason: card.absentReason,
    });
  });
  return router;
}
