/**
 * Every JSON answer of the routes is held against openapi.yaml before it leaves. The validators are compiled when the doors are
 * built: compiled at the first answer, as express-openapi-validator does it, they stall the event loop for 90 ms.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { RequestHandler } from 'express';
import { parse } from 'yaml';
import type { Logger } from '../log.ts';
import { ContractBreachError } from './problem.ts';

interface Described {
  readonly paths: Record<string, Record<string, { responses?: Record<string, { content?: Record<string, unknown> }> }>>;
}

/** Must stand behind the request validation, which finds the route. An answer that breaks the description is our fault: 500. */
export function validateResponses(
  openapi: string,
  services: { readonly log: Logger; readonly onContractBreach?: (error: Error) => void },
): RequestHandler {
  const validators = compile(openapi);
  return (request, response, next) => {
    const answer = response.json.bind(response);
    response.json = (body: unknown) => {
      const { openApiRoute } = (request as { openapi?: { openApiRoute?: string } }).openapi ?? {};
      const validate = validators.get(keyOf(request.method, openApiRoute ?? '', response.statusCode));
      if (validate !== undefined && !validate(body)) throw breach(validate.errors ?? [], services);
      return answer(body);
    };
    next();
  };
}

/** One validator for each operation and status that answers JSON. */
function compile(openapi: string): ReadonlyMap<string, ValidateFunction> {
  const description = parse(openapi) as Described;
  const ajv = new Ajv2020({ strict: false });
  addFormats.default(ajv);
  ajv.addSchema(description, 'openapi');
  const validators = new Map<string, ValidateFunction>();
  for (const [path, operations] of Object.entries(description.paths)) {
    for (const [method, { responses = {} }] of Object.entries(operations)) {
      for (const [status, { content }] of Object.entries(responses)) {
        if (content?.['application/json'] === undefined) continue;
        const steps = ['paths', path, method, 'responses', status, 'content', 'application/json', 'schema'];
        const pointer = steps
          .map((step) => encodeURIComponent(step.replace(/~/g, '~0').replace(/\//g, '~1')))
          .join('/');
        validators.set(keyOf(method, path, Number(status)), ajv.compile({ $ref: `openapi#/${pointer}` }));
      }
    }
  }
  return validators;
}

function keyOf(method: string, path: string, status: number): string {
  return `${method.toUpperCase()} ${path} ${status}`;
}

/** `violations`: where and which rule, no values. */
function breach(
  errors: readonly ErrorObject[],
  services: Parameters<typeof validateResponses>[1],
): ContractBreachError {
  const error = new ContractBreachError(errors.map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`));
  services.log.error('answer breaks openapi.yaml', { code: error.code, violations: error.violations });
  services.onContractBreach?.(error);
  return error;
}
