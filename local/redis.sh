# Starts the stack's Redis for the gate's counters, on a free loopback port, with a random password. Sourced by up.
# shellcheck shell=bash

redis_password() { secret redis; }
redis_url() { echo "redis://default:$(redis_password)@127.0.0.1:$(port_of redis)/0"; }

# The password is passed in the environment: every user of the machine can read process arguments.
redis_answers() { REDISCLI_AUTH=$(redis_password) redis-cli -p "$(port_of redis)" --no-auth-warning -e ping; }

up_redis() {
  make_private_directory "$STATE/secrets"
  make_private_directory "$STATE/redis"
  put "$STATE/redis/redis.conf" << END
# Written by local/up at every start.
bind 127.0.0.1
port $(port_of redis)
requirepass $(redis_password)
dir "$STATE/redis"
save ""
maxmemory 256mb
maxmemory-policy volatile-ttl
END
  start redis redis-server "$STATE/redis/redis.conf"
  await redis 30 redis_answers
}
