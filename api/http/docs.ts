/** The interface description, to read (/docs: Swagger UI from our own disk, no network) and to use (/openapi.yaml). */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { Router } from 'express';
import type { RequestHandler } from 'express';

const swaggerUi = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
const SERVED = new Set(['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png']);

const page = (disclaimer: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hemocast API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/docs.css">
</head>
<body>
<p class="disclaimer">${disclaimer.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`)}</p>
<main id="api"><noscript>Read <a href="/openapi.yaml">openapi.yaml</a>.</noscript></main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/docs.js"></script>
</body>
</html>
`;

/** validatorUrl null: the badge would send our address to swagger.io. */
const SCRIPT = `SwaggerUIBundle({ url: '/openapi.yaml', dom_id: '#api', validatorUrl: null, deepLinking: true });\n`;
const STYLE = `body { margin: 0 } .disclaimer { margin: 0; padding: .6rem 1rem; background: #222; color: #fff; font: 14px sans-serif }\n`;

/** Swagger UI sets style attributes and draws data: images; scripts and requests are our own origin's only. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export function docsRoutes(openapiFile: string, disclaimer: string): Router {
  const openapi = readFileSync(openapiFile, 'utf8');
  const router = Router();
  const text =
    (type: string, body: string): RequestHandler =>
    (_request, response) =>
      void response.type(type).send(body);

  router.get('/openapi.yaml', (_request, response) => response.type('application/yaml').send(openapi));
  router.use('/docs', (_request, response, next) => {
    response.set({ 'Content-Security-Policy': PAGE_POLICY, 'Cache-Control': 'no-cache' });
    next();
  });
  router.get('/docs', text('html', page(disclaimer)));
  router.get('/docs/docs.js', text('text/javascript', SCRIPT));
  router.get('/docs/docs.css', text('css', STYLE));
  router.get(/^\/docs\/[^/]+$/, (request, response, next) => {
    const file = request.path.slice('/docs/'.length);
    if (SERVED.has(file)) response.sendFile(file, { root: swaggerUi });
    else next();
  });
  return router;
}
