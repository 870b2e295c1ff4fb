// Every setting of sealcastd: read from sealcast.toml, overridden by SEALCAST_… variables, checked before anything
// starts. One table (settings_table.cpp) feeds the parser, --check-config and docs/settings.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/settings_error.h"

namespace sealcast::config {

struct Settings {
  struct Http {
    std::string listen;  // host:port; port 0 picks a free one, printed in the log
    std::size_t max_body_bytes;
    std::size_t max_header_bytes;
    std::size_t max_connections;
    std::size_t max_pipelined;     // requests of one connection under way at once
    std::size_t max_unsent_bytes;  // of answers that wait for slow readers
    std::chrono::milliseconds read_timeout;
    std::vector<std::string> cors_origins;     // empty: no CORS headers; "*": any
    std::vector<std::string> trusted_proxies;  // networks
  } http;
  struct Postgres {
    std::string dsn;            // may go through PgBouncer in transaction mode; the password is already in it
    std::string password_file;  // the password of dsn and relay.dsn
    std::chrono::milliseconds timeout;
  } postgres;
  struct Admission {
    std::size_t lanes;        // connections that carry batches
    std::size_t max_batch;    // messages in one statement
    std::size_t max_waiting;  // messages waiting for a batch; one more is 503 overloaded
  } admission;
  struct Relay {
    std::string dsn;     // direct, never through a transaction pooler; never empty: defaults to postgres.dsn
    std::string holder;  // this sidecar's name among the others; never empty: defaults to host name and pid
    std::chrono::milliseconds lease;
    std::chrono::milliseconds poll;  // fallback when no NOTIFY arrives
    std::int32_t max_rows;           // messages in one drain
  } relay;
  struct Gate {
    std::string redis_url;  // redis://[user@]host[:port][/db], rediss:// for TLS
    std::string redis_password_file;
    std::string redis_ca_file;
    std::chrono::milliseconds timeout;
    std::chrono::milliseconds replay_window;
    std::chrono::milliseconds role_cache;
    std::size_t max_waiting;
    std::string socket;        // Unix socket for the SQL path; empty: none
    std::string socket_group;  // group that may connect; empty: the process's
  } gate;
  struct Session {
    std::string hs256_secret_file;
    std::string jwks_file;
    std::string issuer;
    std::string audience;
    std::string ticket_secret_file;  // empty: derived from hs256_secret_file
    std::chrono::seconds ticket_ttl;
    std::chrono::seconds transport_token_ttl;
  } session;
  struct Delivery {
    std::chrono::milliseconds timeout;  // of one publish
    std::chrono::milliseconds give_up;  // a stream that fails for this long loses the message at its head
    std::size_t max_in_flight;          // publishes of one transport at once
    std::size_t max_frames;             // of one transport in memory
    std::size_t max_bytes;
    // The transports of streams of each delivery_mode; empty: all that are on.
    std::vector<std::string> standard;
    std::vector<std::string> hybrid;
    std::vector<std::string> hot;
  } delivery;
  struct RedisService {
    std::string url;  // redis://[user@]host[:port][/db], rediss:// for TLS; empty: off
    std::string password_file;
    std::string ca_file;
  };
  struct RedisStreams : RedisService {
    std::string key;  // with {stream_id}
    std::chrono::milliseconds max_age;
  } redis_streams;
  struct RedisEvents : RedisService {
    std::string key;  // with {n}
    std::size_t partitions;
    std::chrono::milliseconds max_age;  // where no group reads
    std::chrono::milliseconds trim_every;
    std::int32_t max_memory_percent;  // of maxmemory, from which on nothing is added
  } redis_events;
  struct Worker {
    std::string listen;  // host:port of /healthz and /metrics; empty: none
    std::chrono::milliseconds lease;
    std::size_t lanes;  // connections that apply events
  } worker;
  struct Sse {
    std::chrono::milliseconds heartbeat;
    std::size_t max_subscribers;
    std::size_t ring_frames;  // frames a slow reader of a stream may lag behind before it is dropped
    std::chrono::milliseconds retry;
  } sse;
  struct Mqtt {
    std::string url;  // mqtt://[user@]host[:port], mqtts:// for TLS; empty: off
    std::string password_file;
    std::string ca_file;
    std::string client_id;          // never empty: defaults to relay.holder
    std::string topic;              // with {stream_id} in it
    std::string vip_topic;          // likewise; empty: none
    std::string token_secret_file;  // empty: readers get no tokens
    std::string public_url;         // where they connect to; empty: they know
  } mqtt;
  struct Supabase {
    std::string url;        // of Realtime; empty: no such transport
    std::string key_file;   // never empty beside url
    std::string topic;      // with {stream_id} in it
    std::string vip_topic;  // likewise; empty: none
    std::string event;
    std::string channels;  // "private" or "public"
    std::string ca_file;
  } supabase;
  struct Ably {
    std::string url;
    std::string key_file;     // empty: no such transport
    std::string channel;      // with {stream_id} in it
    std::string vip_channel;  // likewise; empty: none
    std::size_t max_message_bytes;
    std::string ca_file;
    std::string token_key_file;  // signs what readers get; empty: key_file
  } ably;
  struct Audience {
    std::chrono::milliseconds window;  // how long a viewer counts after a heartbeat
    std::chrono::milliseconds update;  // a tick
    std::chrono::milliseconds repeat;
    std::size_t max_waiting;  // heartbeats waiting for Redis; one more is 503 overloaded
  } audience;
  struct Sampling {
    std::int32_t storm;              // messages a second of a stream from which it is sampled; 0: none ever is
    std::chrono::milliseconds calm;  // below half of it, until sampling ends
    std::chrono::milliseconds repeat;
  } sampling;
  struct Switching {
    std::string target;  // a transport; empty: readers are never moved
    std::string home;    // where they go back to
    std::int32_t soft;   // viewers
    std::int32_t hard;
    std::int32_t low;
    std::chrono::milliseconds hold;     // below `low`
    std::chrono::milliseconds window;   // both transports carry the stream
    std::chrono::milliseconds overlap;  // a reader reads both
    std::chrono::milliseconds repeat;   // readers are told where the stream is
    std::string webhook_url;            // empty: none
    std::string webhook_secret_file;    // never empty beside webhook_url
    std::string webhook_ca_file;
  } switching;
  struct LiveKit {
    std::string url;  // empty: no WebRTC counts
    std::string api_key;
    std::string api_secret_file;
    std::string room;  // with {stream_id} in it
    std::string ca_file;
  } livekit;
  struct Regions {
    std::vector<std::string> list;  // config/region.h takes each apart
    std::string fallback;           // never empty beside a list: defaults to its first
    std::string database_file;      // empty: nobody is located
    std::chrono::milliseconds probe;
    std::string ca_file;
  } regions;
  struct Log {
    std::string level;
  } log;
  struct Demo {
    std::string directory;                     // files served at /; empty: no demo room
    std::vector<std::string> connect_origins;  // where its pages may connect to, besides here
  } demo;
  std::chrono::milliseconds drain_timeout;  // how long SIGTERM waits for requests under way
};

// `file` may be empty: defaults and environment only. `environment` is `environ`-shaped.
Settings load_settings(const std::string& file, const char* const* environment);

// The settings as a Markdown table: key, environment variable, default, unit, meaning.
void print_settings_table(std::ostream& out);

}  // namespace sealcast::config
