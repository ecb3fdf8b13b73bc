"""Every operation of the sandbox through boto3, a client and a model of AWS that are not JavaScript's.

    npm run sandbox            # in one terminal
    pip install boto3
    eval the exports it prints, then: python test/boto3/every_operation.py

Prints each operation and how it went; ends with 1 if one failed. Makes its own instances, secrets, machines, ... and removes them.
"""

import io
import json
import sys
import time
import uuid
import zipfile
from datetime import datetime, timedelta, timezone

import boto3
from botocore.exceptions import ClientError

MARK = uuid.uuid4().hex[:8]
PASSWORD = "boto3-Password1"
CLIENTS = {}
DONE = []


def call(service, method, expect=None, **params):
    """One call; `expect` is the code of the error that it must end with."""
    client = CLIENTS.setdefault(service, boto3.client(service))
    try:
        answer = getattr(client, method)(**params)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        DONE.append((service, method, code == expect, str(error) if code != expect else f"refused as expected: {code}"))
        return {}
    except Exception as error:  # pylint: disable=broad-except
        DONE.append((service, method, False, f"{type(error).__name__}: {error}"))
        return {}
    DONE.append((service, method, expect is None, "" if expect is None else f"expected {expect}"))
    return answer


def until(look, timeout=120):
    end = time.time() + timeout
    while time.time() < end:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    raise SystemExit(f"waited {timeout} s in vain; so far: {[row for row in DONE if not row[2]]}")


def instance_status(identifier):
    try:
        found = CLIENTS["rds"].describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
        return found[0]["DBInstanceStatus"]
    except ClientError:
        return "gone"


def snapshot_status(identifier):
    try:
        found = CLIENTS["rds"].describe_db_snapshots(DBSnapshotIdentifier=identifier)["DBSnapshots"]
        return found[0]["Status"]
    except ClientError:
        return "gone"


def available(identifier):
    until(lambda: instance_status(identifier) == "available")


