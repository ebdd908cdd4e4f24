/** An Express route that reads the same body and knows nothing: what the load costs without the service. Ends on a line of input. */
import type { AddressInfo } from 'node:net';
import express from 'express';

const app = express();
app.use(express.json({ limit: '2mb' }));
app.post('/cds-services/:id', (_request, response) => void response.json({ cards: [] }));
const server = app.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
process.stdin.once('data', () => process.exit(0));
