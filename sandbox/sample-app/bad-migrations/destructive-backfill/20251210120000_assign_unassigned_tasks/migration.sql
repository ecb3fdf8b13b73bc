-- Give every task without an assignee to the person who reported it.
UPDATE "Task" SET "assigneeId" = "reporterId", "priority" = 'MEDIUM';
