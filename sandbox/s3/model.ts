import type {
  $MemberSchema,
  $SchemaRef,
  StaticErrorSchema,
  StaticListSchema,
  StaticOperationSchema,
  StaticStructureSchema,
} from '@smithy/types';

const NAMESPACE = 'com.amazonaws.s3';

// How the SDK numbers built-in types.
const TEXT = 0;
const NUMBER = 1;
const TRUTH = 2;
const TIME = 4;
const BLOB = 21;

type Members = Readonly<Record<string, $SchemaRef>>;

/** A structure; the first `required` members must be given. */
function structure(name: string, members: Members, required = 0): StaticStructureSchema {
  return [3, NAMESPACE, name, 0, Object.keys(members), Object.values(members), required];
}

function list(name: string, item: $SchemaRef): StaticListSchema {
  return [1, NAMESPACE, name, 0, item];
}

function operation(
  name: string,
  method: string,
  path: string,
  input: $SchemaRef,
  output: $SchemaRef,
): StaticOperationSchema {
  return [9, NAMESPACE, name, { http: [method, path, 200] }, input, output];
}

function failure(name: string, status: number): StaticErrorSchema {
  return [-3, NAMESPACE, name, { error: 'client', httpError: status }, ['message'], [TEXT]];
}

const header = (type: $SchemaRef, name: string): $MemberSchema => [type, { httpHeader: name }];
const query = (type: $SchemaRef, name: string): $MemberSchema => [type, { httpQuery: name }];
const flattened = (name: string, item: StaticStructureSchema, xmlName: string): $MemberSchema => [
  list(name, item),
  { xmlFlattened: 1, xmlName },
];

// Where a member stands in the message; the numbers are the SDK's for a label of the path and for the body.
const label: $MemberSchema = [TEXT, 1];
const payload: $MemberSchema = [BLOB, 16];
const bucket = { Bucket: label };
const ofOwner = { ...bucket, ExpectedBucketOwner: header(TEXT, 'x-amz-expected-bucket-owner') } as const;
const object = { ...bucket, Key: label };
const written = {
  ETag: header(TEXT, 'ETag'),
  ServerSideEncryption: header(TEXT, 'x-amz-server-side-encryption'),
  VersionId: header(TEXT, 'x-amz-version-id'),
} as const;
const listing = {
  Prefix: query(TEXT, 'prefix'),
  Delimiter: query(TEXT, 'delimiter'),
  EncodingType: query(TEXT, 'encoding-type'),
  MaxKeys: query(NUMBER, 'max-keys'),
} as const;
const listed = {
  IsTruncated: TRUTH,
  Name: TEXT,
  Prefix: TEXT,
  MaxKeys: NUMBER,
  EncodingType: TEXT,
} as const;
const item = { Key: TEXT, LastModified: TIME, ETag: TEXT, Size: NUMBER, StorageClass: TEXT } as const;

const readObject = structure(
  'GetObjectRequest',
  { ...object, VersionId: query(TEXT, 'versionId'), Range: header(TEXT, 'Range') },
  2,
);
const foundObject = structure('GetObjectOutput', {
  Body: payload,
  ...written,
  LastModified: header(TIME, 'Last-Modified'),
  ContentType: header(TEXT, 'Content-Type'),
});

/**
 * What the sandbox has of S3 on the wire, written as the SDK's clients carry their models. Theirs leaves the bucket to the host
 * name; here, as in botocore's model of 2006-03-01, it stands in the path. Buckets are made by templates only.
 */
export const S3_MODEL = {
  PutObject$: operation(
    'PutObject',
    'PUT',
    '/{Bucket}/{Key+}',
    structure(
      'PutObjectRequest',
      {
        ...object,
        Body: payload,
        ContentType: header(TEXT, 'Content-Type'),
        ContentEncoding: header(TEXT, 'Content-Encoding'),
        IfNoneMatch: header(TEXT, 'If-None-Match'),
        IfMatch: header(TEXT, 'If-Match'),
        CopySource: header(TEXT, 'x-amz-copy-source'),
        ServerSideEncryption: header(TEXT, 'x-amz-server-side-encryption'),
      },
      2,
    ),
    structure('PutObjectOutput', written),
  ),
  GetObject$: operation('GetObject', 'GET', '/{Bucket}/{Key+}', readObject, foundObject),
  // The body is what gives the answer its length; HTTP itself leaves it out.
  HeadObject$: operation('HeadObject', 'HEAD', '/{Bucket}/{Key+}', readObject, foundObject),
  ListObjectsV2$: operation(
    'ListObjectsV2',
    'GET',
    '/{Bucket}?list-type=2',
    structure(
      'ListObjectsV2Request',
      {
        ...bucket,
        ListType: query(TEXT, 'list-type'),
        ...listing,
        ContinuationToken: query(TEXT, 'continuation-token'),
        StartAfter: query(TEXT, 'start-after'),
        FetchOwner: query(TRUTH, 'fetch-owner'),
      },
      1,
    ),
    structure('ListObjectsV2Output', {
      ...listed,
      Contents: flattened('ObjectList', structure('Object', item), 'Contents'),
      KeyCount: NUMBER,
      NextContinuationToken: TEXT,
    }),
  ),
  ListObjectVersions$: operation(
    'ListObjectVersions',
    'GET',
    '/{Bucket}?versions',
    structure('ListObjectVersionsRequest', { ...bucket, Versions: query(TEXT, 'versions'), ...listing }, 1),
    structure('ListObjectVersionsOutput', {
      ...listed,
      Versions: flattened(
        'ObjectVersionList',
        structure('ObjectVersion', { ...item, VersionId: TEXT, IsLatest: TRUTH }),
        'Version',
      ),
    }),
  ),
  GetBucketLocation$: operation(
    'GetBucketLocation',
    'GET',
    '/{Bucket}?location',
    structure('GetBucketLocationRequest', { ...ofOwner, Location: query(TEXT, 'location') }, 1),
    structure('GetBucketLocationOutput', { LocationConstraint: TEXT }),
  ),
  GetBucketEncryption$: operation(
    'GetBucketEncryption',
    'GET',
    '/{Bucket}?encryption',
    structure('GetBucketEncryptionRequest', { ...ofOwner, Encryption: query(TEXT, 'encryption') }, 1),
    structure('GetBucketEncryptionOutput', {
      Rule: flattened(
        'ServerSideEncryptionRules',
        structure('ServerSideEncryptionRule', {
          ApplyServerSideEncryptionByDefault: structure('ServerSideEncryptionByDefault', {
            SSEAlgorithm: TEXT,
          }),
        }),
        'Rule',
      ),
    }),
  ),
  NoSuchBucket$: failure('NoSuchBucket', 404),
  NoSuchKey$: failure('NoSuchKey', 404),
  NoSuchVersion$: failure('NoSuchVersion', 404),
  PreconditionFailed$: failure('PreconditionFailed', 412),
} as const;
