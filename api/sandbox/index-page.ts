/** GET /sandbox: the simulated patients and where their records are, as one static page without scripts. */
import { createHash } from 'node:crypto';
import type { ImagingStudy, Patient } from '@medplum/fhirtypes';

/** A row of the page: a patient with their studies. */
export interface IndexEntry {
  readonly patient: Patient & { readonly id?: string };
  readonly studies: readonly ImagingStudy[];
  readonly assessments: number;
  /** Of a simulated patient. */
  readonly story?: string;
  /** ISO 8601 with zone, of a simulated patient. */
  readonly thrombectomyEnd?: string;
}

const style = `
:root { color-scheme: light dark; --line: light-dark(#d5dbe1, #37414b); --soft: light-dark(#5a6672, #9aa7b4);
  --card: light-dark(#ffffff, #1a2027); --link: light-dark(#0b5cad, #7db8f5); --warn: light-dark(#fff4d6, #3a3016); }
* { box-sizing: border-box; }
body { margin: 0; background: light-dark(#f4f6f8, #11161b); color: light-dark(#17202a, #e8edf2);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.25; }
h2 { margin: 0; font-size: 1.1rem; }
p { margin: .35rem 0; }
a { color: var(--link); text-underline-offset: .15em; }
a:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 2px; }
.lead { color: var(--soft); max-width: 46rem; }
.label { margin: 1rem 0 1.5rem; padding: .6rem .9rem; background: var(--warn); border-left: 4px solid #b7791f; }
.patients { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem; padding: 0; margin: 0; list-style: none; }
.patients li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem 1.1rem;
  display: flex; flex-direction: column; }
.facts { color: var(--soft); font-size: .9rem; font-variant-numeric: tabular-nums; }
dl.facts { margin: .5rem 0 0; display: grid; gap: .1rem; }
dt { color: var(--soft); }
dd { margin: 0 0 .3rem; color: light-dark(#17202a, #e8edf2); }
.links { margin-top: auto; padding-top: .6rem; font-size: .9rem; display: flex; flex-wrap: wrap; gap: .2rem .9rem; }
pre { overflow-x: auto; padding: .8rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  font: .85rem/1.5 ui-monospace, "Liberation Mono", monospace; }
section { margin-top: 2rem; }
`;

/** Nothing is loaded and nothing runs; the one style is named by its hash. */
export const indexPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** @param origin of the service, without trailing slash ("http://127.0.0.1:8080") */
export function indexPage(entries: readonly IndexEntry[], origin: string): string {
  const example = entries.flatMap(({ studies }) => studies)[0];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sandbox EHR - simulated patients</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>Sandbox EHR - simulated patients</h1>
<p class="lead">A small FHIR R4 chart and a DICOMweb archive on this machine. Every patient and every image that came with it was
made by a simulator; nobody here exists.</p>
<p class="label">Research use only, trained on simulated data, not a medical device.</p>
<ul class="patients">
${entries.map(card).join('\n') || '<li>No patients yet. Store a DICOM study by STOW-RS, and it appears here.</li>'}
</ul>
<section>
<h2>Addresses</h2>
<p>FHIR R4: <a href="/sandbox/fhir/metadata">${escape(origin)}/sandbox/fhir</a></p>
<p>DICOMweb: <a href="/sandbox/dicomweb/studies">${escape(origin)}/sandbox/dicomweb</a></p>
${example?.id === undefined ? '' : requestExample(origin, example.id)}
</section>
</main>
</body>
</html>
`;
}

function requestExample(origin: string, studyId: string): string {
  const command =
    `curl -X POST ${origin}/v1/assessments -H 'Content-Type: application/json' \\\n` +
    `  -d '{"imagingStudy":"ImagingStudy/${studyId}"}'`;
  return `<p>Assess a study:</p>\n<pre>${escape(command)}</pre>`;
}

function card({ patient, studies, assessments, story, thrombectomyEnd }: IndexEntry): string {
  const { id = '', gender, birthDate } = patient;
  const reference = `Patient/${id}`;
  const facts = [gender, birthDate === undefined ? undefined : `born ${birthDate}`, identifierOf(patient)];
  const links = [
    link(`/sandbox/fhir/${reference}`, 'Patient'),
    link(`/sandbox/fhir/Procedure?patient=${id}`, 'Procedures'),
    ...studies.map((study) => link(`/sandbox/fhir/ImagingStudy/${study.id}`, `ImagingStudy/${study.id}`)),
    link(
      `/sandbox/fhir/RiskAssessment?subject=${encodeURIComponent(reference)}&_sort=-date`,
      assessments === 0 ? 'not assessed yet' : `${assessments} RiskAssessment${assessments === 1 ? '' : 's'}`,
    ),
  ];
  const times = [
    ...(thrombectomyEnd === undefined ? [] : [['Thrombectomy ended', clock(thrombectomyEnd)]]),
    ...studies.map((study) => [studyWords(study), clock(study.started ?? 'time not stated')]),
  ];
  return `<li>
<h2>${escape(nameOf(patient))}</h2>
<p class="facts">${facts
    .filter((fact) => fact !== undefined)
    .map(escape)
    .join(' · ')}</p>
${story === undefined ? '' : `<p>${escape(story)}</p>`}
${times.length === 0 ? '' : `<dl class="facts">${times.map(([name, time]) => `\n<dt>${escape(name)}</dt><dd>${escape(time)}</dd>`).join('')}\n</dl>`}
<p class="links">${links.join('')}</p>
</li>`;
}

function studyWords({ description, numberOfInstances = 0 }: ImagingStudy): string {
  return `${description ?? 'Study'}, ${numberOfInstances} ${numberOfInstances === 1 ? 'image' : 'images'}`;
}

/** "2026-03-02T08:51:00+01:00" as "2026-03-02 08:51 UTC+01:00"; a date alone stays as it is. */
function clock(time: string): string {
  return time.replace(/T(\d\d:\d\d)[\d:.]*/, ' $1 UTC').replace(/UTCZ$/, 'UTC');
}

function nameOf({ name }: Patient): string {
  const [{ family, given = [] } = {}] = name ?? [];
  return [family, given.join(' ')].filter((part) => part).join(', ') || 'Name not stated';
}

function identifierOf({ identifier }: Patient): string | undefined {
  return identifier?.[0]?.value;
}

function link(href: string, words: string): string {
  return `<a href="${escape(href)}">${escape(words)}</a>`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text of the chart stays text. */
function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]);
}
