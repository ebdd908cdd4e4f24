/** What stands in and around the two panes, at the widths of a workstation, a narrow frame and a phone. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { decode } from 'fast-png';
import type { Browser, Page } from 'playwright-core';
import { describeWith } from '../support/components.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import {
  changeResource,
  forecastsOf,
  lookAgain,
  openApp,
  settled,
  startApp,
  stopApp,
  viewerReady,
} from './support/app-browser.ts';

const PATIENT = 'lindqvist-maja';
const SIDES = ['initial', 'generated'] as const;
interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

describeWith('Chromium', 'The panes of the viewer', () => {
  let service: ServiceProcess;
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    [service, browser] = await startApp();
    page = (await openApp(browser, service, PATIENT)).page;
    await viewerReady(page);
  });
  afterAll(() => stopApp(service, browser));

  const press = async (...keys: string[]): Promise<void> => {
    await page.focus('.viewer-tools');
    for (const key of keys) await page.keyboard.press(key);
    await settled(page);
  };
  const resize = async (width: number): Promise<void> => {
    await page.setViewportSize({ width, height: 800 });
    await settled(page);
  };
  const boxOf = async (selector: string): Promise<Box> => {
    const { x, y, width, height } = (await page.locator(selector).boundingBox())!;
    return { left: x, right: x + width, top: y, bottom: y + height };
  };
  const isWithin = (inner: Box, outer: Box): boolean =>
    inner.left >= outer.left - 0.5 &&
    inner.right <= outer.right + 0.5 &&
    inner.top >= outer.top - 0.5 &&
    inner.bottom <= outer.bottom + 0.5;

  it('stand with the right side of the patient on the left, as radiology shows a head', async () => {
    for (const side of SIDES) {
      const image = await boxOf(`.viewport[data-side="${side}"]`);
      const [right, left] = await Promise.all([
        boxOf(`.pane.${side} .mark:text-is("R")`),
        boxOf(`.pane.${side} .mark:text-is("L")`),
      ]);
      const middle = (image.left + image.right) / 2;
      expect(right.right).toBeLessThan(middle);
      expect(left.left).toBeGreaterThan(middle);
    }
  });

  it('have a hatched frame around the generated CT, and none around the acquired one', async () => {
    /** Share of amber along the left edge of the frame. */
    const amber = async (side: string): Promise<number> => {
      const { data, width, height, channels } = decode(await page.locator(`.pane.${side} .frame`).screenshot());
      const edge = Array.from({ length: height }, (_, y) => (y * width + 4) * channels);
      return edge.filter((at) => data[at] > 200 && data[at + 2] < 80).length / height;
    };
    expect(await amber('generated')).toBeGreaterThan(0.3);
    expect(await amber('generated')).toBeLessThan(0.7);
    expect(await amber('initial')).toBe(0);
  });

  it.each([1280, 900, 560, 320])(
    'name the generated CT outside of its image on %d px, and hide nothing of it',
    async (width) => {
      await resize(width);
      expect(await page.locator('.pane.generated figcaption').innerText()).toMatch(
        /AI-generated[^]*within 72 h[^]*not acquired, research use only/,
      );
      const [caption, frame, image, strip, name] = await Promise.all(
        ['figcaption', '.frame', '.viewport', '.strip', '.strip span:first-child'].map((part) =>
          boxOf(`.pane.generated ${part}`),
        ),
      );
      expect(caption.bottom).toBeLessThanOrEqual(frame.top);
      expect(strip.top).toBeGreaterThanOrEqual(image.bottom);
      expect([isWithin(strip, frame), isWithin(name, strip)]).toEqual([true, true]);
      expect(await page.locator('.pane.generated .strip').innerText()).toMatch(/^AI-generated/);
      const initial = await boxOf('.viewport[data-side="initial"]');
      expect(Math.abs(initial.top - image.top)).toBeLessThan(1);
    },
  );

  it.each([1280, 560, 320])(
    'have a true ruler at every zoom on %d px, clear of the image and of its own label',
    async (width) => {
      await resize(width);
      const { columns, columnSpacingMm } = (await (
        await service.fetch(`/v1/imaging-studies/${PATIENT}-ct/geometry`)
      ).json()) as { columns: number; columnSpacingMm: number };
      await press('r', '-', '-', '-');
      const seen = new Set<string>();
      for (let step = 0; step < 15; step++) {
        const zoom = Number(await page.getAttribute('.viewer-tools', 'data-zoom'));
        const [image, strip, bar, label] = await Promise.all(
          ['.viewport', '.strip', '.ruler', '.ruler + span'].map((part) => boxOf(`.pane.initial ${part}`)),
        );
        const [, count, unit] = /^(\d) (cm|mm)$/.exec(await page.locator('.pane.initial .ruler + span').innerText())!;
        const mm = Number(count) * (unit === 'cm' ? 10 : 1);
        const paneWidth = image.right - image.left;
        expect((bar.right - bar.left) / ((mm * zoom * paneWidth) / (columns * columnSpacingMm))).toBeCloseTo(1, 1);
        expect(bar.right - bar.left).toBeLessThanOrEqual(paneWidth / 3);
        expect(bar.right).toBeLessThan(label.left);
        expect([isWithin(bar, strip), isWithin(label, strip)]).toEqual([true, true]);
        expect(strip.top).toBeGreaterThanOrEqual(image.bottom);
        seen.add(`${count} ${unit}`);
        await press('+');
      }
      expect([...seen]).toEqual(['5 cm', '2 cm', '1 cm', '5 mm']);
      await press('r');
    },
  );

  it('leave nothing of their tools beyond the panel on a phone, whatever the window', async () => {
    await resize(320);
    for (const key of ['1', '4', 'd', 'a', '?']) {
      await press(key);
      const panel = await boxOf('.panel.viewer');
      const furthest = await page.evaluate(
        `Math.max(...[...document.querySelectorAll('.viewer-tools *')].map((one) => one.getBoundingClientRect().right))`,
      );
      expect(furthest).toBeLessThanOrEqual(panel.right);
    }
    await press('r', '?');
    await resize(1280);
  });

  it('stay, and fetch no CT again, when the status of the forecast changes before them', async () => {
    const app = await openApp(browser, service, PATIENT);
    await viewerReady(app.page);
    await app.page.locator('.viewport[data-side="initial"]').hover();
    await app.page.mouse.wheel(0, 100);
    await settled(app.page);
    const slice = await app.page.getAttribute('.viewer-tools', 'data-slice');
    const count = (part: RegExp): number => app.requested.filter((address) => part.test(address)).length;
    const cts = count(/initial-ct|Binary/);

    const [{ id, status }] = await forecastsOf(service, PATIENT);
    const other = status === 'final' ? 'preliminary' : 'final';
    await changeResource(service, `RiskAssessment/${id}`, (risk) => void (risk.status = other));
    const readAnew = app.page.waitForResponse(/Media/);
    await lookAgain(app.page);
    await readAnew;
    await app.page.waitForTimeout(1_000); // for what must not come
    await settled(app.page);
    expect(count(/initial-ct|Binary/)).toBe(cts);
    expect(app.complaints).toEqual([]);
    expect(await app.page.getAttribute('.viewer-tools', 'data-slice')).toBe(slice);
    await changeResource(service, `RiskAssessment/${id}`, (risk) => void (risk.status = status));
    await app.close();
  });
});
