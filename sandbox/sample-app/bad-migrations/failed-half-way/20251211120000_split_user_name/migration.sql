-- AlterTable
BEGIN;
ALTER TABLE "User" ADD COLUMN     "firstName" TEXT,
ADD COLUMN     "lastName" TEXT;
UPDATE "User" SET "firstName" = split_part("name", ' ', 1), "lastName" = NULLIF(split_part("name", ' ', 2), '');
ALTER TABLE "User" DROP COLUMN "name" CASCADE;
COMMIT;

-- AlterTable
ALTER TABLE "User" ALTER COLUMN "firstName" SET NOT NULL,
ALTER COLUMN "lastName" SET NOT NULL;