def rds():
    one, group, subnets, parameters = f"one-{MARK}", f"two-{MARK}", f"subnets-{MARK}", f"parameters-{MARK}"
    call("rds", "describe_account_attributes")
    call("rds", "describe_db_engine_versions", Engine="postgres")
    call("rds", "describe_orderable_db_instance_options", Engine="postgres", MaxRecords=20)
    call("rds", "describe_certificates")
    call("rds", "create_db_parameter_group", DBParameterGroupName=parameters, DBParameterGroupFamily="postgres17", Description="x")
    call("rds", "modify_db_parameter_group", DBParameterGroupName=parameters,
         Parameters=[{"ParameterName": "log_min_duration_statement", "ParameterValue": "1000", "ApplyMethod": "immediate"}])
    call("rds", "describe_db_parameters", DBParameterGroupName=parameters, Source="user")
    call("rds", "reset_db_parameter_group", DBParameterGroupName=parameters, ResetAllParameters=True)
    call("rds", "describe_db_parameter_groups")
    groups = call("rds", "describe_db_subnet_groups").get("DBSubnetGroups", [])
    known = [subnet["SubnetIdentifier"] for found in groups for subnet in found["Subnets"]]
    call("rds", "create_db_subnet_group", DBSubnetGroupName=subnets, DBSubnetGroupDescription="x", SubnetIds=known[:2] or ["subnet-1", "subnet-2"])
    call("rds", "modify_db_subnet_group", DBSubnetGroupName=subnets, DBSubnetGroupDescription="y", SubnetIds=known[:2] or ["subnet-1", "subnet-2"])
    call("rds", "create_db_instance", DBInstanceIdentifier=one, Engine="postgres", DBInstanceClass="db.t4g.micro",
         AllocatedStorage=20, MasterUsername="boto", MasterUserPassword=PASSWORD, DBName="app", BackupRetentionPeriod=1,
         Tags=[{"Key": "made-by", "Value": "boto3"}])
    call("rds", "create_db_instance", expect="DBInstanceAlreadyExists", DBInstanceIdentifier=one, Engine="postgres",
         DBInstanceClass="db.t4g.micro", AllocatedStorage=20, MasterUsername="boto", MasterUserPassword=PASSWORD)
    available(one)
    described = call("rds", "describe_db_instances", DBInstanceIdentifier=one)["DBInstances"][0]
    arn = described["DBInstanceArn"]
    call("rds", "add_tags_to_resource", ResourceName=arn, Tags=[{"Key": "a", "Value": "b"}])
    tags = call("rds", "list_tags_for_resource", ResourceName=arn)["TagList"]
    assert {"Key": "a", "Value": "b"} in tags and {"Key": "made-by", "Value": "boto3"} in tags, tags
    call("rds", "remove_tags_from_resource", ResourceName=arn, TagKeys=["a"])
    call("rds", "describe_pending_maintenance_actions")
    call("rds", "modify_db_instance", DBInstanceIdentifier=one, DeletionProtection=True, ApplyImmediately=True)
    call("rds", "delete_db_instance", expect="InvalidParameterCombination", DBInstanceIdentifier=one, SkipFinalSnapshot=True)
    call("rds", "modify_db_instance", DBInstanceIdentifier=one, DeletionProtection=False, ApplyImmediately=True)
    available(one)
    call("rds", "reboot_db_instance", DBInstanceIdentifier=one)
    available(one)
    call("rds", "create_db_snapshot", DBSnapshotIdentifier=f"s-{MARK}", DBInstanceIdentifier=one)
    CLIENTS["rds"].get_waiter("db_snapshot_available").wait(DBSnapshotIdentifier=f"s-{MARK}", WaiterConfig={"Delay": 1})
    call("rds", "describe_db_snapshots", DBInstanceIdentifier=one)
    call("rds", "copy_db_snapshot", SourceDBSnapshotIdentifier=f"s-{MARK}", TargetDBSnapshotIdentifier=f"c-{MARK}")
    until(lambda: snapshot_status(f"c-{MARK}") == "available")
    call("rds", "modify_db_snapshot_attribute", DBSnapshotIdentifier=f"c-{MARK}", AttributeName="restore", ValuesToAdd=["222222222222"])
    call("rds", "describe_db_snapshot_attributes", DBSnapshotIdentifier=f"c-{MARK}")
    call("rds", "restore_db_instance_from_db_snapshot", DBInstanceIdentifier=group, DBSnapshotIdentifier=f"c-{MARK}")
    available(group)
    until(lambda: CLIENTS["rds"].describe_db_instances(DBInstanceIdentifier=one)["DBInstances"][0].get("LatestRestorableTime"))
    call("rds", "restore_db_instance_to_point_in_time", SourceDBInstanceIdentifier=one, TargetDBInstanceIdentifier=f"three-{MARK}",
         UseLatestRestorableTime=True)
    available(f"three-{MARK}")
    call("rds", "describe_db_instance_automated_backups", DBInstanceIdentifier=one)
    call("rds", "stop_db_instance", DBInstanceIdentifier=group)
    until(lambda: instance_status(group) == "stopped")
    call("rds", "start_db_instance", DBInstanceIdentifier=group)
    available(group)
    call("rds", "describe_events", SourceIdentifier=one, SourceType="db-instance", Duration=60)
    call("rds", "delete_db_instance", DBInstanceIdentifier=f"three-{MARK}", SkipFinalSnapshot=True, DeleteAutomatedBackups=False)
    until(lambda: instance_status(f"three-{MARK}") == "gone")
    kept = CLIENTS["rds"].describe_db_instance_automated_backups(Filters=[{"Name": "status", "Values": ["retained"]}])
    for backup in kept["DBInstanceAutomatedBackups"]:
        if backup["DBInstanceIdentifier"] == f"three-{MARK}":
            call("rds", "delete_db_instance_automated_backup", DbiResourceId=backup["DbiResourceId"])
    call("rds", "delete_db_instance", DBInstanceIdentifier=group, SkipFinalSnapshot=True)
    call("rds", "delete_db_instance", DBInstanceIdentifier=one, FinalDBSnapshotIdentifier=f"f-{MARK}")
    until(lambda: instance_status(group) == "gone" and instance_status(one) == "gone")
    for snapshot in ("s", "c", "f"):
        call("rds", "delete_db_snapshot", DBSnapshotIdentifier=f"{snapshot}-{MARK}")
    call("rds", "delete_db_subnet_group", DBSubnetGroupName=subnets)
    call("rds", "delete_db_parameter_group", DBParameterGroupName=parameters)
    call("rds", "describe_db_instances", expect="DBInstanceNotFound", DBInstanceIdentifier=one)


