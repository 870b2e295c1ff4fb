// The interface through which a transport reads the history of a stream, page by page.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
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
  std::string_view envelope;  // valid as long as the page
};

class FramePage {
 public:
  FramePage(postgres::Result rows, Channel channel)
      : rows_(std::move(rows)), prev_(channel == Channel::everyone ? kPublicPrev : kPrev) {}
  int size() const { return rows_.size(); }
  FrameRow operator[](int row) const {
    return {rows_.integer(row, kOffset), rows_.integer(row, prev_), rows_.text(row, kEnvelope)};
  }

 private:
  enum Column { kOffset, kPrev, kEnvelope, kPublicPrev };
  postgres::Result rows_;
  Column prev_;
};

class FrameHistory {
 public:
  virtual ~FrameHistory() = default;
  // Returns frames in ascending order: the first ones after `after`; without `after` the last ones before `before`;
  // without both the newest ones. `stream_id` is a lower-case UUID. Throws postgres::Error.
  virtual asio::awaitable<FramePage> page(std::string_view stream_id, std::optional<std::int64_t> after,
                                          std::optional<std::int64_t> before, std::int32_t max_rows,
                                          Channel channel) = 0;
};

}  // namespace sealcast::transport
