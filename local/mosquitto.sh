# Starts the stack's MQTT broker with two listeners on loopback: one for MQTT, one for WebSockets. Sourced by up.
# shellcheck shell=bash

# mosquitto_password [viewer|demo]: there are three users. sealcast publishes; sealcast-viewer subscribes to every stream;
# sealcast-demo, whose password the demo room shows to everybody, subscribes to the demo stream.
mosquitto_password() { secret "mosquitto${1:+-$1}"; }
mosquitto_url() { echo "mqtt://sealcast:$(mosquitto_password)@127.0.0.1:$(port_of mosquitto)"; }
mosquitto_ws_url() { echo "ws://127.0.0.1:$(port_of mosquitto websockets)"; }

up_mosquitto() {
  make_private_directory "$STATE/secrets"
  make_private_directory "$STATE/mosquitto"
  printf '%s:%s\n' sealcast "$(mosquitto_password)" sealcast-viewer "$(mosquitto_password viewer)" \
    sealcast-demo "$(mosquitto_password demo)" |
    put "$STATE/mosquitto/passwords"
  as_owner mosquitto_passwd -U "$STATE/mosquitto/passwords"
  { cat "$ROOT/docker/mosquitto.acl" && printf '%s\n' 'user sealcast-viewer' 'topic read sealcast/#'; } |
    put "$STATE/mosquitto/access"
  put "$STATE/mosquitto/mosquitto.conf" << END
# Written by local/up at every start.
per_listener_settings false
allow_anonymous false
password_file $STATE/mosquitto/passwords
acl_file $STATE/mosquitto/access
log_dest stderr
listener $(port_of mosquitto) 127.0.0.1
listener $(port_of mosquitto websockets) 127.0.0.1
protocol websockets
END
  start mosquitto mosquitto -c "$STATE/mosquitto/mosquitto.conf"
  await mosquitto 30 listening "$(port_of mosquitto)"
}
