/** What a launch is about: handed in by the EHR's own pages, redeemed once by the app, and tied to what the app was granted. */
import { randomBytes } from 'node:crypto';
import { ExpiringMap } from './expiring-map.ts';

/** SMART App Launch 2.2, "Launch context". */
export interface LaunchContext {
  /** Id of the patient, without "Patient/". */
  readonly patient: string;
  /** Id of an ImagingStudy that the launch is about. */
  readonly imagingStudy?: string;
  readonly intent?: string;
  /** Whether the app has to show whose chart this is; the EHR may be showing it already. */
  readonly needPatientBanner: boolean;
  /** Of the CDS Hooks link that was followed, as it was (CDS Hooks 2.0.1, "Link"). */
  readonly appContext?: string;
}

/** Time between opening the panel and the app's authorization request, s. */
const LAUNCH_LIFETIME_S = 300;
/** A grant is of use as long as its token, s. */
export const GRANT_LIFETIME_S = 4_000;

export class LaunchContexts {
  readonly #launches = new ExpiringMap<LaunchContext>(1_000);
  readonly #grants = new ExpiringMap<LaunchContext>(10_000);

  /** Returns the opaque `launch` value: 256 random bits. */
  begin(context: LaunchContext): string {
    const launch = randomBytes(32).toString('base64url');
    this.#launches.set(launch, context, LAUNCH_LIFETIME_S);
    return launch;
  }

  redeem(launch: string): LaunchContext | undefined {
    return this.#launches.take(launch);
  }

  bind(grantId: string, context: LaunchContext): void {
    this.#grants.set(grantId, context, GRANT_LIFETIME_S);
  }

  of(grantId: string | undefined): LaunchContext | undefined {
    return grantId === undefined ? undefined : this.#grants.get(grantId);
  }
}
