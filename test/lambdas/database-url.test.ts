import { SecretUnclear } from '../../lambdas/errors';
import { moveEndpoint, readLogin } from '../../lambdas/database-url';
import fc from '../fast-check';

const from = { host: 'orders.abc.eu-central-1.rds.amazonaws.com', port: 5432, instanceId: 'orders' };
const to = {
  host: 'orders-rec-1.abc.eu-central-1.rds.amazonaws.com',
  port: 5432,
  instanceId: 'orders-rec-1',
};

describe('reading', () => {
  test.each([
    ['a plain URL', `postgresql://app:p%40ss@${from.host}:5432/orders?schema=app`],
    ['a URL without a port', `postgres://app:p%40ss@${from.host}/orders`],
    ['JSON with url', JSON.stringify({ url: `postgresql://app:p%40ss@${from.host}:5432/orders` })],
    [
      'JSON with DATABASE_URL',
      JSON.stringify({ DATABASE_URL: `postgresql://app:p%40ss@${from.host}/orders` }),
    ],
    [
      'RDS-style fields',
      JSON.stringify({ host: from.host, port: 5432, username: 'app', password: 'p@ss', dbname: 'orders' }),
    ],
    [
      'a port as text',
      JSON.stringify({ host: from.host, port: '5432', username: 'app', password: 'p@ss', dbname: 'orders' }),
    ],
  ])('%s', (_, secret) => {
    expect(readLogin(secret)).toEqual({
      host: from.host,
      port: 5432,
      user: 'app',
      password: 'p@ss',
      database: 'orders',
    });
  });

  test('every password survives being put into a URL', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (password) => {
        const url = `postgresql://app:${encodeURIComponent(password)}@db:1/x`;
        expect(readLogin(url).password).toBe(password);
      }),
    );
  });

  test('an IPv6 address', () => {
    expect(readLogin('postgresql://app:x@[::1]:5433/orders')).toMatchObject({ host: '::1', port: 5433 });
  });

  test.each([
    [
      'two endpoints',
      JSON.stringify({ url: 'postgresql://a:b@one/x', DATABASE_URL: 'postgresql://a:b@two/x' }),
    ],
    ['several hosts', 'postgresql://a:b@one,two/x'],
    ['several hosts in a parameter', 'postgresql://a:b@one/x?host=one,two'],
    ['another database', 'mysql://a:b@one/x'],
    ['no fields', '{"hello":"world"}'],
    ['broken JSON', '{"url":'],
    ['nothing', ''],
  ])('refuses %s without repeating the secret', (_, secret) => {
    expect(() => readLogin(secret)).toThrow(SecretUnclear);
  });

  test('an error never holds the password', () => {
    for (const secret of ['postgresql://app:hunter2/@db/x', '{"url":"mysql://app:hunter2@db/x"}']) {
      let message = 'not thrown';
      try {
        readLogin(secret);
      } catch (error) {
        message = String(error);
      }
      expect(message).toContain('SecretUnclear');
      expect(message).not.toContain('hunter2');
    }
  });
});

describe('moving', () => {
  test('only the authority changes, whatever the password and parameters hold', () => {
    const userinfo = fc.stringMatching(/^[A-Za-z0-9%@:!$&'()*+,;=._~^|{}[\]\\-]{0,30}$/);
    const query = fc.stringMatching(/^[A-Za-z0-9%:@!$'()*+,;=._~-]{0,20}$/);
    fc.assert(
      fc.property(userinfo, query, fc.boolean(), fc.boolean(), (user, value, withPort, hostInside) => {
        const secret = (host: string): string =>
          `postgresql://u${user}:${hostInside ? from.host : 'x'}@${host}${withPort ? ':5432' : ''}/db?application_name=${hostInside ? from.host : value}&z=${value}`;
        expect(moveEndpoint(secret(from.host), from, to)).toBe(secret(to.host));
      }),
    );
  });

  test('in JSON every field that names the endpoint moves and every other byte stays', () => {
    const secret = (host: string, id: string): string => `{
  "engine" : "postgres", "host":"${host}",  "port":5432,
  "username":"app","password":"${from.host}\\u0041\\/", "dbInstanceIdentifier":"${id}",
  "url":"postgresql:\\/\\/app:x%2F\\u0041@${host}:5432\\/orders?sslmode=require",
  "DIRECT_URL" : "postgresql://app:x@${host}/orders",
  "shadow": { "DATABASE_URL":"postgres://app:x@${host}/shadow" },
  "JDBC":"jdbc:postgresql://${host}:5432/orders",
  "address":"${host}:5432",
  "replica":"postgresql://app:x@replica.example/orders", "note":"was once ${from.host}", "n":1.50, "none":null
}
`;
    expect(moveEndpoint(secret(from.host, 'orders'), from, to)).toBe(secret(to.host, 'orders-rec-1'));
  });

  test('JSON values of any content survive', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.boolean(), (others, pretty) => {
        const { host: _, port: __, ...rest } = others;
        const secret = (host: string): string =>
          JSON.stringify({ ...rest, host, port: 5432 }, null, pretty ? 2 : undefined);
        expect(moveEndpoint(secret(from.host), from, to)).toBe(secret(to.host));
      }),
    );
  });

  test('moving there and back gives the same bytes', () => {
    const secret = `{"url":"postgresql://a:%zz@${from.host}:5432/x?host=${from.host}&a=b#c"}`;
    const there = moveEndpoint(secret, from, to);
    expect(there).toContain(`host=${to.host}`);
    expect(moveEndpoint(there, to, from)).toBe(secret);
  });

  test('the case of a host does not matter', () => {
    expect(moveEndpoint(`postgresql://a:b@${from.host.toUpperCase()}/x`, from, to)).toBe(
      `postgresql://a:b@${to.host}/x`,
    );
  });

  test('another port moves too, and is written where none was', () => {
    const moved = { ...to, port: 6000 };
    expect(moveEndpoint(`postgresql://a:b@${from.host}/x`, from, moved)).toBe(
      `postgresql://a:b@${to.host}:6000/x`,
    );
    expect(moveEndpoint(`{"PGHOST":"${from.host}","PGPORT":"5432"}`, from, moved)).toBe(
      `{"PGHOST":"${to.host}","PGPORT":"6000"}`,
    );
  });

  test('an IPv6 host keeps its brackets', () => {
    expect(
      moveEndpoint('postgresql://a:b@[::1]:5432/x', { host: '::1', port: 5432 }, { host: '::2', port: 5432 }),
    ).toBe('postgresql://a:b@[::2]:5432/x');
  });

  test.each([
    ['another host', 'postgresql://a:b@elsewhere/x'],
    ['a host that only begins the same', `postgresql://a:b@${from.host}.example/x`],
    ['another port', `postgresql://a:b@${from.host}:6432/x`],
    ['several hosts', `postgresql://a:b@${from.host},other/x`],
    ['a parameter that names another host', `postgresql://a:b@${from.host}/x?host=other`],
    ['a pinned address', `postgresql://a:b@${from.host}/x?hostaddr=10.0.0.1`],
    ['a keyword string beside it', `{"host":"${from.host}","dsn":"host=${from.host} dbname=x"}`],
    ['a list of hosts beside it', `{"host":"${from.host}","hosts":"${from.host},other"}`],
    ['JSON with another port', `{"host":"${from.host}","port":6432}`],
    ['the host only in the password', `postgresql://a:${from.host}@elsewhere/x`],
  ])('refuses %s', (_, secret) => {
    expect(() => moveEndpoint(secret, from, to)).toThrow(SecretUnclear);
  });
});
