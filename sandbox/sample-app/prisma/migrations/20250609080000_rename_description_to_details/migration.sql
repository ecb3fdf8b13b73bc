-- AlterTable
ALTER TABLE "Task" RENAME COLUMN "description" TO "details";
