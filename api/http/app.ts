/** The front doors: check, call, answer. `createApp` builds them and never listens. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import express from 'express';
import type { Express, Router } from 'express';
import * as OpenApiValidator from 'express-openapi-validator';
import type { AssessmentRecords, AssessmentWork } from '../assessment/assessment-records.ts';
import type { RequestParts } from '../assessment/request-assessment.ts';
import type { OperationSwitch } from '../assessment/operation.ts';
import type { Ehr, Pacs, ScanReader } from '../assessment/ports.ts';
import { createAuthorizer } from '../authorization/authorizer.ts';
import type { AuthorizerParts } from '../authorization/authorizer.ts';
import type { Logger } from '../log.ts';
import { assessmentRoutes } from './assessments.ts';
import { authenticate } from './authenticate.ts';
import { cdsRoutes } from './cds-hooks.ts';
import type { CdsParts } from './cds-hooks.ts';
import { docsRoutes } from './docs.ts';
import { eventRoutes } from './events.ts';
import { healthRoutes } from './health.ts';
import { initialCtRoutes } from './initial-ct.ts';
import type { InitialCtParts } from './initial-ct.ts';
import { jwksRoutes } from './jwks.ts';
import { metricsRoutes } from './metrics.ts';
import { modelRoutes } from './models.ts';
import { notificationRoutes } from './notifications.ts';
import { operationRoutes } from './operation.ts';
import { permit } from './permit.ts';
import { problemHandler } from './problem.ts';
import { refusalRoutes } from './refusals.ts';
import { resultMapRoutes } from './result-maps.ts';
import { answerHead, logRequests, securityHeaders } from './middleware.ts';
import { validateResponses } from './response-validation.ts';
import { smartAppRoutes } from './smart-app.ts';
import type { SmartAppOptions } from './smart-app.ts';

export interface Services {
  readonly ehr: Pick<Ehr, 'health'>;
  readonly pacs: Pick<Pacs, 'health'>;
  readonly reader: Pick<ScanReader, 'describe' | 'documents' | 'health'>;
  readonly records: AssessmentRecords;
  readonly work: AssessmentWork;
  /** plan-study.ts with its systems. */
  readonly planStudy: RequestParts['planStudy'];
  readonly operation: OperationSwitch;
  /** Something in the chart may have changed. */
  readonly onChartChange: () => void;
  readonly queueLimit: number;
  /** Whose tokens open /v1 and /metrics. */
  readonly authentication: AuthorizerParts;
  readonly log: Logger;
  /** Where the SMART app's viewer gets its pixels; without it the route is not there. */
  readonly initialCt?: InitialCtParts;
  /** The CDS Hooks at /cds-services. */
  readonly cds?: CdsParts;
  /** Public half of the key by which the service proves itself to its EHR. */
  readonly publicKey?: object;
  /** The SMART app at /app. */
  readonly smartApp?: SmartAppOptions;
  /** The sandbox's routers, mounted at /sandbox in this order, with doors and limits of their own. */
  readonly sandbox?: readonly Router[];
  /** Told of answers that break openapi.yaml, which are logged and answered 500. */
  readonly onContractBreach?: (error: Error) => void;
}

export const OPENAPI_FILE = resolve(import.meta.dirname, '../../openapi.yaml');

/** Largest JSON body that is read. */
const BODY_LIMIT = '64kb';

export function createApp(services: Services): Express {
  const app = express();
  const { disclaimer } = services.reader.describe();
  app.disable('x-powered-by');
  app.set('etag', false); // an assessment changes while it is looked at

  app.use(logRequests(services.log));
  for (const router of services.sandbox ?? []) app.use('/sandbox', router);
  app.use(securityHeaders);
  app.use(answerHead);
  app.use(docsRoutes(OPENAPI_FILE, disclaimer));
  if (services.publicKey !== undefined) app.use(jwksRoutes(services.publicKey));
  if (services.cds !== undefined) app.use(cdsRoutes(services.cds));
  if (services.smartApp !== undefined) app.use(smartAppRoutes(services.smartApp, disclaimer, services.records));
  app.get('/', (_request, response) => response.redirect(services.sandbox === undefined ? '/docs' : '/sandbox'));
  app.use(['/v1', '/metrics'], authenticate(createAuthorizer(services.authentication)), permit);
  app.use(notificationRoutes(services)); // whatever it carries, nobody reads it
  app.use(express.json({ limit: BODY_LIMIT, type: ['application/json'], inflate: false }));
  app.use(
    OpenApiValidator.middleware({
      apiSpec: OPENAPI_FILE,
      validateRequests: { allowUnknownQueryParameters: false },
      validateResponses: false, // response-validation.ts
      validateSecurity: false, // authenticate.ts
      validateApiSpec: false, // test/contract does, once
    }),
  );
  app.use(validateResponses(readFileSync(OPENAPI_FILE, 'utf8'), services));
  app.use(healthRoutes(services));
  app.use(metricsRoutes(services.records, services.cds === undefined ? [] : [services.cds.metrics.register]));
  app.use(assessmentRoutes(services));
  app.use(eventRoutes(services));
  app.use(resultMapRoutes(services.records));
  if (services.initialCt !== undefined) app.use(initialCtRoutes(services.initialCt));
  app.use(modelRoutes(services));
  app.use(operationRoutes(services));
  app.use(refusalRoutes());
  app.use(problemHandler(services.log));
  return app;
}
