# The stack's MQTT broker: one listener for MQTT, one for WebSockets, both on loopback. Sourced by up.
# shellcheck shell=bash

mosquitto_password() {
  [[ -e $STATE/secrets/mosquitto ]] || random_hex | put "$STATE/secrets/mosquitto"
  cat "$STATE/secrets/mosquitto"
}

mosquitto_url() { echo "mqtt://sealcast:$(mosquitto_password)@127.0.0.1:$(port_of mosquitto)"; }

up_mosquitto() {
  make_private_directory "$STATE/secrets"
  make_private_directory "$STATE/mosquitto"
  echo "sealcast:$(mosquitto_password)" | put "$STATE/mosquitto/passwords"
  as_owner mosquitto_passwd -U "$STATE/mosquitto/passwords"
  put "$STATE/mosquitto/mosquitto.conf" << END
# Written by local/up at every start.
per_listener_settings false
allow_anonymous false
password_file $STATE/mosquitto/passwords
log_dest stderr
listener $(port_of mosquitto) 127.0.0.1
listener $(port_of mosquitto websockets) 127.0.0.1
protocol websockets
END
  start mosquitto mosquitto -c "$STATE/mosquitto/mosquitto.conf"
  await mosquitto 30 listening "$(port_of mosquitto)"
}
