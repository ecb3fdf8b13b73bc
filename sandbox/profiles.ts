import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Caller } from './core/api';
import { deployedTo, type DeployedStacks } from './deploy/deploy';
import type { Sandbox } from './sandbox';

/** A profile of an AWS CLI or SDK: credentials under a name. */
export interface Profile {
  readonly name: string;
  readonly caller: Caller;
  /** What uses the role, for people. */
  readonly uses: string;
}

export interface ProfileFiles {
  readonly configFile: string;
  readonly credentialsFile: string;
  readonly profiles: readonly Profile[];
}

/**
 * Writes AWS's shared config and credentials files: a profile for every role that has been deployed, named after the function
 * or machine that uses it or else after itself. `default` is the home account's administrator, `administrator-<account>` that of
 * another account which something has been deployed into.
 */
export async function writeProfiles(sandbox: Sandbox): Promise<ProfileFiles> {
  const { context } = sandbox;
  const directory = join(context.directory, 'aws');
  await mkdir(directory, { recursive: true });
  const deployed = deployedTo(context);
  const administrator = { name: 'default', caller: context.callers.administrator(), uses: 'administrator' };
  const others = new Set([...deployed.stacks.values()].map(({ accountId }) => accountId));
  others.delete(context.account.accountId);
  const profiles = [
    administrator,
    ...[...others].sort().map((accountId) => ({
      name: `administrator-${accountId}`,
      caller: sandbox.administrator(accountId),
      uses: `administrator of the account ${accountId}`,
    })),
    ...profilesOf(deployed),
  ];
  const settings = { region: context.account.region, endpoint_url: context.endpoint };
  const configFile = join(directory, 'config');
  const credentialsFile = join(directory, 'credentials');
  await writePrivately(
    configFile,
    profiles.map(({ name }) => section(name === 'default' ? name : `profile ${name}`, settings)),
  );
  await writePrivately(
    credentialsFile,
    profiles.map(({ name, caller }) => {
      const { accessKeyId, secretAccessKey, sessionToken } = sandbox.credentials(caller);
      return section(name, {
        aws_access_key_id: accessKeyId,
        aws_secret_access_key: secretAccessKey,
        aws_session_token: sessionToken,
      });
    }),
  );
  return { configFile, credentialsFile, profiles };
}

function profilesOf(deployed: DeployedStacks): Profile[] {
  const resources = [...deployed.stacks.values()].flatMap((stack) => Object.values(stack.resources));
  const users = resources.flatMap(({ type, physicalId, properties }): Profile[] => {
    const { Role: role, RoleArn: roleArn } = properties;
    if (type === 'AWS::Lambda::Function' && typeof role === 'string')
      return [{ name: physicalId, caller: { arn: role, functionName: physicalId }, uses: 'function' }];
    if (type === 'AWS::StepFunctions::StateMachine' && typeof roleArn === 'string')
      return [{ name: lastPart(physicalId), caller: { arn: roleArn }, uses: 'state machine' }];
    return [];
  });
  const others = deployed.iam
    .list()
    .filter(({ arn }) => !users.some(({ caller }) => caller.arn === arn))
    .map(({ arn, name }): Profile => ({ name, caller: { arn }, uses: 'role' }));
  return [...users, ...others].sort((a, b) => a.name.localeCompare(b.name));
}

function lastPart(arn: string): string {
  return arn.slice(arn.lastIndexOf(':') + 1);
}

function section(name: string, settings: Readonly<Record<string, string>>): string {
  const lines = Object.entries(settings).map(([key, value]) => `${key} = ${value}`);
  return [`[${name}]`, ...lines, ''].join('\n');
}

async function writePrivately(file: string, sections: readonly string[]): Promise<void> {
  await writeFile(file, sections.join('\n'), { mode: 0o600 });
  // The mode above is for a file that is new.
  await chmod(file, 0o600);
}
