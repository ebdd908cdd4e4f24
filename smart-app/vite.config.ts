import { resolve } from 'node:path';
import { defineConfig } from 'vite';

const here = import.meta.dirname;

/** `npm run build`: two pages, no inline script or style, so that the service's content policy can forbid both. */
export default defineConfig({
  root: here,
  base: '/app/',
  define: {
    // fhirclient without its polyfills for browsers that cannot run this app anyway.
    FHIRCLIENT_PURE: 'true',
  },
  resolve: {
    // Node modules that browser builds of dependencies still name.
    alias: {
      events: resolve(here, '../node_modules/events'),
      url: resolve(here, '../node_modules/url'),
      // Every browser that runs this app has Web Cryptography of its own.
      'isomorphic-webcrypto': resolve(here, 'src/session/no-polyfill.ts'),
    },
  },
  build: {
    outDir: resolve(here, 'dist'),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 5_000, // the viewer, which is fetched after the risk is on screen
    rollupOptions: {
      input: {
        index: resolve(here, 'index.html'),
        launch: resolve(here, 'launch.html'),
        ehr: resolve(here, 'ehr.html'),
      },
    },
  },
});
