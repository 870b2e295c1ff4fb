// Declares every setting: section, key, member, default, range, check and meaning.
#include "config/settings_table.h"

#include <algorithm>
#include <array>

#include "config/checks.h"

namespace sealcast::config {
namespace {

constexpr std::int64_t kManyMs = 3'600'000;
constexpr std::int64_t kMany = 1'000'000;
constexpr std::int64_t kMaxViewers = 1'000'000'000;

// Makes a value for Setting::target: a function that returns the member of Settings. `type` is one of the types of the
// variant, for example Milliseconds.
#define TARGET(type, member)                       \
  Setting::type {                                  \
    [](Settings & s) -> auto& { return s.member; } \
  }

const std::array kTable = {
    Setting{"", "drain_timeout_ms", TARGET(Milliseconds, drain_timeout), "10000", 0, kManyMs, nullptr,
            "At shutdown (SIGTERM): how long to wait for requests in progress"},
    Setting{
        "", "lame_duck_ms", TARGET(Milliseconds, lame_duck), "0", 0, kManyMs, nullptr,
        "At shutdown (SIGTERM), before that: how long /readyz answers 503 while everything is still served, so that a "
        "load balancer sends no more requests here"},

    Setting{"http", "listen", TARGET(Text, http.listen), "127.0.0.1:8080", 0, 0, checks::listen_address,
            "Address of the HTTP server. Port 0 chooses a free port and logs it"},
    Setting{"http", "max_body_bytes", TARGET(Size, http.max_body_bytes), "1048576", 1024, 67'108'864, nullptr,
            "Largest request body. A larger body gets 413"},
    Setting{"http", "max_header_bytes", TARGET(Size, http.max_header_bytes), "16384", 1024, 1'048'576, nullptr,
            "Largest request header. A larger header gets 431"},
    Setting{"http", "max_connections", TARGET(Size, http.max_connections), "15000", 1, kMany, nullptr,
            "Maximum number of open HTTP connections, event streams included"},
    Setting{"http", "max_pipelined", TARGET(Size, http.max_pipelined), "64", 1, 1024, nullptr,
            "Maximum number of requests of one connection that are processed at the same time"},
    Setting{"http", "read_timeout_ms", TARGET(Milliseconds, http.read_timeout), "30000", 100, kManyMs, nullptr,
            "How long a connection may take to send one request"},
    Setting{
        "http", "keep_alive_s", TARGET(Seconds, http.keep_alive), "75", 1, 3600, nullptr,
        "How long a connection may be idle between two requests. Make it longer than a proxy before the sidecar keeps "
        "its own connections: usually 60 s"},
    Setting{"http", "ack_timeout_s", TARGET(Seconds, http.ack_timeout), "60", 5, 3600, nullptr,
            "How long a client may acknowledge nothing, on the level of TCP, before its connection ends. It finds "
            "clients that vanish without closing their connection"},
    Setting{"http", "cors_origins", TARGET(List, http.cors_origins), "", 0, 0, checks::origin,
            "Origins whose pages may call the API. `*` allows every origin; an empty list sends no CORS headers"},
    Setting{
        "http", "cors_headers", TARGET(List, http.cors_headers), "*", 0, 0, checks::header_name,
        "Header fields that pages of these origins may send besides Authorization, Content-Type and Last-Event-ID. `*` "
        "allows every field that a page asks for"},
    Setting{"http", "trusted_proxies", TARGET(List, http.trusted_proxies), "", 0, 0, checks::network,
            "Proxies whose X-Forwarded-For header is trusted: addresses, or networks such as 10.0.0.0/8. Empty: the "
            "header is ignored"},

    Setting{"memory", "max_bytes", TARGET(Size, memory.max_bytes), "268435456", 16'777'216, 68'719'476'736, nullptr,
            "Memory that all clients together may make the sidecar hold: requests, answers, event streams that catch "
            "up, and rings. Above it, the largest holders lose theirs"},

    Setting{"postgres", "dsn", TARGET(Text, postgres.dsn.text), "dbname=sealcast", 0, 0, checks::postgres_dsn,
            "Connection string (libpq) of the database. The connection may go through PgBouncer in transaction mode"},
    Setting{"postgres", "password_file", TARGET(Text, postgres.password_file), "", 0, 0, checks::readable_file,
            "File that contains the password for postgres.dsn and relay.dsn"},
    Setting{"postgres", "timeout_ms", TARGET(Milliseconds, postgres.timeout), "5000", 50, kManyMs, nullptr,
            "Deadline of one statement. When it passes, the request gets 503"},

    Setting{"admission", "lanes", TARGET(Size, admission.lanes), "2", 1, 64, nullptr,
            "Database connections that admit batches of messages"},
    Setting{"admission", "max_batch", TARGET(Size, admission.max_batch), "256", 1, 10'000, nullptr,
            "Maximum number of messages in one statement"},
    Setting{
        "admission", "max_waiting", TARGET(Size, admission.max_waiting), "4096", 1, kMany, nullptr,
        "Maximum number of messages that wait for a batch. When this many wait, the next message gets 503 overloaded"},

    Setting{"relay", "dsn", TARGET(Text, relay.dsn.text), "", 0, 0, checks::optional_postgres_dsn,
            "Connection string of the relay. It must not go through a transaction pooler. Empty: postgres.dsn"},
    Setting{"relay", "holder", TARGET(Text, relay.holder), "", 0, 0, nullptr,
            "This sidecar's name in the leases. It must be different for each sidecar. Empty: host name, process id "
            "and a random number"},
    Setting{"relay", "lease_ms", TARGET(Milliseconds, relay.lease), "3000", 2000, 60'000, nullptr,
            "How long a lease lasts: the shards of a dead sidecar are taken over after this time"},
    Setting{"relay", "poll_ms", TARGET(Milliseconds, relay.poll), "1000", 10, 60'000, nullptr,
            "How long the relay waits for a NOTIFY before it drains without one"},
    Setting{"relay", "max_rows", TARGET(Number, relay.max_rows), "1000", 1, 100'000, nullptr,
            "Maximum number of messages in one drain"},

    Setting{"gate", "redis_url", TARGET(Text, gate.redis_url), "redis://127.0.0.1:6379/0", 0, 0, checks::redis_url,
            "Redis of the gate: redis://[user@]host[:port][/database], nodes of a cluster as "
            "redis://host:port,host:port,…, a master that sentinels watch as "
            "redis+sentinel://host:port,host:port,…/MASTER[/database], or a Unix socket as unix:///path[?db=database]. "
            "rediss:// and rediss+sentinel:// mean TLS"},
    Setting{"gate", "redis_password_file", TARGET(Text, gate.redis_password_file), "", 0, 0, checks::readable_file,
            "File that contains the password for gate.redis_url"},
    Setting{"gate", "redis_sentinel_password_file", TARGET(Text, gate.redis_sentinel_password_file), "", 0, 0,
            checks::readable_file,
            "File that contains the password of the sentinels in gate.redis_url. Empty: they need none"},
    Setting{"gate", "redis_ca_file", TARGET(Text, gate.redis_ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) that verify a rediss:// server. Empty: the system's certificates"},
    Setting{"gate", "redis_cert_file", TARGET(Text, gate.redis_cert_file), "", 0, 0, checks::readable_file,
            "This sidecar's certificate (PEM) for a rediss:// server that asks for one, then those between it and its "
            "authority. Empty: none"},
    Setting{"gate", "redis_key_file", TARGET(Text, gate.redis_key_file), "", 0, 0, checks::readable_file,
            "Key (PEM, no passphrase) of gate.redis_cert_file"},
    Setting{"gate", "timeout_ms", TARGET(Milliseconds, gate.timeout), "250", 10, 60'000, nullptr,
            "Deadline of one check. When it passes, the message gets 503 gate_unavailable"},
    Setting{"gate", "replay_window_ms", TARGET(Milliseconds, gate.replay_window), "900000", 1000, 86'400'000, nullptr,
            "How long the gate remembers a txn_id"},
    Setting{"gate", "role_cache_ms", TARGET(Milliseconds, gate.role_cache), "5000", 0, 5000, nullptr,
            "Maximum age of a cached role. Roles are cached for message types whose rate depends on the role"},
    Setting{"gate", "max_waiting", TARGET(Size, gate.max_waiting), "20000", 1, kMany, nullptr,
            "Maximum number of checks that wait for a reply from Redis. When this many wait, the next check gets 503 "
            "gate_unavailable"},
    Setting{"gate", "socket", TARGET(Text, gate.socket), "", 0, 0, checks::socket_path,
            "Unix socket for messages that are sent from SQL (sealcast.gate_socket in Postgres). Empty: no socket"},
    Setting{"gate", "socket_group", TARGET(Text, gate.socket_group), "", 0, 0, nullptr,
            "Group whose processes may connect to gate.socket. Empty: the group of the sidecar's process"},

    Setting{"session", "hs256_secret_file", TARGET(Text, session.hs256_secret_file), "", 0, 0, checks::readable_file,
            "File that contains the secret (32 bytes or more) of HS256 sessions"},
    Setting{"session", "jwks_file", TARGET(Text, session.jwks_file), "", 0, 0, checks::readable_file,
            "JWK Set with the public keys of RS256 and ES256 sessions. It is read again when it changes"},
    Setting{"session", "issuer", TARGET(Text, session.issuer), "", 0, 0, nullptr,
            "Required value of the claim `iss`. Empty: any value"},
    Setting{"session", "audience", TARGET(Text, session.audience), "", 0, 0, nullptr,
            "Required value of the claim `aud`. Empty: any value"},
    Setting{"session", "ticket_secret_file", TARGET(Text, session.ticket_secret_file), "", 0, 0, checks::readable_file,
            "File that contains the secret of subscription tickets. All sidecars need the same secret. Empty: "
            "session.hs256_secret_file"},
    Setting{"session", "ticket_ttl_s", TARGET(Seconds, session.ticket_ttl), "300", 5, 86'400, nullptr,
            "How long a subscription ticket is valid"},
    Setting{
        "session", "transport_token_ttl_s", TARGET(Seconds, session.transport_token_ttl), "300", 30, 86'400, nullptr,
        "How long a reader can use its token to connect to an MQTT broker or an outside service. At most 3600 with an "
        "API key of Ably that is set to revocable tokens"},

    Setting{"sse", "heartbeat_ms", TARGET(Milliseconds, sse.heartbeat), "15000", 100, 300'000, nullptr,
            "Idle time after which an event stream gets a comment"},
    Setting{"sse", "max_subscribers", TARGET(Size, sse.max_subscribers), "10000", 1, kMany, nullptr,
            "Maximum number of open event streams. When this many are open, the next one gets 503 overloaded"},
    Setting{"sse", "ring_frames", TARGET(Size, sse.ring_frames), "4096", 16, 65'536, nullptr,
            "Maximum number of frames that a slow reader may lag behind the newest frame of its stream. A slower "
            "reader is disconnected"},
    Setting{"sse", "ring_bytes", TARGET(Size, sse.ring_bytes), "8388608", 65'536, 1'073'741'824, nullptr,
            "Maximum size of these frames, as soon as they are written to all readers that keep up"},
    Setting{"sse", "retry_ms", TARGET(Milliseconds, sse.retry), "2000", 100, 300'000, nullptr,
            "How long a browser waits before it reconnects"},
    Setting{"sse", "readers_per_second", TARGET(Number, readers_per_second.sse), "2000", 0, kMany, nullptr,
            "Readers per second that switching moves back to event streams. 0: no limit"},

    Setting{"delivery", "timeout_ms", TARGET(Milliseconds, delivery.timeout), "10000", 100, kManyMs, nullptr,
            "Deadline of one publish to an outside service"},
    Setting{"delivery", "give_up_ms", TARGET(Milliseconds, delivery.give_up), "3600000", 1000, 604'800'000, nullptr,
            "How long an outside service may refuse a stream before the stream's oldest undelivered message becomes a "
            "dead letter"},
    Setting{"delivery", "max_in_flight", TARGET(Size, delivery.max_in_flight), "64", 1, 10'000, nullptr,
            "Maximum number of publishes of one transport in progress, each for a different stream"},
    Setting{"delivery", "max_frames", TARGET(Size, delivery.max_frames), "8192", 1000, kMany, nullptr,
            "Maximum number of messages of one transport in memory. Further messages wait in Postgres"},
    Setting{"delivery", "max_bytes", TARGET(Size, delivery.max_bytes), "33554432", 1'048'576, 4'294'967'296, nullptr,
            "Maximum size of one transport's messages in memory"},
    Setting{"delivery", "standard", TARGET(List, delivery.standard), "", 0, 0, nullptr,
            "Transports of streams whose delivery_mode is standard. sse and redis_events carry all streams and are not "
            "listed. Empty: all transports that are turned on"},
    Setting{"delivery", "hybrid", TARGET(List, delivery.hybrid), "", 0, 0, nullptr,
            "Transports of streams whose delivery_mode is hybrid, as for delivery.standard"},
    Setting{"delivery", "hot", TARGET(List, delivery.hot), "", 0, 0, nullptr,
            "Transports of streams whose delivery_mode is hot, as for delivery.standard"},

    Setting{"redis_streams", "url", TARGET(Text, redis_streams.url), "", 0, 0, checks::optional_redis_url,
            "Redis that gets one Redis stream for each chat stream, with a URL as in gate.redis_url. Empty: this "
            "transport is off"},
    Setting{"redis_streams", "password_file", TARGET(Text, redis_streams.password_file), "", 0, 0,
            checks::readable_file, "File that contains the password for redis_streams.url"},
    Setting{"redis_streams", "sentinel_password_file", TARGET(Text, redis_streams.sentinel_password_file), "", 0, 0,
            checks::readable_file,
            "File that contains the password of the sentinels in redis_streams.url. Empty: they need none"},
    Setting{"redis_streams", "ca_file", TARGET(Text, redis_streams.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) that verify a rediss:// server. Empty: the system's certificates"},
    Setting{"redis_streams", "cert_file", TARGET(Text, redis_streams.cert_file), "", 0, 0, checks::readable_file,
            "This sidecar's certificate (PEM) for a rediss:// server that asks for one, then those between it and its "
            "authority. Empty: none"},
    Setting{"redis_streams", "key_file", TARGET(Text, redis_streams.key_file), "", 0, 0, checks::readable_file,
            "Key (PEM, no passphrase) of redis_streams.cert_file"},
    Setting{"redis_streams", "key", TARGET(Text, redis_streams.key), "sealcast:stream:{stream_id}", 0, 0,
            checks::stream_template, "Key of a chat stream's Redis stream"},
    Setting{"redis_streams", "max_age_ms", TARGET(Milliseconds, redis_streams.max_age), "86400000", 1000, 2'592'000'000,
            nullptr, "Age at which entries are trimmed. Trimming happens when an entry is added"},

    Setting{"redis_events", "url", TARGET(Text, redis_events.url), "", 0, 0, checks::optional_redis_url,
            "Redis that gets all messages, partitioned by sender, for consumer groups of workers, with a URL as in "
            "gate.redis_url. Empty: this transport is off"},
    Setting{"redis_events", "password_file", TARGET(Text, redis_events.password_file), "", 0, 0, checks::readable_file,
            "File that contains the password for redis_events.url"},
    Setting{"redis_events", "sentinel_password_file", TARGET(Text, redis_events.sentinel_password_file), "", 0, 0,
            checks::readable_file,
            "File that contains the password of the sentinels in redis_events.url. Empty: they need none"},
    Setting{"redis_events", "ca_file", TARGET(Text, redis_events.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) that verify a rediss:// server. Empty: the system's certificates"},
    Setting{"redis_events", "cert_file", TARGET(Text, redis_events.cert_file), "", 0, 0, checks::readable_file,
            "This sidecar's certificate (PEM) for a rediss:// server that asks for one, then those between it and its "
            "authority. Empty: none"},
    Setting{"redis_events", "key_file", TARGET(Text, redis_events.key_file), "", 0, 0, checks::readable_file,
            "Key (PEM, no passphrase) of redis_events.cert_file"},
    Setting{"redis_events", "key", TARGET(Text, redis_events.key), "sealcast:events:{n}", 0, 0,
            checks::partition_template, "Key of an event partition's Redis stream"},
    Setting{"redis_events", "partitions", TARGET(Size, redis_events.partitions), "16", 1, 1024, nullptr,
            "Number of event partitions. The first sidecar or worker records it in Postgres, and then all use the "
            "recorded number; sealcast.set_event_partitions() changes it"},
    Setting{"redis_events", "max_age_ms", TARGET(Milliseconds, redis_events.max_age), "86400000", 1000, 2'592'000'000,
            nullptr, "Age at which the entries of a partition without a consumer group are trimmed"},
    Setting{"redis_events", "trim_ms", TARGET(Milliseconds, redis_events.trim_every), "10000", 100, 3'600'000, nullptr,
            "Interval at which entries that every consumer group has finished are trimmed"},
    Setting{"redis_events", "max_memory_percent", TARGET(Number, redis_events.max_memory_percent), "80", 1, 100,
            nullptr,
            "Percentage of Redis' maxmemory. While Redis uses this much, nothing is added; the messages wait in "
            "Postgres until workers have finished some"},

    Setting{"worker", "listen", TARGET(Text, worker.listen), "", 0, 0, checks::optional<checks::listen_address>,
            "Address at which a worker serves /healthz, /readyz and /metrics. Empty: it serves none of them"},
    Setting{"worker", "lease_ms", TARGET(Milliseconds, worker.lease), "3000", 1000, 60'000, nullptr,
            "How long a lease lasts: the event partitions of a dead worker are taken over after this time"},
    Setting{"worker", "lanes", TARGET(Size, worker.lanes), "2", 1, 64, nullptr,
            "Database connections of a worker that apply events"},

    Setting{"mqtt", "url", TARGET(Text, mqtt.url), "", 0, 0, checks::optional_mqtt_url,
            "MQTT v5 broker: mqtt://[user@]host[:port], or mqtts:// for TLS. Empty: this transport is off"},
    Setting{"mqtt", "password_file", TARGET(Text, mqtt.password_file), "", 0, 0, checks::readable_file,
            "File that contains the password for mqtt.url"},
    Setting{"mqtt", "ca_file", TARGET(Text, mqtt.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) that verify an mqtts:// broker. Empty: the system's certificates"},
    Setting{"mqtt", "cert_file", TARGET(Text, mqtt.cert_file), "", 0, 0, checks::readable_file,
            "This sidecar's certificate (PEM) for an mqtts:// broker that asks for one, then those between it and its "
            "authority. Empty: none"},
    Setting{"mqtt", "key_file", TARGET(Text, mqtt.key_file), "", 0, 0, checks::readable_file,
            "Key (PEM, no passphrase) of mqtt.cert_file"},
    Setting{"mqtt", "client_id", TARGET(Text, mqtt.client_id), "", 0, 0, nullptr,
            "This sidecar's client id at the broker. It must be different for each sidecar. Empty: `sealcast-` "
            "followed by relay.holder"},
    Setting{"mqtt", "topic", TARGET(Text, mqtt.topic), "sealcast/{stream_id}", 0, 0, checks::mqtt_topic,
            "MQTT topic of a stream. It must contain {stream_id}"},
    Setting{"mqtt", "vip_topic", TARGET(Text, mqtt.vip_topic), "", 0, 0, checks::optional<checks::mqtt_topic>,
            "MQTT topic that carries all messages of a stream, also while the stream is sampled (transport mqtt_vip). "
            "Empty: no such topic"},
    Setting{"mqtt", "expiry_s", TARGET(Seconds, mqtt.expiry), "0", 0, 2'592'000, nullptr,
            "Time after which the broker drops a message that a subscriber has not received, for example in a session "
            "of a disconnected subscriber. 0: never"},
    Setting{"mqtt", "token_secret_file", TARGET(Text, mqtt.token_secret_file), "", 0, 0, checks::readable_file,
            "File that contains the secret (32 bytes or more) of readers' tokens. The broker needs the same secret. "
            "Empty: no tokens"},
    Setting{"mqtt", "public_url", TARGET(Text, mqtt.public_url), "", 0, 0, checks::optional<checks::websocket_url>,
            "Address that readers get together with their token: wss://host[:port][/path]. Empty: the reader must know "
            "the address"},
    Setting{"mqtt", "readers_per_second", TARGET(Number, readers_per_second.mqtt), "1000", 0, kMany, nullptr,
            "Readers per second that switching moves to the broker: at most its limit of new connections. 0: no limit"},

    Setting{"supabase", "url", TARGET(Text, supabase.url), "", 0, 0, checks::service_url,
            "Supabase Realtime: https://PROJECT.supabase.co/realtime/v1. Empty: this transport is off"},
    Setting{"supabase", "key_file", TARGET(Text, supabase.key_file), "", 0, 0, checks::readable_file,
            "File that contains the project's secret key or its service_role key"},
    Setting{"supabase", "topic", TARGET(Text, supabase.topic), "sealcast:{stream_id}", 0, 0, checks::stream_template,
            "Supabase topic of a stream"},
    Setting{"supabase", "vip_topic", TARGET(Text, supabase.vip_topic), "", 0, 0,
            checks::optional<checks::stream_template>,
            "Supabase topic that carries all messages of a stream, also while the stream is sampled (transport "
            "supabase_vip). Empty: no such topic"},
    Setting{"supabase", "event", TARGET(Text, supabase.event), "message", 0, 0, checks::not_empty,
            "Event name of each broadcast"},
    Setting{"supabase", "channels", TARGET(Text, supabase.channels), "private", 0, 0, checks::channel_access,
            "Access to the topics. `private`: the policies on realtime.messages decide who may read. `public`: every "
            "client with a key of the project may read"},
    Setting{"supabase", "ca_file", TARGET(Text, supabase.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) that verify supabase.url. Empty: the system's certificates"},
    Setting{
        "supabase", "readers_per_second", TARGET(Number, readers_per_second.supabase), "500", 0, kMany, nullptr,
        "Readers per second that switching moves to Supabase: the limit of channel joins of your project's plan. 0: "
        "no limit"},

    Setting{"ably", "url", TARGET(Text, ably.url), "https://main.realtime.ably.net", 0, 0, checks::tls_url,
            "Ably's REST API, or the endpoint that Ably gave to your account"},
    Setting{"ably", "key_file", TARGET(Text, ably.key_file), "", 0, 0, checks::readable_file,
            "File that contains an API key with the capability publish. Empty: this transport is off"},
    Setting{"ably", "token_key_file", TARGET(Text, ably.token_key_file), "", 0, 0, checks::readable_file,
            "File that contains an API key with the capability subscribe. It signs readers' tokens, and revokes those "
            "of banned users if it is set to revocable tokens. Empty: ably.key_file"},
    Setting{"ably", "channel", TARGET(Text, ably.channel), "sealcast:{stream_id}", 0, 0, checks::ably_channel,
            "Ably channel of a stream"},
    Setting{"ably", "vip_channel", TARGET(Text, ably.vip_channel), "", 0, 0, checks::optional<checks::ably_channel>,
            "Ably channel that carries all messages of a stream, also while the stream is sampled (transport "
            "ably_vip). Empty: no such channel"},
    Setting{"ably", "max_message_bytes", TARGET(Size, ably.max_message_bytes), "65536", 1024, 1'048'576, nullptr,
            "Your account's size limit of one publish. A larger message becomes a dead letter"},
    Setting{"ably", "publishes_per_second", TARGET(Number, ably.publishes_per_second), "50", 0, kMany, nullptr,
            "Your account's limit of publishes per second to one Ably channel. One publish carries all waiting "
            "messages. 0: no limit"},
    Setting{"ably", "readers_per_second", TARGET(Number, readers_per_second.ably), "250", 0, kMany, nullptr,
            "Readers per second that switching moves to Ably: the smaller one of your account's limits of new "
            "connections and of token requests. 0: no limit"},
    Setting{"ably", "ca_file", TARGET(Text, ably.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) that verify ably.url. Empty: the system's certificates"},

    Setting{"audience", "window_ms", TARGET(Milliseconds, audience.window), "30000", 300, kManyMs, nullptr,
            "How long a viewer is counted after a heartbeat (up to a third longer). All sidecars need the same value"},
    Setting{"audience", "update_ms", TARGET(Milliseconds, audience.update), "10000", 100, 600'000, nullptr,
            "Minimum interval between two viewer counts of a stream when the count changes"},
    Setting{"audience", "max_waiting", TARGET(Size, audience.max_waiting), "20000", 1, kMany, nullptr,
            "Maximum number of heartbeats that wait for Redis. When this many wait, the next heartbeat gets 503 "
            "overloaded"},
    Setting{"audience", "rate_per_address", TARGET(Number, audience.rate_per_address), "100", 0, kMany, nullptr,
            "Maximum number of heartbeats without a session per second from one client address (IPv6: from one network "
            "of 64 bits). Further ones get 429. 0: no limit. Behind a proxy, http.trusted_proxies must name the proxy"},

    Setting{"sampling", "storm_per_second", TARGET(Number, sampling.storm), "0", 0, kMany, nullptr,
            "Messages per second at which a stream's public channel is sampled. Sampling reduces the messages of tier "
            "2 to about a fifth of this number. 0: never. Left out: 40 if switching.target is `ably`, since Ably "
            "delivers at most 50 messages per second to a reader; otherwise never"},
    Setting{"sampling", "calm_ms", TARGET(Milliseconds, sampling.calm), "15000", 0, kManyMs, nullptr,
            "How long a sampled stream must stay below half of sampling.storm_per_second before sampling ends"},

    Setting{"switching", "target", TARGET(Text, switching.target), "", 0, 0, nullptr,
            "Transport to which the readers of a stream with many viewers are moved, for example `ably`. Empty: "
            "readers are never moved"},
    Setting{"switching", "home", TARGET(Text, switching.home), "sse", 0, 0, checks::not_empty,
            "Transport to which the readers are moved back"},
    Setting{"switching", "soft_limit", TARGET(Number, switching.soft), "8000", 1, kMaxViewers, nullptr,
            "Number of viewers at which the target transport is warmed up"},
    Setting{"switching", "hard_limit", TARGET(Number, switching.hard), "10000", 1, kMaxViewers, nullptr,
            "Number of viewers at which readers are moved to the target transport"},
    Setting{"switching", "low_limit", TARGET(Number, switching.low), "6000", 0, kMaxViewers, nullptr,
            "Number of viewers below which readers are moved back"},
    Setting{"switching", "hold_ms", TARGET(Milliseconds, switching.hold), "120000", 0, kManyMs, nullptr,
            "How long the number of viewers must stay below switching.low_limit before readers are moved back"},
    Setting{"switching", "window_ms", TARGET(Milliseconds, switching.window), "30000", 1000, kManyMs, nullptr,
            "How long both transports carry a stream while its readers move"},
    Setting{"switching", "overlap_ms", TARGET(Milliseconds, switching.overlap), "5000", 0, 60'000, nullptr,
            "How long a reader reads both transports while it moves"},
    Setting{"switching", "webhook_url", TARGET(Text, switching.webhook_url), "", 0, 0, checks::service_url,
            "URL that is called when a stream warms up and when it has cooled down, for example to start and stop an "
            "HLS egress. Empty: no webhook"},
    Setting{"switching", "webhook_secret_file", TARGET(Text, switching.webhook_secret_file), "", 0, 0,
            checks::readable_file,
            "File that contains the webhook's [secrets](switching.md#secrets), one per line: `whsec_` or `whsk_` and "
            "base64"},
    Setting{"switching", "webhook_ca_file", TARGET(Text, switching.webhook_ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) that verify switching.webhook_url. Empty: the system's certificates"},

    Setting{"webhooks", "url", TARGET(Text, webhooks.url), "", 0, 0, checks::service_url,
            "URL of the backend to which [events](webhooks.md) are posted: https://host/path. Empty: no webhook"},
    Setting{"webhooks", "http_hosts", TARGET(List, webhooks.http_hosts), "", 0, 0, checks::not_empty,
            "Hosts to which webhooks.url may go without TLS. The loopback addresses need no entry"},
    Setting{"webhooks", "secret_file", TARGET(Text, webhooks.secret_file), "", 0, 0, checks::readable_file,
            "File that contains the [secrets](webhooks.md#secrets) that sign the calls, one per line: `whsec_` or "
            "`whsk_` and base64"},
    Setting{"webhooks", "ca_file", TARGET(Text, webhooks.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) that verify webhooks.url. Empty: the system's certificates"},
    Setting{"webhooks", "events", TARGET(List, webhooks.events), "*", 0, 0, checks::webhook_event,
            "[Events](webhooks.md#events) that are posted. `*` means all except message.sent. All sidecars of a "
            "database need the same list"},
    Setting{"webhooks", "timeout_ms", TARGET(Milliseconds, webhooks.timeout), "15000", 100, 60'000, nullptr,
            "Deadline of one call"},
    Setting{"webhooks", "max_in_flight", TARGET(Size, webhooks.max_in_flight), "16", 1, 256, nullptr,
            "Maximum number of calls in progress, each for a different stream"},
    Setting{"webhooks", "max_attempts", TARGET(Number, webhooks.max_attempts), "12", 1, 1000, nullptr,
            "Number of calls that the backend may refuse before an event becomes a dead letter. Their pauses double "
            "from 1 s to 10 minutes"},
    Setting{"webhooks", "give_up_ms", TARGET(Milliseconds, webhooks.give_up), "259200000", 1000, 2'592'000'000, nullptr,
            "Age at which an event becomes a dead letter while the backend is unavailable or does not answer"},

    Setting{"livekit", "url", TARGET(Text, livekit.url), "", 0, 0, checks::service_url,
            "LiveKit server in whose rooms viewers are counted: https://host. Empty: no LiveKit"},
    Setting{"livekit", "api_key", TARGET(Text, livekit.api_key), "", 0, 0, nullptr, "API key of the LiveKit server"},
    Setting{"livekit", "api_secret_file", TARGET(Text, livekit.api_secret_file), "", 0, 0, checks::readable_file,
            "File that contains the secret of livekit.api_key"},
    Setting{"livekit", "room", TARGET(Text, livekit.room), "{stream_id}", 0, 0, checks::stream_template,
            "Name of a stream's LiveKit room"},
    Setting{"livekit", "ca_file", TARGET(Text, livekit.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) that verify livekit.url. Empty: the system's certificates"},

    Setting{"regions", "list", TARGET(List, regions.list), "", 0, 0, checks::region,
            "All regions, this region included, each as `NAME URL LATITUDE LONGITUDE`. All regions need the same list. "
            "Empty: there is only one region"},
    Setting{"regions", "default", TARGET(Text, regions.fallback), "", 0, 0, nullptr,
            "Region that is assumed as the place of a caller whose address cannot be located. Empty: the first region "
            "of the list"},
    Setting{"regions", "database_file", TARGET(Text, regions.database_file), "", 0, 0, checks::readable_file,
            "Geo-IP database (City or Country, .mmdb) that locates callers. It is read again when it changes. Empty: "
            "callers are not located"},
    Setting{"regions", "probe_ms", TARGET(Milliseconds, regions.probe), "5000", 100, kManyMs, nullptr,
            "Interval at which the `/readyz` of each region is requested"},
    Setting{"regions", "ca_file", TARGET(Text, regions.ca_file), "", 0, 0, checks::readable_file,
            "Certificates (PEM) that verify the regions' URLs. Empty: the system's certificates"},

    Setting{"log", "level", TARGET(Text, log.level), "info", 0, 0, checks::log_level,
            "Lowest level that is logged: debug, info, warn or error"},

    Setting{"demo", "directory", TARGET(Text, demo.directory), "", 0, 0, checks::directory,
            "Directory whose files are served at `/`. Empty: no demo room"},
    Setting{"demo", "connect_origins", TARGET(List, demo.connect_origins), "", 0, 0, checks::origin,
            "Origins to which the demo pages may connect besides their own, for example `wss://broker.example`"},
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
  if (std::holds_alternative<Number>(target) || std::holds_alternative<Size>(target)) return "count";
  return is_list() ? "list" : "text";
}

}  // namespace sealcast::config
