import { createHash, randomBytes } from 'node:crypto';
import { ApiError, NotInSandbox, type Operation, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';
import { bootstrapOf } from '../deploy/bootstrap';

/** One version of an object. Plain data. */
interface ObjectVersion {
  readonly versionId: string;
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly etag: string;
  readonly modifiedAt: Date;
}

interface Bucket {
  readonly name: string;
  versioned: boolean;
  /** JSON. */
  policy: string | undefined;
  /** Newest first. */
  objects: Map<string, ObjectVersion[]>;
}

interface ObjectName {
  readonly Bucket: string;
  readonly Key: string;
}

interface Listing {
  readonly Bucket: string;
  readonly Prefix?: string;
  readonly Delimiter?: string;
  readonly EncodingType?: string;
  readonly MaxKeys?: number;
}

/** S3: buckets that templates make, and objects that are put, read and listed. Nothing is ever deleted. */
export class S3Service implements Service {
  readonly name = 's3';
  readonly operations: Readonly<Record<string, Operation>>;
  private buckets: Map<string, Bucket>;

  constructor(private readonly context: SandboxContext) {
    // Where the CDK puts its assets is there from the beginning.
    const { bucket: name } = bootstrapOf(context.account);
    this.buckets = new Map([[name, { name, versioned: true, policy: undefined, objects: new Map() }]]);
    this.operations = {
      CreateBucket: this.createBucket,
      PutBucketVersioning: this.putVersioning,
      PutBucketPolicy: this.putPolicy,
      GetBucketPolicy: this.getPolicy,
      PutObject: this.put,
      GetObject: this.get,
      HeadObject: this.get,
      ListObjectsV2: this.list,
      ListObjectVersions: this.listVersions,
      GetBucketLocation: async (input: { Bucket: string; ExpectedBucketOwner?: string }) => {
        this.bucket(input.Bucket);
        if ((input.ExpectedBucketOwner ?? context.account.accountId) !== context.account.accountId)
          throw new ApiError('AccessDenied', 'Access Denied', 403);
        return { LocationConstraint: context.account.region };
      },
      // What every bucket has on AWS unless told otherwise.
      GetBucketEncryption: async (input: { Bucket: string }) => {
        this.bucket(input.Bucket);
        return { Rule: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }] };
      },
    };
    context.keep('s3', {
      save: () => this.buckets,
      load: (buckets: Map<string, Bucket>) => {
        this.buckets = buckets;
      },
    });
  }

  private readonly createBucket = async ({ Bucket: name }: { Bucket: string }): Promise<object> => {
    if (!/^(?=.{3,63}$)[a-z0-9][a-z0-9.-]*[a-z0-9]$/.test(name))
      throw new ApiError('InvalidBucketName', 'The specified bucket is not valid.');
    if (this.buckets.has(name))
      throw new ApiError(
        'BucketAlreadyOwnedByYou',
        'Your previous request to create the named bucket succeeded and you already own it.',
        409,
      );
    this.buckets.set(name, { name, versioned: false, policy: undefined, objects: new Map() });
    return { Location: `/${name}` };
  };

  private readonly putVersioning = async (input: {
    Bucket: string;
    VersioningConfiguration: { Status: 'Enabled' | 'Suspended' };
  }): Promise<object> => {
    this.bucket(input.Bucket).versioned = input.VersioningConfiguration.Status === 'Enabled';
    return {};
  };

  private readonly putPolicy = async (input: { Bucket: string; Policy: string }): Promise<object> => {
    this.bucket(input.Bucket).policy = input.Policy;
    return {};
  };

  private readonly getPolicy = async (input: { Bucket: string }): Promise<object> => {
    const { policy } = this.bucket(input.Bucket);
    if (policy === undefined)
      throw new ApiError('NoSuchBucketPolicy', 'The bucket policy does not exist', 404);
    return { Policy: policy };
  };

  private readonly put = async (
    input: ObjectName & {
      Body?: Uint8Array;
      ContentType?: string;
      ContentEncoding?: string;
      IfNoneMatch?: string;
      IfMatch?: string;
      CopySource?: string;
      ServerSideEncryption?: string;
    },
  ): Promise<object> => {
    for (const member of ['IfNoneMatch', 'IfMatch', 'CopySource', 'ContentEncoding'] as const)
      if (input[member] !== undefined) throw new NotInSandbox(`s3:PutObject with ${member}`);
    if ((input.ServerSideEncryption ?? 'AES256') !== 'AES256')
      throw new NotInSandbox(`s3:PutObject with ServerSideEncryption ${input.ServerSideEncryption ?? ''}`);
    const bucket = this.bucket(input.Bucket);
    if (Buffer.byteLength(input.Key) > 1024) throw new ApiError('KeyTooLongError', 'Your key is too long');
    const body = input.Body ?? new Uint8Array();
    const version: ObjectVersion = {
      versionId: bucket.versioned ? randomBytes(16).toString('hex') : 'null',
      body: Uint8Array.from(body),
      contentType: input.ContentType ?? 'binary/octet-stream',
      etag: `"${createHash('md5').update(body).digest('hex')}"`,
      modifiedAt: this.context.clock.now(),
    };
    const before = bucket.versioned ? (bucket.objects.get(input.Key) ?? []) : [];
    bucket.objects.set(input.Key, [version, ...before]);
    return {
      ETag: version.etag,
      ServerSideEncryption: 'AES256',
      ...(bucket.versioned && { VersionId: version.versionId }),
    };
  };

  private readonly get = async (
    input: ObjectName & { VersionId?: string; Range?: string },
  ): Promise<object> => {
    // The AWS CLI asks for the whole as a range when it downloads.
    if (input.Range !== undefined && input.Range !== 'bytes=0-')
      throw new NotInSandbox('s3:GetObject with Range');
    const bucket = this.bucket(input.Bucket);
    const versions = bucket.objects.get(input.Key) ?? [];
    const [newest] = versions;
    if (!newest) throw new ApiError('NoSuchKey', 'The specified key does not exist.', 404);
    const version =
      input.VersionId === undefined
        ? newest
        : versions.find(({ versionId }) => versionId === input.VersionId);
    if (!version) throw new ApiError('NoSuchVersion', 'The specified version does not exist.', 404);
    return {
      Body: version.body,
      ETag: version.etag,
      ServerSideEncryption: 'AES256',
      LastModified: version.modifiedAt,
      ContentType: version.contentType,
      ...(bucket.versioned && { VersionId: version.versionId }),
    };
  };

  private readonly list = async (
    input: Listing & { ContinuationToken?: string; StartAfter?: string; FetchOwner?: boolean },
  ): Promise<object> => {
    if (input.FetchOwner === true) throw new NotInSandbox('s3:ListObjectsV2 with FetchOwner');
    const { Prefix = '', MaxKeys: most = 1000 } = input;
    const after = input.ContinuationToken ?? input.StartAfter ?? '';
    const keys = this.keys(input).filter((key) => key > after);
    const page = keys.slice(0, Math.min(most, 1000));
    const { objects } = this.bucket(input.Bucket);
    const last = page.at(-1);
    return {
      ...listed(input),
      Prefix,
      IsTruncated: page.length < keys.length,
      KeyCount: page.length,
      ...(page.length < keys.length && last !== undefined && { NextContinuationToken: last }),
      Contents: page.flatMap((key) =>
        (objects.get(key) ?? []).slice(0, 1).map((version) => described(input, key, version)),
      ),
    };
  };

  private readonly listVersions = async (input: Listing): Promise<object> => {
    const { objects, versioned } = this.bucket(input.Bucket);
    const versions = this.keys(input).flatMap((key) =>
      (objects.get(key) ?? []).map((version, index) => ({
        ...described(input, key, version),
        VersionId: versioned ? version.versionId : 'null',
        IsLatest: index === 0,
      })),
    );
    if (versions.length > (input.MaxKeys ?? 1000)) throw new NotInSandbox('s3:ListObjectVersions by pages');
    return { ...listed(input), Prefix: input.Prefix ?? '', IsTruncated: false, Versions: versions };
  };

  /** In the order of their bytes, as S3 lists them. */
  private keys({ Bucket: name, Prefix = '', Delimiter }: Listing): string[] {
    if (Delimiter !== undefined && Delimiter !== '')
      throw new NotInSandbox('s3:ListObjectsV2 with Delimiter');
    return [...this.bucket(name).objects.keys()].filter((key) => key.startsWith(Prefix)).sort();
  }

  private bucket(name: string): Bucket {
    const bucket = this.buckets.get(name);
    if (!bucket) throw new ApiError('NoSuchBucket', 'The specified bucket does not exist', 404);
    return bucket;
  }
}

function listed({ Bucket: name, MaxKeys, EncodingType }: Listing): object {
  return { Name: name, MaxKeys: MaxKeys ?? 1000, ...(EncodingType !== undefined && { EncodingType }) };
}

function described({ EncodingType }: Listing, key: string, version: ObjectVersion): object {
  return {
    Key: EncodingType === 'url' ? encodeURIComponent(key).replaceAll('%2F', '/') : key,
    LastModified: version.modifiedAt,
    ETag: version.etag,
    Size: version.body.byteLength,
    StorageClass: 'STANDARD',
  };
}
