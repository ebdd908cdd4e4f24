/** The shape of TRUST_FILE as a JSON Schema. Unknown properties are refused: a misspelled one would silently trust more, or less. */
import { ASYMMETRIC_ALGORITHMS } from './bearer-jwt.ts';
import { CDS_ALGORITHMS } from './cds-client.ts';

const text = { type: 'string', minLength: 1, maxLength: 2_000 } as const;
const url = { ...text, format: 'system-url' } as const;
const list = (items: object, minItems = 0): object => ({ type: 'array', items, minItems, maxItems: 200 });

/** RFC 7517, public keys only: `d` is the private part, `k` a shared secret. */
const keySet = {
  type: 'object',
  required: ['keys'],
  properties: {
    keys: list(
      {
        type: 'object',
        required: ['kty', 'kid'],
        properties: { kid: text, kty: { enum: ['EC', 'RSA', 'OKP'] } },
        not: { anyOf: [{ required: ['d'] }, { required: ['k'] }] },
      },
      1,
    ),
  },
} as const;

const keys = { jwks: keySet, jwksUrl: url } as const;
const eitherKeys = { oneOf: [{ required: ['jwks'] }, { required: ['jwksUrl'] }] } as const;

const issuer = {
  type: 'object',
  additionalProperties: false,
  required: ['iss', 'audience'],
  properties: {
    iss: text,
    ...keys,
    audience: text,
    algorithms: list({ enum: ASYMMETRIC_ALGORITHMS }, 1),
    tenantClaim: text,
    tenant: text,
  },
  dependentRequired: { tenantClaim: ['tenant'], tenant: ['tenantClaim'] },
  ...eitherKeys,
} as const;

const smart = {
  type: 'object',
  additionalProperties: false,
  required: ['iss', 'clientId', 'introspectionUrl', 'frameAncestors'],
  properties: {
    iss: url,
    clientId: text,
    introspectionUrl: url,
    introspectionToken: text,
    introspectionTokenFile: text,
    frameAncestors: list({ ...text, format: 'origin' }),
    connectOrigins: list({ ...text, format: 'origin' }),
  },
  not: { required: ['introspectionToken', 'introspectionTokenFile'] },
} as const;

const cdsClient = {
  type: 'object',
  additionalProperties: false,
  required: ['iss', 'fhirServers'],
  properties: {
    iss: text,
    ...keys,
    fhirServers: list(url, 1),
    algorithms: list({ enum: CDS_ALGORITHMS }, 1),
    tenant: text,
  },
  ...eitherKeys,
} as const;

export const TRUST_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  properties: { issuers: list(issuer), smart: list(smart), cdsClients: list(cdsClient) },
} as const;
