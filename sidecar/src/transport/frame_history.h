// The interface through which a transport reads the history of a stream, page by page.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "base/asio.h"
#include "client/postgres/error.h"
#include "client/postgres/result.h"
#include "transport/frame.h"

namespace sealcast::transport {

struct FrameRow {
  std::int64_t offset;
  std::int64_t prev;
  std::string_view envelope;  // these two are valid as long as the FramePage; empty if the message is gone
  std::string_view redacted;  // the member `redacted` of the frame; empty if the message is not redacted
};

class FramePage {
 public:
  FramePage(postgres::Result rows, Channel channel)
      : rows_(std::move(rows)), prev_(channel == Channel::everyone ? kPublicPrev : kPrev) {}
  int size() const { return rows_.size(); }
  FrameRow operator[](int row) const {
    return {rows_.integer(row, kOffset), rows_.integer(row, prev_), rows_.text(row, kEnvelope),
            rows_.text(row, kRedacted)};
  }

 private:
  enum Column { kOffset, kPrev, kEnvelope, kPublicPrev, kRedacted };
  postgres::Result rows_;
  Column prev_;
};

class FrameHistory {
 public:
  virtual ~FrameHistory() = default;
  // Returns at most `max_rows` frames in ascending order of offset. When `after` is given, they are the first frames
  // after that offset. When only `before` is given, they are the last frames before that offset. When neither is given,
  // they are the newest frames. When both are given, all returned offsets are below `before`. A page ends early with
  // the frame that brings its envelopes to core::kMaxPageBytes. `stream_id` is a lower-case UUID. `wanted` is
  // asked before a page that had to wait is read, see postgres::Pool. Throws postgres::Error.
  virtual asio::awaitable<FramePage> page(std::string_view stream_id, std::optional<std::int64_t> after,
                                          std::optional<std::int64_t> before, std::int32_t max_rows, Channel channel,
                                          std::function<bool()> wanted) = 0;
};

}  // namespace sealcast::transport
