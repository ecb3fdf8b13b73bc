-- CreateFunction
CREATE FUNCTION "task_touch"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW."updatedAt" := CURRENT_TIMESTAMP;
    IF NEW."status" = 'DONE' AND OLD."status" <> 'DONE' THEN
        NEW."completedAt" := COALESCE(NEW."completedAt", CURRENT_TIMESTAMP);
    END IF;
    RETURN NEW;
END;
$$;

-- CreateFunction
CREATE FUNCTION "task_record_status"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO "TaskEvent" ("taskId", "type", "payload")
    VALUES (NEW."id", 'STATUS_CHANGED', jsonb_build_object('from', OLD."status", 'to', NEW."status"));
    RETURN NULL;
END;
$$;

-- CreateTrigger
CREATE TRIGGER "task_touch" BEFORE UPDATE ON "Task" FOR EACH ROW EXECUTE FUNCTION "task_touch"();

-- CreateTrigger
CREATE TRIGGER "task_record_status" AFTER UPDATE OF "status" ON "Task" FOR EACH ROW WHEN (OLD."status" IS DISTINCT FROM NEW."status") EXECUTE FUNCTION "task_record_status"();
