// The target of a request and the header field Host (RFC 9112, 3.2).
#pragma once

#include <string>
#include <string_view>

namespace sealcast::http {

// Writes the path and the query of a target into `out`. A target in absolute form (http://host/path), as proxies send
// it, loses its scheme and host. Returns false for a target that names no path of this server; `*` stays as it is.
bool assign_target(std::string_view target, std::string& out);

// Whether the value is an authority without user information: a name or an address, with or without a port.
bool is_host(std::string_view value);

}  // namespace sealcast::http
