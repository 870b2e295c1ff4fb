// The newest frames of one stream, rendered once for all its readers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sealcast::transport::sse {

// Bytes as they go out: one HTTP chunk. What is between `head` and `tail` is what an HTTP/1.0 reader gets.
struct Chunk {
  std::int64_t offset;
  std::int64_t prev;  // of the frame before it on its channel
  std::string bytes;
  std::size_t head;
  static constexpr std::size_t kTail = 2;
};
using ChunkPtr = std::shared_ptr<const Chunk>;

// `id: <offset>`, `data: <text>`, and an empty line. `text` holds no line break.
void append_event(std::int64_t offset, std::string_view text, std::string& out);
// Any event stream text as a chunk.
ChunkPtr render_chunk(std::string_view text);
ChunkPtr render_frame(std::int64_t offset, std::int64_t prev, std::string_view text);

// Frames are numbered by the order in which they came: `begin()` is the oldest that is kept, `end()` the next to come.
class Ring {
 public:
  explicit Ring(std::size_t capacity) : capacity_(capacity) {}

  std::uint64_t begin() const { return end_ - size(); }
  std::uint64_t end() const { return end_; }
  const ChunkPtr& operator[](std::uint64_t number) const { return chunks_[number % capacity_]; }

  void push(ChunkPtr chunk);

  // No frame after `offset` is missing, as far as this ring has seen.
  bool continues(std::int64_t offset) const { return size() == 0 || (*this)[begin()]->prev <= offset; }
  // The first frame after `offset`.
  std::uint64_t after(std::int64_t offset) const;

 private:
  std::uint64_t size() const { return chunks_.size(); }

  std::size_t capacity_;
  std::uint64_t end_ = 0;
  std::vector<ChunkPtr> chunks_;  // grows to the capacity, then each frame replaces the oldest
};

}  // namespace sealcast::transport::sse
