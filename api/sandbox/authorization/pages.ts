/** The two pages a person may see while an app is being authorized: whose chart to open, and what went wrong. No scripts. */
import { createHash } from 'node:crypto';

export interface PatientChoice {
  readonly id: string;
  readonly name: string;
  readonly facts: string;
}

const style = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 34rem; margin: 2rem auto; padding: 0 1rem; }
.label { font-weight: 600; }
ul { list-style: none; padding: 0; }
button { font: inherit; display: block; width: 100%; min-height: 44px; margin: 0 0 .5rem; padding: .5rem 1rem; text-align: left;
  color: light-dark(#0b3a6b, #cfe4fb); background: light-dark(#eef4fa, #1a2732); border: 1px solid light-dark(#5a7691, #7f9cb8);
  border-radius: .375rem; cursor: pointer; }
button:focus-visible { outline: 3px solid light-dark(#0b5cad, #7db8f5); outline-offset: 2px; }
small { display: block; color: light-dark(#44525f, #a9b6c2); }
`;

export const pagePolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'self'",
].join('; ');

export function pickerPage(app: string, choices: readonly PatientChoice[], action: string): string {
  const rows = choices.map(
    ({ id, name, facts }) =>
      `<li><button name="patient" value="${escape(id)}">${escape(name)} <small>${escape(facts)}</small></button></li>`,
  );
  return page(
    'Choose a patient',
    `<p>You are taken to be <strong>Dr. Sam Sandbox</strong>; nobody signs in here.</p>
<p><strong>${escape(app)}</strong> asks to open a chart. Which patient?</p>
<form method="post" action="${escape(action)}"><ul>
${rows.join('\n')}
</ul></form>`,
  );
}

export function problemPage(error: string, description: string | undefined): string {
  return page(
    'The app was not opened',
    `<p>${escape(description ?? error)}</p><p>Close this and launch the app again.</p>`,
  );
}

function page(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} - Sandbox EHR</title><style>${style}</style></head>
<body><main><p class="label">Sandbox EHR - simulated patients, simulated sign-in</p>
<h1>${title}</h1>
${content}
</main></body>
</html>
`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
