-- CreateView
CREATE VIEW "task_overview" AS
SELECT
    t."id",
    p."key" || '-' || t."number" AS "reference",
    t."title",
    t."status",
    t."priority",
    u."name" AS "assignee",
    (SELECT count(*) FROM "Comment" c WHERE c."taskId" = t."id") AS "comments"
FROM "Task" t
JOIN "Project" p ON p."id" = t."projectId"
LEFT JOIN "User" u ON u."id" = t."assigneeId";
