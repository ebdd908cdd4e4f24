import { Router } from 'express';
import type { Request } from 'express';
import type { OperationSwitch } from '../assessment/operation.ts';
import type { paths } from '../generated/openapi.d.ts';

type ChangeBody = paths['/v1/operation']['put']['requestBody']['content']['application/json'];

/** GET and PUT /v1/operation: what the service shows and writes, and the switch for it. */
export function operationRoutes({ operation }: { readonly operation: OperationSwitch }): Router {
  const router = Router();
  router.get('/v1/operation', (_request, response) => {
    response.json(operation.current());
  });
  router.put('/v1/operation', async (request: Request<object, unknown, ChangeBody>, response) => {
    const { mode, reason = null } = request.body;
    response.json(await operation.set(mode, reason));
  });
  return router;
}
