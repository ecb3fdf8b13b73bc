import { arn } from '../../core/account';
import { json, number, provider, tags, text, truth, type Provider } from '../resource';

/** Resources that are kept with their properties, for the services that read them. */
export const OTHER_PROVIDERS: Readonly<Record<string, Provider>> = {
  'AWS::Logs::LogGroup': provider(
    {
      KmsKeyId: text.optional(),
      LogGroupClass: text.optional(),
      LogGroupName: text.optional(),
      RetentionInDays: number.optional(),
      Tags: tags.optional(),
    },
    ({ LogGroupName }, { context, generatedName }) => {
      const name = LogGroupName ?? generatedName(512);
      return { physicalId: name, attributes: { Arn: arn(context.account, 'logs', `log-group:${name}:*`) } };
    },
  ),
  'AWS::KMS::Key': provider(
    {
      Description: text.optional(),
      EnableKeyRotation: truth.optional(),
      KeyPolicy: json.optional(),
      PendingWindowInDays: number.optional(),
      Tags: tags.optional(),
    },
    (_properties, { context, generatedId }) => {
      const id = `${generatedId.slice(0, 8)}-0000-4000-8000-${generatedId.slice(0, 12)}`;
      return { physicalId: id, attributes: { Arn: arn(context.account, 'kms', `key/${id}`), KeyId: id } };
    },
  ),
  'AWS::KMS::Alias': provider({ AliasName: text, TargetKeyId: text }, ({ AliasName }) => ({
    physicalId: AliasName,
  })),
};
