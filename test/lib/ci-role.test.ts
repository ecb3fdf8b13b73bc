import { z } from 'zod';
import type { CiRepository } from '../../lib/ci-role';
import { ENVIRONMENTS } from '../../lib/environments';
import { checkSettings } from '../../lib/settings-check';
import { resourcePolicyAllows } from '../../sandbox/iam/evaluate';
import { readable, resourcesOf, synthesise, type Template, templateOf } from './synthesis';

const Trust = z.object({
  AssumeRolePolicyDocument: z.object({ Statement: z.array(z.record(z.string(), z.unknown())) }),
});
const Provider = z.object({ Federated: z.unknown() });
const Conditions = z.record(z.string(), z.record(z.string(), z.string()));
const Policy = z.object({
  PolicyDocument: z.object({ Statement: z.array(z.object({ Action: z.string(), Resource: z.unknown() })) }),
  Roles: z.array(z.unknown()),
});

const GITHUB = 'token.actions.githubusercontent.com';

/** The template of an environment whose pipeline is in `ci`: of development, which is small. */
function templateFor(ci: CiRepository): Template {
  return templateOf(synthesise([{ ...ENVIRONMENTS.development, ci }]), 'Development-Rollback');
}

function trustFor(ci: CiRepository): Record<string, unknown> {
  const role = resourcesOf(templateFor(ci), 'AWS::IAM::Role').find(
    ({ Properties }) => Properties['RoleName'] === 'development-ci-gate',
  );
  const [statement, ...others] = Trust.parse(role?.Properties).AssumeRolePolicyDocument.Statement;
  if (!statement || others.length > 0) throw new Error('There is not one statement.');
  expect(statement).toMatchObject({ Effect: 'Allow', Action: 'sts:AssumeRoleWithWebIdentity' });
  return statement;
}

/**
 * Whether a policy evaluator lets a token take the role. It knows no condition keys of these issuers; those of Google, which STS
 * evaluates alike, stand in for them.
 */
async function letsIn(ci: CiRepository, token: Record<string, string>, issuer: string): Promise<boolean> {
  const { Principal, Condition } = trustFor(ci);
  const Federated = readable(Provider.parse(Principal).Federated)
    .replace('<AWS::Partition>', 'aws')
    .replace('<AWS::AccountId>', '123456789012');
  const conditions = Conditions.parse(
    JSON.parse(JSON.stringify(Condition).replaceAll(`"${issuer}:`, '"accounts.google.com:')),
  );
  return resourcePolicyAllows(
    { arn: `arn:aws:iam::123456789012:oidc-provider/${issuer}`, context: {} },
    {
      action: 'sts:AssumeRoleWithWebIdentity',
      resource: 'arn:aws:iam::123456789012:role/development-ci-gate',
      resourcePolicy: {
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Action: 'sts:AssumeRoleWithWebIdentity',
            Principal: { Federated },
            Condition: conditions,
          },
        ],
      },
      context: Object.fromEntries(
        Object.entries({ aud: 'sts.amazonaws.com', ...token }).map(([claim, value]) => [
          `accounts.google.com:${claim}`,
          value,
        ]),
      ),
    },
    true,
  );
}

const GITHUB_CI = { system: 'github', repository: 'shop/backend' } as const;
const GITLAB_CI = { system: 'gitlab', repository: 'shop/backend' } as const;

