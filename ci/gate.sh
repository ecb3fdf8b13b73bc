#!/bin/sh
# Before and after `prisma migrate deploy`: makes sure that the migrations can be undone, or fails the job.
# Needs an AWS CLI (1 or 2) and one of sha256sum, shasum and openssl. docs/pipeline.md has the rest.
set -eu

usage() {
  cat >&2 <<'USAGE'
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

Ends with 0: migrate. 1: refused. 2: wrong usage. 3: no answer in time.
USAGE
  exit 2
}

say() { printf '%s\n' "$*" >&2; }

# A text as a JSON string. Names and environment variables have no control characters; one that has is refused.
json() {
  case $1 in *[[:cntrl:]]*) say "Control characters are not allowed: $1"; exit 2 ;; esac
  printf '"%s"' "$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g')"
}

sha256() {
  if command -v sha256sum > /dev/null 2>&1; then sha256sum < "$1" | cut -c 1-64
  elif command -v shasum > /dev/null 2>&1; then shasum -a 256 < "$1" | cut -c 1-64
  else openssl dgst -sha256 -r < "$1" | cut -c 1-64; fi
}

# Every migration of the project; the gate knows which of them the database has.
migrations_json() {
  separator=''
  printf '['
  for file in "$1"/*/migration.sql; do
    [ -f "$file" ] || continue
    folder=${file%/migration.sql}
    printf '%s{"name":%s,"checksum":"%s"}' "$separator" "$(json "${folder##*/}")" "$(sha256 "$file")"
    separator=','
  done
  printf ']'
}

request() {
  printf '{"deploymentId":%s' "$(json "$deployment_id")"
  if [ "$command" = after ]; then
    printf ',"outcome":"%s"' "$outcome"
  else
    printf ',"migrations":%s' "$(migrations_json "$migrations")"
    [ -z "$schema" ] || printf ',"schema":%s' "$(json "$schema")"
    [ -z "$restore_point" ] || printf ',"restorePoint":%s' "$(json "$restore_point")"
    [ -z "$commit" ] || printf ',"commit":%s' "$(json "$commit")"
    [ -z "$actor" ] || printf ',"actor":%s' "$(json "$actor")"
    [ -z "$run_url" ] || printf ',"runUrl":%s' "$(json "$run_url")"
  fi
  printf '}'
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

[ $# -gt 0 ] || usage
command=$1
shift
outcome=''
case $command in
  before) ;;
  after)
    outcome=${1-}
    case $outcome in succeeded | failed) shift ;; *) usage ;; esac
    ;;
  *) usage ;;
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
  [ $# -gt 1 ] || usage
  case $1 in
    --env) environment=$2 ;;
    --deployment-id) [ -z "$2" ] || deployment_id=$2 ;;
    --migrations) migrations=$2 ;;
    --schema) schema=$2 ;;
    --restore-point) restore_point=$2 ;;
    --timeout) timeout=$2 ;;
    --output) output=$2 ;;
    *) usage ;;
  esac
  shift 2
done
[ -n "$environment" ] && [ -n "$deployment_id" ] || usage
case $timeout in '' | *[!0-9]*) usage ;; esac
if [ "$command" = before ] && [ ! -d "$migrations" ]; then
  say "There is no folder $migrations."
  exit 2
fi

directory=$(mktemp -d "${TMPDIR:-/tmp}/gate.XXXXXX")
trap 'rm -rf "$directory"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
answer=$directory/answer.json
request > "$directory/request.json"

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
    *)
      say "Refused, $(field error): $(field reason)"
      say "Hint: $(field hint)"
      exit 1
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
