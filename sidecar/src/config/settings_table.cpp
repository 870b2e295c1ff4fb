// The one table of settings: what the parser accepts, what the documentation lists.
#include "config/settings_table.h"

#include <algorithm>
#include <array>

#include "config/checks.h"

namespace sealcast::config {
namespace {

constexpr std::int64_t kManyMs = 3'600'000;
constexpr std::int64_t kMany = 1'000'000;
constexpr std::int64_t kMaxViewers = 1'000'000'000;

// The reference to one member, as the kind of Setting::target that its type asks for.
#define TARGET(type, member)                       \
  Setting::type {                                  \
    [](Settings & s) -> auto& { return s.member; } \
  }

const std::array kTable = {
    Setting{"", "drain_timeout_ms", TARGET(Milliseconds, drain_timeout), "10000", 0, kManyMs, nullptr,
            "How long a stop (SIGTERM) waits for requests under way"},

    Setting{"http", "listen", TARGET(Text, http.listen), "127.0.0.1:8080", 0, 0, checks::listen_address,
            "Address of the HTTP server; port 0 picks a free one and logs it"},
    Setting{"http", "max_body_bytes", TARGET(Number, http.max_body_bytes), "1048576", 1024, 67'108'864, nullptr,
            "Largest request body; a larger one is 413"},
    Setting{"http", "max_header_bytes", TARGET(Number, http.max_header_bytes), "16384", 1024, 1'048'576, nullptr,
            "Largest request header; a larger one is 431"},
    Setting{"http", "max_connections", TARGET(Number, http.max_connections), "15000", 1, kMany, nullptr,
            "HTTP connections at once, event streams included"},
    Setting{"http", "max_pipelined", TARGET(Number, http.max_pipelined), "64", 1, 1024, nullptr,
            "Requests of one connection under way at once"},
    Setting{"http", "max_unsent_bytes", TARGET(Number, http.max_unsent_bytes), "268435456", 1'048'576, 68'719'476'736,
            nullptr, "Bytes of answers that wait for slow readers; beyond it no page of a history is begun"},
    Setting{"http", "read_timeout_ms", TARGET(Milliseconds, http.read_timeout), "30000", 100, kManyMs, nullptr,
            "How long a connection may take to send a request, or stay idle between two"},
    Setting{"http", "cors_origins", TARGET(List, http.cors_origins), "", 0, 0, checks::origin,
            "Origins whose pages may call; `*` for any, none for no CORS headers"},
    Setting{"http", "trusted_proxies", TARGET(List, http.trusted_proxies), "", 0, 0, checks::network,
            "Proxies whose X-Forwarded-For is believed: addresses, or networks such as 10.0.0.0/8; none: nobody's"},

    Setting{"postgres", "dsn", TARGET(Text, postgres.dsn), "dbname=sealcast", 0, 0, checks::postgres_dsn,
            "Connection string (libpq) of the database; may lead through PgBouncer in transaction mode"},
    Setting{"postgres", "password_file", TARGET(Text, postgres.password_file), "", 0, 0, checks::readable_file,
            "File with the password for postgres.dsn and relay.dsn"},
    Setting{"postgres", "timeout_ms", TARGET(Milliseconds, postgres.timeout), "5000", 50, kManyMs, nullptr,
            "Deadline of one statement; then the answer is 503"},

    Setting{"admission", "lanes", TARGET(Number, admission.lanes), "2", 1, 64, nullptr,
            "Database connections that carry batches of messages"},
    Setting{"admission", "max_batch", TARGET(Number, admission.max_batch), "256", 1, 10'000, nullptr,
            "Messages in one statement"},
    Setting{"admission", "max_waiting", TARGET(Number, admission.max_waiting), "4096", 1, kMany, nullptr,
            "Messages waiting for a batch; one more is 503 overloaded"},

    Setting{"relay", "dsn", TARGET(Text, relay.dsn), "", 0, 0, checks::optional_postgres_dsn,
            "Connection string of the relay, never through a transaction pooler; empty: postgres.dsn"},
    Setting{"relay", "holder", TARGET(Text, relay.holder), "", 0, 0, nullptr,
            "This sidecar's name in the leases, different for each; empty: host name, process id and a random number"},
    Setting{"relay", "lease_ms", TARGET(Milliseconds, relay.lease), "3000", 2000, 60'000, nullptr,
            "How long a shard stays with a sidecar that died"},
    Setting{"relay", "poll_ms", TARGET(Milliseconds, relay.poll), "1000", 10, 60'000, nullptr,
            "How long the relay waits for a NOTIFY before it looks anyway"},
    Setting{"relay", "max_rows", TARGET(Number, relay.max_rows), "1000", 1, 100'000, nullptr, "Messages in one drain"},

    Setting{"gate", "redis_url", TARGET(Text, gate.redis_url), "redis://127.0.0.1:6379/0", 0, 0, checks::redis_url,
            "Redis of the gate: redis://[user@]host[:port][/database], rediss:// for TLS"},
    Setting{"gate", "redis_password_file", TARGET(Text, gate.redis_password_file), "", 0, 0, checks::readable_file,
            "File with the password for gate.redis_url"},
    Setting{"gate", "redis_ca_file", TARGET(Text, gate.redis_ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) to verify a rediss:// server with; empty: the system's"},
    Setting{"gate", "timeout_ms", TARGET(Milliseconds, gate.timeout), "250", 10, 60'000, nullptr,
            "Deadline of one check; then the answer is 503 gate_unavailable"},
    Setting{"gate", "replay_window_ms", TARGET(Milliseconds, gate.replay_window), "900000", 1000, 86'400'000, nullptr,
            "How long the gate remembers a txn_id"},
    Setting{"gate", "role_cache_ms", TARGET(Milliseconds, gate.role_cache), "5000", 0, 5000, nullptr,
            "How old a cached role may be where a type has rates for roles"},
    Setting{"gate", "max_waiting", TARGET(Number, gate.max_waiting), "20000", 1, kMany, nullptr,
            "Checks without an answer yet; one more is 503 gate_unavailable"},
    Setting{"gate", "socket", TARGET(Text, gate.socket), "", 0, 0, checks::socket_path,
            "Unix socket for messages sent by SQL (sealcast.gate_socket in Postgres); empty: none"},
    Setting{"gate", "socket_group", TARGET(Text, gate.socket_group), "", 0, 0, nullptr,
            "Group whose processes may connect to gate.socket; empty: the process's own"},

    Setting{"session", "hs256_secret_file", TARGET(Text, session.hs256_secret_file), "", 0, 0, checks::readable_file,
            "File with the secret (32 bytes or more) that HS256 sessions are signed with"},
    Setting{"session", "jwks_file", TARGET(Text, session.jwks_file), "", 0, 0, checks::readable_file,
            "JWK Set with the public keys of RS256 and ES256 sessions; read again when it changes"},
    Setting{"session", "issuer", TARGET(Text, session.issuer), "", 0, 0, nullptr, "Required `iss`; empty: any"},
    Setting{"session", "audience", TARGET(Text, session.audience), "", 0, 0, nullptr, "Required `aud`; empty: any"},
    Setting{
        "session", "ticket_secret_file", TARGET(Text, session.ticket_secret_file), "", 0, 0, checks::readable_file,
        "File with the secret of subscription tickets, the same for all sidecars; empty: session.hs256_secret_file"},
    Setting{"session", "ticket_ttl_s", TARGET(Seconds, session.ticket_ttl), "300", 5, 86'400, nullptr,
            "How long a subscription ticket can be used"},
    Setting{"session", "transport_token_ttl_s", TARGET(Seconds, session.transport_token_ttl), "300", 30, 86'400,
            nullptr, "How long a reader can connect to a broker or service with the token it was given for it"},

    Setting{"sse", "heartbeat_ms", TARGET(Milliseconds, sse.heartbeat), "15000", 100, 300'000, nullptr,
            "Silence after which an event stream gets a comment"},
    Setting{"sse", "max_subscribers", TARGET(Number, sse.max_subscribers), "10000", 1, kMany, nullptr,
            "Event streams at once; one more is 503 overloaded"},
    Setting{"sse", "ring_frames", TARGET(Number, sse.ring_frames), "4096", 16, 65'536, nullptr,
            "Frames of a stream that a slow reader may lag behind before it is cut off"},
    Setting{"sse", "retry_ms", TARGET(Milliseconds, sse.retry), "2000", 100, 300'000, nullptr,
            "How long a browser waits before it connects again"},

    Setting{"delivery", "timeout_ms", TARGET(Milliseconds, delivery.timeout), "10000", 100, kManyMs, nullptr,
            "Deadline of one publish to a service outside"},
    Setting{"delivery", "give_up_ms", TARGET(Milliseconds, delivery.give_up), "3600000", 1000, 604'800'000, nullptr,
            "How long a stream may be refused by a service before its message becomes a dead letter"},
    Setting{"delivery", "max_in_flight", TARGET(Number, delivery.max_in_flight), "64", 1, 10'000, nullptr,
            "Publishes of one transport at once, each of another stream"},
    Setting{"delivery", "max_frames", TARGET(Number, delivery.max_frames), "8192", 1000, kMany, nullptr,
            "Messages of one transport in memory; the rest waits in Postgres"},
    Setting{"delivery", "max_bytes", TARGET(Number, delivery.max_bytes), "33554432", 1'048'576, 4'294'967'296, nullptr,
            "Bytes of one transport's messages in memory"},
    Setting{
        "delivery", "standard", TARGET(List, delivery.standard), "", 0, 0, nullptr,
        "Transports of streams whose delivery_mode is standard, beside sse and redis_events, which carry all; empty: "
        "all that are on"},
    Setting{"delivery", "hybrid", TARGET(List, delivery.hybrid), "", 0, 0, nullptr, "The same for hybrid"},
    Setting{"delivery", "hot", TARGET(List, delivery.hot), "", 0, 0, nullptr, "The same for hot"},

    Setting{"redis_streams", "url", TARGET(Text, redis_streams.url), "", 0, 0, checks::optional_redis_url,
            "Redis that gets a stream for each chat stream: redis://[user@]host[:port][/database], rediss:// for TLS; "
            "empty: this transport is off"},
    Setting{"redis_streams", "password_file", TARGET(Text, redis_streams.password_file), "", 0, 0,
            checks::readable_file, "File with the password for redis_streams.url"},
    Setting{"redis_streams", "ca_file", TARGET(Text, redis_streams.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) to verify a rediss:// server with; empty: the system's"},
    Setting{"redis_streams", "key", TARGET(Text, redis_streams.key), "sealcast:stream:{stream_id}", 0, 0,
            checks::stream_template, "Key of a chat stream's Redis stream"},
    Setting{"redis_streams", "max_age_ms", TARGET(Milliseconds, redis_streams.max_age), "86400000", 1000, 2'592'000'000,
            nullptr, "Age after which entries are trimmed, when something is added"},

    Setting{"redis_events", "url", TARGET(Text, redis_events.url), "", 0, 0, checks::optional_redis_url,
            "Redis that gets all messages, partitioned, for consumer groups of workers: redis://[user@]host[:port]"
            "[/database], rediss:// for TLS; empty: this transport is off"},
    Setting{"redis_events", "password_file", TARGET(Text, redis_events.password_file), "", 0, 0, checks::readable_file,
            "File with the password for redis_events.url"},
    Setting{"redis_events", "ca_file", TARGET(Text, redis_events.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) to verify a rediss:// server with; empty: the system's"},
    Setting{"redis_events", "key", TARGET(Text, redis_events.key), "sealcast:events:{n}", 0, 0,
            checks::partition_template, "Key of a partition's Redis stream"},
    Setting{"redis_events", "partitions", TARGET(Number, redis_events.partitions), "16", 1, 1024, nullptr,
            "Partitions, by sender; the same in all sidecars, and changed only while no group has anything to read"},
    Setting{"redis_events", "max_age_ms", TARGET(Milliseconds, redis_events.max_age), "86400000", 1000, 2'592'000'000,
            nullptr, "Age after which entries are trimmed that no consumer group is there to read"},
    Setting{"redis_events", "trim_ms", TARGET(Milliseconds, redis_events.trim_every), "10000", 100, 3'600'000, nullptr,
            "How often partitions are trimmed below what every consumer group has finished"},
    Setting{"redis_events", "max_memory_percent", TARGET(Number, redis_events.max_memory_percent), "80", 1, 100,
            nullptr,
            "Part of Redis' maxmemory, in percent, from which on nothing is added until workers have finished some"},

    Setting{"worker", "listen", TARGET(Text, worker.listen), "", 0, 0, checks::optional<checks::listen_address>,
            "Address of a worker's /healthz and /metrics; empty: none"},
    Setting{"worker", "lease_ms", TARGET(Milliseconds, worker.lease), "3000", 1000, 60'000, nullptr,
            "How long a partition stays with a worker that died"},
    Setting{"worker", "lanes", TARGET(Number, worker.lanes), "2", 1, 64, nullptr,
            "Database connections of a worker that apply events"},

    Setting{"mqtt", "url", TARGET(Text, mqtt.url), "", 0, 0, checks::optional_mqtt_url,
            "MQTT v5 broker: mqtt://[user@]host[:port], mqtts:// for TLS; empty: this transport is off"},
    Setting{"mqtt", "password_file", TARGET(Text, mqtt.password_file), "", 0, 0, checks::readable_file,
            "File with the password for mqtt.url"},
    Setting{"mqtt", "ca_file", TARGET(Text, mqtt.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) to verify an mqtts:// broker with; empty: the system's"},
    Setting{"mqtt", "client_id", TARGET(Text, mqtt.client_id), "", 0, 0, nullptr,
            "This sidecar's name at the broker, different for each; empty: `sealcast-` and relay.holder"},
    Setting{"mqtt", "topic", TARGET(Text, mqtt.topic), "sealcast/{stream_id}", 0, 0, checks::mqtt_topic,
            "Topic of a stream, with {stream_id} in it"},
    Setting{"mqtt", "vip_topic", TARGET(Text, mqtt.vip_topic), "", 0, 0, checks::optional<checks::mqtt_topic>,
            "Topic that carries all messages of a stream also while it is sampled (mqtt_vip); empty: none"},
    Setting{"mqtt", "token_secret_file", TARGET(Text, mqtt.token_secret_file), "", 0, 0, checks::readable_file,
            "File with the secret (32 bytes or more) of readers' tokens, which the broker has too; empty: no tokens"},
    Setting{"mqtt", "public_url", TARGET(Text, mqtt.public_url), "", 0, 0, checks::optional<checks::websocket_url>,
            "Where readers connect to, told them with their token: wss://host[:port][/path]; empty: they know"},

    Setting{"supabase", "url", TARGET(Text, supabase.url), "", 0, 0, checks::service_url,
            "Supabase Realtime: https://PROJECT.supabase.co/realtime/v1; empty: no delivery there"},
    Setting{"supabase", "key_file", TARGET(Text, supabase.key_file), "", 0, 0, checks::readable_file,
            "File with the project's secret key, or its service_role key"},
    Setting{"supabase", "topic", TARGET(Text, supabase.topic), "sealcast:{stream_id}", 0, 0, checks::stream_template,
            "Topic of a stream"},
    Setting{"supabase", "vip_topic", TARGET(Text, supabase.vip_topic), "", 0, 0,
            checks::optional<checks::stream_template>,
            "Topic that carries all messages of a stream also while it is sampled (supabase_vip); empty: none"},
    Setting{"supabase", "event", TARGET(Text, supabase.event), "message", 0, 0, checks::not_empty,
            "Event of each broadcast"},
    Setting{"supabase", "channels", TARGET(Text, supabase.channels), "private", 0, 0, checks::channel_access,
            "Who may listen: `private`, whom the policies on realtime.messages let; `public`, anybody with a key"},
    Setting{"supabase", "ca_file", TARGET(Text, supabase.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) to verify supabase.url with; empty: the system's"},

    Setting{"ably", "url", TARGET(Text, ably.url), "https://main.realtime.ably.net", 0, 0, checks::tls_url,
            "Ably's REST API, or the endpoint that Ably has given to the account"},
    Setting{"ably", "key_file", TARGET(Text, ably.key_file), "", 0, 0, checks::readable_file,
            "File with an API key that may publish; empty: no delivery there"},
    Setting{"ably", "token_key_file", TARGET(Text, ably.token_key_file), "", 0, 0, checks::readable_file,
            "File with an API key that may subscribe, by which readers get tokens; empty: ably.key_file"},
    Setting{"ably", "channel", TARGET(Text, ably.channel), "sealcast:{stream_id}", 0, 0, checks::ably_channel,
            "Channel of a stream"},
    Setting{"ably", "vip_channel", TARGET(Text, ably.vip_channel), "", 0, 0, checks::optional<checks::ably_channel>,
            "Channel that carries all messages of a stream also while it is sampled (ably_vip); empty: none"},
    Setting{"ably", "max_message_bytes", TARGET(Number, ably.max_message_bytes), "65536", 1024, 1'048'576, nullptr,
            "The account's limit for one publish; a larger message is a dead letter"},
    Setting{"ably", "ca_file", TARGET(Text, ably.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) to verify ably.url with; empty: the system's"},

    Setting{"audience", "window_ms", TARGET(Milliseconds, audience.window), "30000", 300, kManyMs, nullptr,
            "How long a viewer counts after a heartbeat, and up to a third longer; the same for all sidecars"},
    Setting{"audience", "update_ms", TARGET(Milliseconds, audience.update), "10000", 100, 600'000, nullptr,
            "How often a stream's viewer count is published when it has changed"},
    Setting{"audience", "repeat_ms", TARGET(Milliseconds, audience.repeat), "60000", 100, kManyMs, nullptr,
            "How often an unchanged viewer count is published again"},
    Setting{"audience", "max_waiting", TARGET(Number, audience.max_waiting), "20000", 1, kMany, nullptr,
            "Heartbeats waiting for Redis; one more is 503 overloaded"},

    Setting{
        "sampling", "storm_per_second", TARGET(Number, sampling.storm), "0", 0, kMany, nullptr,
        "Messages a second from which a stream's public channel is sampled, so that about a fifth as many of tier 2 "
        "are left; 0: never"},
    Setting{"sampling", "calm_ms", TARGET(Milliseconds, sampling.calm), "15000", 0, kManyMs, nullptr,
            "How long a sampled stream must stay below half of that to be sampled no more"},
    Setting{"sampling", "repeat_ms", TARGET(Milliseconds, sampling.repeat), "10000", 1000, kManyMs, nullptr,
            "How often a sampled stream says so, for readers who have come since"},

    Setting{
        "switching", "target", TARGET(Text, switching.target), "", 0, 0, nullptr,
        "Transport that the readers of a stream with many viewers are moved to, such as `ably`; empty: none ever are"},
    Setting{"switching", "home", TARGET(Text, switching.home), "sse", 0, 0, checks::not_empty,
            "Transport that they come back to"},
    Setting{"switching", "soft_limit", TARGET(Number, switching.soft), "8000", 1, kMaxViewers, nullptr,
            "Viewers from which the other transport is warmed up"},
    Setting{"switching", "hard_limit", TARGET(Number, switching.hard), "10000", 1, kMaxViewers, nullptr,
            "Viewers from which readers are moved"},
    Setting{"switching", "low_limit", TARGET(Number, switching.low), "6000", 0, kMaxViewers, nullptr,
            "Viewers below which they come back"},
    Setting{"switching", "hold_ms", TARGET(Milliseconds, switching.hold), "120000", 0, kManyMs, nullptr,
            "How long there must be fewer viewers than switching.low_limit"},
    Setting{"switching", "window_ms", TARGET(Milliseconds, switching.window), "30000", 1000, kManyMs, nullptr,
            "How long both transports carry a stream while its readers move"},
    Setting{"switching", "overlap_ms", TARGET(Milliseconds, switching.overlap), "5000", 0, 60'000, nullptr,
            "How long a reader reads both"},
    Setting{"switching", "repeat_ms", TARGET(Milliseconds, switching.repeat), "10000", 1000, kManyMs, nullptr,
            "How often readers who have come since are told where the stream is"},
    Setting{"switching", "webhook_url", TARGET(Text, switching.webhook_url), "", 0, 0, checks::service_url,
            "Called when a stream warms up and when it has cooled down, for example to start and stop an HLS egress; "
            "empty: none"},
    Setting{"switching", "webhook_secret_file", TARGET(Text, switching.webhook_secret_file), "", 0, 0,
            checks::readable_file, "File with the webhook's secret: `whsec_` and 24 to 64 bytes in base64"},
    Setting{"switching", "webhook_ca_file", TARGET(Text, switching.webhook_ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) to verify switching.webhook_url with; empty: the system's"},

    Setting{"livekit", "url", TARGET(Text, livekit.url), "", 0, 0, checks::service_url,
            "LiveKit server whose rooms' participants are viewers: https://host; empty: none"},
    Setting{"livekit", "api_key", TARGET(Text, livekit.api_key), "", 0, 0, nullptr, "API key of the LiveKit server"},
    Setting{"livekit", "api_secret_file", TARGET(Text, livekit.api_secret_file), "", 0, 0, checks::readable_file,
            "File with the secret of livekit.api_key"},
    Setting{"livekit", "room", TARGET(Text, livekit.room), "{stream_id}", 0, 0, checks::stream_template,
            "Name of a stream's room"},
    Setting{"livekit", "ca_file", TARGET(Text, livekit.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) to verify livekit.url with; empty: the system's"},

    Setting{"regions", "list", TARGET(List, regions.list), "", 0, 0, checks::region,
            "All regions, this one too, as `NAME URL LATITUDE LONGITUDE`, the same in all of them; none: there is one"},
    Setting{"regions", "default", TARGET(Text, regions.fallback), "", 0, 0, nullptr,
            "Region at which a caller is taken to be whose address tells nothing; empty: the first of the list"},
    Setting{"regions", "database_file", TARGET(Text, regions.database_file), "", 0, 0, checks::readable_file,
            "Geo-IP database (City or Country, .mmdb) that locates callers; read again when it changes; empty: none"},
    Setting{"regions", "probe_ms", TARGET(Milliseconds, regions.probe), "5000", 100, kManyMs, nullptr,
            "How often the `/readyz` of each region is asked"},
    Setting{"regions", "ca_file", TARGET(Text, regions.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) to verify the regions' URLs with; empty: the system's"},

    Setting{"log", "level", TARGET(Text, log.level), "info", 0, 0, checks::log_level,
            "Least level that is logged: debug, info, warn or error"},

    Setting{"demo", "directory", TARGET(Text, demo.directory), "", 0, 0, checks::directory,
            "Files served at `/`; empty: no demo room"},
    Setting{"demo", "connect_origins", TARGET(List, demo.connect_origins), "", 0, 0, checks::origin,
            "Origins to which its pages may connect besides their own, such as `wss://broker.example`"},
};

#undef TARGET

}  // namespace

std::span<const Setting> settings_table() { return kTable; }

const Setting* find_setting(std::string_view section, std::string_view key) {
  const auto found = std::find_if(kTable.begin(), kTable.end(), [&](const Setting& setting) {
    return setting.section == section && setting.key == key;
  });
  return found == kTable.end() ? nullptr : &*found;
}

std::string environment_name(std::string_view path) {
  std::string name = "SEALCAST_";
  for (const char c : path) name += c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return name;
}

std::string Setting::path() const {
  return section.empty() ? std::string(key) : std::string(section) + "." + std::string(key);
}

std::string_view Setting::unit() const {
  if (std::holds_alternative<Milliseconds>(target)) return "milliseconds";
  if (std::holds_alternative<Seconds>(target)) return "seconds";
  if (key.ends_with("_bytes")) return "bytes";
  if (std::holds_alternative<Number>(target)) return "count";
  return is_list() ? "list" : "text";
}

}  // namespace sealcast::config
