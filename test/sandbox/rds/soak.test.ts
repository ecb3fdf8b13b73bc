import { soak } from './soak';

/** With more rounds: `SOAK_ROUNDS=200 npm test -- test/sandbox/rds/soak`. */
const ROUNDS = Number(process.env.SOAK_ROUNDS ?? 4);

it(
  'create, snapshot, restore, delete: no process, port or file is left behind',
  async () => {
    expect(await soak(ROUNDS, 2)).toMatchObject({ rounds: ROUNDS, leftovers: [] });
  },
  600_000 + ROUNDS * 60_000,
);
