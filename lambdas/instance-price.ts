import type { DBInstance } from '@aws-sdk/client-rds';
import type { InstancePrice } from './contract/rules';

const DAYS_PER_MONTH = 365 / 12;

/** What an instance like this one costs a day: the instance and its storage. Undefined where the table has no price of its class. */
export function pricePerDay(instance: DBInstance, price: InstancePrice | undefined): number | undefined {
  if (price === undefined || price.instanceClass !== instance.DBInstanceClass) return undefined;
  const storage = ((instance.AllocatedStorage ?? 0) * price.storagePerGibMonth) / DAYS_PER_MONTH;
  // The standby of a Multi-AZ instance costs as much as the instance.
  return (price.perHour * 24 + storage) * (instance.MultiAZ ? 2 : 1);
}
