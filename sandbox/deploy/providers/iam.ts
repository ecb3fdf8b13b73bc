import { z } from 'zod';
import { arn } from '../../core/account';
import { json, number, provider, tags, text, texts, type Provider } from '../resource';

export const IAM_PROVIDERS: Readonly<Record<string, Provider>> = {
  'AWS::IAM::Role': provider(
    {
      AssumeRolePolicyDocument: json,
      Description: text.optional(),
      ManagedPolicyArns: texts.default([]),
      MaxSessionDuration: number.optional(),
      Path: text.default('/'),
      PermissionsBoundary: text.optional(),
      Policies: z.array(z.strictObject({ PolicyName: text, PolicyDocument: json })).default([]),
      RoleName: text.optional(),
      Tags: tags.optional(),
    },
    (properties, { context, iam, generatedName, generatedId }) => {
      const name = properties.RoleName ?? generatedName(64);
      const roleArn = arn(context.account, 'iam', `role${properties.Path}${name}`, { regional: false });
      const role = {
        name,
        arn: roleArn,
        trust: properties.AssumeRolePolicyDocument,
        policies: properties.Policies.map((policy) => ({
          name: policy.PolicyName,
          document: policy.PolicyDocument,
        })),
        managedPolicyArns: [],
        permissionsBoundary: properties.PermissionsBoundary,
      };
      iam.add(role);
      for (const policyArn of properties.ManagedPolicyArns) iam.attach(role, policyArn);
      return {
        physicalId: name,
        attributes: { Arn: roleArn, RoleId: `AROA${generatedId.toUpperCase()}` },
      };
    },
  ),
  'AWS::IAM::Policy': provider(
    { PolicyName: text, PolicyDocument: json, Roles: texts },
    ({ PolicyName, PolicyDocument, Roles }, { context: { account }, iam, generatedName }) => {
      for (const role of Roles)
        iam.roleNamed(role, account.accountId).policies.push({ name: PolicyName, document: PolicyDocument });
      return { physicalId: generatedName() };
    },
  ),
  'AWS::IAM::ManagedPolicy': provider(
    {
      Description: text.optional(),
      ManagedPolicyName: text.optional(),
      Path: text.default('/'),
      PolicyDocument: json,
      Roles: texts.default([]),
    },
    (properties, { context, iam, generatedName }) => {
      const name = properties.ManagedPolicyName ?? generatedName(128);
      const policyArn = arn(context.account, 'iam', `policy${properties.Path}${name}`, { regional: false });
      iam.addManagedPolicy(policyArn, { name, document: properties.PolicyDocument });
      for (const role of properties.Roles)
        iam.attach(iam.roleNamed(role, context.account.accountId), policyArn);
      return { physicalId: policyArn, attributes: { PolicyArn: policyArn } };
    },
  ),
};
