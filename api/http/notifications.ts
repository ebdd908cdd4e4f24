import { Router } from 'express';
import type { RequestHandler } from 'express';

/**
 * POST /v1/notifications (R4 Subscription, channel rest-hook, with or without payload; topic-based notifications of the
 * Subscriptions R5 Backport) and PUT /v1/notifications/{type}/{id} (servers that send the resource as an update). A
 * notification says that something changed; what it carries is not believed, the chart is read again.
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
  return router;
}
