import { matches, parsePattern } from '../../../sandbox/events/pattern';

/** The event of EventBridge's documentation of patterns. */
const event = {
  version: '0',
  id: '6a7e8feb-b491-4cf7-a9f1-bf3703467718',
  'detail-type': 'EC2 Instance State-change Notification',
  source: 'aws.ec2',
  account: '111122223333',
  time: '2017-12-22T18:43:48Z',
  region: 'us-west-1',
  resources: ['arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0'],
  detail: {
    'instance-id': 'i-1234567890abcdef0',
    state: 'terminated',
    'source-ip': '10.0.0.123',
    'c-count': 5,
    'd-count': 12,
    'x-limit': 301.8,
    empty: '',
    nothing: null,
    file: { 'file-path': 'dir/file.png', name: 'Alice', size: 7 },
    tags: [
      { key: 'role', value: 'live' },
      { key: 'owner', value: 'retired' },
    ],
    none: [],
  },
};

describe('event patterns', () => {
  it.each<[string, unknown, boolean]>([
    ['a value', { source: ['aws.ec2'] }, true],
    ['another value', { source: ['aws.rds'] }, false],
    ['one of two values', { detail: { state: ['running', 'terminated'] } }, true],
    ['all of two fields', { source: ['aws.ec2'], detail: { state: ['running'] } }, false],
    ['a list that holds it', { resources: [{ prefix: 'arn:aws:ec2:' }] }, true],
    ['null', { detail: { nothing: [null] } }, true],
    ['an empty text', { detail: { empty: [''] } }, true],
    ['a number', { detail: { 'c-count': [5] } }, true],
    ['a text that looks like the number', { detail: { 'c-count': ['5'] } }, false],
    ['prefix', { time: [{ prefix: '2017-12-22' }] }, true],
    ['prefix in any case', { source: [{ prefix: { 'equals-ignore-case': 'AWS.' } }] }, true],
    ['suffix', { detail: { file: { 'file-path': [{ suffix: '.png' }] } } }, true],
    [
      'suffix in any case',
      { detail: { file: { 'file-path': [{ suffix: { 'equals-ignore-case': '.PNG' } }] } } },
      true,
    ],
    ['equals-ignore-case', { detail: { file: { name: [{ 'equals-ignore-case': 'alice' }] } } }, true],
    ['anything but a text', { detail: { state: [{ 'anything-but': 'initializing' }] } }, true],
    ['anything but it', { detail: { state: [{ 'anything-but': ['stopped', 'terminated'] }] } }, false],
    ['anything but a number', { detail: { 'x-limit': [{ 'anything-but': [100, 200, 300] }] } }, true],
    ['anything but, of a field that is not there', { detail: { absent: [{ 'anything-but': 'x' }] } }, false],
    [
      'anything but in any case',
      { detail: { state: [{ 'anything-but': { 'equals-ignore-case': ['TERMINATED'] } }] } },
      false,
    ],
    ['anything but a prefix', { detail: { state: [{ 'anything-but': { prefix: 'init' } }] } }, true],
    [
      'anything but a suffix of several',
      { detail: { file: { 'file-path': [{ 'anything-but': { suffix: ['.txt', '.png'] } }] } } },
      false,
    ],
    [
      'anything but a wildcard',
      { detail: { file: { 'file-path': [{ 'anything-but': { wildcard: '*/lib/*' } }] } } },
      true,
    ],
    [
      'numeric, of the documentation',
      { detail: { 'c-count': [{ numeric: ['>', 0, '<=', 5] }], 'd-count': [{ numeric: ['<', 10] }] } },
      false,
    ],
    [
      'numeric ranges',
      { detail: { 'c-count': [{ numeric: ['>', 0, '<=', 5] }], 'x-limit': [{ numeric: ['=', 301.8] }] } },
      true,
    ],
    ['cidr', { detail: { 'source-ip': [{ cidr: '10.0.0.0/24' }] } }, true],
    ['another cidr', { detail: { 'source-ip': [{ cidr: '10.0.1.0/24' }] } }, false],
    ['exists', { detail: { state: [{ exists: true }] } }, true],
    ['exists, of an object', { detail: { file: [{ exists: true }] } }, false],
    ['exists not', { detail: { 'c-count': [{ exists: false }] } }, false],
    ['exists not, of a field that is not there', { detail: { absent: [{ exists: false }] } }, true],
    ['wildcard', { detail: { file: { 'file-path': [{ wildcard: 'dir/*.png' }] } } }, true],
    [
      'wildcard with a star that is meant',
      { detail: { file: { 'file-path': [{ wildcard: 'dir/\\*.png' }] } } },
      false,
    ],
    ['one object of a list', { detail: { tags: { key: ['role'], value: ['live'] } } }, true],
    ['parts of two objects of a list', { detail: { tags: { key: ['role'], value: ['retired'] } } }, false],
    [
      '$or',
      { detail: { $or: [{ 'c-count': [{ numeric: ['>', 10] }] }, { 'd-count': [{ numeric: ['<', 20] }] }] } },
      true,
    ],
    [
      '$or of nothing that fits',
      { $or: [{ source: ['aws.rds'] }, { detail: { state: ['running'] } }] },
      false,
    ],
    [
      '$or and a field',
      { source: ['aws.rds'], $or: [{ account: ['111122223333'] }, { region: ['us-west-1'] }] },
      false,
    ],
  ])('%s', (_what, pattern, expected) => {
    expect(matches(parsePattern(JSON.stringify(pattern)), event)).toBe(expected);
  });

  it.each([
    ['no JSON', 'Filter is not valid JSON'],
    ['[]', 'Filter is not an object'],
    ['{}', 'Empty objects are not allowed'],
    ['{"source":"aws.rds"}', '"source" must be an object or an array'],
    ['{"source":[]}', 'Empty arrays are not allowed'],
    ['{"source":[{"like":"x"}]}', 'Unrecognized match type like'],
    ['{"source":[{"prefix":"a","suffix":"b"}]}', 'Only one key allowed in match expression'],
    ['{"source":[{"wildcard":"a**"}]}', 'Consecutive wildcard characters'],
    ['{"source":[["a"]]}', 'Match value must be String, number, true, false, or null'],
    ['{"a":[{"numeric":["<",1,">",2]}]}', 'Bad numeric range operator'],
    ['{"a":[{"cidr":"10.0.0.0/33"}]}', 'Malformed CIDR'],
    [`{"a":["${'x'.repeat(4096)}"]}`, 'larger than 4096 bytes'],
  ])('refuses %.40s', (text, reason) => {
    expect(() => parsePattern(text)).toThrow('Event pattern is not valid. Reason: ');
    expect(() => parsePattern(text)).toThrow(reason);
  });
});
