# Writes how to reach a running stack: shell assignments in .local/env, and the demo room's demo.json. Sourced by up.
# shellcheck shell=bash

assign() { printf '%s=%q\n' "$1" "$2"; }

print_env() {
  if running sealcastd; then
    assign SEALCAST_URL "$(sealcastd_url)"
    assign SEALCAST_JWT_SECRET "$(session_secret)"
  fi
  if running postgres; then
    assign PGHOST "$SOCKETS"
    assign PGPORT 5432
    assign PGDATABASE "$DATABASE"
    assign PGUSER postgres
    assign SEALCAST_KEYRING "$STATE/keyring"
  fi
  ! running redis || assign REDIS_URL "$(redis_url)"
  if running mosquitto; then
    assign MQTT_URL "$(mosquitto_url)"
    assign MQTT_WS_URL "$(mosquitto_ws_url)"
    assign MQTT_VIEWER_USER sealcast-viewer
    assign MQTT_VIEWER_PASSWORD "$(mosquitto_password viewer)"
  fi
  if running sealcastd; then
    assign DEMO_STREAM_ID "$DEMO_STREAM_ID"
    assign DEMO_USER_ID "$DEMO_USER_ID"
    assign DEMO_TOKEN "$1"
  fi
}

# Every `up` issues new demo sessions. The rename replaces the file in one step, so that no reader sees half of it.
write_env() {
  local token broker=() file=$LOCAL/env
  token=$(! running sealcastd || demo_token "$(session_secret)")
  (umask 077 && print_env "$token" > "$file.new")
  mv "$file.new" "$file"
  if running sealcastd; then
    ! demo_has_mqtt || broker=("$(mosquitto_ws_url)" sealcast-demo "$(mosquitto_password demo)")
    demo_session "$(session_secret)" "${broker[@]}" | put "$STATE/demo/demo.json"
  fi
}
