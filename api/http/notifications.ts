import { Router } from 'express';
import type { RequestHandler } from 'express';

/**
 * POST /v1/notifications (R4 Subscription, channel rest-hook, without payload; topic-based notifications of the Subscriptions R5
 * Backport: handshake, heartbeat and events alike), PUT and DELETE /v1/notifications/{type}/{id} (rest-hook with payload: the
 * resource is sent as an update). A notification says that something changed; what it carries is not believed, nor even read:
 * the chart is read again. So none is too large, and a lost or repeated one does no harm.
 */
export function notificationRoutes({ onChartChange }: { readonly onChartChange: () => void }): Router {
  const router = Router();
  const take: RequestHandler = (request, response) => {
    request.resume();
    onChartChange();
    response.status(202).end();
  };
  router.post('/v1/notifications', take);
  router.put('/v1/notifications/:resourceType/:id', take);
  router.delete('/v1/notifications/:resourceType/:id', take);
  return router;
}
