-- CreateSequence
CREATE SEQUENCE "time_entry_reference" AS INTEGER START WITH 100001;

-- CreateTable
CREATE TABLE "TimeEntry" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "reference" INTEGER NOT NULL DEFAULT nextval('"time_entry_reference"'),
    "taskId" BIGINT NOT NULL,
    "userId" UUID NOT NULL,
    "startedAt" TIMESTAMPTZ(3) NOT NULL,
    "minutes" INTEGER NOT NULL,
    "hourlyRate" DECIMAL(10,2),
    "note" TEXT,

    CONSTRAINT "TimeEntry_pkey" PRIMARY KEY ("id")
);

-- AlterSequence
ALTER SEQUENCE "time_entry_reference" OWNED BY "TimeEntry"."reference";

-- CreateIndex
CREATE UNIQUE INDEX "TimeEntry_reference_key" ON "TimeEntry"("reference");

-- CreateIndex
CREATE INDEX "TimeEntry_userId_startedAt_idx" ON "TimeEntry"("userId", "startedAt");

-- AddForeignKey
ALTER TABLE "TimeEntry" ADD CONSTRAINT "TimeEntry_taskId_fkey" FOREIGN KEY ("taskId") REFERENCES "Task"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "TimeEntry" ADD CONSTRAINT "TimeEntry_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
