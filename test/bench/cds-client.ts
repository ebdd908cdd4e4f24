/** A CDS client as a hospital registers it: an entry of the trust file, and a signed token for each call. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

const ISS = 'https://ehr.example';

/** The longest life that a token may have, s: all of a run's tokens are signed before it begins. */
const LIFE_S = 600;

export interface CdsClient {
  readonly trustFile: string;
  /** The Authorization header of one call of `endpoint`; each is good for one call. */
  authorize(endpoint: string): Promise<string>;
  forget(): void;
}

export async function registerCdsClient(fhirServer: string): Promise<CdsClient> {
  const { privateKey, publicKey } = await generateKeyPair('ES384');
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'bench', alg: 'ES384' }] };
  const folder = mkdtempSync(join(tmpdir(), 'hemocast-bench-'));
  const trustFile = join(folder, 'trust.json');
  writeFileSync(trustFile, JSON.stringify({ cdsClients: [{ iss: ISS, jwks, fhirServers: [fhirServer] }] }));
  return {
    trustFile,
    async authorize(endpoint) {
      const iat = Math.floor(Date.now() / 1000);
      const token = new SignJWT({ iss: ISS, aud: endpoint, iat, exp: iat + LIFE_S, jti: crypto.randomUUID() });
      return `Bearer ${await token.setProtectedHeader({ alg: 'ES384', kid: 'bench', typ: 'JWT' }).sign(privateKey)}`;
    },
    forget: () => rmSync(folder, { recursive: true, force: true }),
  };
}
