// Appends to a string. The string is resized before bytes are written, so that writers store bytes through a plain
// pointer.
#pragma once

#include <cstddef>
#include <string>

#include "core/plain_bytes.h"

namespace sealcast::core {

class OutputBuffer {
 public:
  // The first growth of the string makes room for at least `expected_size` bytes.
  explicit OutputBuffer(std::string& out, std::size_t expected_size = 0)
      : at(out.data() + out.size()), out_(out), limit_(at), expected_size_(expected_size) {}

  // Makes room for `bytes` + kSlack bytes at `at`. May change `at`, because the string may move in memory.
  void make_room(std::size_t bytes) {
    if (static_cast<std::size_t>(limit_ - at) < bytes + kSlack) grow(bytes);
  }
  void put(char c) { *at++ = c; }  // make_room() must have made room before
  std::size_t size() const { return static_cast<std::size_t>(at - out_.data()); }
  char* data() { return out_.data(); }
  void finish() { out_.resize(size()); }  // cuts the string after the last written byte

  char* at;  // where the next byte is written

 private:
  void grow(std::size_t bytes) {
    const std::size_t written = size();
    out_.resize(written + written / 2 + (bytes > expected_size_ ? bytes : expected_size_) + 4 * kSlack);
    expected_size_ = 0;
    at = out_.data() + written;
    limit_ = out_.data() + out_.size();
  }

  std::string& out_;
  char* limit_;
  std::size_t expected_size_;
};

}  // namespace sealcast::core
