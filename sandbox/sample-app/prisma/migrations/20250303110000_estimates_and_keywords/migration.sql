-- AlterTable
ALTER TABLE "Task" ADD COLUMN     "completedAt" TIMESTAMPTZ(3),
ADD COLUMN     "estimateHours" DECIMAL(6,2),
ADD COLUMN     "keywords" TEXT[] DEFAULT ARRAY[]::TEXT[];

-- AddCheck
ALTER TABLE "Task" ADD CONSTRAINT "Task_estimateHours_check" CHECK ("estimateHours" IS NULL OR "estimateHours" >= 0);
