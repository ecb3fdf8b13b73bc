import { arn, type Account } from '../core/account';

/** The CDK's name for what `cdk bootstrap` makes, where an app chooses no other. */
const QUALIFIER = 'hnb659fds';

/** What `cdk bootstrap` leaves in an account; the sandbox's accounts have it from the beginning. */
export interface Bootstrap {
  /** The Systems Manager parameter that says so, and its value. */
  readonly parameterName: string;
  readonly version: string;
  /** Where the CDK puts templates and assets. */
  readonly bucket: string;
  /** The role that CloudFormation takes to make the resources of a stack. */
  readonly executionRoleArn: string;
}

/** What `cdk bootstrap` left in an account. */
export function bootstrapOf(account: Account): Bootstrap {
  const place = `${account.accountId}-${account.region}`;
  return {
    parameterName: `/cdk-bootstrap/${QUALIFIER}/version`,
    version: '30',
    bucket: `cdk-${QUALIFIER}-assets-${place}`,
    executionRoleArn: arn(account, 'iam', `role/cdk-${QUALIFIER}-cfn-exec-role-${place}`, {
      regional: false,
    }),
  };
}
