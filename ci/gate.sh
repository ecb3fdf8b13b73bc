#!/bin/sh
# Before and after `prisma migrate deploy`: makes sure that the migrations can be undone, or fails the job.
# Needs an AWS CLI (1 or 2) and one of sha256sum, shasum and openssl. docs/pipeline.md has the rest.
set -eu

usage() {
  cat <<'USAGE'
Usage: gate.sh before --env NAME --deployment-id ID [--migrations DIR] [--schema NAME] [--restore-point KIND]
                      [--timeout MINUTES] [--output FILE]
       gate.sh after succeeded|failed --env NAME --deployment-id ID

  --env            production, staging or development
  --deployment-id  the same at every try of one deployment; on GitHub and GitLab made from the job
  --migrations     Prisma's folder of migrations (prisma/migrations)
  --schema         schema of the migration table, where several projects share the database
  --restore-point  snapshot, or point-in-time
  --timeout        minutes to wait for the restore point (120)
  --output         file that gets status=, restore-point= and recovery-input=

Ends with 0: migrate. 1: refused. 2: wrong usage. 3: no answer, or none in time.
USAGE
}

say() { printf '%s\n' "$*" >&2; }

wrong() {
  say "$*"
  usage >&2
  exit 2
}

# A text as a JSON string. Names and environment variables have no control characters; one that has is refused.
json() {
  case $1 in *[[:cntrl:]]*) say "Control characters are not allowed: $1"; return 2 ;; esac
  printf '"%s"' "$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g')"
}

sha256() {
  if command -v sha256sum > /dev/null 2>&1; then sha256sum < "$1" | cut -c 1-64
  elif command -v shasum > /dev/null 2>&1; then shasum -a 256 < "$1" | cut -c 1-64
  else openssl dgst -sha256 -r < "$1" | cut -c 1-64; fi
}

# Every migration of the project; the gate knows which of them the database has. Each step is an assignment of its own: what fails
# within the words of a command fails unseen.
collect_migrations() {
  list=''
  for file in "$migrations"/*/migration.sql; do
    [ -f "$file" ] || continue
    folder=${file%/migration.sql}
    name=$(json "${folder##*/}") || exit 2
    checksum=$(sha256 "$file")
    if [ ${#checksum} -ne 64 ]; then
      say "The checksum of $file cannot be computed."
      exit 2
    fi
    list="$list,{\"name\":$name,\"checksum\":\"$checksum\"}"
  done
  # None at all would mean that nothing is pending, and that no restore point is needed.
  [ -n "$list" ] || wrong "There is no migration in $migrations. Is it Prisma's folder of migrations?"
  request="$request,\"migrations\":[${list#,}]"
}

# Adds a member to the request, unless it is empty.
add() {
  [ -n "$2" ] || return 0
  value=$(json "$2") || exit 2
  request="$request,\"$1\":$value"
}

# A text field of the answer, unescaped.
field() {
  awk -v key="\"$1\":\"" '
    { at = index($0, key); if (!at) next
      rest = substr($0, at + length(key)); text = ""
      for (i = 1; i <= length(rest); i++) {
        c = substr(rest, i, 1)
        if (c == "\"") break
        if (c == "\\") { i++; c = substr(rest, i, 1); if (c == "n") c = "\n"; if (c == "t") c = "\t" }
        text = text c
      }
      print text; exit }' "$answer"
}

# Asks once. The command ends well even when the function failed: what it printed says so.
ask() {
  aws lambda invoke --function-name "$environment-pre-migration-snapshot" --cli-read-timeout 120 --output json \
    --payload "fileb://$directory/request.json" "$answer" > "$directory/call.json" || return 1
  if grep -q FunctionError "$directory/call.json"; then
    say "The gate failed: $(cat "$answer")"
    return 1
  fi
  status=$(sed -n '1s/^{"status":"\([a-z]*\)".*/\1/p' "$answer")
}

for argument; do
  case $argument in -h | --help) usage; exit 0 ;; esac
done
[ $# -gt 0 ] || wrong 'What is to be done is missing: before, or after.'
command=$1
shift
outcome=''
case $command in
  before) ;;
  after)
    outcome=${1-}
    case $outcome in succeeded | failed) shift ;; *) wrong "After comes succeeded or failed, not \"$outcome\"." ;; esac
    ;;
  *) wrong "There is no \"$command\", only before and after." ;;
esac

