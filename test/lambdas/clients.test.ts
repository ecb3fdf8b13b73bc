import { rdsClientElsewhere } from '../../lambdas/clients';

const { AWS_REGION } = process.env;
afterEach(() => {
  if (AWS_REGION === undefined) delete process.env.AWS_REGION;
  else process.env.AWS_REGION = AWS_REGION;
});

test('copies in the Region of the database itself are none, and what it has is not thinned as copies', () => {
  process.env.AWS_REGION = 'eu-central-1';
  expect(() => rdsClientElsewhere('eu-central-1')).toThrow(
    /^copies\.region is eu-central-1, the Region of the database/,
  );
  expect(() => rdsClientElsewhere('eu-west-1')).not.toThrow();
});
