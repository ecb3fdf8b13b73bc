import type { ValidateStateMachineDefinitionDiagnostic } from '@aws-sdk/client-sfn';
import { parseDefinition } from './definition';

/** What is wrong with a definition, as ValidateStateMachineDefinition says it. */
export function validateDefinition(
  text: string,
  _type: 'STANDARD' | 'EXPRESS' = 'STANDARD',
): ValidateStateMachineDefinitionDiagnostic[] {
  try {
    parseDefinition(text);
    return [];
  } catch (error) {
    return [
      {
        severity: 'ERROR',
        code: 'SCHEMA_VALIDATION_FAILED',
        message: error instanceof Error ? error.message : String(error),
      },
    ];
  }
}
