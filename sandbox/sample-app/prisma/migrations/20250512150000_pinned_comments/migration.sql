-- AlterTable
ALTER TABLE "Comment" ADD COLUMN     "isPinned" BOOLEAN NOT NULL DEFAULT false;

-- CreateIndex
CREATE UNIQUE INDEX "Comment_taskId_pinned_key" ON "Comment"("taskId") WHERE "isPinned";

-- CreateIndex
CREATE INDEX "Task_dueDate_open_idx" ON "Task"("dueDate") WHERE "completedAt" IS NULL;
