/** What a command of `bin` says when it fails: the message, and what to do where AWS was not even asked. */
export function failure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === 'Region is missing' || error.name === 'CredentialsProviderError'
    ? `${error.message}\nHint: set AWS_PROFILE and AWS_REGION to the account and Region of the database, or paste the exports of a sandbox.`
    : error.message;
}
