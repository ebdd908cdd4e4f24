/** The sandbox EHR at `/`: a small chart to try hemocast in. It knows hemocast only as an EHR does: SMART launch and CDS Hooks. */
import { createRoot } from 'react-dom/client';
import { SandboxEhr } from './sandbox-ehr.tsx';

createRoot(document.getElementById('ehr')!).render(<SandboxEhr />);
