/**
 * Where the SDK's clients get their credentials in a function: from its environment, where Lambda puts those of its role. The
 * bundles have this in the place of `@aws-sdk/credential-provider-node`, which looks there first, and then in files, on
 * metadata services and with clients of its own that no function ever asks (docs/decisions/0003-bundling.md).
 */
export function defaultProvider() {
  return async () => {
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
    if (AWS_ACCESS_KEY_ID === undefined || AWS_SECRET_ACCESS_KEY === undefined)
      throw new Error(
        'The environment has no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Lambda gives them to every function.',
      );
    return {
      accessKeyId: AWS_ACCESS_KEY_ID,
      secretAccessKey: AWS_SECRET_ACCESS_KEY,
      ...(AWS_SESSION_TOKEN !== undefined && { sessionToken: AWS_SESSION_TOKEN }),
    };
  };
}
