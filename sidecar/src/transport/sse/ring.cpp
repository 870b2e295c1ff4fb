// Renders frames as SSE events in HTTP chunks, and searches the ring for an offset.
#include "transport/sse/ring.h"

#include <charconv>

namespace sealcast::transport::sse {

void append_id(std::string_view log_epoch, std::int64_t offset, std::string& out) {
  char digits[24];
  if (!log_epoch.empty()) {
    out += log_epoch;
    out += ':';
  }
  out.append(digits, std::to_chars(digits, digits + sizeof digits, offset).ptr);
}

void append_event(std::string_view log_epoch, std::int64_t offset, std::string_view text, std::string& out) {
  out += "id: ";
  append_id(log_epoch, offset, out);
  out += "\ndata: ";
  out += text;
  out += "\n\n";
}

namespace {

std::shared_ptr<Chunk> render(std::string_view text) {
  char digits[24];
  std::string_view size(digits, std::to_chars(digits, digits + sizeof digits, text.size(), 16).ptr - digits);
  auto chunk = std::make_shared<Chunk>();
  chunk->head = size.size() + 2;
  chunk->bytes.reserve(chunk->head + text.size() + Chunk::kTail);
  chunk->bytes += size;
  chunk->bytes += "\r\n";
  chunk->bytes += text;
  chunk->bytes += "\r\n";
  return chunk;
}

}  // namespace

ChunkPtr render_chunk(std::string_view text) { return render(text); }

ChunkPtr render_frame(std::string_view log_epoch, std::int64_t offset, std::int64_t prev, std::string_view text) {
  std::string event;
  append_event(log_epoch, offset, text, event);
  auto chunk = render(event);
  chunk->offset = offset;
  chunk->prev = prev;
  return chunk;
}

std::string_view frame_in(const Chunk& chunk) {
  constexpr std::string_view kBefore = "\ndata: ", kAfter = "\n\n\r\n";
  const std::string_view bytes = chunk.bytes;
  const std::size_t first = bytes.find(kBefore) + kBefore.size();
  return bytes.substr(first, bytes.size() - first - kAfter.size());
}

void Ring::replace(std::uint64_t number, ChunkPtr chunk) {
  ChunkPtr& place = chunks_[number % capacity_];
  bytes_ += chunk->memory() - place->memory();
  place = std::move(chunk);
}

void Ring::clear() {
  chunks_ = std::vector<ChunkPtr>();
  begin_ = end_ = 0;
  bytes_ = 0;
  dropped_ = 0;
}

void Ring::drop_oldest() {
  ChunkPtr& oldest = chunks_[begin_++ % capacity_];
  bytes_ -= oldest->memory();
  dropped_ = oldest->offset;
  oldest.reset();
}

void Ring::trim(std::size_t max_bytes, std::uint64_t keep) {
  while (bytes_ > max_bytes && begin_ < keep) drop_oldest();
}

void Ring::push(ChunkPtr chunk) {
  if (size() == capacity_) drop_oldest();
  bytes_ += chunk->memory();
  if (chunks_.size() < capacity_) {
    chunks_.push_back(std::move(chunk));
  } else {
    chunks_[end_ % capacity_] = std::move(chunk);
  }
  ++end_;
}

std::uint64_t Ring::after(std::int64_t offset) const {
  std::uint64_t low = begin(), high = end_;
  while (low < high) {
    std::uint64_t middle = low + (high - low) / 2;
    if ((*this)[middle]->offset <= offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

}  // namespace sealcast::transport::sse
