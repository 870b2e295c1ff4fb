// The rights of readers, and the interface through which the event streams ask whether their readers still have them.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "transport/frame.h"

namespace sealcast::transport {

struct ReaderKey {
  std::string stream_id;  // a lower-case UUID
  std::string user_id;    // a lower-case UUID; empty for a reader without a session
};

struct ReaderRights {
  bool found;     // the stream exists
  bool readable;  // the reader may read the public channel
  bool vip;       // the reader may read the vip channel
  bool banned;    // the reader is banned from the stream

  // Returns the code (docs/errors.md) of the reason why the reader may not read the channel. Returns an empty text if
  // the reader may read it.
  std::string_view refusal(Channel channel, bool has_session) const {
    if (!found) return "stream_not_found";
    if (readable && (vip || channel == Channel::everyone)) return {};
    if (!readable && !has_session) return "unauthenticated";
    return banned ? "user_banned" : "role_required";
  }
};

class ReaderAccess {
 public:
  virtual ~ReaderAccess() = default;
  // Returns the rights of each reader, in the order of `readers`, by one statement. Throws postgres::Error.
  virtual asio::awaitable<std::vector<ReaderRights>> rights(std::span<const ReaderKey> readers) = 0;
};

}  // namespace sealcast::transport