def secretsmanager():
    name = f"boto3/{MARK}"
    call("secretsmanager", "get_random_password", PasswordLength=20)
    made = call("secretsmanager", "create_secret", Name=name, SecretString="first")
    second = call("secretsmanager", "put_secret_value", SecretId=name, SecretString="second", VersionStages=["TRIED"])
    call("secretsmanager", "update_secret_version_stage", SecretId=name, VersionStage="AWSCURRENT",
         MoveToVersionId=second["VersionId"], RemoveFromVersionId=made["VersionId"])
    assert call("secretsmanager", "get_secret_value", SecretId=name)["SecretString"] == "second"
    call("secretsmanager", "describe_secret", SecretId=name)
    call("secretsmanager", "update_secret", SecretId=name, Description="x")
    call("secretsmanager", "list_secrets")
    call("secretsmanager", "list_secret_version_ids", SecretId=name)
    call("secretsmanager", "tag_resource", SecretId=name, Tags=[{"Key": "a", "Value": "b"}])
    call("secretsmanager", "untag_resource", SecretId=name, TagKeys=["a"])
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:DeleteResourcePolicyX", "Resource": "*"}]}
    call("secretsmanager", "put_resource_policy", SecretId=name, ResourcePolicy=json.dumps(policy))
    call("secretsmanager", "get_resource_policy", SecretId=name)
    call("secretsmanager", "delete_resource_policy", SecretId=name)
    call("secretsmanager", "delete_secret", SecretId=name, RecoveryWindowInDays=7)
    call("secretsmanager", "restore_secret", SecretId=name)
    call("secretsmanager", "delete_secret", SecretId=name, ForceDeleteWithoutRecovery=True)
    call("secretsmanager", "get_secret_value", expect="ResourceNotFoundException", SecretId=name)


def lambdas(account):
    name = f"boto3-{MARK}"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("index.js", "exports.handler = async (event) => ({ got: event });")
    code = archive.getvalue()
    role = f"arn:aws:iam::{account}:role/boto3"
    call("lambda", "get_account_settings")
    made = call("lambda", "create_function", FunctionName=name, Runtime="nodejs22.x", Handler="index.handler", Role=role, Code={"ZipFile": code})
    CLIENTS["lambda"].get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    arn = made["FunctionArn"]
    answer = call("lambda", "invoke", FunctionName=name, Payload=json.dumps({"a": 1}), LogType="Tail")
    assert json.load(answer["Payload"]) == {"got": {"a": 1}}
    call("lambda", "invoke", FunctionName=name, InvocationType="Event", Payload="{}")
    call("lambda", "get_function", FunctionName=name)
    call("lambda", "get_function_configuration", FunctionName=name)
    call("lambda", "list_functions")
    call("lambda", "update_function_configuration", FunctionName=name, Timeout=10)
    CLIENTS["lambda"].get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    call("lambda", "update_function_code", FunctionName=name, ZipFile=code)
    CLIENTS["lambda"].get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    call("lambda", "add_permission", FunctionName=name, StatementId="events", Action="lambda:InvokeFunction", Principal="events.amazonaws.com")
    call("lambda", "get_policy", FunctionName=name)
    call("lambda", "remove_permission", FunctionName=name, StatementId="events")
    call("lambda", "tag_resource", Resource=arn, Tags={"a": "b"})
    call("lambda", "list_tags", Resource=arn)
    call("lambda", "untag_resource", Resource=arn, TagKeys=["a"])
    call("lambda", "put_function_event_invoke_config", FunctionName=name, MaximumRetryAttempts=1)
    call("lambda", "update_function_event_invoke_config", FunctionName=name, MaximumEventAgeInSeconds=600)
    call("lambda", "get_function_event_invoke_config", FunctionName=name)
    call("lambda", "list_function_event_invoke_configs", FunctionName=name)
    call("lambda", "delete_function_event_invoke_config", FunctionName=name)
    call("lambda", "put_function_concurrency", FunctionName=name, ReservedConcurrentExecutions=1)
    call("lambda", "get_function_concurrency", FunctionName=name)
    call("lambda", "delete_function_concurrency", FunctionName=name)
    call("lambda", "delete_function", FunctionName=name)
    call("lambda", "invoke", expect="ResourceNotFoundException", FunctionName=name)


