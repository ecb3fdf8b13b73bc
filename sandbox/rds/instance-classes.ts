/** What a DB instance class has. */
export interface InstanceClass {
  readonly vcpus: number;
  /** In bytes. RDS's own formulas count from a little less: what the system needs is taken off. */
  readonly memory: number;
}

const GIB = 1024 ** 3;

/** vCPUs, by the name of the size; all families agree. */
const VCPUS: Readonly<Record<string, number>> = {
  large: 2,
  xlarge: 4,
  '2xlarge': 8,
  '4xlarge': 16,
  '8xlarge': 32,
  '12xlarge': 48,
  '16xlarge': 64,
  '24xlarge': 96,
};

/** The small sizes of the burstable families, in GiB. */
const BURSTABLE: Readonly<Record<string, number>> = { micro: 1, small: 2, medium: 4 };

/** GiB for each vCPU, by the first letter of the family: burstable, general purpose, memory optimised. */
const GIB_PER_VCPU: Readonly<Record<string, number>> = { t: 4, m: 4, r: 8 };

/** What `db.m7g.large` and its like have; undefined for a class that is not known here. */
export function instanceClass(name: string): InstanceClass | undefined {
  const [, family = '', size = ''] = name.split('.');
  const letter = family.charAt(0);
  const burstable = letter === 't' ? BURSTABLE[size] : undefined;
  if (burstable !== undefined) return { vcpus: 2, memory: burstable * GIB };
  const vcpus = VCPUS[size];
  const perVcpu = GIB_PER_VCPU[letter];
  if (vcpus === undefined || perVcpu === undefined) return undefined;
  return { vcpus, memory: vcpus * perVcpu * GIB };
}
