import type { Construct } from 'constructs';
import type { AnyFunctionName } from '../functions';
import { permissionsOfCopies } from './copies';
import { copyTerms } from './copy-terms';
import { permissionsOfCutover } from './cutover';
import { permissionsOfGate } from './gate';
import type { Permission } from './permission';
import { permissionsOfQuestions } from './questions';
import { permissionsOfRename } from './rename';
import { permissionsOfRestore } from './restore';
import { permissionsOfRestorePoints } from './restore-points';
import { permissionsOfRetirement } from './retirement';
import { permissionTerms, type PermissionScope } from './terms';
import { permissionsOfWayBack } from './way-back';

/**
 * What each function may ask of AWS: no more than its step asks (docs/permissions.md says it in words). In the order in which a
 * database meets them: what is taken of it, then a recovery from its plan to its end, then the other ways through the machine. The
 * functions with a construct of their own (records, vault, custom resource) have their statements there.
 */
export function functionPermissions(
  scope: Construct,
  permissions: PermissionScope,
): Readonly<Record<AnyFunctionName, readonly Permission[]>> {
  const terms = permissionTerms(scope, permissions);
  const copies = copyTerms(scope, permissions);
  return {
    ...permissionsOfGate(terms),
    ...permissionsOfRestorePoints(terms, copies),
    ...permissionsOfCopies(terms, copies),
    ...permissionsOfRestore(terms),
    ...permissionsOfCutover(terms),
    ...permissionsOfRetirement(terms),
    ...permissionsOfWayBack(terms),
    ...permissionsOfRename(terms),
    ...permissionsOfQuestions(terms),
  };
}
