// Renders each frame of a stream once for all its SSE readers, and keeps the newest ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sealcast::transport::sse {

// An event as one HTTP/1.1 chunk. An HTTP/1.0 reader gets the bytes between the chunk's size line and its last CRLF.
struct Chunk {
  std::int64_t offset;
  std::int64_t prev;  // the offset of the previous frame on the channel
  std::string bytes;
  std::size_t head;                        // bytes of the size line
  static constexpr std::size_t kTail = 2;  // bytes of the last CRLF
};
using ChunkPtr = std::shared_ptr<const Chunk>;

// Appends `id: <offset>`, `data: <text>` and an empty line. `text` must not contain a line break.
void append_event(std::int64_t offset, std::string_view text, std::string& out);
// Makes a chunk of any event-stream text.
ChunkPtr render_chunk(std::string_view text);
ChunkPtr render_frame(std::int64_t offset, std::int64_t prev, std::string_view text);

// The ring numbers frames in the order of push(), from 0. It holds the frames from begin() up to, not including, end().
class Ring {
 public:
  explicit Ring(std::size_t capacity) : capacity_(capacity) {}

  std::uint64_t begin() const { return end_ - size(); }
  std::uint64_t end() const { return end_; }
  const ChunkPtr& operator[](std::uint64_t number) const { return chunks_[number % capacity_]; }

  // Replaces the oldest frame when the ring is full.
  void push(ChunkPtr chunk);

  // True when the ring has every frame after `offset` that was published since the ring exists.
  bool continues(std::int64_t offset) const { return size() == 0 || (*this)[begin()]->prev <= offset; }
  // Returns the number of the first frame after `offset`.
  std::uint64_t after(std::int64_t offset) const;

 private:
  std::uint64_t size() const { return chunks_.size(); }

  std::size_t capacity_;
  std::uint64_t end_ = 0;
  std::vector<ChunkPtr> chunks_;  // grows up to the capacity, so that a quiet stream needs little memory
};

}  // namespace sealcast::transport::sse
