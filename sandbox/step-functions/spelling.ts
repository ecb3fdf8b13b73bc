/**
 * Step Functions spells members and errors as the Java SDK does: PascalCase with acronyms as words, `DbInstanceIdentifier`
 * for RDS's DBInstanceIdentifier.
 */
export function stepFunctionsSpelling(name: string): string {
  const words = name.replace(
    /[A-Z]{2,}(?=[A-Z][a-z]|\d|$)/g,
    (acronym) => acronym.charAt(0) + acronym.slice(1).toLowerCase(),
  );
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** `DBInstanceNotFoundFault` is `DbInstanceNotFoundException` there. */
export function stepFunctionsErrorName(code: string): string {
  return `${stepFunctionsSpelling(code.replace(/(Fault|Exception)$/, ''))}Exception`;
}
