import { z } from 'zod';
import { isObject, type Json } from './json';
import type { Deployment } from './resource';

const REFERENCE =
  /\{\{resolve:secretsmanager:((?:arn:[^:}]+:secretsmanager:[^:}]*:[^:}]*:secret:)?[^:}]+)(?::SecretString(?::([^:}]*))?(?::([^:}]*))?(?::([^:}]*))?)?\}\}/g;
const Value = z.object({ SecretString: z.string() });
const Fields = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

/**
 * Puts the values of secrets in the place of `{{resolve:secretsmanager:…}}`, as CloudFormation does right before it makes
 * the resource. The result is never kept.
 */
export async function resolveDynamicReferences(
  value: Json,
  deployment: Pick<Deployment, 'call'>,
): Promise<Json> {
  if (typeof value === 'string') {
    let result = value;
    for (const [match, secretId, key, stage, version] of value.matchAll(REFERENCE)) {
      const { SecretString } = Value.parse(
        await deployment.call('secretsmanager', 'GetSecretValue', {
          SecretId: secretId,
          ...(stage && { VersionStage: stage }),
          ...(version && { VersionId: version }),
        }),
      );
      const secret = key ? Fields.parse(JSON.parse(SecretString))[key] : SecretString;
      if (secret === undefined) throw new Error(`The secret ${secretId ?? ''} has no field "${key ?? ''}".`);
      result = result.replace(match, () => String(secret));
    }
    if (result.includes('{{resolve:')) throw new Error(`A dynamic reference is not understood: ${value}`);
    return result;
  }
  if (Array.isArray(value))
    return Promise.all(value.map(async (item) => resolveDynamicReferences(item, deployment)));
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(
    async ([name, item]) => [name, await resolveDynamicReferences(item, deployment)] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}
