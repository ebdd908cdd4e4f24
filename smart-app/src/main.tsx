/** /app/index.html: back from the EHR's authorization server, one patient in hand. */
import { createRoot } from 'react-dom/client';
import { openSession } from './session/session.ts';
import { ChartView } from './views/chart-view.tsx';

const root = createRoot(document.getElementById('app')!);
try {
  root.render(<ChartView session={await openSession()} />);
} catch (error) {
  root.render(
    <main className="notice">
      <h1>hemocast was not opened</h1>
      <p role="alert">{error instanceof Error ? error.message : 'Unknown reason.'}</p>
      <p>Open it again from the patient’s chart.</p>
    </main>,
  );
}