environment='' schema='' restore_point='' output=''
migrations=prisma/migrations
timeout=120
if [ -n "${GITHUB_RUN_ID-}" ]; then
  deployment_id="$GITHUB_REPOSITORY run $GITHUB_RUN_ID attempt ${GITHUB_RUN_ATTEMPT-1}"
  commit=${GITHUB_SHA-} actor=${GITHUB_ACTOR-}
  run_url="${GITHUB_SERVER_URL-}/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID"
elif [ -n "${CI_JOB_ID-}" ]; then
  deployment_id="${CI_PROJECT_PATH-} job $CI_JOB_ID"
  commit=${CI_COMMIT_SHA-} actor=${GITLAB_USER_LOGIN-} run_url=${CI_JOB_URL-}
else
  deployment_id='' commit='' actor='' run_url=''
fi
while [ $# -gt 0 ]; do
  case $1 in
    --env | --deployment-id | --migrations | --schema | --restore-point | --timeout | --output) ;;
    *) wrong "There is no option $1." ;;
  esac
  [ $# -gt 1 ] || wrong "$1 needs a value."
  case $1 in
    --env) environment=$2 ;;
    --deployment-id) [ -z "$2" ] || deployment_id=$2 ;;
    --migrations) migrations=$2 ;;
    --schema) schema=$2 ;;
    --restore-point) restore_point=$2 ;;
    --timeout) timeout=$2 ;;
    --output) output=$2 ;;
  esac
  shift 2
done
[ -n "$environment" ] || wrong '--env is missing.'
[ -n "$deployment_id" ] || wrong '--deployment-id is missing.'
case $timeout in '' | *[!0-9]* | 0?*) wrong "--timeout is \"$timeout\": write whole minutes." ;; esac
id=$(json "$deployment_id") || exit 2
request="{\"deploymentId\":$id"
if [ "$command" = after ]; then
  add outcome "$outcome"
else
  [ -d "$migrations" ] || wrong "There is no folder $migrations."
  collect_migrations
  add schema "$schema"
  add restorePoint "$restore_point"
  add commit "$commit"
  add actor "$actor"
  add runUrl "$run_url"
fi
# What would be missed at the end is missed now, before anything is made.
if [ -n "$output" ] && ! true 2> /dev/null >> "$output"; then
  say "$output cannot be written."
  exit 2
fi
if ! command -v aws > /dev/null 2>&1; then
  say 'There is no AWS CLI here: the gate cannot be asked. Do not migrate.'
  exit 3
fi
directory=$(mktemp -d "${TMPDIR:-/tmp}/gate.XXXXXX") || exit 3
trap 'rm -rf "$directory"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
answer=$directory/answer.json
printf '%s}' "$request" > "$directory/request.json" || exit 3

failures=0
shown=''
end=$(($(date +%s) + timeout * 60))
while :; do
  if ask; then
    failures=0
  else
    failures=$((failures + 1))
    if [ $failures -ge 5 ]; then
      say 'The gate could not be asked. Do not migrate.'
      exit 3
    fi
    sleep 5
    continue
  fi
  case $status in
    creating)
      percent=$(sed -n 's/.*"progressPercent":\([0-9]*\).*/\1/p' "$answer")
      progress="Restore point for $environment: ${percent:-0} % $(field waitingFor)"
      [ "$progress" = "$shown" ] || say "$progress"
      shown=$progress
      if [ "$(date +%s)" -ge "$end" ]; then
        say "No restore point after $timeout minutes. Do not migrate; asked again with the same id, the gate goes on."
        exit 3
      fi
      sleep 5
      ;;
    available | skipped | recorded) break ;;
    refused)
      say "Refused, $(field error): $(field reason)"
      say "Hint: $(field hint)"
      exit 1
      ;;
    *)
      say "The gate answered what this script does not know. Do not migrate. $(cat "$answer")"
      exit 3
      ;;
  esac
done

[ "$command" = before ] || exit 0
point=$(field snapshotId)
[ -n "$point" ] || point=$(field time)
recovery=''
case $status in
  available)
    recovery=$(sed -n 's/.*"recoveryInput":\({.*}\),"notes":.*/\1/p' "$answer")
    notes=$(sed -n 's/.*"notes":\[\(.*\)\].*/\1/p' "$answer")
    say "Restore point: $point"
    [ -z "$notes" ] || say "Notes: $notes"
    say "To go back, start the state machine $environment-recovery with:"
    say "$recovery"
    ;;
  *) say "No restore point is needed: $(field reason)" ;;
esac
if [ -n "$output" ]; then
  printf 'status=%s\nrestore-point=%s\nrecovery-input=%s\n' "$status" "$point" "$recovery" >> "$output"
fi
