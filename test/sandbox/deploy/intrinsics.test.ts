import { references, resolve, type Scope } from '../../../sandbox/deploy/intrinsics';
import type { Json } from '../../../sandbox/deploy/json';
import { Template } from '../../../sandbox/deploy/template';

const template = Template.parse({
  Mappings: { Sizes: { small: { megabytes: 128 } } },
  Conditions: {
    IsEurope: { 'Fn::Equals': [{ Ref: 'AWS::Region' }, 'eu-central-1'] },
    IsNot: { 'Fn::Not': [{ Condition: 'IsEurope' }] },
    Both: { 'Fn::And': [{ Condition: 'IsEurope' }, { Condition: 'IsNot' }] },
    Any: { 'Fn::Or': [{ Condition: 'IsEurope' }, { Condition: 'IsNot' }] },
  },
  Resources: { Queue: { Type: 'AWS::SQS::Queue' }, Topic: { Type: 'AWS::SNS::Topic' } },
});
const scope: Scope = {
  template,
  parameters: { 'AWS::Region': 'eu-central-1' },
  availabilityZones: ['eu-central-1a', 'eu-central-1b'],
  ref: (logicalId) => `ref-${logicalId}`,
  attribute: (logicalId, name) => `${logicalId}/${name}`,
  imported: (name) => `imported-${name}`,
};

test.each<[string, Json, Json | undefined]>([
  ['Ref', { Ref: 'Queue' }, 'ref-Queue'],
  ['a pseudo parameter', { Ref: 'AWS::Region' }, 'eu-central-1'],
  ['NoValue', { a: { Ref: 'AWS::NoValue' }, b: [{ Ref: 'AWS::NoValue' }, 1] }, { b: [1] }],
  ['GetAtt', { 'Fn::GetAtt': ['Queue', 'Endpoint.Port'] }, 'Queue/Endpoint.Port'],
  ['GetAtt as text', { 'Fn::GetAtt': 'Queue.Arn' }, 'Queue/Arn'],
  ['Join', { 'Fn::Join': [':', ['a', { Ref: 'Queue' }, 3]] }, 'a:ref-Queue:3'],
  ['Sub', { 'Fn::Sub': '${Queue}-${Queue.Arn}-${!Literal}' }, 'ref-Queue-Queue/Arn-${Literal}'],
  [
    'Sub with values',
    { 'Fn::Sub': ['${x}${AWS::Region}', { x: { Ref: 'Topic' } }] },
    'ref-Topiceu-central-1',
  ],
  ['Select and Split', { 'Fn::Select': [1, { 'Fn::Split': ['/', 'a/b'] }] }, 'b'],
  ['Select and GetAZs', { 'Fn::Select': ['0', { 'Fn::GetAZs': '' }] }, 'eu-central-1a'],
  ['If', { 'Fn::If': ['IsEurope', 'yes', 'no'] }, 'yes'],
  ['If not', { 'Fn::If': ['IsNot', 'yes', { Ref: 'AWS::NoValue' }] }, undefined],
  ['And', { 'Fn::If': ['Both', 1, 2] }, 2],
  ['Or', { 'Fn::If': ['Any', 1, 2] }, 1],
  ['ImportValue', { 'Fn::ImportValue': { 'Fn::Sub': 'x-${AWS::Region}' } }, 'imported-x-eu-central-1'],
  ['FindInMap', { 'Fn::FindInMap': ['Sizes', 'small', 'megabytes'] }, 128],
  ['Base64', { 'Fn::Base64': 'text' }, 'dGV4dA=='],
  ['Cidr', { 'Fn::Cidr': ['10.0.0.0/16', 3, 8] }, ['10.0.0.0/24', '10.0.1.0/24', '10.0.2.0/24']],
  ['Contains', { 'Fn::Contains': [['1', '2'], '3'] }, false],
])('%s', (_name, expression, value) => {
  expect(resolve(expression, scope)).toEqual(value);
});

test('a function that is not known is refused by name', () => {
  expect(() => resolve({ 'Fn::Transform': {} }, scope)).toThrow('Fn::Transform');
});

test('references are found wherever they stand', () => {
  const expression: Json = {
    a: [{ 'Fn::Sub': ['${Queue.Arn}', { x: 1 }] }],
    b: { 'Fn::If': ['Any', { Ref: 'Topic' }, 1] },
  };
  expect([...references(expression, template)].sort()).toEqual(['Queue', 'Topic']);
});
