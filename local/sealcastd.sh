# The sidecar of the stack, its configuration, its session secret and the demo that it serves. Sourced by up.
# shellcheck shell=bash

DEMO_STREAM_ID=0190d000-0000-7000-8000-000000000001
DEMO_USER_ID=0190d000-0000-7000-8000-0000000000a1

session_secret() {
  [[ -e $STATE/secrets/session ]] || random_hex | put "$STATE/secrets/session"
  cat "$STATE/secrets/session"
}

sealcastd_url() { echo "http://127.0.0.1:$(port_of sealcastd)"; }

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# HMAC-SHA-256 (RFC 2104) of standard input under the session secret, which fills SHA-256's block of 64 bytes exactly.
# openssl would take the secret as an argument, there for everybody to read.
session_hmac() {
  local secret i code inner='' outer=''
  secret=$(session_secret)
  for ((i = 0; i < 64; i++)); do
    printf -v code %d "'${secret:i:1}"
    printf -v inner '%s\\x%02x' "$inner" $((code ^ 0x36))
    printf -v outer '%s\\x%02x' "$outer" $((code ^ 0x5c))
  done
  { printf %b "$outer" && { printf %b "$inner" && cat; } | openssl dgst -sha256 -binary; } | openssl dgst -sha256 -binary
}

# A session of the demo's user for 24 hours (RFC 7519, HS256).
demo_token() {
  local now signed
  now=$(date +%s)
  signed=$(printf '{"alg":"HS256","typ":"JWT"}' | base64url)
  signed+=.$(printf '{"sub":"%s","iat":%d,"exp":%d}' "$DEMO_USER_ID" "$now" $((now + 86400)) | base64url)
  echo "$signed.$(printf %s "$signed" | session_hmac | base64url)"
}

configure_sealcastd() {
  put "$STATE/sealcast.toml" << END
# Written by local/up at every start; SEALCAST_… variables override it.
[http]
listen = "127.0.0.1:$(port_of sealcastd)"

[postgres]
dsn = "host='$SOCKETS' port=5432 dbname=$DATABASE user=sealcast_service"

[gate]
redis_url = "redis://127.0.0.1:$(port_of redis)"
redis_password_file = "$STATE/secrets/redis"
socket = "$SOCKETS/gate.sock"

[session]
hs256_secret_file = "$STATE/secrets/session"

[demo]
directory = "$STATE/demo"
END
}

make_demo() {
  make_private_directory "$STATE/demo"
  cp -r "$ROOT/demo/." "$STATE/demo"
  chown -R "$OWNER:$GROUP" "$STATE/demo"
  sql -d "$DATABASE" -v stream="$DEMO_STREAM_ID" -v user="$DEMO_USER_ID" -f "$ROOT/local/demo.sql"
}

up_sealcastd() {
  build sidecar BUILD="$BUILD"
  install -d "$STATE/bin"
  install "$BUILD/sealcastd" "$STATE/bin"
  make_private_directory "$STATE/secrets"
  session_secret > /dev/null
  configure_sealcastd
  make_demo
  start sealcastd "$STATE/bin/sealcastd" --config "$STATE/sealcast.toml"
  await sealcastd 60 curl -sf --max-time 5 "$(sealcastd_url)/readyz"
}
