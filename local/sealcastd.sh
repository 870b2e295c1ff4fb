# Starts the stack's sidecar with its configuration, its session secret and the demo room. Sourced by up.
# shellcheck shell=bash

session_secret() { secret session; }
sealcastd_url() { echo "http://127.0.0.1:$(port_of sealcastd)"; }

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
$(! demo_has_mqtt || echo "connect_origins = [\"$(mosquitto_ws_url)\"]")
$(! running mosquitto || configure_mqtt)
END
}

configure_mqtt() {
  cat << END

[mqtt]
url = "mqtt://sealcast@127.0.0.1:$(port_of mosquitto)"
password_file = "$STATE/secrets/mosquitto"
END
}

make_demo() {
  make_private_directory "$STATE/demo"
  (flock 8 && "$ROOT/local/demo_files" "$STATE/demo") 8> "$ROOT/build/lock"
  chown -R "$OWNER:$GROUP" "$STATE/demo"
  sql -d "$DATABASE" -v stream="$DEMO_STREAM_ID" -v user="$DEMO_USER_ID" -f "$ROOT/local/demo.sql"
}

demo_has_mqtt() { running mosquitto && [[ -e $STATE/demo/mqtt.esm.js ]]; }

up_sealcastd() {
  build sidecar BUILD="$BUILD"
  install -d "$STATE/bin"
  install "$BUILD/sealcastd" "$STATE/bin"
  make_private_directory "$STATE/secrets"
  session_secret > /dev/null
  make_demo
  configure_sealcastd
  start sealcastd "$STATE/bin/sealcastd" --config "$STATE/sealcast.toml"
  await sealcastd 60 curl -sf --max-time 5 "$(sealcastd_url)/readyz"
}
