import { Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { EnvironmentName } from '../lambdas/contract/settings';
import { allow } from './permissions/permission';
import type { RollbackFunction } from './rollback-function';

/** The repository whose pipeline may ask the gate. */
export interface CiRepository {
  readonly system: 'github' | 'gitlab';
  /**
   * As its tokens name it: `owner/name`, or `owner@1234/name@5678` where GitHub gives it immutable subject claims, as it does to every
   * repository that was made or renamed since the summer of 2026. On GitLab the path of the project.
   */
  readonly repository: string;
  /**
   * The branch from which is deployed.
   * @default main
   */
  readonly branch?: string;
  /**
   * The environment at GitHub that the job names: its token then says nothing of a branch, so let only yours deploy to it, by the
   * environment's own rules.
   * @default - the job names none
   */
  readonly environment?: string;
}

/** Who issues the tokens of a CI system, and how the subject of a job is written. */
const SYSTEMS = {
  github: {
    issuer: 'token.actions.githubusercontent.com',
    subject: ({ repository, branch = 'main', environment }: CiRepository) =>
      environment === undefined
        ? `repo:${repository}:ref:refs/heads/${branch}`
        : `repo:${repository}:environment:${environment.replaceAll(':', '%3A')}`,
  },
  gitlab: {
    issuer: 'gitlab.com',
    subject: ({ repository, branch = 'main' }: CiRepository) =>
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
          // The whole subject, no pattern: another branch or environment, a fork or a pull request is somebody else.
          [`${issuer}:sub`]: subject(repository),
        },
      }),
    });
    allow(this.role, [{ sid: 'AskGate', actions: ['lambda:InvokeFunction'], resources: [gate.functionArn] }]);
  }
}
