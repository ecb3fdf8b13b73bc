/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: {
    '^.+\\.[jt]s$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }],
  },
  globalSetup: '<rootDir>/test/set-up.ts',
  globalTeardown: '<rootDir>/test/memory/tear-down.ts',
  // Ends nothing but a hang, of a test or a hook, on a machine that is many times slower, too.
  testTimeout: 600_000,
  maxWorkers: 2,
  // Of the tests of one file that run side by side.
  maxConcurrency: 2,
};
