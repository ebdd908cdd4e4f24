/** A FHIR server in a process of its own, to be killed: `node fhir-process.ts <folder>` prints its base URL. */
import type { AddressInfo } from 'node:net';
import express from 'express';
import { createFhirServer } from '../../../api/sandbox/fhir/server.ts';

const server = await createFhirServer({ folder: process.argv[2] });
const listener = express().use('/fhir', server.router).listen(0, '127.0.0.1');
listener.once('listening', () => {
  process.stdout.write(`http://127.0.0.1:${(listener.address() as AddressInfo).port}/fhir\n`);
});
