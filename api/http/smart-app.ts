/** The built SMART app at /app: files of smart-app/dist and nothing else, under a policy of its own. */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Router } from 'express';
import type { Request, Response } from 'express';
import type { AssessmentRecords } from '../assessment/assessment-records.ts';
import { HemocastError } from '../errors.ts';

export interface SmartAppOptions {
  /** Folder that `npm run build` wrote. */
  readonly directory: string;
  /** The EHRs the app may be launched from: FHIR base and the app's client id there. */
  readonly issuers: readonly { readonly iss: string; readonly clientId: string }[];
  /** Origins whose pages may frame the app; "'self'" in the sandbox. */
  readonly frameAncestors: readonly string[];
  /** Whether the sandbox's own EHR page is served at `/`. */
  readonly sandboxEhr: boolean;
  /** Origins the app may call besides its own: FHIR servers and their token endpoints. */
  readonly connectOrigins: readonly string[];
}

class AppNotBuiltError extends HemocastError {
  constructor() {
    super('app-not-built', 'The app has not been built: run "npm run build" and start the service again.', {
      status: 503,
      issueType: 'not-found',
    });
  }
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};

interface AppFile {
  readonly bytes: Buffer;
  readonly type: string;
  readonly etag: string;
  compressed?: Promise<Buffer>;
}

export function smartAppRoutes(
  options: SmartAppOptions,
  disclaimer: string,
  records: Pick<AssessmentRecords, 'usualMs'>,
): Router {
  const files = readFiles(options.directory);
  const policy = contentPolicy(options);
  const router = Router();

  router.use('/app', (_request, response, next) => {
    response.set({
      'Content-Security-Policy': policy,
      'Permissions-Policy': 'camera=(), microphone=(), geolocation=(), payment=(), usb=()',
      // An EHR of another origin embeds the page; what may frame it is said by frame-ancestors alone.
      'Cross-Origin-Resource-Policy': 'cross-origin',
      'Cache-Control': 'no-cache',
    });
    next();
  });
  router.get('/app', (_request, response) => response.redirect(308, '/app/index.html'));
  router.get('/app/config.json', async (_request, response) => {
    response.set('Cache-Control', 'no-store');
    // What the chart holds can be shown without our records.
    const usualMs = await records.usualMs().catch(() => null);
    response.json({ issuers: options.issuers, disclaimer, usualMs });
  });
  const sandboxEhr = options.sandboxEhr ? files.get('ehr.html') : undefined;
  if (sandboxEhr !== undefined) {
    const { host, origin } = new URL(options.issuers[0].iss);
    router.get('/', async (request, response) => {
      // Under another name of this machine the app would be of another origin than its EHR.
      if (request.get('host') !== host) return response.redirect(`${origin}/`);
      // The page frames the app, and nobody frames the page.
      const framing = policy.replace(/frame-ancestors .*$/, "frame-ancestors 'none'; frame-src 'self'");
      response.set({ 'Content-Security-Policy': framing, 'Cache-Control': 'no-cache' });
      await sendFile(request, response, 'ehr.html', sandboxEhr);
    });
  }
  router.get(/^\/app\/.*$/, async (request, response, next) => {
    const name = request.path === '/app/' ? 'index.html' : request.path.slice('/app/'.length);
    const file = files.get(name);
    if (file !== undefined) await sendFile(request, response, name, file);
    else if (files.size === 0) next(new AppNotBuiltError());
    else next();
  });
  return router;
}

/** Read once: a request can name these files and reach no other. */
function readFiles(directory: string): Map<string, AppFile> {
  const files = new Map<string, AppFile>();
  for (const entry of listFiles(directory)) {
    const bytes = readFileSync(join(directory, entry));
    const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;
    files.set(entry, { bytes, type: TYPES[extname(entry)] ?? 'application/octet-stream', etag });
  }
  return files;
}

function listFiles(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
  } catch {
    return [];
  }
}

async function sendFile(request: Request, response: Response, name: string, file: AppFile): Promise<void> {
  // Vite puts a hash of the content into these names.
  if (name.startsWith('assets/')) response.set('Cache-Control', 'public, max-age=31536000, immutable');
  response.set({ 'Content-Type': file.type, ETag: file.etag, Vary: 'Accept-Encoding' });
  if (request.get('if-none-match') === file.etag) {
    response.status(304).end();
  } else if (request.acceptsEncodings('gzip') === 'gzip') {
    file.compressed ??= promisify(gzip)(file.bytes);
    response.set('Content-Encoding', 'gzip').end(await file.compressed);
  } else {
    response.end(file.bytes);
  }
}

/**
 * Scripts and styles are the app's own files; nothing inline, no plugin, no form, no frame. Pixels are drawn on canvases, so
 * that no image of another origin is ever wanted.
 */
function contentPolicy({ frameAncestors, connectOrigins }: SmartAppOptions): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    ['connect-src', "'self'", ...connectOrigins].join(' '),
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    ['frame-ancestors', ...(frameAncestors.length > 0 ? frameAncestors : ["'none'"])].join(' '),
  ].join('; ');
}
