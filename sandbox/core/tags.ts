/** Tags by their keys, of the list in which most services take and give them. */
export function tagsOf(
  tags: readonly { Key: string | undefined; Value: string | undefined }[] = [],
): Record<string, string> {
  return Object.fromEntries(tags.map(({ Key, Value }) => [Key ?? '', Value ?? '']));
}