test.each<[CiRepository, string, boolean]>([
  [GITHUB_CI, 'repo:shop/backend:ref:refs/heads/main', true],
  [GITHUB_CI, 'repo:shop/backend:ref:refs/heads/main2', false],
  [GITHUB_CI, 'repo:shop/backend:ref:refs/tags/main', false],
  [GITHUB_CI, 'repo:shop/backend:pull_request', false],
  [GITHUB_CI, 'repo:shop/backend:environment:production', false],
  [GITHUB_CI, 'repo:somebody/backend:ref:refs/heads/main', false],
  // The same names, after others took them: only with immutable subject claims these are told apart.
  [GITHUB_CI, 'repo:shop@1/backend@2:ref:refs/heads/main', false],
  [{ ...GITHUB_CI, repository: 'shop@1/backend@2' }, 'repo:shop@1/backend@2:ref:refs/heads/main', true],
  [{ ...GITHUB_CI, repository: 'shop@1/backend@2' }, 'repo:shop@1/backend@3:ref:refs/heads/main', false],
  [{ ...GITHUB_CI, branch: 'release' }, 'repo:shop/backend:ref:refs/heads/release', true],
  [{ ...GITHUB_CI, branch: 'release' }, 'repo:shop/backend:ref:refs/heads/main', false],
  [{ ...GITHUB_CI, environment: 'production' }, 'repo:shop/backend:environment:production', true],
  [{ ...GITHUB_CI, environment: 'production' }, 'repo:shop/backend:environment:staging', false],
  [{ ...GITHUB_CI, environment: 'production' }, 'repo:shop/backend:ref:refs/heads/main', false],
  [{ ...GITHUB_CI, environment: 'production:eu' }, 'repo:shop/backend:environment:production%3Aeu', true],
  [GITLAB_CI, 'project_path:shop/backend:ref_type:branch:ref:main', true],
  [GITLAB_CI, 'project_path:shop/backend:ref_type:tag:ref:main', false],
])('%j: whether the job "%s" is let in: %s', async (ci, sub, expected) => {
  expect(await letsIn(ci, { sub }, ci.system === 'gitlab' ? 'gitlab.com' : GITHUB)).toBe(expected);
});

test('a token for somebody else, or of another issuer, is not let in', async () => {
  const sub = 'repo:shop/backend:ref:refs/heads/main';
  expect(await letsIn(GITHUB_CI, { sub, aud: 'https://github.com/shop' }, GITHUB)).toBe(false);
  expect(await letsIn(GITHUB_CI, { sub }, 'gitlab.com')).toBe(false);
});

test.each([GITHUB_CI, GITLAB_CI])('a job on $system may call the gate, and nothing else', (ci) => {
  const statements = resourcesOf(templateFor(ci), 'AWS::IAM::Policy')
    .map(({ Properties }) => Policy.safeParse(Properties))
    .flatMap(({ data }) =>
      data && readable(data.Roles[0]).startsWith('<Ci') ? data.PolicyDocument.Statement : [],
    );
  expect(statements.map(({ Action, Resource }) => [Action, readable(Resource)])).toEqual([
    ['lambda:InvokeFunction', expect.stringContaining('PreMigrationSnapshot')],
  ]);
});

test.each<[CiRepository, string]>([
  [{ ...GITHUB_CI, repository: 'shop/*' }, 'ci.repository is "shop/*". Write owner/name'],
  [{ ...GITHUB_CI, repository: 'shop@1/backend' }, 'ci.repository is "shop@1/backend"'],
  [{ ...GITHUB_CI, repository: 'https://github.com/shop/backend' }, 'ci.repository'],
  [{ ...GITLAB_CI, repository: 'shop' }, 'Write the path of the project'],
  [{ ...GITHUB_CI, branch: 'release/*' }, 'ci.branch is "release/*". Write its name, without patterns'],
  [{ ...GITHUB_CI, branch: 'refs/heads/main' }, 'the branch alone'],
  [{ ...GITHUB_CI, environment: '' }, 'ci.environment is ""'],
  [
    { ...GITHUB_CI, environment: 'production', branch: 'main' },
    'ci.branch is "main". The token of a job with an environment',
  ],
  [{ ...GITLAB_CI, environment: 'production' }, 'ci.environment is "production". Tokens of GitLab'],
])('%j is refused', (ci, message) => {
  expect(() => {
    checkSettings({ ...ENVIRONMENTS.staging, ci });
  }).toThrow(message);
});
