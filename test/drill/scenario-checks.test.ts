import type { LiveDatabase } from '../../sandbox/drill/stage';
import { applicationReaches } from '../../sandbox/drill/scenario-checks';
import { badMigrations } from '../../sandbox/sample-app/bad-migrations';

const LIVE: LiveDatabase = { instance: {}, host: 'db.example.com', port: 5432, versionId: 'v1' };

/** As the application is answered. */
const answered = (refusal: string | undefined, connected = true) => ({
  applicationOn: () => Promise.resolve({ connected, refusal, detail: refusal ?? 'a session' }),
});

test('the application reaches its database only with the very answer that the bad migration explains', async () => {
  for (const { name, refusal } of badMigrations) {
    expect(await applicationReaches(answered(refusal), LIVE, name)).toMatchObject({ ok: true });
    // The fence, a role without rights, and a table that is gone for another reason are all of the same class.
    for (const other of ['42501', '42883', 'ECONNREFUSED', refusal === '42P01' ? '42703' : '42P01'])
      expect(await applicationReaches(answered(other), LIVE, name)).toMatchObject({ ok: false });
    expect(await applicationReaches(answered(refusal, false), LIVE, name)).toMatchObject({ ok: false });
  }
  expect(await applicationReaches(answered(undefined), LIVE)).toMatchObject({ ok: true });
  expect(await applicationReaches(answered('42703'), LIVE)).toMatchObject({ ok: false });
});
