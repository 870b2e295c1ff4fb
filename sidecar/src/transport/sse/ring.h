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
  std::size_t head;  // size of the size line in bytes
  std::size_t memory() const { return sizeof(Chunk) + bytes.capacity(); }
  static constexpr std::size_t kTail = 2;  // size of the last CRLF in bytes
};
using ChunkPtr = std::shared_ptr<const Chunk>;

// Appends a resume point: `log_epoch`:`offset`, or `offset` alone if the epoch is empty.
void append_id(std::string_view log_epoch, std::int64_t offset, std::string& out);
// Appends `id: <resume point>`, `data: <text>` and an empty line. `text` must not contain a line break.
void append_event(std::string_view log_epoch, std::int64_t offset, std::string_view text, std::string& out);
// Makes a chunk from any event-stream text. Its `offset` and `prev` are not set.
ChunkPtr render_chunk(std::string_view text);
ChunkPtr render_frame(std::string_view log_epoch, std::int64_t offset, std::int64_t prev, std::string_view text);
// Returns the `text` of a chunk that render_frame() has made.
std::string_view frame_in(const Chunk& chunk);

// The ring numbers frames in the order of push(), from 0. It contains the frames from number begin() up to, but not
// including, number end().
class Ring {
 public:
  explicit Ring(std::size_t capacity) : capacity_(capacity) {}

  std::uint64_t begin() const { return begin_; }
  std::uint64_t end() const { return end_; }
  const ChunkPtr& operator[](std::uint64_t number) const { return chunks_[number % capacity_]; }

  // Removes all frames. The numbers begin with 0 again.
  void clear();
  // Adds a frame. A full ring drops its oldest frame.
  void push(ChunkPtr chunk);
  // Puts another chunk of the same frame in the place of the one with this number.
  void replace(std::uint64_t number, ChunkPtr chunk);
  // Drops the oldest frames before number `keep` until the ring has at most `max_bytes`.
  void trim(std::size_t max_bytes, std::uint64_t keep);

  // The memory of all frames.
  std::size_t bytes() const { return bytes_ + chunks_.capacity() * sizeof(ChunkPtr); }

  // Returns true when no frame after `offset` is missing before the first frame of the ring. Frames are added as soon
  // as the ring exists, so an empty ring misses only the frames that it has dropped.
  bool continues(std::int64_t offset) const {
    return size() == 0 ? dropped_ <= offset : (*this)[begin()]->prev <= offset;
  }
  // Returns the number of the first frame with a greater offset. Returns end() when the ring has no such frame.
  std::uint64_t after(std::int64_t offset) const;

 private:
  std::uint64_t size() const { return end_ - begin_; }
  void drop_oldest();

  std::size_t capacity_;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
  std::size_t bytes_ = 0;
  std::int64_t dropped_ = 0;  // the offset of the newest dropped frame
  // Frame n is at index n modulo the capacity. Grows up to the capacity, so that a quiet stream needs little memory.
  std::vector<ChunkPtr> chunks_;
};

}  // namespace sealcast::transport::sse
