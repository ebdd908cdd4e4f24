/** Jest runs the TypeScript sources as ES modules, transformed by SWC (types stripped, nothing else changed). */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' } },
    ],
  },
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  modulePathIgnorePatterns: ['<rootDir>/models/', '<rootDir>/data/'],
  testTimeout: 60_000,
  maxWorkers: 3, // on two cores: suites wait for browsers and services two fifths of their time
};