def states(account):
    name = f"boto3-{MARK}"
    role = f"arn:aws:iam::{account}:role/boto3"
    definition = json.dumps({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "Next": "P"}, "P": {"Type": "Pass", "End": True}}})
    quick = json.dumps({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}})
    call("stepfunctions", "validate_state_machine_definition", definition=quick)
    arn = call("stepfunctions", "create_state_machine", name=name, definition=quick, roleArn=role)["stateMachineArn"]
    call("stepfunctions", "describe_state_machine", stateMachineArn=arn)
    call("stepfunctions", "list_state_machines")
    started = call("stepfunctions", "start_execution", stateMachineArn=arn, name="one", input="{}")["executionArn"]
    until(lambda: CLIENTS["stepfunctions"].describe_execution(executionArn=started)["status"] == "SUCCEEDED")
    call("stepfunctions", "describe_execution", executionArn=started)
    call("stepfunctions", "get_execution_history", executionArn=started)
    call("stepfunctions", "describe_state_machine_for_execution", executionArn=started)
    call("stepfunctions", "list_executions", stateMachineArn=arn)
    call("stepfunctions", "update_state_machine", stateMachineArn=arn, definition=definition)
    waiting = call("stepfunctions", "start_execution", stateMachineArn=arn, name="two")["executionArn"]
    call("stepfunctions", "stop_execution", executionArn=waiting, error="Stopped", cause="by boto3")
    call("stepfunctions", "redrive_execution", executionArn=waiting)
    call("stepfunctions", "stop_execution", executionArn=waiting)
    for method in ("send_task_success", "send_task_failure", "send_task_heartbeat"):
        call("stepfunctions", method, expect="InvalidToken", taskToken="x" * 30, **({"output": "{}"} if method.endswith("success") else {}))
    call("stepfunctions", "tag_resource", resourceArn=arn, tags=[{"key": "a", "value": "b"}])
    call("stepfunctions", "list_tags_for_resource", resourceArn=arn)
    call("stepfunctions", "untag_resource", resourceArn=arn, tagKeys=["a"])
    call("stepfunctions", "delete_state_machine", stateMachineArn=arn)


