import { Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { EnvironmentName } from '../lambdas/contract/settings';
import { allow } from './permissions/permission';
import type { RollbackFunction } from './rollback-function';

/** The repository whose pipeline may ask the gate. */
export interface CiRepository {
  readonly system: 'github' | 'gitlab';
  /** `owner/name` on GitHub, the path of the project on GitLab. */
  readonly repository: string;
  /**
   * The branch from which is deployed.
   * @default main
   */
  readonly branch?: string;
}

/** Who issues the tokens of a CI system, and how the subject of a job on a branch is written. */
const SYSTEMS = {
  github: {
    issuer: 'token.actions.githubusercontent.com',
    subject: (repository: string, branch: string) => `repo:${repository}:ref:refs/heads/${branch}`,
  },
  gitlab: {
    issuer: 'gitlab.com',
    subject: (repository: string, branch: string) =>
      `project_path:${repository}:ref_type:branch:ref:${branch}`,
  },
} as const;

export interface CiRoleProps {
  readonly environment: EnvironmentName;
  readonly repository: CiRepository;
  readonly gate: RollbackFunction;
}

/**
 * What a pipeline's job becomes by its own token, without a stored key: it may call the gate, and nothing else. The identity
 * provider of the CI system has to be in the account already: there can be one only, and others use it, too.
 */
export class CiRole extends Construct {
  readonly role: iam.Role;

  constructor(scope: Construct, id: string, { environment, repository, gate }: CiRoleProps) {
    super(scope, id);
    const { issuer, subject } = SYSTEMS[repository.system];
    const provider = Stack.of(this).formatArn({
      service: 'iam',
      region: '',
      resource: 'oidc-provider',
      resourceName: issuer,
    });
    this.role = new iam.Role(this, 'Role', {
      roleName: `${environment}-ci-gate`,
      description: `The pipeline of ${repository.repository}: may ask the gate of ${environment}`,
      assumedBy: new iam.WebIdentityPrincipal(provider, {
        StringEquals: {
          [`${issuer}:aud`]: 'sts.amazonaws.com',
          // The whole subject, no pattern: another branch, a fork or a pull request is somebody else.
          [`${issuer}:sub`]: subject(repository.repository, repository.branch ?? 'main'),
        },
      }),
    });
    allow(this.role, [{ sid: 'AskGate', actions: ['lambda:InvokeFunction'], resources: [gate.functionArn] }]);
  }
}
