import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

/**
 * A folder may import only what its place in the architecture allows (docs/decisions/0001-layout.md).
 * @param {string[]} files
 * @param {string[]} forbidden
 * @param {string} message
 * @returns {import('typescript-eslint').ConfigWithExtends}
 */
const boundary = (files, forbidden, message, allowTypeImports = false) => ({
  files,
  rules: {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      { patterns: forbidden.map((regex) => ({ regex, message, allowTypeImports })) },
    ],
  },
});

const SLOW_MACHINE =
  'A slower or busier machine would fail here: CONTRIBUTING.md, "Slow machines". Costs are measured in test/bench.';
const ONE_TIMEOUT = 'Timeouts guard against hangs only, and testTimeout in jest.config.mjs is that guard.';
const NUMBER = 'Literal[raw=/^[0-9_]+$/]';

export default tseslint.config(
  { ignores: ['node_modules', 'cdk.out', 'coverage'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/require-await': 'off',
      eqeqeq: 'error',
    },
  },
  boundary(
    ['lib/**', 'bin/**'],
    ['/lambdas/', '/sandbox/'],
    'lib sees only types of lambdas, never the sandbox',
    true,
  ),
  boundary(
    ['lambdas/**'],
    ['/lib/', '/sandbox/', '^aws-cdk-lib', '^constructs'],
    'lambdas import neither lib nor sandbox',
  ),
  {
    files: ['test/**/*.ts'],
    ignores: ['test/bench/**'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...[
          `MemberExpression[object.name='performance'][property.name='now']`,
          `MemberExpression[object.name='process'][property.name=/^(cpuUsage|hrtime)$/]`,
          `CallExpression[callee.name='expect'] BinaryExpression[operator='-'] > CallExpression[callee.object.name='Date'][callee.property.name='now']`,
        ].map((selector) => ({ selector, message: SLOW_MACHINE })),
        ...[
          `MemberExpression[object.name='jest'][property.name='setTimeout']`,
          `CallExpression[callee.name=/^(test|it|beforeAll|beforeEach|afterAll|afterEach)$/] > ${NUMBER}`,
          `CallExpression[callee.callee.property.name='each'] > ${NUMBER}`,
        ].map((selector) => ({ selector, message: ONE_TIMEOUT })),
      ],
    },
  },
  {
    files: ['**/*.{js,cjs,mjs}'],
    ...tseslint.configs.disableTypeChecked,
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        require: 'readonly',
        module: 'writable',
        Buffer: 'readonly',
        setTimeout: 'readonly',
        clearTimeout: 'readonly',
        setImmediate: 'readonly',
        URL: 'readonly',
        fetch: 'readonly',
        __dirname: 'readonly',
        WebAssembly: 'readonly',
        globalThis: 'readonly',
      },
    },
    rules: { ...tseslint.configs.disableTypeChecked.rules, '@typescript-eslint/no-require-imports': 'off' },
  },
  prettier,
);
