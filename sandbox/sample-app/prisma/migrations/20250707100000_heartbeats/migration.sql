-- CreateTable
CREATE UNLOGGED TABLE "Heartbeat" (
    "instance" TEXT NOT NULL,
    "beats" BIGINT NOT NULL DEFAULT 0,
    "beatAt" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Heartbeat_pkey" PRIMARY KEY ("instance")
);
