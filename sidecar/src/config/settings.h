// Every setting of sealcastd, by section of sealcast.toml.
//
// A member is named like its key, without the unit: `gate.timeout` is the setting `gate.timeout_ms`. docs/settings.md
// describes each setting. To add a setting, add a member here and a row in settings_table.cpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <stdexcept>
#include <string>
#include <vector>

#include "client/postgres/conninfo.h"
#include "core/settings_error.h"

namespace sealcast::config {

// Texts may be empty. An empty text turns its feature off, unless a comment says otherwise. *_file is the path of a
// file.
struct Settings {
  struct Http {
    std::string listen;  // host:port; never empty; port 0 chooses a free port
    std::size_t max_body_bytes;
    std::size_t max_header_bytes;
    std::size_t max_connections;
    std::size_t max_pipelined;  // requests of one connection in progress at once
    std::chrono::milliseconds read_timeout;
    std::chrono::seconds keep_alive;           // how long a connection may be idle between two requests
    std::chrono::seconds ack_timeout;          // how long a client may acknowledge nothing, on the level of TCP
    std::vector<std::string> cors_origins;     // empty: no CORS headers; "*": every origin
    std::vector<std::string> cors_headers;     // besides the API's own; "*": all that a page asks for
    std::vector<std::string> trusted_proxies;  // networks whose X-Forwarded-For is trusted
  } http;
  struct Memory {
    std::size_t max_bytes;  // that clients make the process hold
  } memory;
  struct Postgres {
    postgres::Dsn dsn;                  // PgBouncer in transaction mode is allowed
    std::string password_file;          // password of dsn and relay.dsn
    std::chrono::milliseconds timeout;  // of one statement
  } postgres;
  struct Admission {
    std::size_t lanes;
    std::size_t max_batch;    // messages in one statement
    std::size_t max_waiting;  // messages that wait for a batch; more get 503 overloaded
  } admission;
  struct Relay {
    postgres::Dsn dsn;   // never empty: postgres.dsn by default; must not go through a transaction pooler
    std::string holder;  // name in the leases; never empty: host name, pid and a random number by default
    std::chrono::milliseconds lease;
    std::chrono::milliseconds poll;  // longest wait for a NOTIFY before a drain
    std::int32_t max_rows;           // messages in one drain
  } relay;
  struct Gate {
    std::string redis_url;  // client/redis/options.h lists the forms; never empty
    std::string redis_password_file;
    std::string redis_sentinel_password_file;
    std::string redis_ca_file;
    std::string redis_cert_file;  // the client's certificate; set if redis_key_file is
    std::string redis_key_file;
    std::chrono::milliseconds timeout;  // of one check
    std::chrono::milliseconds replay_window;
    std::chrono::milliseconds role_cache;  // maximum age of a cached role
    std::size_t max_waiting;               // checks that wait for Redis
    std::string socket;                    // Unix socket for messages that are sent from SQL
    std::string socket_group;              // group that may connect; empty: the group of the process
  } gate;
  struct Session {
    std::string hs256_secret_file;
    std::string jwks_file;
    std::string issuer;              // value that the claim `iss` must have
    std::string audience;            // value that the claim `aud` must contain
    std::string ticket_secret_file;  // empty: hs256_secret_file
    std::chrono::seconds ticket_ttl;
    std::chrono::seconds transport_token_ttl;
  } session;
  struct Delivery {
    std::chrono::milliseconds timeout;  // of one publish
    std::chrono::milliseconds give_up;  // how long a stream may fail before its next message becomes a dead letter
    std::size_t max_in_flight;          // concurrent publishes of one transport
    std::size_t max_frames;             // frames of one transport in memory
    std::size_t max_bytes;              // bytes of these frames
    // The transports that carry streams of each delivery mode; empty: all transports that are on.
    std::vector<std::string> standard;
    std::vector<std::string> hybrid;
    std::vector<std::string> hot;
  } delivery;
  struct RedisService {
    std::string url;  // client/redis/options.h lists the forms
    std::string password_file;
    std::string sentinel_password_file;
    std::string ca_file;
    std::string cert_file;  // the client's certificate; set if key_file is
    std::string key_file;
  };
  struct RedisStreams : RedisService {
    std::string key;  // contains {stream_id}
    std::chrono::milliseconds max_age;
  } redis_streams;
  struct RedisEvents : RedisService {
    std::string key;  // contains {n}
    std::size_t partitions;
    std::chrono::milliseconds max_age;  // of entries while no consumer group reads them
    std::chrono::milliseconds trim_every;
    std::int32_t max_memory_percent;  // percentage of Redis's maxmemory; above it no entry is added
  } redis_events;
  struct Worker {
    std::string listen;  // host:port of /healthz and /metrics
    std::chrono::milliseconds lease;
    std::size_t lanes;  // connections that apply events
  } worker;
  struct Sse {
    std::chrono::milliseconds heartbeat;  // silence after which a keep-alive comment is sent
    std::size_t max_subscribers;
    std::size_t ring_frames;          // newest frames kept per stream; a reader that needs older ones is disconnected
    std::size_t ring_bytes;           // of these frames
    std::chrono::milliseconds retry;  // pause that readers are asked to make before they reconnect
  } sse;
  struct Mqtt {
    std::string url;  // mqtt://[user@]host[:port], mqtts:// for TLS
    std::string password_file;
    std::string ca_file;
    std::string cert_file;  // the client's certificate; set if key_file is
    std::string key_file;
    std::string client_id;          // never empty: "sealcast-" and relay.holder by default
    std::string topic;              // contains {stream_id}
    std::string vip_topic;          // contains {stream_id}
    std::chrono::seconds expiry;    // time after which the broker drops a message that it still holds; 0: never
    std::string token_secret_file;  // signs reader tokens
    std::string public_url;         // address of the broker for readers
  } mqtt;
  struct Supabase {
    std::string url;        // of Realtime
    std::string key_file;   // never empty when url is set
    std::string topic;      // contains {stream_id}
    std::string vip_topic;  // contains {stream_id}
    std::string event;
    std::string channels;  // "private" or "public"
    std::string ca_file;
  } supabase;
  struct Ably {
    std::string url;  // never empty
    std::string key_file;
    std::string channel;      // contains {stream_id}
    std::string vip_channel;  // contains {stream_id}
    std::size_t max_message_bytes;
    std::string ca_file;
    std::string token_key_file;         // signs reader tokens; empty: key_file
    std::int32_t publishes_per_second;  // to one channel; 0: no limit
  } ably;
  struct Audience {
    std::chrono::milliseconds window;  // how long a viewer counts after a heartbeat
    std::chrono::milliseconds update;  // minimum interval between two published counts of a stream
    std::size_t max_waiting;           // heartbeats that wait for Redis; more get 503 overloaded
    std::int32_t rate_per_address;     // heartbeats without a session per second and client address; 0: no limit
  } audience;
  struct Sampling {
    std::int32_t storm;              // messages per second from which a stream is sampled; 0: never
    std::chrono::milliseconds calm;  // time below half of `storm` after which sampling ends
  } sampling;
  struct Switching {
    std::string target;                 // transport for hot streams
    std::string home;                   // transport to which readers return
    std::int32_t soft;                  // number of viewers at which `target` is warmed up
    std::int32_t hard;                  // number of viewers at which readers move to `target`
    std::int32_t low;                   // number of viewers below which readers return
    std::chrono::milliseconds hold;     // time below `low` before readers return
    std::chrono::milliseconds window;   // how long both transports carry the stream
    std::chrono::milliseconds overlap;  // how long a reader reads both transports
    std::string webhook_url;
    std::string webhook_secret_file;  // never empty when webhook_url is set
    std::string webhook_ca_file;
  } switching;
  struct ReadersPerSecond {  // sse.readers_per_second, …: how many readers switching moves there; 0: no limit
    std::int32_t sse;
    std::int32_t mqtt;
    std::int32_t supabase;
    std::int32_t ably;
  } readers_per_second;
  struct LiveKit {
    std::string url;
    std::string api_key;          // never empty when url is set
    std::string api_secret_file;  // never empty when url is set
    std::string room;             // contains {stream_id}
    std::string ca_file;
  } livekit;
  struct Regions {
    std::vector<std::string> list;  // parse_region() of config/region.h parses each item
    std::string fallback;           // `regions.default`; by default the first of `list`; empty only if `list` is
    std::string database_file;      // GeoIP database
    std::chrono::milliseconds probe;
    std::string ca_file;
  } regions;
  struct Log {
    std::string level;  // never empty
  } log;
  struct Demo {
    std::string directory;                     // files served at /
    std::vector<std::string> connect_origins;  // further origins to which the pages may connect
  } demo;
  std::chrono::milliseconds lame_duck;      // how long the process still serves at shutdown while /readyz answers 503
  std::chrono::milliseconds drain_timeout;  // how long the process may take to shut down
  struct Webhooks {
    std::string url;  // empty: no webhook
    std::vector<std::string> http_hosts;
    std::string secret_file;  // never empty when url is set
    std::string ca_file;
    std::vector<std::string> events;
    std::chrono::milliseconds timeout;  // of one call
    std::size_t max_in_flight;          // streams whose events are posted at the same time
    std::int32_t max_attempts;          // refused calls after which an event becomes a dead letter
    std::chrono::milliseconds give_up;  // age at which an event becomes a dead letter when the webhook is away
  } webhooks;
};

// Reads and checks all settings: defaults, then the file `file` (unless `file` is empty), then the SEALCAST_… variables
// of `environment` (an array like `environ`). Throws SettingsError with the problems, one per line. Texts and
// combinations of settings are checked only if everything else is valid, and the password file is read last.
Settings load_settings(const std::string& file, const char* const* environment);

// Returns the names of the settings in which the two differ, such as gate.timeout_ms.
std::vector<std::string> differing_settings(const Settings& one, const Settings& other);

// Prints the Markdown table of docs/settings.md: key, environment variable, default, unit and range, meaning.
void print_settings_table(std::ostream& out);

}  // namespace sealcast::config
