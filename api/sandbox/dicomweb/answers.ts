/** Answers that several resources share. */
import type { Request, Response } from 'express';

export function sendError(response: Response, status: number, message: string): void {
  response.status(status).json({ status, message });
}

export function sendDicomJson(response: Response, status: number, body: unknown): void {
  response.status(status).set('Cache-Control', 'no-store').type('application/dicom+json').send(JSON.stringify(body));
}

/** URL of the DICOMweb root as the client sees it. */
export function rootUrl(request: Request): string {
  return `${request.protocol}://${request.get('host') ?? 'localhost'}${request.baseUrl}`;
}
