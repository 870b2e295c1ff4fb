// Renders each frame of a stream once for all its SSE readers, and keeps the newest frames in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sealcast::transport::sse {

// An SSE event as one chunk of an HTTP/1.1 response: a size line, the event and a CRLF. HTTP/1.0 has no chunks, so an
// HTTP/1.0 reader gets only the bytes between the size line and the last CRLF.
struct Chunk {
  std::int64_t offset;
  std::int64_t prev;  // the offset of the previous frame on the channel
  std::string bytes;
  std::size_t head;                        // size of the size line in bytes
  static constexpr std::size_t kTail = 2;  // size of the last CRLF in bytes
};
using ChunkPtr = std::shared_ptr<const Chunk>;

// Appends `id: <offset>`, `data: <text>` and an empty line. `text` must not contain a line break.
void append_event(std::int64_t offset, std::string_view text, std::string& out);
// Makes a chunk from any event-stream text. Its `offset` and `prev` are not set.
ChunkPtr render_chunk(std::string_view text);
ChunkPtr render_frame(std::int64_t offset, std::int64_t prev, std::string_view text);

// The ring numbers frames in the order of push(), from 0. It contains the frames from number begin() up to, but not
// including, number end().
class Ring {
 public:
  explicit Ring(std::size_t capacity) : capacity_(capacity) {}

  std::uint64_t begin() const { return end_ - size(); }
  std::uint64_t end() const { return end_; }
  const ChunkPtr& operator[](std::uint64_t number) const { return chunks_[number % capacity_]; }

  // Adds a frame. A full ring drops its oldest frame.
  void push(ChunkPtr chunk);

  // Returns true when no frame after `offset` is missing before the first frame of the ring. An empty ring returns
  // true: it has missed no frame, because frames are added as soon as the ring exists.
  bool continues(std::int64_t offset) const { return size() == 0 || (*this)[begin()]->prev <= offset; }
  // Returns the number of the first frame with a greater offset. Returns end() when the ring has no such frame.
  std::uint64_t after(std::int64_t offset) const;

 private:
  std::uint64_t size() const { return chunks_.size(); }

  std::size_t capacity_;
  std::uint64_t end_ = 0;
  std::vector<ChunkPtr> chunks_;  // grows up to the capacity, so that a quiet stream needs little memory
};

}  // namespace sealcast::transport::sse
