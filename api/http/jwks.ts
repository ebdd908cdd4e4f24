import { Router } from 'express';

/** GET /.well-known/jwks.json: the public key of the service, whose address an EHR can register instead of the key (RFC 7517). */
export function jwksRoutes(publicKey: object): Router {
  const router = Router();
  router.get('/.well-known/jwks.json', (_request, response) => {
    response.set('Cache-Control', 'public, max-age=300').json({ keys: [publicKey] });
  });
  return router;
}
