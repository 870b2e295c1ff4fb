// The end of a string that is grown ahead of what is written, so that bytes are stored through a bare pointer.
#pragma once

#include <cstddef>
#include <string>

#include "core/plain_bytes.h"

namespace sealcast::core {

class OpenEnd {
 public:
  // `expected` bytes are made room for at the first write, whatever it asks for.
  explicit OpenEnd(std::string& out, std::size_t expected = 0)
      : at(out.data() + out.size()), out_(out), limit_(at), expected_(expected) {}

  // At least `bytes` and kSlack more may be written at `at`, which may have moved.
  void make_room(std::size_t bytes) {
    if (static_cast<std::size_t>(limit_ - at) < bytes + kSlack) grow(bytes);
  }
  void put(char c) { *at++ = c; }  // within the room that was made, or its slack
  std::size_t size() const { return static_cast<std::size_t>(at - out_.data()); }
  char* data() { return out_.data(); }
  void close() { out_.resize(size()); }  // the string ends with what was written

  char* at;

 private:
  void grow(std::size_t bytes) {
    const std::size_t written = size();
    out_.resize(written + written / 2 + (bytes > expected_ ? bytes : expected_) + 4 * kSlack);
    expected_ = 0;
    at = out_.data() + written;
    limit_ = out_.data() + out_.size();
  }

  std::string& out_;
  char* limit_;
  std::size_t expected_;
};

}  // namespace sealcast::core