def sns_and_sqs():
    topic = call("sns", "create_topic", Name=f"boto3-{MARK}")["TopicArn"]
    url = call("sqs", "create_queue", QueueName=f"boto3-{MARK}")["QueueUrl"]
    attributes = call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])["Attributes"]
    queue = attributes["QueueArn"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue}]}
    call("sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    call("sqs", "get_queue_url", QueueName=f"boto3-{MARK}")
    call("sqs", "list_queues")
    call("sqs", "tag_queue", QueueUrl=url, Tags={"a": "b"})
    call("sqs", "list_queue_tags", QueueUrl=url)
    call("sqs", "untag_queue", QueueUrl=url, TagKeys=["a"])
    call("sns", "list_topics")
    call("sns", "get_topic_attributes", TopicArn=topic)
    call("sns", "set_topic_attributes", TopicArn=topic, AttributeName="DisplayName", AttributeValue="x")
    subscribed = call("sns", "subscribe", TopicArn=topic, Protocol="sqs", Endpoint=queue, ReturnSubscriptionArn=True)["SubscriptionArn"]
    call("sns", "get_subscription_attributes", SubscriptionArn=subscribed)
    call("sns", "set_subscription_attributes", SubscriptionArn=subscribed, AttributeName="RawMessageDelivery", AttributeValue="true")
    call("sns", "confirm_subscription", expect="InvalidParameter", TopicArn=topic, Token="x" * 20)
    call("sns", "list_subscriptions")
    call("sns", "list_subscriptions_by_topic", TopicArn=topic)
    call("sns", "publish", TopicArn=topic, Message="hello", Subject="greeting")
    received = until(lambda: CLIENTS["sqs"].receive_message(QueueUrl=url).get("Messages"))
    assert received[0]["Body"] == "hello", received
    call("sqs", "receive_message", QueueUrl=url)
    call("sqs", "change_message_visibility", QueueUrl=url, ReceiptHandle=received[0]["ReceiptHandle"], VisibilityTimeout=10)
    call("sqs", "delete_message", QueueUrl=url, ReceiptHandle=received[0]["ReceiptHandle"])
    call("sqs", "send_message", QueueUrl=url, MessageBody="one")
    call("sqs", "send_message_batch", QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "two"}])
    handles = CLIENTS["sqs"].receive_message(QueueUrl=url, MaxNumberOfMessages=1)["Messages"]
    call("sqs", "delete_message_batch", QueueUrl=url, Entries=[{"Id": "a", "ReceiptHandle": handles[0]["ReceiptHandle"]}])
    call("sqs", "purge_queue", QueueUrl=url)
    call("sns", "tag_resource", ResourceArn=topic, Tags=[{"Key": "a", "Value": "b"}])
    call("sns", "list_tags_for_resource", ResourceArn=topic)
    call("sns", "untag_resource", ResourceArn=topic, TagKeys=["a"])
    call("sns", "unsubscribe", SubscriptionArn=subscribed)
    call("sns", "delete_topic", TopicArn=topic)
    return url, queue


def events(queue):
    rule = f"boto3-{MARK}"
    call("events", "describe_event_bus")
    arn = call("events", "put_rule", Name=rule, EventPattern=json.dumps({"source": [f"boto3.{MARK}"]}))["RuleArn"]
    call("events", "describe_rule", Name=rule)
    call("events", "list_rules", NamePrefix=rule)
    call("events", "put_targets", Rule=rule, Targets=[{"Id": "q", "Arn": queue}])
    call("events", "list_targets_by_rule", Rule=rule)
    call("events", "list_rule_names_by_target", TargetArn=queue)
    call("events", "put_events", Entries=[{"Source": f"boto3.{MARK}", "DetailType": "x", "Detail": "{}"}])
    event = {"id": "1", "detail-type": "x", "source": "a", "account": "123456789012", "time": "2026-01-01T00:00:00Z", "region": "eu-central-1", "resources": [], "detail": {}}
    assert call("events", "test_event_pattern", Event=json.dumps(event), EventPattern='{"source":["a"]}')["Result"] is True
    call("events", "disable_rule", Name=rule)
    call("events", "enable_rule", Name=rule)
    call("events", "tag_resource", ResourceARN=arn, Tags=[{"Key": "a", "Value": "b"}])
    call("events", "list_tags_for_resource", ResourceARN=arn)
    call("events", "untag_resource", ResourceARN=arn, TagKeys=["a"])
    call("events", "remove_targets", Rule=rule, Ids=["q"])
    call("events", "delete_rule", Name=rule)


