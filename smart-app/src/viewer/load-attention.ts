/** The attention map of the forecast on the screen, from the service, held against the initial CT it is laid over. */
import type { components } from '../../../api/generated/openapi.d.ts';
import type { Session } from '../session/launched.ts';
import type { AttentionMap } from './attention.ts';
import type { Geometry } from './load-pair.ts';

type Assessment = components['schemas']['Assessment'];
type Page = { readonly items: readonly Assessment[]; readonly next: string | null };
type ResultMaps = components['schemas']['ResultMaps'];

/** Throws with words for the user. `forecastReference`: "RiskAssessment/<id>". */
export async function loadAttention(
  { callService }: Pick<Session, 'callService'>,
  geometry: Geometry,
  forecastReference: string,
): Promise<AttentionMap> {
  const ask = async (path: string, accept: string): Promise<Response> => {
    const response = await callService(path, { headers: { accept } });
    if (!response.ok) throw new Error('The service holds no attention map for this forecast.');
    return response;
  };
  const ofStudy = `/v1/assessments?limit=100&imagingStudy=${encodeURIComponent(geometry.imagingStudy)}`;
  let assessment: Assessment | undefined;
  let cursor: string | null = '';
  while (assessment === undefined && cursor !== null) {
    const after: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page = (await (await ask(ofStudy + after, 'application/json')).json()) as Page;
    assessment = page.items.find(({ resources }) => resources?.riskAssessment === forecastReference);
    cursor = page.next;
  }
  if (assessment === undefined) throw new Error('The service holds no attention map for this forecast.');
  const maps = (await (await ask(`/v1/assessments/${assessment.id}/maps`, 'application/json')).json()) as ResultMaps;
  const described = maps.maps.find(({ name }) => name === 'attention');
  if (described === undefined) throw new Error('The service holds no attention map for this forecast.');
  const voxels = await ask(`/v1/assessments/${assessment.id}/attention`, 'application/octet-stream');
  const values = new Uint8Array(await voxels.arrayBuffer());
  const { grid } = described;
  const isOfThisCt =
    maps.patient === geometry.patient &&
    maps.studyInstanceUid === geometry.studyInstanceUid &&
    maps.seriesInstanceUid === geometry.seriesInstanceUid &&
    values.length === grid.slices * grid.rows * grid.columns;
  if (!isOfThisCt) throw new Error('The attention map that the service sent belongs to other images; it is not shown.');
  return { grid, values };
}
