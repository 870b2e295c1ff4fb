# Functions for the demo: its stream, its users, their session tokens, and the commands to try it. Sourced by up,
# run and docker/init.
# shellcheck shell=bash

DEMO_STREAM_ID=0190d000-0000-7000-8000-000000000001
DEMO_USER_ID=0190d000-0000-7000-8000-0000000000a1 # Ada, who owns the stream
DEMO_GUEST_ID=0190d000-0000-7000-8000-0000000000b2 # Ben
DEMO_VIEWER_ID=0190d000-0000-7000-8000-0000000000c3 # Cleo, who reports

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# hmac SECRET: prints the HMAC-SHA-256 (RFC 2104) of standard input. The secret has 64 ASCII characters, the block size
# of SHA-256. `openssl dgst -hmac` takes the secret as an argument, and every user of the machine can read process
# arguments.
hmac() {
  local secret=$1 i code inner='' outer=''
  for ((i = 0; i < 64; i++)); do
    printf -v code %d "'${secret:i:1}"
    printf -v inner '%s\\x%02x' "$inner" $((code ^ 0x36))
    printf -v outer '%s\\x%02x' "$outer" $((code ^ 0x5c))
  done
  { printf %b "$outer" && { printf %b "$inner" && cat; } | openssl dgst -sha256 -binary; } | openssl dgst -sha256 -binary
}

# demo_token SECRET [USER_ID]: prints a session token (RFC 7519, HS256) that is valid for 24 hours; the user is the
# owner by default.
demo_token() {
  local now signed
  now=$(date +%s)
  signed=$(printf '{"alg":"HS256","typ":"JWT"}' | base64url)
  signed+=.$(printf '{"sub":"%s","iat":%d,"exp":%d}' "${2:-$DEMO_USER_ID}" "$now" $((now + 86400)) | base64url)
  echo "$signed.$(printf %s "$signed" | hmac "$1" | base64url)"
}

# demo_session SECRET [BROKER_URL USER PASSWORD]: prints the document that the room loads from /demo.json. Every visitor
# gets it, so it has the sessions of Ben and Cleo and no session of the owner.
demo_session() {
  local broker=null guest viewer
  (($# < 4)) || printf -v broker '{"url":"%s","username":"%s","password":"%s"}' "${@:2}"
  guest=$(demo_token "$1" "$DEMO_GUEST_ID")
  viewer=$(demo_token "$1" "$DEMO_VIEWER_ID")
  printf '{"stream_id":"%s","owner":{"name":"Ada","user_id":"%s"},' "$DEMO_STREAM_ID" "$DEMO_USER_ID"
  printf '"guest":{"name":"Ben","user_id":"%s","token":"%s"},' "$DEMO_GUEST_ID" "$guest"
  printf '"viewer":{"name":"Cleo","user_id":"%s","token":"%s"},"broker":%s}\n' "$DEMO_VIEWER_ID" "$viewer" "$broker"
}

# demo_usage URL TOKEN PSQL: prints the owner's link to the demo room, and commands that a user can paste into a shell.
demo_usage() {
  local events=$1/streams/$DEMO_STREAM_ID/events
  cat << END

Open the demo room in a browser, as its owner:

$1/#owner=$2

Visitors open $1 and write as an ordinary user.

Send a message over HTTP:

curl -sS $1/rpc/send_message -H 'Authorization: Bearer $2' -H 'Content-Type: application/json' -d '{"stream_id":"$DEMO_STREAM_ID","t":"chat","d":{"content":"hello from curl"},"txn_id":"'"\$(cat /proc/sys/kernel/random/uuid)"'"}'

Send a message from SQL. It passes the same gate:

$3 -c 'set role sealcast_user; set request.jwt.claims = \$\${"sub":"$DEMO_USER_ID"}\$\$; select sealcast.send_message(\$\$$DEMO_STREAM_ID\$\$, \$\$chat\$\$, \$\${"content":"hello from psql"}\$\$, gen_random_uuid())'

See the messages arrive in the demo room, or run

curl -N $events

new EventSource('$events') in a browser reads the same events.
END
}