def scheduler(role):
    name = f"boto3-{MARK}"
    call("scheduler", "get_schedule_group", Name="default")
    call("scheduler", "list_schedule_groups")
    listed = call("scheduler", "list_schedules")["Schedules"]
    if not listed:
        raise KeyError("no schedule of a stack whose role could be used")
    target = call("scheduler", "get_schedule", Name=listed[0]["Name"])["Target"]
    schedule = {"Name": name, "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {"Arn": target["Arn"], "RoleArn": target["RoleArn"], "Input": "{}"}}
    # The role of a function does not trust Scheduler.
    untrusted = dict(schedule, Target=dict(schedule["Target"], RoleArn=role))
    call("scheduler", "create_schedule", expect="ValidationException", **untrusted)
    call("scheduler", "create_schedule", **schedule)
    call("scheduler", "update_schedule", **dict(schedule, ScheduleExpression="cron(0 3 * * ? *)"))
    assert call("scheduler", "get_schedule", Name=name)["ScheduleExpression"] == "cron(0 3 * * ? *)"
    call("scheduler", "delete_schedule", Name=name)
    call("scheduler", "get_schedule", expect="ResourceNotFoundException", Name=name)


def cloudwatch():
    name, now = f"boto3-{MARK}", datetime.now(timezone.utc)
    span = {"StartTime": now - timedelta(minutes=10), "EndTime": now + timedelta(minutes=10)}
    call("cloudwatch", "put_metric_data", Namespace=name, MetricData=[{"MetricName": "m", "Value": 3.5, "Unit": "Seconds", "Timestamp": now}])
    call("cloudwatch", "list_metrics", Namespace=name)
    got = call("cloudwatch", "get_metric_statistics", Namespace=name, MetricName="m", Period=60, Statistics=["Maximum"], **span)
    assert [point["Maximum"] for point in got["Datapoints"]] == [3.5], got
    query = {"Id": "m", "MetricStat": {"Metric": {"Namespace": name, "MetricName": "m"}, "Period": 60, "Stat": "Sum"}}
    got = call("cloudwatch", "get_metric_data", MetricDataQueries=[query], **span)
    assert got["MetricDataResults"][0]["Values"] == [3.5], got
    call("cloudwatch", "put_metric_alarm", AlarmName=name, Namespace=name, MetricName="m", Period=60, Statistic="Maximum",
         EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold")
    call("cloudwatch", "describe_alarms", AlarmNames=[name])
    call("cloudwatch", "set_alarm_state", AlarmName=name, StateValue="ALARM", StateReason="boto3")
    call("cloudwatch", "describe_alarm_history", AlarmName=name)
    call("cloudwatch", "put_composite_alarm", AlarmName=f"{name}-all", AlarmRule=f'ALARM("{name}") AND NOT FALSE')
    got = call("cloudwatch", "describe_alarms", AlarmTypes=["CompositeAlarm"])
    assert got["CompositeAlarms"][0]["StateValue"] == "ALARM", got
    call("cloudwatch", "delete_alarms", AlarmNames=[f"{name}-all"])
    call("cloudwatch", "delete_alarms", AlarmNames=[name])


def main():
    identity = call("sts", "get_caller_identity")
    account = identity["Account"]
    functions = boto3.client("lambda").list_functions()["Functions"]
    role = next((found["Role"] for found in functions), f"arn:aws:iam::{account}:role/boto3")
    call("sts", "assume_role", expect=None if not functions else "AccessDenied", RoleArn=role, RoleSessionName="boto3")
    url, queue = sns_and_sqs()
    parts = (secretsmanager, lambda: lambdas(account), lambda: states(account), lambda: events(queue), lambda: scheduler(role), cloudwatch, rds)
    for part in parts:
        try:
            part()
        except (KeyError, AssertionError) as error:
            DONE.append(("-", "-", False, f"could not go on: {type(error).__name__} {error}"))
    call("sqs", "delete_queue", QueueUrl=url)
    failed = [row for row in DONE if not row[2]]
    operations = {(service, method) for service, method, _, _ in DONE}
    for service, method, _, text in failed:
        print(f"FAILED {service} {method}: {text}")
    print(f"{len(operations)} operations, {len(DONE)} calls, {len(failed)} failed")
    if "--list" in sys.argv:
        for service, method in sorted(operations):
            print(service, method)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
