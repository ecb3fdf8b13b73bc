import { z } from 'zod';
import { one, type Measurement } from './metrics';

const Document = z.looseObject({
  _aws: z.object({
    Timestamp: z.number(),
    CloudWatchMetrics: z.array(
      z.object({
        Namespace: z.string(),
        Dimensions: z.array(z.array(z.string())).min(1),
        Metrics: z.array(z.object({ Name: z.string(), Unit: z.string().default('None') })),
      }),
    ),
  }),
});
const Values = z.union([z.number().transform((value) => [value]), z.array(z.number()).max(100)]);

/**
 * The metrics that a line of a log holds in CloudWatch's embedded metric format; none when it holds no such document. As on
 * AWS, a metric or set of dimensions whose value is not in the document is left out without a word.
 */
export function embeddedMetrics(line: string): Measurement[] {
  if (!line.includes('"CloudWatchMetrics"')) return [];
  let json: unknown;
  try {
    // In text format Lambda puts time, request and level before what console.log is given.
    json = JSON.parse(line.replace(/^[^{]*\t(?={)/, ''));
  } catch {
    return [];
  }
  const parsed = Document.safeParse(json);
  if (!parsed.success) return [];
  const { _aws: directive, ...members } = parsed.data;
  return directive.CloudWatchMetrics.flatMap(({ Namespace, Dimensions, Metrics }) =>
    Dimensions.flatMap((names) => {
      const pairs = names.map((name) => [name, z.string().safeParse(members[name]).data] as const);
      if (pairs.some(([, value]) => value === undefined)) return [];
      const dimensions = Object.fromEntries(pairs.map(([name, value]) => [name, value ?? '']));
      return Metrics.flatMap(({ Name, Unit }) =>
        (Values.safeParse(members[Name]).data ?? []).map((value): Measurement => ({
          namespace: Namespace,
          name: Name,
          dimensions,
          unit: Unit,
          at: new Date(directive.Timestamp),
          values: one(value),
        })),
      );
    }),
  );
}
