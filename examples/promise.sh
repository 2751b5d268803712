#!/bin/sh
# What Muster promises, to watch: a run survives kill -9, people and rules decide, money has a limit,
# and the record shows every later change. Needs a finished `make setup`; no key, no internet.
#
#   examples/promise.sh
set -eu

cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
MUSTER=${MUSTER:-.venv/bin/muster}
FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/muster-promise.XXXXXX")
PORT=$($PYTHON -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
SERVER=
export API="http://127.0.0.1:$PORT/api/v1" TOKEN=""
export MUSTER_DATA_DIR="$FOLDER/data" MUSTER_ADMIN_PASSWORD=a-long-and-quiet-river

trap 'test -z "$SERVER" || kill "$SERVER" 2>/dev/null; rm -rf "$FOLDER"' EXIT
trap 'exit 130' INT TERM

# ask METHOD PATH [BODY [EXPRESSION]]: send a request and print its answer, or what a Python
# expression makes of the answer `it`, again and again as long as that is nothing.
cat >"$FOLDER/ask.py" <<'PYTHON'
import json
import os
import sys
import time
import urllib.error
import urllib.request

method, path, body, expression = (*sys.argv[1:], "", "")[:4]
request = urllib.request.Request(
    os.environ["API"] + path,
    body.encode() or None,
    {"Authorization": "Bearer " + os.environ["TOKEN"], "Content-Type": "application/json"},
    method=method,
)
for _ in range(600):
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {path}: {error.read().decode()}")
    except OSError:
        text = ""  # it is being started
    shown = eval(expression, {"it": json.loads(text)}) if text and expression else text
    if shown:
        print(str(shown).rstrip("\n"))
        break
    time.sleep(0.1)
else:
    sys.exit(f"{method} {path}: waited in vain")
PYTHON

ask() { $PYTHON "$FOLDER/ask.py" "$@"; }

title() { printf '\n== %s\n' "$1"; }

start() {
  $MUSTER serve --port "$PORT" >>"$FOLDER/server.log" 2>&1 &
  SERVER=$!
  ask GET /health >/dev/null
  TOKEN=$(ask POST /auth/login \
    "{\"email\": \"admin@muster.local\", \"password\": \"$MUSTER_ADMIN_PASSWORD\"}" 'it["access_token"]')
}

run() { # AGENT QUESTION: start a run and print its id
  ask POST /executions "{\"agent_id\": \"$1\", \"inputs\": {\"prompt\": \"$2\"}}" 'it["execution_id"]'
}

until_status() { # RUN "STATUS ...": wait for one of these and print it
  ask GET "/executions/$1" "" "it['status'] in '$2'.split() and '   the run is ' + it['status']"
}

title "Muster starts, with nothing but a folder"
start
ask POST /agents '{"key": "clerk", "name": "Clerk", "llm": "builtin/extractive", "tools": ["calculator"]}' \
  '"   agent " + it["name"] + " with " + ", ".join(it["tools"])'

title "A person must agree to what the calculator does"
ask PATCH /tools/calculator '{"requires_approval": true}' >/dev/null
RUN=$(run clerk "What is 12.5% of 840?")
until_status "$RUN" waiting_for_approval

title "The process is killed, and started again"
kill -9 "$SERVER"
wait "$SERVER" 2>/dev/null || true
start
APPROVAL=$(ask GET "/approvals?run_id=$RUN" "" 'it["items"][0]["id"]')
ask POST "/approvals/$APPROVAL/approve" '{}' \
  '"   " + it["decided_by_name"] + " says yes to " + str(it["details"]["arguments"])'
until_status "$RUN" completed
ask GET "/executions/$RUN" "" '"   " + it["result"].splitlines()[0]'
ask GET "/execution-trace/$RUN/verify" "" '"   %d steps, chain valid: %s" % (it["steps"], it["valid"])'
ask PATCH /tools/calculator '{"requires_approval": false}' >/dev/null

title "A policy refuses a step, and an incident is opened"
POLICY=$(ask POST /policies '{"name": "No calculating", "severity": "critical", "scope": "step_execution",
  "rule_type": "not", "params": {"condition":
    {"rule_type": "current_is", "params": {"step_type": "step.exec"}}}}' 'it["id"]')
RUN=$(run clerk "What is 15% of 60?")
until_status "$RUN" "completed failed"
ask GET "/execution-trace/$RUN" "" \
  '"   " + "; ".join(s["name"] + " " + s["step_status"] for s in it["spans"] if s["key"].startswith("t"))'
ask GET /incidents "" \
  '"   incident: %(policy_name)s, %(severity)s, %(status)s, seen %(count)d time(s)" % it["items"][0]'
ask POST "/policies/$POLICY/disable" '{}' >/dev/null

title "A budget refuses a call before it costs anything"
ask POST /models '{"name": "priced", "provider": "builtin", "model": "extractive",
  "input_price": 100, "output_price": 100}' >/dev/null
ask POST /agents '{"key": "dear", "name": "Dear clerk", "llm": "priced"}' >/dev/null
ask POST /budgets '{"name": "Pocket money", "limit": 0.0001, "period": "month"}' >/dev/null
RUN=$(run dear "What is 2 + 2?")
until_status "$RUN" failed
ask GET "/executions/$RUN" "" '"   " + it["error"]["message"]'

title "A report for the auditor"
REPORT=$(ask POST /reports '{"format": "pdf", "from": "2026-01-01", "to": "2030-01-01",
  "title": "What the clerks did"}' 'it["id"]')
ask GET "/reports/$REPORT" "" \
  'it["status"] == "completed" and "   %(title)s: %(format)s, %(size)d bytes, sha256 %(sha256)s" % it'

title "The record is exported and verified offline"
ask GET /audit/checkpoint "" '"   checkpoint over %d events" % it["size"]'
ask GET /audit/keys >"$FOLDER/keys.json"
ask GET /audit/export >"$FOLDER/export.ndjson"
$MUSTER verify "$FOLDER/export.ndjson" --public-key "$FOLDER/keys.json"

title "Somebody edits one event in the database file"
$PYTHON - "$MUSTER_DATA_DIR/muster.db" <<'PYTHON'
import sqlite3
import sys

with sqlite3.connect(sys.argv[1]) as database:
    database.execute("UPDATE events SET actor_name = 'Nobody' WHERE type = 'incident.opened'")
PYTHON
ask GET /audit/verify "" \
  '"   valid: %s, first bad event: %s, because: %s" % (it["valid"], it["first_bad_seq"], it["reason"])'

title "And one in the exported file"
sed 's/"Pocket money"/"Another name"/' "$FOLDER/export.ndjson" >"$FOLDER/edited.ndjson"
if $MUSTER verify "$FOLDER/edited.ndjson" --public-key "$FOLDER/keys.json"; then exit 1; fi

title "That was all"
