import { Router } from 'express';
import type { ScanReader } from '../assessment/ports.ts';

/** GET /v1/models: the bundle in use with its card. */
export function modelRoutes({ reader }: { readonly reader: Pick<ScanReader, 'describe' | 'health'> }): Router {
  const router = Router();
  router.get('/v1/models', (_request, response) => {
    const { executionProvider } = reader.health();
    response.json({ items: [{ ...reader.describe(), executionProvider }] });
  });
  return router;
}
