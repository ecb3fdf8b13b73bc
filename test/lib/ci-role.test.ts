import { z } from 'zod';
import { checkSettings, ENVIRONMENTS } from '../../lib/environments';
import { readable, resourcesOf, synthesise, templateOf } from './synthesis';

const Trust = z.object({
  AssumeRolePolicyDocument: z.object({ Statement: z.array(z.record(z.string(), z.unknown())) }),
});
const Policy = z.object({
  PolicyDocument: z.object({ Statement: z.array(z.object({ Action: z.string(), Resource: z.unknown() })) }),
  Roles: z.array(z.unknown()),
});

test.each([
  ['github', 'token.actions.githubusercontent.com', 'repo:shop/backend:ref:refs/heads/main'],
  ['gitlab', 'gitlab.com', 'project_path:shop/backend:ref_type:branch:ref:main'],
] as const)('a job on %s may call the gate, and nothing else', (system, issuer, subject) => {
  const made = synthesise([{ ...ENVIRONMENTS.staging, ci: { system, repository: 'shop/backend' } }]);
  const stack = templateOf(made, 'Staging-Rollback');
  const role = resourcesOf(stack, 'AWS::IAM::Role').find(
    ({ Properties }) => Properties['RoleName'] === 'staging-ci-gate',
  );
  const { Statement } = Trust.parse(role?.Properties).AssumeRolePolicyDocument;
  expect(Statement).toHaveLength(1);
  expect(Statement[0]).toMatchObject({
    Action: 'sts:AssumeRoleWithWebIdentity',
    Condition: { StringEquals: { [`${issuer}:aud`]: 'sts.amazonaws.com', [`${issuer}:sub`]: subject } },
  });
  expect(JSON.stringify(Statement[0]?.['Principal'])).toContain(`oidc-provider/${issuer}`);
  const statements = resourcesOf(stack, 'AWS::IAM::Policy')
    .map(({ Properties }) => Policy.safeParse(Properties))
    .flatMap(({ data }) =>
      data && readable(data.Roles[0]).startsWith('<Ci') ? data.PolicyDocument.Statement : [],
    );
  expect(statements.map(({ Action, Resource }) => [Action, readable(Resource)])).toEqual([
    ['lambda:InvokeFunction', expect.stringContaining('PreMigrationSnapshot')],
  ]);
});

test('a repository with a pattern is refused: it would let others in', () => {
  expect(() => {
    checkSettings({ ...ENVIRONMENTS.staging, ci: { system: 'github', repository: 'shop/*' } });
  }).toThrow('Write owner/name');
});
