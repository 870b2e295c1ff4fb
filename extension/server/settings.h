// The settings sealcast.* of postgresql.conf (docs/settings.md).
#pragma once

namespace sealcast::server::settings {

extern char* keyring;               // sealcast.keyring: a directory; empty when unset
extern char* signing_kid;           // sealcast.signing_kid: empty when unset
extern bool keyring_strict;         // sealcast.keyring_strict
extern bool gate;                   // sealcast.gate
extern char* gate_socket;           // sealcast.gate_socket: empty when unset
extern int gate_timeout_ms;         // sealcast.gate_timeout
extern bool postgrest_errors;       // sealcast.postgrest_errors
extern char* cell;                  // sealcast.cell: empty when unset
extern int maintenance_interval_s;  // sealcast.maintenance_interval; 0: off

// Registers the settings with the server.
void define();

}  // namespace sealcast::server::settings
