import {
  DescribeAlarmsCommand,
  GetDashboardCommand,
  ListDashboardsCommand,
  type CloudWatchClient,
} from '@aws-sdk/client-cloudwatch';
import type { NamedBy } from './contract/plan';
import { toRollbackError } from './errors';

/** Nobody who recovers waits longer for what is only good to know. */
const SECONDS_AT_MOST = 10;
/** So many of each are told. */
const TOLD = 100;
/** Asked for at the same time. */
const AT_ONCE = 5;

/**
 * Finds the alarms and dashboards that know an instance by one of its names (identifier, resource id): they look at nothing of what
 * takes its place. Reads only. What cannot be found out is null, and in `notKnown` with the reason.
 */
export async function findNamedBy(
  names: readonly string[],
  cloudWatch: CloudWatchClient,
  secondsAtMost = SECONDS_AT_MOST,
): Promise<{ namedBy: NamedBy; notKnown: string[] }> {
  const notKnown: string[] = [];
  const abortSignal = AbortSignal.timeout(secondsAtMost * 1000);
  const orNull = async (what: string, found: Promise<string[]>): Promise<string[] | null> => {
    try {
      return (await found).slice(0, TOLD);
    } catch (error) {
      const why = abortSignal.aborted
        ? `CloudWatch did not say within ${secondsAtMost} s.`
        : toRollbackError(error).fact;
      notKnown.push(`Which ${what} name ${names[0] ?? ''} is not known: ${why}`);
      return null;
    }
  };
  const [alarms, dashboards] = await Promise.all([
    orNull('alarms', findAlarms(names, cloudWatch, abortSignal)),
    orNull('dashboards', findDashboards(names, cloudWatch, abortSignal)),
  ]);
  return { namedBy: { alarms, dashboards }, notKnown };
}

/** On one metric, on an expression of several, or on a query. Composite alarms name other alarms only. */
async function findAlarms(
  names: readonly string[],
  cloudWatch: CloudWatchClient,
  abortSignal: AbortSignal,
): Promise<string[]> {
  const found: string[] = [];
  let NextToken: string | undefined;
  do {
    const page = await cloudWatch.send(
      new DescribeAlarmsCommand({ MaxRecords: 100, ...(NextToken !== undefined && { NextToken }) }),
      { abortSignal },
    );
    for (const { AlarmName = '', Dimensions, Metrics } of page.MetricAlarms ?? [])
      if (hasName(JSON.stringify({ Dimensions, Metrics }), names)) found.push(AlarmName);
    NextToken = page.NextToken;
  } while (NextToken);
  return found;
}

async function findDashboards(
  names: readonly string[],
  cloudWatch: CloudWatchClient,
  abortSignal: AbortSignal,
): Promise<string[]> {
  const all: string[] = [];
  let NextToken: string | undefined;
  do {
    const page = await cloudWatch.send(
      new ListDashboardsCommand(NextToken === undefined ? {} : { NextToken }),
      {
        abortSignal,
      },
    );
    all.push(...(page.DashboardEntries ?? []).flatMap(({ DashboardName }) => DashboardName ?? []));
    NextToken = page.NextToken;
  } while (NextToken);
  const found: string[] = [];
  for (let at = 0; at < all.length; at += AT_ONCE) {
    const some = await Promise.all(
      all.slice(at, at + AT_ONCE).map(async (DashboardName) => {
        const { DashboardBody = '' } = await cloudWatch.send(new GetDashboardCommand({ DashboardName }), {
          abortSignal,
        });
        return hasName(DashboardBody, names) ? [DashboardName] : [];
      }),
    );
    found.push(...some.flat());
  }
  return found;
}

/**
 * Whether JSON has one of the names as a value, in quotes within an expression, or in a path such as that of a log group. A search for
 * the words of a name, without quotes, finds what takes its place, too.
 */
function hasName(json: string, names: readonly string[]): boolean {
  return names.some((name) => new RegExp(`["'/]${name}(?:\\\\?["']|/)`, 'i').test(json));
}
