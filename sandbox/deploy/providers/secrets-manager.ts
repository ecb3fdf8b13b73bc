import { z } from 'zod';
import { json, number, provider, tags, text, truth, type Provider } from '../resource';

const Arn = z.object({ ARN: z.string() });
const Value = z.object({ SecretString: z.string() });
const RandomPassword = z.object({ RandomPassword: z.string() });
const Fields = z.record(z.string(), z.unknown());

const Instances = z.object({
  DBInstances: z.tuple([
    z.object({
      Engine: z.string(),
      DBName: z.string().optional(),
      Endpoint: z.object({ Address: z.string(), Port: z.number() }),
    }),
  ]),
});

export const SECRETS_MANAGER_PROVIDERS: Readonly<Record<string, Provider>> = {
  'AWS::SecretsManager::Secret': provider(
    {
      Name: text.optional(),
      Description: text.optional(),
      KmsKeyId: text.optional(),
      SecretString: text.optional(),
      GenerateSecretString: z
        .strictObject({
          SecretStringTemplate: text.optional(),
          GenerateStringKey: text.optional(),
          PasswordLength: number.optional(),
          ExcludeCharacters: text.optional(),
          ExcludeLowercase: truth.optional(),
          ExcludeNumbers: truth.optional(),
          ExcludePunctuation: truth.optional(),
          ExcludeUppercase: truth.optional(),
          IncludeSpace: truth.optional(),
          RequireEachIncludedType: truth.optional(),
        })
        .optional(),
      Tags: tags.optional(),
    },
    async ({ GenerateSecretString: generate, Name, ...rest }, { call, generatedName }) => {
      const generated: { SecretString?: string } = {};
      if (generate) {
        const { SecretStringTemplate, GenerateStringKey, ...how } = generate;
        const answer = await call('secretsmanager', 'GetRandomPassword', how);
        const { RandomPassword: password } = RandomPassword.parse(answer);
        generated.SecretString =
          SecretStringTemplate === undefined || GenerateStringKey === undefined
            ? password
            : JSON.stringify({
                ...Fields.parse(JSON.parse(SecretStringTemplate)),
                [GenerateStringKey]: password,
              });
      }
      const { ARN } = Arn.parse(
        await call('secretsmanager', 'CreateSecret', {
          ...rest,
          ...generated,
          Name: Name ?? generatedName(255),
        }),
      );
      return { physicalId: ARN, attributes: { Id: ARN } };
    },
  ),
  'AWS::SecretsManager::SecretTargetAttachment': provider(
    { SecretId: text, TargetId: text, TargetType: z.literal('AWS::RDS::DBInstance') },
    async ({ SecretId, TargetId }, { call }) => {
      const {
        DBInstances: [instance],
      } = Instances.parse(await call('rds', 'DescribeDBInstances', { DBInstanceIdentifier: TargetId }));
      const { SecretString } = Value.parse(await call('secretsmanager', 'GetSecretValue', { SecretId }));
      await call('secretsmanager', 'PutSecretValue', {
        SecretId,
        SecretString: JSON.stringify({
          ...Fields.parse(JSON.parse(SecretString)),
          engine: instance.Engine,
          host: instance.Endpoint.Address,
          port: instance.Endpoint.Port,
          ...(instance.DBName !== undefined && { dbname: instance.DBName }),
          dbInstanceIdentifier: TargetId,
        }),
      });
      return { physicalId: SecretId, attributes: { Id: SecretId } };
    },
  ),
  'AWS::SecretsManager::ResourcePolicy': provider(
    { SecretId: text, ResourcePolicy: json, BlockPublicPolicy: truth.optional() },
    async ({ SecretId, ResourcePolicy, ...rest }, { call }) => {
      const policy = { SecretId, ResourcePolicy: JSON.stringify(ResourcePolicy), ...rest };
      await call('secretsmanager', 'PutResourcePolicy', policy);
      return { physicalId: SecretId, attributes: { Id: SecretId } };
    },
  ),
};
