/** DescribeDBInstances as any client sends it. */
export const DESCRIBE = {
  method: 'POST',
  headers: {
    'content-type': 'application/x-www-form-urlencoded',
    authorization:
      'AWS4-HMAC-SHA256 Credential=bench/20260101/eu-central-1/rds/aws4_request, SignedHeaders=host, Signature=0',
  },
  body: 'Action=DescribeDBInstances&Version=2014-10-31',
} as const;
