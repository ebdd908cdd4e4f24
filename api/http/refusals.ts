import { Router } from 'express';
import { REFUSALS } from '../prediction/refusals.ts';

/** GET /v1/refusals: the closed list. */
export function refusalRoutes(): Router {
  const items = Object.entries(REFUSALS).map(([code, criterion]) => ({ code, criterion }));
  const router = Router();
  router.get('/v1/refusals', (_request, response) => {
    response.json({ items });
  });
  return router;
}
